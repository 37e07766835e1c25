//! The `Conditions` section: each condition to true or false.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Environment, Evaluation, Path, Result};
use crate::suggest::did_you_mean;
use crate::{EvaluateError, ResolvedParameter, Template};

/// Decides every condition of the template. A condition may use others, in any order, but not itself.
pub fn conditions(
    template: &Template,
    parameters: &BTreeMap<String, ResolvedParameter>,
    environment: &dyn Environment,
) -> std::result::Result<BTreeMap<String, bool>, EvaluateError> {
    let mut deciding = Deciding {
        template,
        parameters,
        environment,
        decided: BTreeMap::new(),
        open: Vec::new(),
    };
    for name in template.conditions().keys() {
        deciding.named(&Path::Root("Conditions"), name)?;
    }
    Ok(deciding.decided)
}

struct Deciding<'a> {
    template: &'a Template,
    parameters: &'a BTreeMap<String, ResolvedParameter>,
    environment: &'a dyn Environment,
    decided: BTreeMap<String, bool>,
    /// The conditions being decided, outermost first.
    open: Vec<String>,
}

impl Deciding<'_> {
    fn named(&mut self, path: &Path<'_>, name: &str) -> Result<bool> {
        if let Some(decided) = self.decided.get(name) {
            return Ok(*decided);
        }
        let template = self.template;
        let Some(expression) = template.conditions().get(name) else {
            let near = did_you_mean(name, template.conditions().keys().map(String::as_str));
            return Err(path.fail(format!("`{name}` is no condition of this template{near}")));
        };
        if self.open.iter().any(|open| open == name) {
            return Err(path.fail(format!(
                "condition `{name}` depends on itself: {} -> {name}",
                self.open.join(" -> ")
            )));
        }
        self.open.push(name.to_owned());
        let decision = self.expression(&Path::Root("Conditions").key(name), expression)?;
        self.open.pop();
        self.decided.insert(name.to_owned(), decision);
        Ok(decision)
    }

    fn expression(&mut self, path: &Path<'_>, expression: &Value) -> Result<bool> {
        let usage =
            || path.fail("is no condition: use Fn::Equals, Fn::And, Fn::Or, Fn::Not or Condition");
        let Some((function, argument)) = expression
            .as_object()
            .filter(|map| map.len() == 1)
            .and_then(first)
        else {
            return Err(usage());
        };
        let path = &path.key(function);
        let arguments = argument.as_array().map(Vec::as_slice).unwrap_or_default();
        match function.as_str() {
            "Condition" => self.named(path, argument.as_str().ok_or_else(usage)?),
            "Fn::Not" => match arguments {
                [operand] => Ok(!self.expression(&path.index(0), operand)?),
                _ => Err(path.fail("takes a list of one condition")),
            },
            "Fn::And" | "Fn::Or" => {
                if !(2..=10).contains(&arguments.len()) {
                    return Err(
                        path.fail(format!("takes 2 to 10 conditions, not {}", arguments.len()))
                    );
                }
                let mut decisions = Vec::new();
                for (index, operand) in arguments.iter().enumerate() {
                    decisions.push(self.expression(&path.index(index), operand)?);
                }
                let all = function == "Fn::And";
                Ok(if all {
                    decisions.iter().all(|decision| *decision)
                } else {
                    decisions.contains(&true)
                })
            }
            "Fn::Equals" => match arguments {
                [left, right] => {
                    let (left, right) = (
                        self.operand(&path.index(0), left)?,
                        self.operand(&path.index(1), right)?,
                    );
                    Ok(same(&left, &right))
                }
                _ => Err(path.fail("takes two values")),
            },
            _ => Err(usage()),
        }
    }

    /// A side of `Fn::Equals`: parameters, mappings and texts, never resources.
    fn operand(&mut self, path: &Path<'_>, value: &Value) -> Result<Value> {
        let nothing = BTreeMap::new();
        let environment = NoResources(self.environment);
        let evaluation = Evaluation {
            template: self.template,
            parameters: self.parameters,
            conditions: &nothing,
            environment: &environment,
        };
        Ok(evaluation.value(path, value)?.unwrap_or(Value::Null))
    }
}

fn first(map: &Map<String, Value>) -> Option<(&String, &Value)> {
    map.iter().next()
}

/// `Fn::Equals` compares texts, so a number equals its digits.
fn same(left: &Value, right: &Value) -> bool {
    use crate::parameters::scalar_text;
    match (scalar_text(left), scalar_text(right)) {
        (Some(left), Some(right)) => left == right,
        _ => left == right,
    }
}

/// Conditions are decided before any resource exists.
struct NoResources<'a>(&'a dyn Environment);

impl Environment for NoResources<'_> {
    fn reference(&self, _: &str) -> Option<Value> {
        None
    }

    fn attribute(&self, _: &str, _: &str) -> Option<Value> {
        None
    }

    fn export(&self, name: &str) -> Option<Value> {
        self.0.export(name)
    }

    fn pseudo(&self, name: &str) -> Option<Value> {
        self.0.pseudo(name)
    }

    fn zones(&self, region: &str) -> Vec<String> {
        self.0.zones(region)
    }
}
