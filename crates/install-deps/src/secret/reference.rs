//! Where a secret lies: `ssm:/path`, or `secretsmanager:name#member`.

use std::fmt;
use std::str::FromStr;

use towpath_job::{ParameterError, Query};

/// Where a secret lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// A parameter of Systems Manager's Parameter Store, by its name or ARN.
    Parameter(String),
    /// A secret of Secrets Manager.
    Secret {
        /// By its name or ARN.
        id: String,
        /// The member of the JSON object that the secret is; `None` is all of it.
        member: Option<String>,
    },
}

/// Names that an installation does not work without, or that have a meaning here.
const TAKEN: &[&str] = &["PATH", "HOME", "TMPDIR", "TOWPATH_TOOL_RUN"];

const FORM: &str = "a reference such as ssm:/app/npm-token or secretsmanager:app/npm#token";

impl FromStr for Reference {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        // In neither service a name has white space.
        let named = |name: &str| !name.is_empty() && !name.contains(char::is_whitespace);
        match text.split_once(':') {
            Some(("ssm", name)) if named(name) => Ok(Self::Parameter(name.to_owned())),
            Some(("secretsmanager", rest)) => {
                let (id, member) = match rest.split_once('#') {
                    Some((_, "")) => return Err(()),
                    Some((id, member)) => (id, Some(member.to_owned())),
                    None => (rest, None),
                };
                let id = Some(id).filter(|id| named(id)).ok_or(())?.to_owned();
                Ok(Self::Secret { id, member })
            }
            _ => Err(()),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parameter(name) => write!(f, "ssm:{name}"),
            Self::Secret { id, member: None } => write!(f, "secretsmanager:{id}"),
            Self::Secret {
                id,
                member: Some(member),
            } => write!(f, "secretsmanager:{id}#{member}"),
        }
    }
}

/// Takes every `Secret.NAME`. What is no reference may be the secret itself: it is not repeated.
pub(crate) fn take(query: &mut Query) -> Result<Vec<(String, Reference)>, ParameterError> {
    let given = query.take_variables("Secret.")?;
    given
        .into_iter()
        .map(|(name, value)| {
            if TAKEN.contains(&name.as_str()) || name.starts_with("AWS_") {
                return Err(ParameterError::Conflict(format!(
                    "`Secret.{name}`: `{name}` has another meaning for the tools; choose another name"
                )));
            }
            match value.parse() {
                Ok(reference) => Ok((name, reference)),
                Err(()) => Err(ParameterError::Conflict(format!(
                    "`Secret.{name}` is not {FORM}; a secret itself has no place in UserParameters, which everybody \
                     sees who may look at the pipeline"
                ))),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_read_and_written_alike() {
        let secret = |id: &str, member: Option<&str>| Reference::Secret {
            id: id.to_owned(),
            member: member.map(str::to_owned),
        };
        let arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:app/npm-AbCdEf";
        for (text, expected) in [
            ("ssm:/app/npm", Reference::Parameter("/app/npm".into())),
            (
                "ssm:arn:aws:ssm:eu-west-1:123456789012:parameter/app/npm",
                Reference::Parameter("arn:aws:ssm:eu-west-1:123456789012:parameter/app/npm".into()),
            ),
            ("secretsmanager:app/npm", secret("app/npm", None)),
            (
                "secretsmanager:app/npm#token",
                secret("app/npm", Some("token")),
            ),
            (
                &format!("secretsmanager:{arn}#a.b"),
                secret(arn, Some("a.b")),
            ),
        ] {
            let read: Reference = text.parse().unwrap();
            assert_eq!(read, expected);
            assert_eq!(read.to_string(), text);
        }
        for text in [
            "",
            "ssm:",
            "ssm:a b",
            "secretsmanager:",
            "secretsmanager:#token",
            "secretsmanager:app#",
            "npm_4f8a90bcdef12345",
            "vault:/app/npm",
            "/app/npm",
        ] {
            assert_eq!(text.parse::<Reference>(), Err(()), "{text}");
        }
    }
}
