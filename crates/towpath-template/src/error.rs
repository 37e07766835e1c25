//! What can be wrong with a template, worded for the person who has to repair it.

use std::path::PathBuf;

use thiserror::Error;

/// A template that cannot be read, or that cannot mean anything.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// The text is not YAML or JSON, or is YAML of a kind that no template may hold.
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    /// The text was read, but a part of it has the wrong shape.
    #[error("`{path}` {what}")]
    Structure {
        /// Where, as `Resources.Name.Properties`.
        path: String,
        /// What is wrong there and what to do.
        what: String,
    },
    /// Something names resources or parameters that the template does not have.
    #[error("unresolved resource dependencies [{}] in the {section} block of the template", names.join(", "))]
    Unresolved {
        /// The unknown names, sorted.
        names: Vec<String>,
        /// `Resources`, `Outputs` or `Conditions`.
        section: &'static str,
    },
    /// Resources that wait for each other.
    #[error("circular dependency between resources: [{}]", chain.join(" -> "))]
    Cycle {
        /// The resources in the order in which each needs the next; the first is repeated at the end.
        chain: Vec<String>,
    },
    /// Parameters without a value and without a default.
    #[error("parameters [{}] must have values", names.join(", "))]
    MissingParameters {
        /// All of them, in the template's order.
        names: Vec<String>,
    },
    /// Values were given for parameters that the template does not declare.
    #[error("parameters [{}] do not exist in the template{}", names.join(", "), trailing(hint.as_deref()))]
    UnknownParameters {
        /// All of them, sorted.
        names: Vec<String>,
        /// What was probably meant.
        hint: Option<String>,
    },
    /// A parameter's value or declaration breaks a rule. Never holds the value of a `NoEcho` parameter.
    #[error("parameter `{name}` {what}")]
    Parameter {
        /// The parameter.
        name: String,
        /// The rule.
        what: String,
    },
    /// The SAM transform refuses the template.
    #[error("{} {what}", subject(resource.as_deref()))]
    Transform {
        /// The resource at fault; `None` when it is the template as a whole.
        resource: Option<String>,
        /// What is wrong and what to do.
        what: String,
    },
    /// Code that lies beside the template cannot be packaged.
    #[error("resource `{resource}`: {property} {what}")]
    LocalCode {
        /// The resource.
        resource: String,
        /// Its property, such as `CodeUri`.
        property: String,
        /// The path as resolved against the template's directory, when there is one.
        path: Option<PathBuf>,
        /// What is wrong and what to do.
        what: String,
    },
    /// A function could not be evaluated.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
}

/// Where and why a text could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line}, column {column}: {what}; {fix}")]
pub struct SyntaxError {
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in characters.
    pub column: usize,
    /// What is wrong.
    pub what: String,
    /// How to repair it.
    pub fix: String,
}

/// A function of a template that has no value.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}{what}", location(path))]
pub struct EvaluateError {
    /// Where, as `Resources.Name.Properties.Code`. Empty at the top of the value.
    pub path: String,
    /// What is wrong and what to do.
    pub what: String,
}

fn location(path: &str) -> String {
    if path.is_empty() {
        String::new()
    } else {
        format!("`{path}`: ")
    }
}

fn trailing(hint: Option<&str>) -> String {
    hint.map(|hint| format!("; {hint}")).unwrap_or_default()
}

fn subject(resource: Option<&str>) -> String {
    resource.map_or_else(
        || "the template".to_owned(),
        |id| format!("resource `{id}`"),
    )
}

impl TemplateError {
    pub(crate) fn structure(path: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Structure {
            path: path.into(),
            what: what.into(),
        }
    }

    pub(crate) fn transform(resource: &str, what: impl Into<String>) -> Self {
        Self::Transform {
            resource: Some(resource.to_owned()),
            what: what.into(),
        }
    }
}
