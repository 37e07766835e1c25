//! `--secrets FILE`: what the pipeline's functions find in the loopback's Parameter Store and Secrets Manager.
//!
//! A file keeps values out of the command line, which every process of the machine can read; a value that is `$NAME`
//! stands in a variable, and so in no file either.

use std::path::Path;

use anyhow::{Context, anyhow, bail};
use aws_sdk_ssm::types::ParameterType;
use install_deps::secret::Reference;
use towpath_aws::SdkConfig;
use towpath_job::Secret;

/// What was read.
#[derive(Debug, Default)]
pub(crate) struct Secrets(Vec<(Reference, Secret<String>)>);

impl Secrets {
    /// Reads the file that the option names; without one there are none.
    pub(crate) fn read(file: Option<&Path>) -> anyhow::Result<Self> {
        let Some(file) = file else {
            return Ok(Self::default());
        };
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("failed to read secrets from {}", file.display()))?;
        parse(&text, |name| std::env::var(name).ok())
            .with_context(|| format!("{} cannot be used", file.display()))
    }

    /// Puts them where the functions look for them.
    pub(crate) async fn put(&self, config: &SdkConfig) -> anyhow::Result<()> {
        for (reference, value) in &self.0 {
            let doing = || format!("failed to keep {reference}");
            match reference {
                Reference::Parameter(name) => {
                    aws_sdk_ssm::Client::new(config)
                        .put_parameter()
                        .name(name)
                        .value(value.expose())
                        .r#type(ParameterType::SecureString)
                        .overwrite(true)
                        .send()
                        .await
                        .map_err(|error| anyhow!(aws_sdk_ssm::Error::from(error)))
                        .with_context(doing)?;
                }
                Reference::Secret { id, .. } => {
                    aws_sdk_secretsmanager::Client::new(config)
                        .create_secret()
                        .name(id)
                        .secret_string(value.expose())
                        .send()
                        .await
                        .map_err(|error| anyhow!(aws_sdk_secretsmanager::Error::from(error)))
                        .with_context(doing)?;
                }
            }
        }
        Ok(())
    }
}

/// One `REFERENCE = VALUE` a line. What is wrong with a line is said by its number: the line may be a secret.
fn parse(text: &str, variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<Secrets> {
    let mut secrets: Vec<(Reference, Secret<String>)> = Vec::new();
    for (number, line) in (1..).zip(text.lines().map(str::trim)) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((reference, value)) = line.split_once('=') else {
            bail!("line {number} is not of the form REFERENCE = VALUE");
        };
        let reference = match reference.trim().parse() {
            Ok(reference @ (Reference::Parameter(_) | Reference::Secret { member: None, .. })) => {
                reference
            }
            Ok(Reference::Secret { .. }) => bail!(
                "line {number} names a member of a secret; give the whole secret, as in secretsmanager:app = {{\"member\": \"value\"}}"
            ),
            Err(()) => bail!(
                "line {number} does not begin with a reference such as ssm:/app/npm-token or secretsmanager:app"
            ),
        };
        if secrets.iter().any(|(known, _)| *known == reference) {
            bail!("line {number} gives {reference} again");
        }
        let value = value.trim();
        let value = match value.strip_prefix('$') {
            Some(name) if is_name(name) => variable(name).with_context(|| {
                format!(
                    "line {number} takes {reference} from the variable {name}, which is not set"
                )
            })?,
            _ => value.to_owned(),
        };
        if value.is_empty() {
            bail!("line {number} gives {reference} no value");
        }
        secrets.push((reference, Secret::new(value)));
    }
    Ok(Secrets(secrets))
}

fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes
        .next()
        .is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(String, String)>, String> {
        let variable = |name: &str| (name == "NPM_TOKEN").then(|| "from-the-variable".to_owned());
        parse(text, variable)
            .map(|secrets| {
                let pairs = secrets.0.into_iter();
                pairs
                    .map(|(reference, value)| (reference.to_string(), value.expose().clone()))
                    .collect()
            })
            .map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn a_file_is_read_line_by_line() {
        let text = "
# for the registry
ssm:/app/npm = npm_4f8a=90
ssm:/app/other=$NPM_TOKEN
secretsmanager:app = {\"token\": \"x\"}
ssm:/app/dollar = $5.00
";
        let expected = [
            ("ssm:/app/npm", "npm_4f8a=90"),
            ("ssm:/app/other", "from-the-variable"),
            ("secretsmanager:app", "{\"token\": \"x\"}"),
            ("ssm:/app/dollar", "$5.00"),
        ]
        .map(|(reference, value)| (reference.to_owned(), value.to_owned()));
        assert_eq!(read(text), Ok(expected.into()));
    }

    #[test]
    fn what_is_wrong_is_said_without_the_value() {
        for (text, expected) in [
            ("npm_4f8a90", "line 1 is not of the form REFERENCE = VALUE"),
            ("\nnpm_4f8a90 = x", "line 2 does not begin with a reference"),
            ("ssm:/a = $NOPE", "the variable NOPE, which is not set"),
            ("ssm:/a =", "line 1 gives ssm:/a no value"),
            ("ssm:/a = 4f8a90\nssm:/a = y", "line 2 gives ssm:/a again"),
            (
                "secretsmanager:app#token = 4f8a90",
                "line 1 names a member of a secret",
            ),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains("4f8a90"), "{error}");
        }
    }
}
