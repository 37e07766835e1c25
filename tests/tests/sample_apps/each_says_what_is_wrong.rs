//! The same applications with one mistake each: the message names it.

use crate::App;

/// That the pipeline fails in this action, with these words.
#[track_caller]
fn fails(app: Option<App>, action: &str, words: &[&str]) {
    let Some(app) = app else { return };
    let finished = app.run();
    let failed = format!("[{action}] failed");
    finished.exited(1, &[&[failed.as_str()], words].concat());
}

#[test]
fn npm_has_a_lock_file_that_does_not_match() {
    let app = App::copy("hello", &["npm"]).map(|app| {
        app.with(
            "package.json",
            "\"negotiator\": \"1.0.0\"",
            "\"negotiator\": \"0.6.4\"",
        )
    });
    fails(app, "Commit/InstallDependencies", &["package-lock.json"]);
}

#[test]
fn yarn_has_a_lock_file_that_does_not_match() {
    let app = App::copy("yarn", &["yarn"])
        .map(|app| app.with("package.json", "\"ms\": \"2.1.3\"", "\"ms\": \"2.0.0\""));
    fails(app, "Commit/InstallDependencies", &["yarn.lock"]);
}

#[test]
fn a_test_in_a_package_of_a_pnpm_workspace_fails() {
    let app = App::copy("pnpm", &["pnpm"]).map(|app| {
        app.with(
            "packages/uptime/index.test.js",
            "\"1 minute\"",
            "\"2 minutes\"",
        )
    });
    fails(
        app,
        "Commit/TestAndPackage",
        &["task `test` failed", "says how long in words"],
    );
}

#[test]
fn pip_finds_no_such_version() {
    let app =
        App::copy("pip", &["make"]).map(|app| app.with("requirements.txt", "4.13.0", "999.0"));
    fails(app, "Commit/InstallDependencies", &["humanize==999.0"]);
}

#[test]
fn uv_has_a_lock_file_that_does_not_match() {
    let app = App::copy("uv", &["uv", "make"]).map(|app| {
        app.with(
            "pyproject.toml",
            "dependencies = [\"uptime\"]",
            "dependencies = []",
        )
    });
    fails(app, "Commit/InstallDependencies", &["uv.lock"]);
}

#[test]
fn a_task_of_a_poetry_project_is_not_there() {
    let app = App::copy("poetry", &["poetry", "make"]).map(|app| {
        app.with("Makefile", ".PHONY: lint test package e2e\n", "")
            .with("Makefile", "package:", "build:")
    });
    fails(
        app,
        "Commit/TestAndPackage",
        &["there is no task `package`", "build"],
    );
}

#[test]
fn cargo_has_a_lock_file_that_does_not_match() {
    let app = App::copy("cargo", &["cargo", "make"])
        .map(|app| app.with("Cargo.toml", "=2.3.0", "=2.2.0"));
    fails(app, "Commit/InstallDependencies", &["Cargo.lock"]);
}

#[test]
fn a_test_in_go_fails() {
    let app = App::copy("go", &["go", "make"])
        .map(|app| app.with("main_test.go", "for 1 minute", "for one minute"));
    fails(
        app,
        "Commit/TestAndPackage",
        &[
            "task `test` failed",
            "TestGreetsTheWorldAndSaysForHowLongItIsUp",
        ],
    );
}

#[test]
fn a_test_in_java_fails() {
    let app = App::copy("maven", &["mvn", "java", "make"])
        .and_then(App::with_maven_of_debian)
        .map(|app| {
            app.with(
                "src/test/java/hello/MainTest.java",
                "for 1 minute",
                "for one minute",
            )
        });
    fails(
        app,
        "Commit/TestAndPackage",
        &[
            "task `test` failed",
            "greetsTheWorldAndSaysForHowLongItIsUp",
        ],
    );
}
