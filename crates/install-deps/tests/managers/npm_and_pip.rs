//! What `install` promises, with the real npm and pip and without a network.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use install_deps::{InstallError, Installed, Parameters, Scripts};
use tempfile::TempDir;
use towpath_job::{Failure, FailureType};
use towpath_tool::{ToolError, Workspace};

use crate::scene::{install_in, shell};

struct Project {
    directory: TempDir,
    workspace: Workspace,
}

impl Project {
    fn new(files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let workspace = Workspace::create_in(directory.path()).unwrap();
        let project = Self {
            directory,
            workspace,
        };
        fs::create_dir(project.source()).unwrap();
        for (name, text) in files {
            let path = project.source().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        project
    }

    fn source(&self) -> PathBuf {
        self.directory.path().join("source")
    }

    fn added(&self) -> PathBuf {
        self.directory.path().join("added")
    }

    async fn install(&self, parameters: &Parameters) -> Result<Installed, InstallError> {
        let _ = fs::remove_dir_all(self.added());
        let deadline = Instant::now() + Duration::from_mins(5);
        self.install_until(parameters, deadline).await
    }

    async fn install_until(
        &self,
        parameters: &Parameters,
        deadline: Instant,
    ) -> Result<Installed, InstallError> {
        install_in(
            &self.workspace,
            &self.source(),
            &self.added(),
            parameters,
            deadline,
        )
        .await
    }

    /// A package of the project's own as npm's registry would deliver it.
    fn with_npm_package(self, at: &str, manifest: &str, files: &[(&str, &str)]) -> Self {
        let package = self.directory.path().join("package");
        fs::create_dir_all(&package).unwrap();
        fs::write(package.join("package.json"), manifest).unwrap();
        for (name, text) in files {
            fs::write(package.join(name), text).unwrap();
        }
        let archive = self.source().join(at);
        fs::create_dir_all(archive.parent().unwrap()).unwrap();
        shell(
            self.directory.path(),
            &format!("tar czf '{}' package", archive.display()),
        );
        fs::remove_dir_all(package).unwrap();
        self
    }
}

fn listed(root: &Path) -> Vec<String> {
    let entries = walkdir::WalkDir::new(root)
        .sort_by_file_name()
        .into_iter()
        .map(Result::unwrap);
    let files = entries.filter(|entry| !entry.file_type().is_dir());
    files
        .map(|entry| {
            entry
                .path()
                .strip_prefix(root)
                .unwrap()
                .to_string_lossy()
                .into_owned()
        })
        .collect()
}

const MANIFEST: &str =
    r#"{"name": "app", "version": "1.0.0", "dependencies": {"greet": "file:vendor/greet.tgz"}}"#;
const GREET: &str = r#"{"name": "greet", "version": "2.0.0", "bin": "greet.js",
    "scripts": {"postinstall": "node -e \"require('fs').writeFileSync('built.txt', '')\""}}"#;

fn npm_project() -> Project {
    Project::new(&[("package.json", MANIFEST), ("index.js", "")]).with_npm_package(
        "vendor/greet.tgz",
        GREET,
        &[("greet.js", "#!/usr/bin/env node\nconsole.log('hello')\n")],
    )
}

#[tokio::test]
async fn npm_without_a_lock_file_installs_warns_and_adds_the_lock_file() {
    let project = npm_project();
    let installed = project.install(&Parameters::default()).await.unwrap();
    assert!(
        installed
            .to_string()
            .starts_with("npm install: 1 package, 0.0 MB (no lock file"),
        "{installed}"
    );
    assert_eq!(
        listed(&project.added()),
        [
            "node_modules/.bin/greet",
            "node_modules/.package-lock.json",
            "node_modules/greet/built.txt",
            "node_modules/greet/greet.js",
            "node_modules/greet/package.json",
            "package-lock.json",
        ]
    );
    assert_eq!(
        listed(&project.source()),
        ["index.js", "package.json", "vendor/greet.tgz"]
    );

    // With that lock file it is `npm ci`, which adds the same but for the file. `scripts=off` leaves out what
    // the package's own script made.
    fs::copy(
        project.added().join("package-lock.json"),
        project.source().join("package-lock.json"),
    )
    .unwrap();
    let without_scripts = Parameters {
        scripts: Scripts::Off,
        ..Parameters::default()
    };
    for (parameters, expected) in [(Parameters::default(), true), (without_scripts, false)] {
        let installed = project.install(&parameters).await.unwrap();
        assert_eq!(installed.to_string(), "npm ci: 1 package, 0.0 MB");
        let added = listed(&project.added());
        assert!(
            added.iter().all(|path| path.starts_with("node_modules/")),
            "{added:?}"
        );
        assert_eq!(
            added.iter().any(|path| path.ends_with("built.txt")),
            expected,
            "{added:?}"
        );
        assert!(project.added().join("node_modules/.bin/greet").is_symlink());
    }
}

