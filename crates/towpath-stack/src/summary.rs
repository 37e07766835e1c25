//! What a template asks for, by CloudFormation's own reading of it.

use std::collections::BTreeSet;

use aws_sdk_cloudformation::Client;

use crate::change_set::TemplateSource;
use crate::{STACK_TYPE, StackError};

/// What `GetTemplateSummary` says of a template, before any transform.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// The parameters that it declares, in its order.
    pub parameters: Vec<Declared>,
    /// The capabilities that it needs, as far as the template itself tells.
    pub capabilities: Vec<String>,
    /// Why, in AWS's words.
    pub reason: Option<String>,
    /// The transforms and macros that it declares.
    pub transforms: Vec<String>,
    /// The types of its resources.
    pub types: Vec<String>,
}

/// A parameter as a template declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// Its name.
    pub name: String,
    /// Whether the template gives it a default.
    pub has_default: bool,
}

impl Summary {
    /// Whether more may come of it than it shows: by a transform, or in the template of a nested stack.
    fn is_open(&self) -> bool {
        !self.transforms.is_empty() || self.has_nested_stacks()
    }

    fn has_nested_stacks(&self) -> bool {
        self.types.iter().any(|name| name == STACK_TYPE)
    }

    /// Whether change sets of nested stacks may have something to show. A transform may make nested stacks that cannot
    /// be seen yet.
    pub fn may_nest(&self) -> bool {
        self.is_open()
    }

    /// The capabilities to acknowledge: those that are needed and allowed, or those that are needed and not allowed.
    ///
    /// What a transform makes and what a nested stack holds is not known yet, so there all that is allowed may be
    /// needed. `CAPABILITY_AUTO_EXPAND` is never missing: whoever reviews a change set reviews what the transform made
    /// (AWS: CreateChangeSet, `Capabilities`).
    pub fn grant(&self, allowed: &[String]) -> Result<Vec<String>, Vec<String>> {
        let allows = |name: &str| allowed.iter().any(|one| one == name);
        // Who may make roles with names may make roles.
        let covers = |needed: &str| {
            if !allows(needed) && needed == "CAPABILITY_IAM" && allows("CAPABILITY_NAMED_IAM") {
                "CAPABILITY_NAMED_IAM".to_owned()
            } else {
                needed.to_owned()
            }
        };
        let needed: BTreeSet<String> = self.capabilities.iter().map(|name| covers(name)).collect();
        let missing: Vec<String> = needed
            .iter()
            .filter(|name| !allows(name) && *name != "CAPABILITY_AUTO_EXPAND")
            .cloned()
            .collect();
        if !missing.is_empty() {
            return Err(missing);
        }
        Ok(allowed
            .iter()
            .filter(|name| self.is_open() || needed.contains(*name))
            .cloned()
            .collect())
    }
}

/// Asks CloudFormation what a template asks for. Nothing is made of it.
pub async fn summarise(
    client: &Client,
    stack: &str,
    template: &TemplateSource,
) -> Result<Summary, StackError> {
    let request = client.get_template_summary();
    let request = match template {
        TemplateSource::Body(text) => request.template_body(text),
        TemplateSource::Url(url) => request.template_url(url),
    };
    let answer = request
        .send()
        .await
        .map_err(|error| StackError::call("read the template for stack", stack, &error))?;
    Ok(Summary {
        parameters: answer
            .parameters()
            .iter()
            .filter_map(|parameter| {
                Some(Declared {
                    name: parameter.parameter_key()?.to_owned(),
                    has_default: parameter.default_value().is_some(),
                })
            })
            .collect(),
        capabilities: answer
            .capabilities()
            .iter()
            .map(|capability| capability.as_str().to_owned())
            .collect(),
        reason: answer
            .capabilities_reason()
            .filter(|reason| !reason.is_empty())
            .map(str::to_owned),
        transforms: answer.declared_transforms().to_vec(),
        types: answer.resource_types().to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const IAM: &str = "CAPABILITY_IAM";
    const NAMED: &str = "CAPABILITY_NAMED_IAM";
    const EXPAND: &str = "CAPABILITY_AUTO_EXPAND";

    #[test]
    fn what_is_needed_and_allowed_is_granted_and_what_is_not_allowed_is_named() {
        type Names = &'static [&'static str];
        let plain: (Names, Names) = (&[], &["AWS::IAM::Role"]);
        let transformed: (Names, Names) = (&["AWS::Serverless-2016-10-31"], &[]);
        let nested: (Names, Names) = (&[], &["AWS::CloudFormation::Stack"]);
        type Case = (
            &'static str,
            (Names, Names),
            Names,
            Names,
            Result<Names, Names>,
        );
        let cases: [Case; 9] = [
            ("nothing", plain, &[], &[], Ok(&[])),
            (
                "allowed for nothing",
                plain,
                &[],
                &[IAM, NAMED, EXPAND],
                Ok(&[]),
            ),
            ("needed", plain, &[IAM], &[IAM, EXPAND], Ok(&[IAM])),
            ("covered", plain, &[IAM], &[NAMED], Ok(&[NAMED])),
            ("not covered", plain, &[NAMED], &[IAM], Err(&[NAMED])),
            ("missing", plain, &[IAM], &[EXPAND], Err(&[IAM])),
            ("a transform", transformed, &[EXPAND], &[IAM], Ok(&[IAM])),
            (
                "a nested stack",
                nested,
                &[],
                &[NAMED, EXPAND],
                Ok(&[NAMED, EXPAND]),
            ),
            (
                "missing anyway",
                transformed,
                &[IAM],
                &[EXPAND],
                Err(&[IAM]),
            ),
        ];
        for (case, (transforms, types), needed, allowed, expected) in cases {
            let owned = |names: Names| names.iter().map(ToString::to_string).collect::<Vec<_>>();
            let summary = Summary {
                capabilities: owned(needed),
                transforms: owned(transforms),
                types: owned(types),
                ..Summary::default()
            };
            assert_eq!(
                summary.grant(&owned(allowed)),
                expected.map(owned).map_err(owned),
                "{case}"
            );
        }
    }
}
