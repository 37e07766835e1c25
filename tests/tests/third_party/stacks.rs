//! What deploy-stack does to a stack, in CloudFormations that nobody here wrote: ministack's and moto's.
//!
//! The pipeline, its artifacts and the functions are the loopback's; `AWS_ENDPOINT_URL_CLOUDFORMATION` alone leads
//! elsewhere. Where moto 5.2 differs from AWS, as seen, and what follows from it here:
//!
//! - Nothing takes time, and nothing fails by itself: what a resource refuses is the answer to `ExecuteChangeSet`, the
//!   stack keeps the status that it had, and nothing is rolled back. So no failure is told from moto's events, and
//!   nothing is recovered there.
//! - A stack tells neither its `ChangeSetId` nor, ever, its `LastUpdatedTime`, and no event has a client token. An
//!   update is known to have ended by the change set alone, once the stack has looked the same for several looks.
//! - A change set that was executed can be executed again; a second one of the same name makes a second stack. That
//!   neither comes about is what the tests see to.
//! - A stack that was made by a change set tells no outputs.
//! - Changes have no `Replacement` and no `PolicyAction`, so the gate has nothing to stop.
//! - `RollbackStack`, `ContinueUpdateRollback`, `CancelUpdateStack` and `DescribeEvents` are errors of the server.
//!
//! ministack has failures and rollbacks, and tells of replacement. Neither of the two has a stack that is busy, a
//! rollback that gets stuck, a read that is late, nested change sets or values of properties in change sets: these are
//! tested on the loopback.

use aws_sdk_cloudformation::Client;
use aws_sdk_s3::config::Credentials;
use towpath_tests::{Action, Done, Setup, Tree, World};

use crate::ministack::Ministack;
use crate::python::Python;
use crate::server::Server;

/// Starts moto's server and waits until it answers.
pub(crate) async fn moto(python: &Python) -> Server {
    Server::start("moto", "/moto-api/data.json", |port, directory| {
        let port = port.to_string();
        let mut command = python.command(&["-m", "moto.server", "-H", "127.0.0.1", "-p", &port]);
        command.env("TMPDIR", directory);
        command
    })
    .await
}

/// A world whose functions find CloudFormation elsewhere.
struct Elsewhere {
    world: World,
    client: Client,
    /// Whether a stack tells when it was updated.
    dated: bool,
}

impl Elsewhere {
    async fn at(endpoint: &str, dated: bool) -> Self {
        let anybody = Credentials::new("anybody", "anything", None, None, "test");
        let config = towpath_aws::fixed(endpoint, "us-east-1", anybody);
        let world = Setup::new(env!("CARGO_BIN_EXE_towpath-under-test"))
            .variable("AWS_ENDPOINT_URL_CLOUDFORMATION", endpoint)
            .start()
            .await;
        Self {
            world,
            client: Client::new(&config),
            dated,
        }
    }

    /// Runs the action on a template for the stack `app`.
    async fn act(&self, template: &str, parameters: &str) -> Done {
        let tree = Tree::new().file("template.yaml", template);
        let parameters = format!("stack=app&timeout=2m{parameters}");
        let action = Action::of("deploy-stack", &parameters);
        self.world.act(&tree, action).await
    }

    async fn deploy(&self, template: &str, parameters: &str) -> Done {
        let parameters = format!("&template=Source::template.yaml{parameters}");
        self.act(template, &parameters).await
    }

    /// The stack's status, or `None` where there is none.
    async fn status(&self) -> Option<String> {
        let answer = self.client.describe_stacks().stack_name("app").send().await;
        let stack = answer.ok()?.stacks?.pop()?;
        Some(stack.stack_status?.as_str().to_owned())
    }

    /// How often an execution began, as the stack's own events tell.
    async fn executions(&self) -> usize {
        let events = self.client.describe_stack_events().stack_name("app");
        let events = events.send().await.expect("events");
        events
            .stack_events()
            .iter()
            .filter(|event| event.physical_resource_id() == event.stack_id())
            .filter_map(|event| event.resource_status())
            .filter(|status| {
                ["CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS"].contains(&status.as_str())
            })
            .count()
    }

