//! What AWS answers becomes a plan, and a plan a page.

use aws_sdk_cloudformation::types::{
    ChangeAction, ChangeSource, EvaluationType, PolicyAction, ResourceAttribute,
    ResourceTargetDefinition,
};

use super::render::Document;
use super::*;
use crate::gate;

fn detail(
    name: &str,
    before: &str,
    after: &str,
    recreates: RequiresRecreation,
) -> ResourceChangeDetail {
    ResourceChangeDetail::builder()
        .target(
            ResourceTargetDefinition::builder()
                .attribute(ResourceAttribute::Properties)
                .name(name)
                .before_value(before)
                .after_value(after)
                .requires_recreation(recreates)
                .build(),
        )
        .evaluation(EvaluationType::Static)
        .change_source(ChangeSource::DirectModification)
        .build()
}

fn change(
    id: &str,
    kind: &str,
    action: ChangeAction,
) -> aws_sdk_cloudformation::types::builders::ResourceChangeBuilder {
    ResourceChange::builder()
        .logical_resource_id(id)
        .physical_resource_id(format!("{id}-1"))
        .resource_type(kind)
        .action(action)
}

#[test]
fn what_is_done_with_a_resource_is_told_by_action_and_replacement() {
    use ChangeAction as C;
    for (action, replacement, expected) in [
        (C::Add, None, Action::Add),
        (C::Remove, None, Action::Remove),
        (C::Import, None, Action::Import),
        (C::Modify, None, Action::Modify),
        (C::Modify, Some(Replacement::False), Action::Modify),
        (C::Modify, Some(Replacement::True), Action::Replace),
        (
            C::Modify,
            Some(Replacement::Conditional),
            Action::MayReplace,
        ),
        (C::Dynamic, None, Action::Unknown),
        (
            C::Dynamic,
            Some(Replacement::Conditional),
            Action::MayReplace,
        ),
    ] {
        let seen = change("A", "T", action.clone())
            .set_replacement(replacement.clone())
            .build();
        let planned = planned(&seen, Vec::new(), &nothing());
        assert_eq!(planned.action, expected, "{action:?} {replacement:?}");
    }
}

#[test]
fn a_property_that_is_listed_twice_is_told_once_and_a_secret_never() {
    let from_parameter = |value: &str| {
        let detail = detail("Password", value, "new", RequiresRecreation::Never);
        ResourceChangeDetail::builder()
            .set_target(detail.target().cloned())
            .evaluation(EvaluationType::Static)
            .change_source(ChangeSource::ParameterReference)
            .causing_entity("Secret")
            .build()
    };
    let direct = detail("Password", "old", "new", RequiresRecreation::Never);
    let secret = secrets::hidden(&[], &["Secret".to_owned()].into());
    for details in [
        vec![from_parameter("old")],
        vec![direct.clone(), from_parameter("old")],
        vec![from_parameter("old"), direct],
    ] {
        let found = causes(&details, "Database", &secret);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].before.as_deref(), Some("****"), "{found:?}");
        assert_eq!(found[0].after.as_deref(), Some("****"), "{found:?}");
    }
}

fn example() -> Plan {
    let changes = [
        change("Api", "AWS::Lambda::Function", ChangeAction::Modify)
            .details(detail(
                "MemorySize",
                "128",
                "256",
                RequiresRecreation::Never,
            ))
            .details(
                ResourceChangeDetail::builder()
                    .target(
                        ResourceTargetDefinition::builder()
                            .attribute(ResourceAttribute::Properties)
                            .name("Role")
                            .build(),
                    )
                    .evaluation(EvaluationType::Dynamic)
                    .causing_entity("Role.Arn")
                    .build(),
            )
            .build(),
        change("Orders", "AWS::DynamoDB::Table", ChangeAction::Modify)
            .replacement(Replacement::True)
            .policy_action(PolicyAction::ReplaceAndDelete)
            .details(detail(
                "TableName",
                "orders",
                "orders`2",
                RequiresRecreation::Always,
            ))
            .build(),
        change("Old", "AWS::SNS::Topic", ChangeAction::Remove)
            .policy_action(PolicyAction::Delete)
            .build(),
        ResourceChange::builder()
            .logical_resource_id("New")
            .resource_type("AWS::SNS::Topic")
            .action(ChangeAction::Add)
            .build(),
    ];
    let mut plan = Plan::default();
    for seen in &changes {
        plan.changes.push(planned(seen, Vec::new(), &nothing()));
    }
    plan.changes[3].within = vec!["Inner".into()];
    plan
}

