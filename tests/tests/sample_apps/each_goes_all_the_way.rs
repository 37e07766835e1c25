//! Install, lint, test, package, deploy, test end to end, approve, production: with the template that goes to AWS.

use serde_json::json;

use crate::App;

/// That every action of every stage has succeeded, the tests of the deployed API among them.
#[track_caller]
fn goes_all_the_way(app: Option<App>) {
    let Some(app) = app else { return };
    let finished = app.run();
    finished.exited(0, &["[Production/EndToEnd] succeeded"]);
    let document = finished.json();
    let stages = document["stages"].as_array().expect("a list");
    let actions = stages
        .iter()
        .flat_map(|stage| stage["actions"].as_array().expect("a list"));
    for action in actions {
        assert_eq!(action["status"], "Succeeded", "{action}");
    }
    assert_eq!(document["fidelity"]["refused"], json!([]));
}

#[test]
fn of_yarn() {
    goes_all_the_way(App::copy("yarn", &["yarn"]));
}

#[test]
fn of_pnpm() {
    goes_all_the_way(App::copy("pnpm", &["pnpm"]));
}

#[test]
fn of_pip() {
    goes_all_the_way(App::copy("pip", &["make"]));
}

#[test]
fn of_uv() {
    goes_all_the_way(App::copy("uv", &["uv", "make"]));
}

#[test]
fn of_poetry() {
    goes_all_the_way(App::copy("poetry", &["poetry", "make"]));
}

#[test]
fn of_cargo() {
    goes_all_the_way(App::copy("cargo", &["cargo", "make"]));
}

#[test]
fn of_go() {
    goes_all_the_way(App::copy("go", &["go", "make"]));
}

#[test]
fn of_maven() {
    goes_all_the_way(
        App::copy("maven", &["mvn", "java", "make"]).and_then(App::with_maven_of_debian),
    );
}