    /// What goes well in any CloudFormation: made, left alone, changed, planned and executed, deleted.
    async fn goes_all_the_way(&self) {
        let made = self.deploy(&topic("one"), "").await;
        assert_eq!(made.succeeded().variables["Changed"], "true");
        assert_eq!(self.status().await.as_deref(), Some("CREATE_COMPLETE"));

        let same = self.deploy(&topic("one"), "").await;
        assert_eq!(same.succeeded().variables["Changed"], "false");
        assert_eq!(same.variables, {
            let mut expected = made.variables.clone();
            expected.insert("Changed".to_owned(), "false".to_owned());
            expected
        });
        assert_eq!(self.status().await.as_deref(), Some("CREATE_COMPLETE"));

        let changed = self.deploy(&topic("two"), "").await;
        assert_eq!(changed.succeeded().variables["Changed"], "true");
        assert_eq!(
            changed.summary.as_deref(),
            Some("stack `app` is UPDATE_COMPLETE: 1 changed")
        );
        // It looks as after the update before, which must not be taken for its own end.
        let again = self.deploy(&topic("three"), "").await;
        assert_eq!(again.succeeded().variables["Changed"], "true");

        let executed = self.executions().await;
        let plan = self.deploy(&topic("four"), "&action=plan").await;
        assert_eq!(
            plan.succeeded().summary.as_deref(),
            Some("the plan for stack `app`: 1 changed")
        );
        let nothing = self.deploy(&topic("three"), "&action=plan").await;
        assert_eq!(nothing.succeeded().variables["ChangeSetArn"], "none");
        assert_eq!(self.executions().await, executed, "a plan executes nothing");

        let execute = format!(
            "&action=execute&change-set={}",
            plan.variables["ChangeSetArn"]
        );
        let done = self.act("", &execute).await;
        assert_eq!(done.succeeded().variables["Changed"], "true");
        assert_eq!(self.executions().await, executed + 1);
        // Once more is no second time. Neither tells which change set a stack's last one was. Where a stack tells
        // when it was updated, that was not now; where it does not, the change set's end is all that there is.
        let again = self.act("", &execute).await;
        if self.dated {
            again.failed("ConfigurationError", &["is obsolete", "plan again"]);
        } else {
            again.succeeded();
        }
        assert_eq!(self.executions().await, executed + 1, "it executes once");

        for summary in ["stack `app` is deleted", "stack `app` does not exist"] {
            let gone = self.act("", "&action=delete").await;
            assert_eq!(gone.succeeded().summary.as_deref(), Some(summary));
            assert_eq!(self.status().await, None);
        }
    }

    /// A plan for a stack that is not there makes nothing, and is carried out when that is asked for.
    async fn is_planned_before_it_is_there(&self) {
        let plan = self.deploy(&topic("one"), "&action=plan").await;
        assert_eq!(
            plan.succeeded().summary.as_deref(),
            Some("the plan for stack `app`: 1 added")
        );
        assert_eq!(self.status().await.as_deref(), Some("REVIEW_IN_PROGRESS"));
        let execute = format!(
            "&action=execute&change-set={}",
            plan.variables["ChangeSetArn"]
        );
        self.act("", &execute).await.succeeded();
        assert_eq!(self.status().await.as_deref(), Some("CREATE_COMPLETE"));
        self.act("", "&action=delete").await.succeeded();
    }
}

/// A topic of that name to people.
fn topic(name: &str) -> String {
    format!(
        "Resources:\n  Topic:\n    Type: AWS::SNS::Topic\n    Properties: {{DisplayName: {name}}}\n\
         Outputs:\n  Name: {{Value: !Ref Topic}}\n"
    )
}

/// The same with a parameter of that type, one of which does not exist.
fn with_a_parameter(kind: &str) -> String {
    topic("one").replace(
        "Outputs:",
        &format!(
            "  Value:\n    Type: AWS::SSM::Parameter\n    Properties: {{Name: /app/value, Type: {kind}, Value: v}}\nOutputs:"
        ),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stack_goes_all_the_way_in_ministack() {
    let Some(python) = Python::with(&["ministack"]) else {
        return;
    };
    let ministack = Ministack::start(&python).await;
    let there = Elsewhere::at(&ministack.endpoint(), true).await;
    there.is_planned_before_it_is_there().await;
    there.goes_all_the_way().await;

    let made = there.deploy(&topic("one"), "").await;
    assert!(made.variables["Name"].contains(":sns:"), "{made:?}");
    there.act("", "&action=delete").await.succeeded();

    // A creation that fails is told of, refused if that is wished, and made anew.
    for (template, policy) in [("Strange", ""), ("Strange", "&on-failure=recover")] {
        there
            .deploy(&with_a_parameter(template), policy)
            .await
            .failed("JobFailed", &["Value", "Strange", "ROLLBACK_COMPLETE"]);
    }
    there
        .deploy(&topic("one"), "&on-failure=fail")
        .await
        .failed("ConfigurationError", &["stack `app` is ROLLBACK_COMPLETE"]);
    there.deploy(&topic("one"), "").await.succeeded();
    assert_eq!(there.status().await.as_deref(), Some("CREATE_COMPLETE"));

    // An update that fails is told of, and the next one is made.
    there.deploy(&with_a_parameter("Strange"), "").await.failed(
        "JobFailed",
        &["Value", "Strange", "UPDATE_ROLLBACK_COMPLETE"],
    );
    there
        .deploy(&with_a_parameter("String"), "&on-failure=fail")
        .await
        .succeeded();
    assert_eq!(there.status().await.as_deref(), Some("UPDATE_COMPLETE"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stack_goes_all_the_way_in_moto() {
    let Some(python) = Python::with(&["moto.server", "moto.cloudformation.parsing"]) else {
        return;
    };
    let moto = moto(&python).await;
    let there = Elsewhere::at(&moto.endpoint(), false).await;
    there.is_planned_before_it_is_there().await;
    there.goes_all_the_way().await;

    // What a resource refuses is the call's own answer there: it is passed on, and no success.
    there.deploy(&with_a_parameter("Strange"), "").await.failed(
        "ConfigurationError",
        &["failed to execute change set", "Strange"],
    );
}
