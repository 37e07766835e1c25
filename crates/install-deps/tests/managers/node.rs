//! npm, Yarn 1 and 4, and pnpm.

use install_deps::{Parameters, Scripts};
use towpath_job::FailureType;

use crate::scene::{Job, Project, is_here, tgz};

const GREET: &str = r#"{"name": "greet", "version": "2.0.0", "main": "greet.js", "bin": "greet.js",
    "scripts": {"postinstall": "node -e \"require('fs').writeFileSync('built.txt', 'built')\""}}"#;

fn greet() -> Vec<u8> {
    let program = "#!/usr/bin/env node\nmodule.exports = 'hello';\nif (require.main === module) console.log('hello');\n";
    tgz(GREET, &[("greet.js", program)])
}

/// An application that depends on `greet`, in its root and in a package of its workspace.
fn workspace(manager: &str) -> Project {
    let greet_from =
        |there: &str| format!(r#""dependencies": {{"greet": "file:{there}vendor/greet.tgz"}}"#);
    let root = format!(
        r#"{{"name": "app", "version": "1.0.0", "private": true, {manager} "workspaces": ["packages/*"], {}}}"#,
        greet_from("./")
    );
    let member = format!(
        r#"{{"name": "member", "version": "1.0.0", "main": "index.js", {}}}"#,
        greet_from("../../")
    );
    Project::new(&[
        ("package.json", &root),
        ("packages/member/package.json", &member),
        (
            "packages/member/index.js",
            "module.exports = require('greet') + ' from member';\n",
        ),
        (
            "index.js",
            "console.log(require('greet'), require('member'));\n",
        ),
    ])
    .with("vendor/greet.tgz", greet())
}

/// The same with the root asking for a member, which not every manager links by itself.
fn with_member(project: Project, version: &str) -> Project {
    let root = format!(
        r#"{{"name": "app", "version": "1.0.0", "private": true, "workspaces": ["packages/*"],
            "dependencies": {{"greet": "file:./vendor/greet.tgz", "member": "{version}"}}}}"#
    );
    project.with("package.json", root)
}

/// A manifest that asks for more than the lock file has.
fn left_behind(project: Project) -> Project {
    let root = r#"{"name": "app", "version": "1.0.0", "private": true, "workspaces": ["packages/*"],
        "dependencies": {"greet": "file:./vendor/greet.tgz", "second": "file:./vendor/second.tgz"}}"#;
    let second = tgz(r#"{"name": "second", "version": "1.0.0"}"#, &[]);
    project
        .with("package.json", root)
        .with("vendor/second.tgz", second)
}

async fn assert_left_behind(project: Project, lock: &str, mend: &str) {
    let failure = left_behind(project).failure().await;
    assert_eq!(failure.kind, FailureType::ConfigurationError, "{failure:?}");
    assert_eq!(
        failure.message,
        format!("package.json and {lock} in the root of the source do not match")
    );
    assert_eq!(
        failure.hint,
        Some(format!("run `{mend}` and commit {lock}"))
    );
}

#[tokio::test]
async fn npm_and_its_workspaces_work_at_another_path() {
    let project = workspace("").locked(&["package-lock.json"]).await;
    let (told, installed) = project
        .round_trip(
            "",
            "node index.js && ./node_modules/.bin/greet && npx greet",
        )
        .await;
    assert_eq!(told, "hello hello from member\nhello\nhello");
    assert!(installed.to_string().starts_with("npm ci: "), "{installed}");
    // From the directory of a member it is the same installation.
    let member = Parameters {
        directories: vec!["packages/member".into(), "".into()],
        ..Parameters::default()
    };
    assert_eq!(
        Job::new(&project).install(&member).await.unwrap(),
        installed
    );
    assert_left_behind(project, "package-lock.json", "npm install").await;
}

