//! Which program runs what, by table.

use super::*;
use crate::Workspace;

const PNPM: &str = r#"{"packageManager": "pnpm@10.1.0+sha512.0", "scripts": {"test": "mocha"}}"#;
const GULP: &str = "exports.package = zip;\n";
const PACKAGE: &str = r#"{"name": "x", "scripts": {"test": "mocha", "build:all": "tsc"}}"#;

fn project(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    directory
}

#[test]
fn a_task_finds_its_runner() {
    let makefile = "test:\n\ttrue\npackage: test\n\ttrue\n";
    for (files, runner, task, expected) in [
        (
            &[("package.json", PACKAGE)][..],
            None,
            "test",
            "npm run test",
        ),
        (
            &[("package.json", PACKAGE)],
            Some("npm"),
            "build:all",
            "npm run build:all",
        ),
        (&[("Makefile", makefile)], None, "package", "make package"),
        (
            &[("package.json", PACKAGE), ("Makefile", makefile)],
            None,
            "test",
            "npm run test",
        ),
        (
            &[("package.json", PACKAGE), ("Makefile", makefile)],
            None,
            "package",
            "make package",
        ),
        (
            &[("package.json", PACKAGE), ("Makefile", makefile)],
            Some("make"),
            "test",
            "make test",
        ),
        (
            &[("Makefile", "include common.mk\n")],
            Some("make"),
            "deploy",
            "make deploy",
        ),
        (
            &[("package.json", PACKAGE), ("yarn.lock", "")],
            None,
            "test",
            "yarn run test",
        ),
        (
            &[("package.json", PACKAGE), ("pnpm-lock.yaml", "")],
            None,
            "test",
            "pnpm run test",
        ),
        (
            &[("package.json", PNPM), ("package-lock.json", "")],
            None,
            "test",
            "pnpm run test",
        ),
        (
            &[("package.json", PNPM)],
            Some("yarn"),
            "test",
            "yarn run test",
        ),
        (
            &[("package.json", PACKAGE), ("gulpfile.js", GULP)],
            None,
            "package",
            "npx --no-install gulp package",
        ),
        (
            &[
                ("package.json", PACKAGE),
                ("gulpfile.mjs", GULP),
                ("yarn.lock", ""),
            ],
            Some("gulp"),
            "computed",
            "yarn run gulp computed",
        ),
        (
            &[("justfile", "lint:\n  true\n"), ("go.mod", "")],
            None,
            "lint",
            "just lint",
        ),
        (
            &[("justfile", "lint:\n  true\n"), ("go.mod", "")],
            None,
            "vet",
            "go vet ./...",
        ),
        (&[("Cargo.toml", "")], None, "test", "cargo test"),
        (&[("Cargo.toml", "")], None, "fmt", "cargo fmt --check"),
        (
            &[("Cargo.toml", ""), (".config/nextest.toml", "")],
            None,
            "test",
            "cargo nextest run",
        ),
        (
            &[
                ("Cargo.toml", ""),
                (
                    ".cargo/config.toml",
                    "[alias]\nxtask = \"run -p xtask --\"\ntest = [\"nextest\", \"run\"]\n",
                ),
            ],
            None,
            "xtask",
            "cargo xtask",
        ),
        (
            &[("tox.ini", "[tox]\nenvlist = py311,lint\n")],
            None,
            "lint",
            "tox -e lint",
        ),
        (&[("tox.ini", "[testenv]\n")], None, "test", "tox"),
        (
            &[("tox.ini", "[pytest]\n")],
            None,
            "test",
            "python3 -m pytest",
        ),
        (
            &[
                ("noxfile.py", "@nox.session\ndef lint(s): pass\n"),
                ("test_a.py", ""),
            ],
            None,
            "lint",
            "nox --session lint",
        ),
        (
            &[("noxfile.py", ""), ("test_a.py", "")],
            None,
            "test",
            "nox",
        ),
        (
            &[("noxfile.py", ""), ("test_a.py", "")],
            Some("pytest"),
            "test",
            "python3 -m pytest",
        ),
        (
            &[("tests/test_a.py", "")],
            None,
            "test",
            "python3 -m pytest",
        ),
        (
            &[("pom.xml", "")],
            None,
            "verify",
            "mvn --batch-mode --no-transfer-progress verify",
        ),
        (
            &[("pom.xml", ""), ("mvnw", "")],
            Some("maven"),
            "test",
            "./mvnw --batch-mode --no-transfer-progress test",
        ),
        (
            &[],
            Some("command"),
            "cargo test && echo done",
            "cargo test && echo done",
        ),
    ] {
        let project = project(files);
        let command = detect(project.path(), runner, task).unwrap();
        assert_eq!(command.to_string(), expected, "{files:?} {runner:?} {task}");
        assert_eq!(command.directory, project.path());
        let told = usize::from(expected.starts_with("pnpm "));
        assert_eq!(command.environment.len(), told, "{expected}");
    }
}

