//! Random histories of a stack against what must hold after each step.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::json;

use super::{Account, create_request};
use crate::cloudformation::{ResourceScript, ScriptedOperation};
use crate::input;

/// A role of the template: whether it is there, its path (a change replaces it) and its policies (a change does not).
#[derive(Debug, Clone, PartialEq, Eq)]
struct Role {
    path: u8,
    policies: u8,
    needs: Option<u8>,
}

/// What the template has, by number.
type Roles = BTreeMap<u8, Role>;

#[derive(Debug, Clone)]
struct Step {
    roles: Roles,
    /// The resource and the operation that go wrong, if any.
    failure: Option<(u8, ScriptedOperation)>,
}

fn step() -> impl Strategy<Value = Step> {
    let role =
        (0..2_u8, 0..2_u8, prop::option::of(0..4_u8)).prop_map(|(path, policies, needs)| Role {
            path,
            policies,
            needs,
        });
    let operation = prop_oneof![
        Just(ScriptedOperation::Create),
        Just(ScriptedOperation::Update),
    ];
    (
        prop::collection::btree_map(0..4_u8, role, 1..4),
        prop::option::weighted(0.4, (0..4_u8, operation)),
    )
        .prop_map(|(roles, failure)| Step { roles, failure })
}

fn template(roles: &Roles) -> String {
    let mut resources = serde_json::Map::new();
    for (number, role) in roles {
        let policies: Vec<_> = (0..role.policies)
            .map(|number| json!({"PolicyName": format!("p{number}"), "PolicyDocument": {}}))
            .collect();
        let mut resource = json!({
            "Type": "AWS::IAM::Role",
            "Properties": {
                "AssumeRolePolicyDocument": {"Statement": []},
                "Path": format!("/{}/", role.path),
                "Policies": policies,
            },
        });
        // Only earlier ones may be needed, so that there is no cycle.
        if let Some(needs) = role
            .needs
            .filter(|needs| needs < number && roles.contains_key(needs))
        {
            resource["DependsOn"] = json!(format!("Role{needs}"));
        }
        resources.insert(format!("Role{number}"), resource);
    }
    json!({ "Resources": resources }).to_string()
}

/// Number, physical id, path and policies of every role that the stack says it has.
async fn recorded(account: &Account) -> BTreeMap<String, String> {
    let answer = account
        .call("DescribeStackResources", json!({"StackName": "app"}))
        .await
        .unwrap();
    input::list(&answer, "StackResources")
        .iter()
        .filter(|resource| resource["ResourceStatus"] != "DELETE_COMPLETE")
        .filter_map(|resource| {
            Some((
                input::text(resource, "LogicalResourceId")?,
                input::text(resource, "PhysicalResourceId")?,
            ))
        })
        .collect()
}

/// Every role that really is there, with its path and its number of policies.
fn existing(account: &Account) -> BTreeMap<String, (String, usize)> {
    account
        .world
        .identity
        .roles()
        .into_iter()
        .map(|(name, role)| (name, (role.arn, role.policies.len())))
        .collect()
}

async fn check(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let account = Account::with(|settings| settings.resource_delay = std::time::Duration::ZERO);
    let mut created = false;
    for step in steps {
        account.world.clear_resource_scripts();
        if let Some((number, on)) = step.failure {
            let reason = "scripted".to_owned();
            let script = ResourceScript::Fail { reason, on };
            account
                .world
                .script_resource("app", &format!("Role{number}"), script);
        }
        let before = (
            recorded_or_none(&account, created).await,
            existing(&account),
        );
        let request = create_request("app", &template(&step.roles));
        let operation = if created {
            "UpdateStack"
        } else {
            "CreateStack"
        };
        if let Err(error) = account.call(operation, request).await {
            prop_assert_eq!(error.message, "No updates are to be performed.");
            continue;
        }
        let id = account.world.cloudformation.find("app").unwrap();
        let status = account.settled(&id).await;
        match status.as_str() {
            "CREATE_COMPLETE" | "UPDATE_COMPLETE" => {
                created = true;
                let records = recorded(&account).await;
                let wanted: BTreeSet<String> = step
                    .roles
                    .keys()
                    .map(|number| format!("Role{number}"))
                    .collect();
                prop_assert_eq!(records.keys().cloned().collect::<BTreeSet<_>>(), wanted);
                let existing = existing(&account);
                for (number, role) in &step.roles {
                    let physical = &records[&format!("Role{number}")];
                    let (arn, policies) = existing[physical].clone();
                    prop_assert!(arn.contains(&format!("role/{}/", role.path)), "{}", arn);
                    prop_assert_eq!(policies, usize::from(role.policies));
                }
                prop_assert_eq!(existing.len(), records.len(), "nothing is left behind");
            }
            "UPDATE_ROLLBACK_COMPLETE" => {
                prop_assert!(step.failure.is_some());
                let after = (recorded(&account).await, existing(&account));
                prop_assert_eq!(after, before, "an undone update changes nothing");
            }
            "ROLLBACK_COMPLETE" => {
                prop_assert!(step.failure.is_some());
                prop_assert!(existing(&account).is_empty());
                prop_assert_eq!(account.delete(&id).await, "DELETE_COMPLETE");
            }
            other => prop_assert!(false, "the stack ended in {}", other),
        }
    }
    if created {
        let id = account.world.cloudformation.find("app").unwrap();
        account.world.clear_resource_scripts();
        prop_assert_eq!(account.delete(&id).await, "DELETE_COMPLETE");
    }
    prop_assert!(existing(&account).is_empty(), "nothing outlives its stack");
    Ok(())
}

async fn recorded_or_none(account: &Account, created: bool) -> BTreeMap<String, String> {
    if created {
        recorded(account).await
    } else {
        BTreeMap::new()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_stack_never_leaks_and_an_undone_update_changes_nothing(
        steps in prop::collection::vec(step(), 1..6)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(check(steps))?;
    }
}
