//! Which resource needs which, and the order in which they can be made.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::evaluate::substitution::{Part, parts};
use crate::template::Template;
use crate::{EvaluateError, TemplateError};

/// The other resources that `resource` names: by `Ref`, `Fn::GetAtt`, `Fn::Sub` and `DependsOn`.
///
/// Of an `Fn::If` whose condition is in `conditions`, only the branch that is taken counts; otherwise both do.
pub fn dependencies(
    resource: &Value,
    template: &Template,
    conditions: &BTreeMap<String, bool>,
) -> BTreeSet<String> {
    let known = template.ids();
    names(resource, conditions)
        .into_iter()
        .filter(|name| known.contains(name.as_str()))
        .collect()
}

/// All resources in waves: those of a wave need only those of earlier waves. Within a wave the template's order
/// holds. Both branches of every `Fn::If` count.
pub fn order(template: &Template) -> Result<Vec<Vec<String>>, TemplateError> {
    order_with(template, &BTreeMap::new())
}

/// Like [`order`], with the conditions decided: a resource whose condition is false is left out, and so is what
/// only an untaken branch needs.
pub fn order_with(
    template: &Template,
    conditions: &BTreeMap<String, bool>,
) -> Result<Vec<Vec<String>>, TemplateError> {
    let exists = |id: &str| {
        let condition = template
            .resources()
            .get(id)
            .and_then(|resource| resource.get("Condition")?.as_str());
        condition.is_none_or(|condition| conditions.get(condition).copied().unwrap_or(true))
    };
    let mut waiting: Vec<(&String, BTreeSet<String>)> = template
        .resources()
        .iter()
        .filter(|(id, _)| exists(id))
        .map(|(id, resource)| {
            let mut needs = dependencies(resource, template, conditions);
            needs.retain(|need| exists(need));
            (id, needs)
        })
        .collect();
    let mut waves = Vec::new();
    let mut done = BTreeSet::new();
    while !waiting.is_empty() {
        let (ready, rest): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .partition(|(_, needs)| needs.is_subset(&done));
        if ready.is_empty() {
            return Err(TemplateError::Cycle {
                chain: cycle(&rest, &done),
            });
        }
        let wave: Vec<String> = ready.into_iter().map(|(id, _)| id.clone()).collect();
        done.extend(wave.iter().cloned());
        waves.push(wave);
        waiting = rest;
    }
    Ok(waves)
}

/// One cycle among resources that all wait for another of them.
fn cycle(stuck: &[(&String, BTreeSet<String>)], done: &BTreeSet<String>) -> Vec<String> {
    let needs: BTreeMap<&str, &BTreeSet<String>> = stuck
        .iter()
        .map(|(id, needs)| (id.as_str(), needs))
        .collect();
    let mut chain: Vec<String> = Vec::new();
    let mut next = stuck.first().map(|(id, _)| (*id).clone());
    while let Some(id) = next {
        if let Some(start) = chain.iter().position(|seen| *seen == id) {
            chain.drain(..start);
            chain.push(id);
            break;
        }
        next = needs
            .get(id.as_str())
            .and_then(|needs| needs.iter().find(|need| !done.contains(*need)).cloned());
        chain.push(id);
    }
    chain
}

/// What every template may refer to:
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/pseudo-parameter-reference.html>.
const PSEUDO_PARAMETERS: [&str; 8] = [
    "AWS::AccountId",
    "AWS::NoValue",
    "AWS::NotificationARNs",
    "AWS::Partition",
    "AWS::Region",
    "AWS::StackId",
    "AWS::StackName",
    "AWS::URLSuffix",
];