#[test]
fn an_unknown_task_is_answered_with_those_that_exist() {
    for (files, runner, task, expected) in [
        (
            &[][..],
            None,
            "test",
            "nothing to run task `test` with: `DIR` holds no package.json, gulpfile, makefile, justfile, Cargo.toml, tox.ini, noxfile.py, pom.xml, go.mod or go.work, and no tests of pytest",
        ),
        (
            &[("Makefile", "a:\n")],
            Some("npm"),
            "a",
            "nothing to run task `a` with: `DIR` holds no package.json",
        ),
        (
            &[("package.json", PACKAGE), ("Makefile", "lint:\n")],
            None,
            "tset",
            "there is no task `tset`, did you mean `test`?: package.json has test, build:all; Makefile has lint",
        ),
        (
            &[("package.json", "{}")],
            None,
            "deploy",
            "there is no task `deploy`: package.json has no tasks",
        ),
        (
            &[("Makefile", "include common.mk\nx:\n")],
            None,
            "deploy",
            "there is no task `deploy`: Makefile has x",
        ),
        (
            &[("package.json", PACKAGE)],
            Some("grunt"),
            "test",
            "unknown runner `grunt`; known are npm, yarn, pnpm, gulp, make, just, cargo, tox, nox, pytest, maven, go, command",
        ),
        (
            &[("Cargo.toml", ""), ("pom.xml", "")],
            None,
            "tests",
            "there is no task `tests`, did you mean `test`?: Cargo.toml has test, nextest, fmt, build, check, clippy, doc, bench; pom.xml has validate, compile, test, package, verify",
        ),
        (
            &[("gulpfile.js", GULP)],
            None,
            "packge",
            "there is no task `packge`, did you mean `package`?: gulpfile.js has package",
        ),
        (
            &[("package.json", PACKAGE)],
            None,
            " ",
            "the task has no name",
        ),
        (
            &[("package.json", "{\"scripts\":")],
            None,
            "test",
            "`DIR/package.json` is not a package manifest: EOF while parsing a value at line 1 column 11",
        ),
        (
            &[("package.json", "[]")],
            None,
            "test",
            "`DIR/package.json` is not a package manifest: it is not a JSON object",
        ),
    ] {
        let project = project(files);
        let error = detect(project.path(), runner, task)
            .unwrap_err()
            .to_string();
        assert_eq!(
            error.replace(project.path().to_str().unwrap(), "DIR"),
            expected
        );
    }
    let error = detect(Path::new("/nowhere"), None, "test").unwrap_err();
    assert_eq!(error.to_string(), "there is no directory `/nowhere`");
}

#[test]
fn the_manager_of_a_workspace_runs_the_scripts_of_its_packages() {
    let workspace = Workspace::create().unwrap();
    let tree = workspace.path("source");
    let package = tree.join("packages/a");
    fs::create_dir_all(&package).unwrap();
    fs::write(package.join("package.json"), PACKAGE).unwrap();
    fs::write(tree.join("yarn.lock"), "").unwrap();
    let command = detect(&package, None, "test").unwrap();
    assert_eq!(command.to_string(), "yarn run test");
}

#[test]
fn installed_python_packages_are_found() {
    let project = project(&[("Makefile", "test:\n")]);
    let packages = project.path().join(PYTHON_PACKAGES);
    fs::create_dir(&packages).unwrap();
    let command = detect(project.path(), None, "test").unwrap();
    assert_eq!(
        command.environment.into_iter().collect::<Vec<_>>(),
        [("PYTHONPATH".into(), packages.clone().into())]
    );
    assert_eq!(command.search, [packages.join("bin")]);
}
