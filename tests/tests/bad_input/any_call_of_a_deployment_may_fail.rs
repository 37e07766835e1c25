//! Whichever call to CloudFormation fails once, or loses its answer after it took effect: the stack comes to be,
//! is made once, the next run finds nothing to do, and the deletion ends too.

use towpath_loopback::{Cut, FaultKind, FaultRule, FaultWhen};
use towpath_tests::{Action, Tree, World};

use crate::setup;

/// More calls than a deployment makes: the last ones hit none, which costs nothing.
const CALLS: u64 = 12;

const PARAMETERS: &str =
    "stack=app&template=Source::template.yaml&role=arn:aws:iam::000000000000:role/deployment";

#[tokio::test(flavor = "multi_thread")]
async fn when_it_is_throttled() {
    each_call(FaultKind::Throttle).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_service_fails() {
    each_call(FaultKind::Error).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_it_is_cut_off_before_its_effect() {
    each_call(FaultKind::Cut(Cut::Before)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_it_is_cut_off_after_its_effect() {
    each_call(FaultKind::Cut(Cut::After)).await;
}

async fn each_call(kind: FaultKind) {
    let tree = Tree::new().file(
        "template.yaml",
        "Resources:\n  Topic:\n    Type: AWS::SNS::Topic\nOutputs:\n  Topic:\n    Value: !Ref Topic\n",
    );
    for call in 1..=CALLS {
        let world = setup().start().await;
        hit(&world, &kind, call);
        let made = world
            .act(&tree, Action::of("deploy-stack", PARAMETERS))
            .await;
        assert_eq!(made.status, "Succeeded", "creation, call {call}: {made:#?}");
        assert_eq!(
            made.variables["Changed"], "true",
            "creation, call {call}: {made:#?}"
        );
        assert_eq!(resources(&world).await, 1, "creation, call {call}");

        hit(&world, &kind, call);
        let same = world
            .act(&tree, Action::of("deploy-stack", PARAMETERS))
            .await;
        assert_eq!(
            same.status, "Succeeded",
            "repetition, call {call}: {same:#?}"
        );
        assert_eq!(
            same.variables["Changed"], "false",
            "repetition, call {call}: {same:#?}"
        );

        hit(&world, &kind, call);
        let parameters = "action=delete&stack=app&role=arn:aws:iam::000000000000:role/deployment";
        let gone = world
            .act(&tree, Action::of("deploy-stack", parameters))
            .await;
        assert_eq!(gone.status, "Succeeded", "deletion, call {call}: {gone:#?}");
        assert_eq!(resources(&world).await, 0, "deletion, call {call}");
    }
}

/// Lets the `call`-th call from now fail.
fn hit(world: &World, kind: &FaultKind, call: u64) {
    world.loopback().inject(FaultRule {
        service: Some("cloudformation".to_owned()),
        operation: None,
        when: FaultWhen::Nth {
            first: call,
            times: 1,
        },
        kind: *kind,
    });
}

/// How many resources the stack has; none when there is no stack.
async fn resources(world: &World) -> usize {
    let found = world
        .cloudformation
        .describe_stack_resources()
        .stack_name("app")
        .send()
        .await;
    found.map_or(0, |found| found.stack_resources().len())
}