/// Refuses references to what the template does not have.
pub(crate) fn check_references(template: &Template) -> Result<(), TemplateError> {
    let resources = template.ids();
    let known = |name: &str| {
        resources.contains(name)
            || template.parameters().contains_key(name)
            || PSEUDO_PARAMETERS.contains(&name)
    };
    let nothing = BTreeMap::new();
    let unknown = |value: &Value| -> BTreeSet<String> {
        names(value, &nothing)
            .into_iter()
            .filter(|name| !known(name))
            .collect()
    };
    for (section, entries) in [
        ("Resources", template.resources()),
        ("Outputs", template.outputs()),
    ] {
        let names: BTreeSet<String> = entries.values().flat_map(unknown).collect();
        if !names.is_empty() {
            return Err(TemplateError::Unresolved {
                names: names.into_iter().collect(),
                section,
            });
        }
    }
    // A condition is decided before any resource exists.
    let names: BTreeSet<String> = template
        .conditions()
        .values()
        .flat_map(|value| names(value, &nothing))
        .filter(|name| {
            !template.parameters().contains_key(name) && !PSEUDO_PARAMETERS.contains(&name.as_str())
        })
        .collect();
    if names.is_empty() {
        Ok(())
    } else {
        Err(TemplateError::Unresolved {
            names: names.into_iter().collect(),
            section: "Conditions",
        })
    }
}

/// Every name that a value refers to: resources, parameters, pseudo parameters and unknown ones alike.
fn names(value: &Value, conditions: &BTreeMap<String, bool>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    match value.get("DependsOn") {
        Some(Value::String(name)) => drop(found.insert(name.clone())),
        Some(Value::Array(items)) => found.extend(
            items
                .iter()
                .filter_map(|item| Some(item.as_str()?.to_owned())),
        ),
        _ => {}
    }
    match value.as_object() {
        // `DependsOn` is read above; what else stands beside `Properties` may hold functions too.
        Some(map) if map.contains_key("Type") => {
            map.iter()
                .filter(|(key, _)| *key != "DependsOn")
                .for_each(|(_, part)| walk(part, conditions, &mut found));
        }
        _ => walk(value, conditions, &mut found),
    }
    found
}

fn walk(value: &Value, conditions: &BTreeMap<String, bool>, found: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| walk(item, conditions, found)),
        Value::Object(map) => walk_map(map, conditions, found),
        _ => {}
    }
}

fn walk_map(
    map: &Map<String, Value>,
    conditions: &BTreeMap<String, bool>,
    found: &mut BTreeSet<String>,
) {
    let only = map
        .iter()
        .next()
        .filter(|_| map.len() == 1)
        .map(|(key, argument)| (key.as_str(), argument));
    match only {
        Some(("Ref", Value::String(name))) => drop(found.insert(name.clone())),
        Some(("Fn::GetAtt", Value::Array(parts))) => {
            found.extend(parts.first().and_then(Value::as_str).map(str::to_owned));
            parts
                .iter()
                .skip(1)
                .for_each(|part| walk(part, conditions, found));
        }
        Some(("Fn::GetAtt", Value::String(dotted))) => {
            found.extend(dotted.split('.').next().map(str::to_owned));
        }
        Some(("Fn::Sub", Value::String(text))) => substitution(text, None, found),
        Some(("Fn::Sub", Value::Array(arguments))) => {
            let variables = arguments.get(1).and_then(Value::as_object);
            if let Some(text) = arguments.first().and_then(Value::as_str) {
                substitution(text, variables, found);
            }
            arguments
                .iter()
                .skip(1)
                .for_each(|argument| walk(argument, conditions, found));
        }
        Some(("Fn::If", Value::Array(arguments))) => {
            let decided = arguments
                .first()
                .and_then(Value::as_str)
                .and_then(|name| conditions.get(name));
            match (decided, &arguments[..]) {
                (Some(true), [_, taken, ..]) | (Some(false), [_, _, taken, ..]) => {
                    walk(taken, conditions, found);
                }
                _ => arguments
                    .iter()
                    .skip(1)
                    .for_each(|argument| walk(argument, conditions, found)),
            }
        }
        _ => map.values().for_each(|part| walk(part, conditions, found)),
    }
}