#[tokio::test]
async fn npm_in_a_directory_of_the_source_adds_at_that_path() {
    let project = Project::new(&[
        ("web/package.json", r#"{"name": "web", "version": "1.0.0"}"#),
        ("README.md", ""),
    ]);
    let error = Failure::from(project.install(&Parameters::default()).await.unwrap_err());
    assert_eq!(error.kind, FailureType::ConfigurationError);
    assert!(
        error.message.starts_with(
            "found nothing to install in the root of the source: no package-lock.json"
        )
    );
    assert_eq!(
        error.hint.unwrap(),
        "there is something in web: set `dir`, as in `dir=web`"
    );

    let web = Parameters {
        directories: vec!["web".into()],
        ..Parameters::default()
    };
    let installed = project.install(&web).await.unwrap();
    assert!(
        installed.to_string().starts_with("npm install: 0 packages"),
        "{installed}"
    );
    assert!(
        listed(&project.added()).contains(&"web/package-lock.json".to_owned()),
        "{:?}",
        listed(&project.added())
    );

    let nowhere = Parameters {
        directories: vec!["site".into()],
        ..Parameters::default()
    };
    let error = project.install(&nowhere).await.unwrap_err();
    assert_eq!(error.to_string(), "the source has no directory `site`");
}

#[tokio::test]
async fn a_lock_file_that_disagrees_with_the_manifest_fails_with_what_to_do() {
    let lock = r#"{"name": "app", "version": "1.0.0", "lockfileVersion": 3, "requires": true,
        "packages": {"": {"name": "app", "version": "1.0.0"}}}"#;
    let project = npm_project();
    fs::write(project.source().join("package-lock.json"), lock).unwrap();
    let error = project.install(&Parameters::default()).await.unwrap_err();
    let failure = Failure::from(error);
    assert_eq!(failure.kind, FailureType::ConfigurationError);
    assert_eq!(
        failure.message,
        "package.json and package-lock.json in the root of the source do not match"
    );
    assert!(
        failure
            .output
            .unwrap()
            .contains("Missing: greet@2.0.0 from lock file")
    );
    assert_eq!(
        failure.hint.unwrap(),
        "run `npm install` and commit package-lock.json"
    );
}

#[tokio::test]
async fn an_install_script_does_not_see_the_function_s_environment_and_its_failure_is_told() {
    let script = r#"{"name": "app", "version": "1.0.0",
        "scripts": {"preinstall": "env | grep -c ^CARGO_MANIFEST_DIR=; echo out of luck >&2; exit 7"}}"#;
    let project = Project::new(&[("package.json", script)]);
    assert!(
        std::env::var_os("CARGO_MANIFEST_DIR").is_some(),
        "otherwise this test proves nothing"
    );
    let failure = Failure::from(project.install(&Parameters::default()).await.unwrap_err());
    assert_eq!(failure.message, "`npm install` failed with exit code 7");
    let output = failure.output.unwrap();
    assert!(
        output.contains("out of luck") && output.lines().any(|line| line.ends_with('0')),
        "{output}"
    );
}

/// A wheel made by hand: pip needs no network for it.
fn pip_project() -> Project {
    let project = Project::new(&[("requirements.txt", "greet==1.0\n"), ("app.py", "")]);
    let script = r#"
import zipfile
info = "greet-1.0.dist-info"
with zipfile.ZipFile("wheels/greet-1.0-py3-none-any.whl", "w") as wheel:
    wheel.writestr("greet.py", "def main(): print('hello')\n")
    wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: greet\nVersion: 1.0\n")
    wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    wheel.writestr(f"{info}/entry_points.txt", "[console_scripts]\ngreet = greet:main\n")
    wheel.writestr(f"{info}/RECORD", "")
"#;
    fs::create_dir(project.source().join("wheels")).unwrap();
    let made = Command::new("python3")
        .args(["-c", script])
        .current_dir(project.source())
        .status()
        .unwrap();
    assert!(made.success());
    project
}

#[tokio::test]
async fn pip_installs_where_tasks_look_for_it() {
    let project = pip_project();
    let offline = ["--no-index", "--find-links", "wheels"].map(String::from);
    let parameters = Parameters {
        arguments: offline.into(),
        ..Parameters::default()
    };
    let installed = project.install(&parameters).await.unwrap();
    assert_eq!(installed.to_string(), "pip install: 1 package, 0.0 MB");
    let added = listed(&project.added());
    assert!(
        added
            .iter()
            .all(|path| path.starts_with(".python-packages/")),
        "{added:?}"
    );

    // What a task of a later action finds, once the artifact is laid over the source.
    fs::rename(
        project.added().join(".python-packages"),
        project.source().join(".python-packages"),
    )
    .unwrap();
    let command = towpath_tool::task::detect(
        &project.source(),
        Some("command"),
        "greet && python3 -c 'import greet; greet.main()'",
    );
    let limits = towpath_tool::Limits::until(Instant::now() + Duration::from_mins(1));
    let finished = towpath_tool::run(&command.unwrap(), &project.workspace, &limits)
        .await
        .unwrap();
    assert_eq!(finished.tail, "hello\nhello");
}

#[tokio::test]
async fn a_missing_python_package_fails_with_what_to_do() {
    let project = pip_project();
    let parameters = Parameters {
        arguments: vec!["--no-index".into()],
        ..Parameters::default()
    };
    // The machine's own configuration may point pip at a directory; there is no such package there either.
    let failure = Failure::from(project.install(&parameters).await.unwrap_err());
    assert!(
        failure.message.starts_with("`python3 -m pip install"),
        "{failure:?}"
    );
    assert!(failure.hint.unwrap().contains("PIP_INDEX_URL"));
}

#[tokio::test]
async fn an_install_that_hangs_is_stopped_in_time() {
    let script = r#"{"name": "app", "version": "1.0.0", "scripts": {"preinstall": "sleep 1000"}}"#;
    let project = Project::new(&[("package.json", script)]);
    let deadline = Instant::now() + Duration::from_secs(3);
    let error = project
        .install_until(&Parameters::default(), deadline)
        .await
        .unwrap_err();
    assert!(
        matches!(error, InstallError::Tool(ToolError::Deadline { .. })),
        "{error:?}"
    );
}