#[tokio::test]
async fn yarn_1_and_its_workspaces_work_at_another_path() {
    if !is_here("yarn", &["--version"]) {
        return;
    }
    let project = workspace(r#""packageManager": "yarn@1.22.22","#)
        .locked(&["yarn.lock"])
        .await;
    let (told, installed) = project
        .round_trip(
            "",
            "node index.js && ./node_modules/.bin/greet && yarn --silent greet",
        )
        .await;
    assert_eq!(told, "hello hello from member\nhello\nhello");
    assert!(
        installed.to_string().starts_with("yarn install: "),
        "{installed}"
    );
    assert_left_behind(project, "yarn.lock", "yarn install").await;
}

#[tokio::test]
async fn pnpm_and_its_workspaces_work_at_another_path() {
    if !is_here("pnpm", &["--version"]) {
        return;
    }
    let project = with_member(workspace(""), "workspace:*")
        .with("pnpm-workspace.yaml", "packages: [packages/*]\n")
        .with("pnpm-lock.yaml", "")
        .arguments(&["--no-frozen-lockfile"])
        .with_made("pnpm-lock.yaml")
        .await;
    let command = "node index.js && ./node_modules/.bin/greet && cd packages/member && ./node_modules/.bin/greet && \
                   pnpm exec greet";
    let (told, installed) = project.round_trip("", command).await;
    assert_eq!(told, "hello hello from member\nhello\nhello\nhello");
    assert!(
        installed
            .to_string()
            .starts_with("pnpm install: 1 package, "),
        "{installed}"
    );
    assert_left_behind(project, "pnpm-lock.yaml", "pnpm install").await;
}

/// Yarn 4, which the project brings along.
fn berry(linker: &str) -> Option<Project> {
    let Some(path) = std::env::var_os("TOWPATH_TEST_YARN") else {
        assert!(
            std::env::var_os("TOWPATH_TEST_MANAGERS").is_none(),
            "TOWPATH_TEST_YARN should be set"
        );
        eprintln!("skipped: TOWPATH_TEST_YARN does not name a yarn.js of Yarn 4");
        return None;
    };
    let settings =
        format!("nodeLinker: {linker}\nyarnPath: .yarn/releases/yarn.cjs\nenableScripts: true\n");
    let project = with_member(workspace(""), "workspace:*")
        .with(".yarnrc.yml", settings)
        .with("yarn.lock", "__metadata:\n  version: 8\n")
        .with(".yarn/releases/yarn.cjs", std::fs::read(path).unwrap());
    Some(project)
}

async fn berry_locked(linker: &str) -> Option<Project> {
    let project = berry(linker)?.arguments(&["--no-immutable"]);
    Some(project.with_made("yarn.lock").await)
}

#[tokio::test]
async fn yarn_4_with_plug_n_play_works_at_another_path() {
    let Some(project) = berry_locked("pnp").await else {
        return;
    };
    let (told, installed) = project
        .round_trip(
            "",
            "node -r ./.pnp.cjs index.js && node .yarn/releases/yarn.cjs greet",
        )
        .await;
    assert_eq!(told, "hello hello from member\nhello");
    assert!(
        installed
            .to_string()
            .starts_with("yarn install: 2 packages, "),
        "{installed}"
    );
    assert_left_behind(project, "yarn.lock", "yarn install").await;
}

#[tokio::test]
async fn yarn_4_with_node_modules_works_at_another_path() {
    let Some(project) = berry_locked("node-modules").await else {
        return;
    };
    let job = Job::new(&project);
    job.install(&project.parameters).await.unwrap();
    assert!(!job.added().join(".yarn").exists());
    let (told, _) = project
        .round_trip(
            "",
            "node index.js && ./node_modules/.bin/greet && cat node_modules/greet/built.txt",
        )
        .await;
    assert_eq!(told, "hello hello from member\nhello\nbuilt");
}

#[tokio::test]
async fn scripts_of_packages_run_as_they_are_allowed() {
    let npm = workspace("").locked(&["package-lock.json"]).await;
    let mut projects = vec![(npm, true)];
    if is_here("yarn", &["--version"]) {
        projects.push((
            workspace(r#""packageManager": "yarn@1.22.22","#)
                .locked(&["yarn.lock"])
                .await,
            true,
        ));
    }
    if is_here("pnpm", &["--version"]) {
        // Nothing is on its list.
        let package = r#"{"name": "app", "version": "1.0.0", "packageManager": "pnpm@PNPM",
            "dependencies": {"greet": "file:./vendor/greet.tgz"}}"#;
        let version = std::process::Command::new("pnpm")
            .arg("--version")
            .output()
            .unwrap();
        let version = String::from_utf8(version.stdout).unwrap();
        let package = package.replace("PNPM", version.trim());
        let project = Project::new(&[("package.json", &package)]).with("vendor/greet.tgz", greet());
        projects.push((project, false));
    }
    for (project, by_itself) in projects {
        for (scripts, expected) in [
            (Scripts::Policy, by_itself),
            (Scripts::On, true),
            (Scripts::Off, false),
        ] {
            let job = Job::new(&project);
            let parameters = Parameters {
                scripts,
                ..Parameters::default()
            };
            let installed = job.install(&parameters).await.unwrap();
            let built = job.added().join("node_modules/greet/built.txt");
            assert_eq!(built.exists(), expected, "{installed} {scripts:?}");
        }
    }
}

#[tokio::test]
async fn several_directories_are_installed_into_one_tree() {
    let package = r#"{"name": "app", "version": "1.0.0", "dependencies": {"greet": "file:../vendor/greet.tgz"}}"#;
    let project = Project::new(&[("web/package.json", package), ("api/package.json", package)])
        .with("vendor/greet.tgz", greet());
    let both = Parameters {
        directories: vec!["web".into(), "api".into()],
        ..Parameters::default()
    };
    let job = Job::new(&project);
    let installed = job.install(&both).await.unwrap().to_string();
    assert!(
        installed.starts_with(
            "npm install in `web`: 1 package; npm install in `api`: 1 package, 0.0 MB (no lock file"
        ),
        "{installed}"
    );
    for directory in ["web", "api"] {
        assert!(
            job.added()
                .join(directory)
                .join("node_modules/.bin/greet")
                .is_symlink()
        );
    }
}

#[tokio::test]
async fn a_version_that_is_not_at_hand_is_named_with_what_is() {
    if !is_here("pnpm", &["--version"]) {
        return;
    }
    // No registry has it, so neither pnpm nor corepack comes by it.
    let package = r#"{"name": "app", "version": "1.0.0", "packageManager": "yarn@0.0.1"}"#;
    let failure = Project::new(&[("package.json", package)]).failure().await;
    assert_eq!(failure.kind, FailureType::ConfigurationError, "{failure:?}");
    assert!(
        failure.message.starts_with("yarn@0.0.1 is not at hand: "),
        "{failure:?}"
    );
    assert!(
        failure
            .hint
            .unwrap()
            .contains("npm install --global yarn@0.0.1")
    );
}

#[tokio::test]
async fn a_pnpm_of_the_same_major_version_stands_in_with_a_warning() {
    let version = std::process::Command::new("pnpm").arg("--version").output();
    if !is_here("pnpm", &["--version"]) {
        return;
    }
    let version = String::from_utf8(version.unwrap().stdout).unwrap();
    let major = version.split('.').next().unwrap();
    let package = format!(
        r#"{{"name": "app", "version": "1.0.0", "packageManager": "pnpm@{major}.999.0",
            "dependencies": {{"greet": "file:./vendor/greet.tgz"}}}}"#
    );
    let project = Project::new(&[("package.json", &package)]).with("vendor/greet.tgz", greet());
    let installed = Job::new(&project)
        .install(&project.parameters)
        .await
        .unwrap()
        .to_string();
    let warning = format!(
        "package.json asks for pnpm@{major}.999.0, and {} is here",
        version.trim()
    );
    assert!(installed.contains(&warning), "{installed}");
}

