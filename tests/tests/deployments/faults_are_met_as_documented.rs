//! What the page about running the pipeline here says of faults on purpose happens: its own example is put in force.

use towpath_loopback::FaultFile;
use towpath_tests::{Action, Tree};

use crate::{ROLE, world};

const PAGE: &str = include_str!("../../../docs/run.md");

fn template(name: &str) -> String {
    format!(
        "Resources: {{Function: {{Type: AWS::SNS::Topic, Properties: {{DisplayName: {name}}}}}}}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_fails_one_update_and_loses_one_answer() {
    let section = PAGE
        .split_once("## Faults on purpose")
        .expect("the section")
        .1;
    let example = section
        .split("```json\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .expect("an example");
    let faults = FaultFile::parse(example).expect("a file of faults");
    let world = world().await;
    world.loopback().follow(&faults);
    let deploy = format!("stack=app-production&template=Source::t.yaml&{ROLE}");
    let mut ended = Vec::new();
    for name in ["first", "second", "third"] {
        let tree = Tree::new().file("t.yaml", template(name));
        let done = world.act(&tree, Action::of("deploy-stack", &deploy)).await;
        ended.push(done);
    }
    ended[0].succeeded();
    ended[1].failed(
        "PermissionError",
        &[
            "Function (AWS::SNS::Topic) UPDATE_FAILED: Resource handler returned message: \"The role defined",
            "the stack is now UPDATE_ROLLBACK_COMPLETE",
        ],
    );
    ended[2].succeeded();
    assert_eq!(world.loopback().unmet(), [] as [String; 0]);
}
