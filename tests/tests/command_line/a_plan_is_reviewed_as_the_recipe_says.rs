//! The recipe of docs/actions.md for plan, review, execute is a pipeline that works, from the plan to the stack; and who is
//! asked sees what the plan comes to.

use std::fmt::Write as _;

use towpath_tests::{CommandLine, Tree};

const PAGE: &str = include_str!("../../../docs/actions.md");
const PIPELINE: &str = include_str!("reviewed.yaml");

const STACK: &str = "Parameters: {Stage: {Type: String}}
Resources: {Topic: {Type: AWS::SNS::Topic, Properties: {DisplayName: !Ref Stage}}}
Outputs: {Stage: {Value: !Ref Stage}}
";

/// The pipeline with the recipe's actions in it, one after the other.
fn pipeline() -> String {
    let section = PAGE
        .split_once("### Plan, review, execute")
        .expect("the section")
        .1;
    let recipe = section
        .split("```yaml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .expect("a recipe");
    let mut actions = String::new();
    for (order, action) in (1..).zip(recipe.split("- Name: ").skip(1)) {
        let (name, rest) = action.split_once('\n').expect("more than a name");
        let _ = writeln!(
            actions,
            "            - Name: {name}\n              RunOrder: {order}"
        );
        if !rest.contains("ActionTypeId:") {
            actions.push_str(
                "              ActionTypeId: {Category: Invoke, Owner: AWS, Provider: Lambda, Version: \"1\"}\n",
            );
        }
        for line in rest.lines() {
            let _ = writeln!(actions, "            {line}");
        }
    }
    PIPELINE.replace("            # ACTIONS\n", &actions)
}

fn project() -> CommandLine {
    let tree = Tree::new()
        .file("pipeline.yaml", pipeline())
        .file("app/stack.yaml", STACK);
    CommandLine::new(env!("CARGO_BIN_EXE_towpath-under-test")).with(&tree)
}

#[test]
fn from_the_plan_to_the_stack() {
    let towpath = project();
    let run = ["run", "app", "--template", "pipeline.yaml"];
    let unattended = towpath.run(&run);
    unattended.exited(
        5,
        &[
            "[Production/Judge] succeeded",
            "Production/Approve asks: Carry this out? stack `app-production`: 1 added",
            "Production/Approve waits for an approval that nobody can give here",
        ],
    );
    let finished = towpath.run(&[&run[..], &["--approve", "all", "--json"]].concat());
    finished.exited(0, &["[Production/Execute] succeeded"]);
    assert_eq!(finished.json()["outputs"]["Stage"], "production");
}