#[test]
fn a_person_reads_what_goes_first() {
    let plan = example();
    let losses = gate::losses(&plan, &std::collections::BTreeSet::new());
    let document = Document {
        stack: "app-production",
        change_set: "arn:set",
        plan: &plan,
        losses: &losses,
    };
    assert_eq!(
        document.markdown(),
        "\
# Plan for stack `app-production`

1 added, 1 changed, 1 replaced, 1 removed.

## Data would be lost

- `Orders` (AWS::DynamoDB::Table, Orders-1) is replaced, for TableName: orders -> orders`2

## Removed

- `Old` (AWS::SNS::Topic, `Old-1`): it is deleted

## Replaced

- `Orders` (AWS::DynamoDB::Table, `Orders-1`): it is deleted
  - `TableName`: `orders` → `` orders`2 `` — **replaces it**

## Added

- `Inner.New` (AWS::SNS::Topic)

## Changed in place

- `Api` (AWS::Lambda::Function, `Api-1`)
  - `MemorySize`: `128` → `256`
  - <sub>known only then: Role from Role.Arn</sub>
"
    );
    let json: serde_json::Value = serde_json::from_str(&document.json()).expect("JSON");
    assert_eq!(json["schema"], "towpath.plan/1");
    assert_eq!(json["counts"]["replaced"], 1);
    assert_eq!(json["changes"][1]["action"], "replace");
    assert_eq!(json["changes"][1]["because"][0]["recreates"], "always");
    assert_eq!(json["losses"][0]["resource"], "Orders");
    assert_eq!(
        Plan::default().counts().to_string(),
        "outputs or settings only"
    );
}

#[test]
fn a_long_plan_is_short_for_people() {
    let mut plan = Plan::default();
    for number in 0..500 {
        let seen = ResourceChange::builder()
            .logical_resource_id(format!("R{number}"))
            .resource_type("AWS::SSM::Parameter")
            .action(ChangeAction::Add)
            .build();
        plan.changes.push(planned(&seen, Vec::new(), &nothing()));
    }
    let document = Document {
        stack: "app",
        change_set: "arn:set",
        plan: &plan,
        losses: &[],
    };
    let text = document.markdown();
    assert!(text.contains("- and 450 more: see plan.json"), "{text}");
    assert!(text.len() < 4_000, "{}", text.len());
}

/// Nothing is hidden.
fn nothing() -> Hidden {
    secrets::hidden(&[], &std::collections::BTreeSet::new())
}

#[test]
fn what_one_answer_leaves_out_comes_from_the_other() {
    let bare = |name: &str| {
        let full = detail(name, "", "", RequiresRecreation::Never);
        let target = ResourceTargetDefinition::builder()
            .attribute(ResourceAttribute::Properties)
            .name(name);
        ResourceChangeDetail::builder()
            .target(target.build())
            .set_evaluation(full.evaluation)
            .build()
    };
    let full = |name: &str| detail(name, "old", "new", RequiresRecreation::Never);
    let of = |id: &str, details: Vec<ResourceChangeDetail>| {
        change(id, "T", ChangeAction::Modify)
            .set_details(Some(details))
            .build()
    };
    let plain = vec![
        of("A", vec![bare("Size"), bare("Name")]),
        of("B", vec![bare("Size")]),
    ];
    // One detail and one resource are left out, and one resource is only here.
    let valued = vec![of("A", vec![full("Size")]), of("C", vec![full("Size")])];
    let merged = read::merge(plain.clone(), valued);
    let seen: Vec<_> = merged
        .iter()
        .flat_map(|change| {
            change.details().iter().filter_map(|detail| {
                let target = detail.target()?;
                Some((
                    change.logical_resource_id()?,
                    target.name()?,
                    target.after_value(),
                ))
            })
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("A", "Size", Some("new")),
            ("A", "Name", None),
            ("B", "Size", None),
            ("C", "Size", Some("new")),
        ]
    );
    assert_eq!(read::merge(plain.clone(), Vec::new()), plain);
}