fn substitution(text: &str, variables: Option<&Map<String, Value>>, found: &mut BTreeSet<String>) {
    let parts: Result<Vec<Part<'_>>, EvaluateError> = parts(text);
    for part in parts.unwrap_or_default() {
        let name = match part {
            Part::Reference(name) | Part::Attribute(name, _) => name,
            Part::Text(_) | Part::Literal(_) => continue,
        };
        if !variables.is_some_and(|variables| variables.contains_key(name)) {
            found.insert(name.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{dependencies, order, order_with};
    use crate::{Template, TemplateError};

    fn template(resources: &str) -> Template {
        let indented: Vec<String> = resources.lines().map(|line| format!("  {line}")).collect();
        Template::parse(&format!("Resources:\n{}", indented.join("\n"))).unwrap()
    }

    const TOPICS: &str =
        "A: {Type: AWS::SNS::Topic}\nB: {Type: AWS::SNS::Topic}\nC: {Type: AWS::SNS::Topic}\n";

    #[test]
    fn every_kind_of_reference_is_a_dependency() {
        for (properties, expected) in [
            ("Properties: {P: !Ref A}", "A"),
            ("Properties: {P: !Ref Unknown, Q: !Ref AWS::Region}", ""),
            ("Properties: {P: !GetAtt A.Arn.X}", "A"),
            ("Properties: {P: {Fn::GetAtt: A.Arn}}", "A"),
            ("Properties: {P: !GetAtt [A, !Ref B]}", "A B"),
            ("Properties: {P: !Sub 'x-${A}-${!B}-${C.Arn}'}", "A C"),
            ("Properties: {P: !Sub ['${A}${V}', {V: !Ref B, A: x}]}", "B"),
            (
                "Properties: {P: [!Join ['', [!Ref A, {Q: !Ref B}]]]}",
                "A B",
            ),
            ("DependsOn: A", "A"),
            ("DependsOn: [A, B]", "A B"),
            ("Metadata: {M: !Ref A}", "A"),
            ("Properties: {P: !If [Taken, !Ref A, !Ref B]}", "A"),
            ("Properties: {P: !If [Untaken, !Ref A, !Ref B]}", "B"),
            ("Properties: {P: !If [Maybe, !Ref A, !Ref B]}", "A B"),
            (
                "Properties: {DependsOn: A, Ref: B, P: {Ref: A, Other: x}}",
                "",
            ),
        ] {
            let template = template(&format!("{TOPICS}X:\n  Type: AWS::X::Y\n  {properties}"));
            let conditions =
                BTreeMap::from([("Taken".to_owned(), true), ("Untaken".to_owned(), false)]);
            let found = dependencies(&template.resources()["X"], &template, &conditions);
            assert_eq!(
                found.into_iter().collect::<Vec<_>>().join(" "),
                expected,
                "{properties}"
            );
        }
    }

    #[test]
    fn waves_follow_dependencies_and_a_false_condition_leaves_a_resource_out() {
        let template = template(
            "D: {Type: AWS::X::Y, DependsOn: [B, C]}\nB: {Type: AWS::X::Y, DependsOn: A}\n\
             C: {Type: AWS::X::Y, DependsOn: A, Condition: Optional}\nA: {Type: AWS::X::Y}",
        );
        assert_eq!(
            order(&template).unwrap(),
            [vec!["A"], vec!["B", "C"], vec!["D"]]
        );
        let conditions = BTreeMap::from([("Optional".to_owned(), false)]);
        assert_eq!(
            order_with(&template, &conditions).unwrap(),
            [["A"], ["B"], ["D"]]
        );
    }

    #[test]
    fn a_cycle_is_named_without_those_who_only_wait_for_it() {
        let template = template(
            "W: {Type: AWS::X::Y, DependsOn: A}\nA: {Type: AWS::X::Y, DependsOn: B}\n\
             B: {Type: AWS::X::Y, DependsOn: C}\nC: {Type: AWS::X::Y, DependsOn: [A]}\nFree: {Type: AWS::X::Y}",
        );
        let chain = ["A", "B", "C", "A"].map(str::to_owned).to_vec();
        assert_eq!(order(&template), Err(TemplateError::Cycle { chain }));
    }

    #[test]
    fn a_resource_that_needs_itself_is_a_cycle() {
        let template = template("A: {Type: AWS::X::Y, Properties: {P: !GetAtt A.Arn}}");
        assert_eq!(
            order(&template).unwrap_err().to_string(),
            "circular dependency between resources: [A -> A]"
        );
    }
}
