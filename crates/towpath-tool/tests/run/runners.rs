//! Runners of tasks that are not on every machine, with their real programs: the task that was asked for is the one
//! that runs, and what the runner says of a failing one is the end of the message.
//!
//! A runner that is not on this machine is skipped, with a line that says so.

use std::{fs, path::Path, process::Command, time::Instant};

use towpath_tool::{Finished, Limits, ToolError, Workspace, run, task};

use crate::AMPLE;

/// A project, and the directory of the job that runs its tasks.
struct Project {
    directory: tempfile::TempDir,
    workspace: Workspace,
}

impl Project {
    fn new(files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = directory.path().join("source").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let workspace = Workspace::create_in(directory.path()).unwrap();
        Self {
            directory,
            workspace,
        }
    }

    fn source(&self) -> std::path::PathBuf {
        self.directory.path().join("source")
    }

    async fn task(&self, runner: Option<&str>, task: &str) -> Result<Finished, ToolError> {
        let command = task::detect(&self.source(), runner, task).unwrap();
        run(
            &command,
            &self.workspace,
            &Limits::until(Instant::now() + AMPLE),
        )
        .await
    }

    /// That a task passes and says this.
    async fn passes(&self, task: &str, word: &str) {
        let finished = self.task(None, task).await.unwrap();
        assert!(finished.tail.contains(word), "{task}: {}", finished.tail);
    }

    /// That a task fails and says this.
    async fn fails(&self, task: &str, word: &str) {
        match self.task(None, task).await {
            Err(ToolError::Exit { tail, .. }) => assert!(tail.contains(word), "{task}: {tail}"),
            other => panic!("{task}: {other:?}"),
        }
    }
}

/// Whether a program is here; where all have to be, it is.
fn is_here(program: &str, arguments: &[&str]) -> bool {
    let found = Command::new(program).args(arguments).output();
    let is_here = found.is_ok_and(|output| output.status.success());
    assert!(
        is_here || std::env::var_os("TOWPATH_TEST_MANAGERS").is_none(),
        "`{program}` is not here"
    );
    if !is_here {
        println!("skipped: `{program}` is not on this machine");
    }
    is_here
}

/// The version that is named is not fetched: there is no way to the registry.
#[tokio::test]
async fn pnpm_runs_scripts_whatever_version_the_project_names() {
    if !is_here("pnpm", &["--version"]) {
        return;
    }
    let manifest = r#"{"name": "app", "packageManager": "pnpm@9.0.1", "scripts": {"test": "echo by $npm_config_user_agent"}}"#;
    let project = Project::new(&[
        ("package.json", manifest),
        (".npmrc", "registry=http://127.0.0.1:9/\nfetch-retries=0\n"),
    ]);
    project.passes("test", "by pnpm/").await;
}

#[tokio::test]
async fn just_runs_recipes_and_aliases() {
    if !is_here("just", &["--version"]) {
        return;
    }
    let project = Project::new(&[
        (
            "justfile",
            "import 'more.just'\nalias t := check\ncheck: prepare\n    @echo checked\nprepare:\n    @echo prepared\nbroken:\n    @echo now; exit 3\n",
        ),
        ("more.just", "imported:\n    @echo from another file\n"),
    ]);
    project.passes("check", "prepared\nchecked").await;
    project.passes("t", "checked").await;
    project.fails("broken", "now").await;
    // What another file has is known to just alone.
    let finished = project.task(Some("just"), "imported").await.unwrap();
    assert!(finished.tail.contains("from another file"), "{finished:?}");
}

#[tokio::test]
async fn tox_runs_environments_and_all_of_them_as_test() {
    if !is_here("tox", &["--version"]) {
        return;
    }
    let project = Project::new(&[(
        "tox.ini",
        "[tox]\nskipsdist = true\nenvlist = one, two\n[testenv]\nskip_install = true\ncommands = python -c \"print('in {envname}')\"\n[testenv:broken]\ncommands = python -c \"raise SystemExit('not today')\"\n",
    )]);
    project.passes("two", "in two").await;
    let all = project.task(None, "test").await.unwrap().tail;
    assert!(all.contains("in one") && all.contains("in two"), "{all}");
    project.fails("broken", "not today").await;
}

#[tokio::test]
async fn nox_runs_sessions_and_all_of_them_as_test() {
    if !is_here("nox", &["--version"]) {
        return;
    }
    let project = Project::new(&[(
        "noxfile.py",
        "import nox\n\n@nox.session\ndef unit(session):\n    session.run('python', '-c', 'import sys; print(\"in\", sys.prefix)')\n\n@nox.session(name='type-check', venv_backend='none')\ndef types(session):\n    session.run('sh', '-c', 'echo checked', external=True)\n\n@nox.session(default=False, venv_backend='none')\ndef broken(session):\n    session.error('not today')\n",
    )]);
    project.passes("unit", ".nox/unit").await;
    project.passes("type-check", "checked").await;
    let all = project.task(None, "test").await.unwrap().tail;
    assert!(
        all.contains("checked") && !all.contains("not today"),
        "{all}"
    );
    project.fails("broken", "not today").await;
}

#[tokio::test]
async fn gulp_runs_what_the_gulpfile_exports() {
    let find = "require.resolve('gulp')";
    if !is_here("node", &["-e", find]) {
        return;
    }
    let project = Project::new(&[
        (
            "package.json",
            r#"{"name": "app", "scripts": {"lint": "echo by npm"}}"#,
        ),
        (
            "gulpfile.js",
            "const { series } = require('gulp');\nconst a = async () => console.log('one'), b = async () => console.log('two');\n\
             exports.build = series(a, b);\nexports.broken = async () => { throw new Error('not today') };\n",
        ),
    ]);
    let asked = Command::new("node").args(["-p", find]).output().unwrap();
    let module = String::from_utf8(asked.stdout).unwrap();
    let modules = Path::new(module.trim()).ancestors().nth(2).unwrap();
    std::os::unix::fs::symlink(modules, project.source().join("node_modules")).unwrap();
    project.passes("build", "two").await;
    project.passes("lint", "by npm").await;
    project.fails("broken", "not today").await;
}