#[tokio::test]
async fn a_native_module_is_compiled_without_a_network_and_works_at_another_path() {
    const LOOK: &str = "require('fs').accessSync(require('path').resolve(process.execPath, '../../include/node/node_api.h'))";
    if !is_here("cc", &["--version"])
        || !is_here("make", &["--version"])
        || !is_here("node", &["-e", LOOK])
    {
        return;
    }
    let source = r#"
#include <node_api.h>
NAPI_MODULE_INIT() {
  napi_value text;
  napi_create_string_utf8(env, "compiled", NAPI_AUTO_LENGTH, &text);
  return text;
}
"#;
    let module = tgz(
        r#"{"name": "native", "version": "1.0.0", "main": "build/Release/native.node", "gypfile": true}"#,
        &[
            (
                "binding.gyp",
                "{'targets': [{'target_name': 'native', 'sources': ['native.c']}]}",
            ),
            ("native.c", source),
        ],
    );
    let package = r#"{"name": "app", "version": "1.0.0", "dependencies": {"native": "file:vendor/native.tgz"}}"#;
    let project = Project::new(&[("package.json", package)])
        .with("vendor/native.tgz", module)
        .locked(&["package-lock.json"])
        .await;
    let (told, _) = project
        .round_trip("", "node -p \"require('native')\"")
        .await;
    assert_eq!(told, "compiled");
}
