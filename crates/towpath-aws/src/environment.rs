//! What the environment of a Lambda function says of AWS: where, and who.
//!
//! Lambda states both in variables, and so does whoever starts a function elsewhere. CodeBuild states
//! where the keys are to be had ([`crate::container`]). Nothing else is looked at. Profiles, single sign-on and the metadata services of other machines are a person's
//! matter, or another machine's, and asking for them takes time.

use std::env;

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};

use crate::container;
use crate::http::Wire;

/// A variable that is set, to something.
pub(crate) fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// The first of some variables that is set.
pub(crate) fn first(names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| variable(name))
}

/// A variable that switches something on.
pub(crate) fn is_on(name: &str) -> bool {
    variable(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// The keys in the environment, or where it says that they are.
#[derive(Debug)]
pub(crate) struct Keys(pub(crate) Wire);

impl ProvideCredentials for Keys {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        match keys(variable) {
            Err(_) if container::is_meant() => {
                future::ProvideCredentials::new(container::credentials(&self.0))
            }
            found => future::ProvideCredentials::ready(found),
        }
    }
}

fn keys(variable: impl Fn(&str) -> Option<String>) -> Result<Credentials, CredentialsError> {
    let (id, secret) = (
        variable("AWS_ACCESS_KEY_ID"),
        variable("AWS_SECRET_ACCESS_KEY"),
    );
    let (Some(id), Some(secret)) = (id, secret) else {
        return Err(CredentialsError::not_loaded(
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set; Lambda sets them for the function's role",
        ));
    };
    let token = variable("AWS_SESSION_TOKEN");
    Ok(Credentials::new(id, secret, token, None, "environment"))
}

/// Settings of one service alone: `AWS_ENDPOINT_URL_S3` and the like.
/// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html>
#[derive(Debug)]
pub(crate) struct OfServices;

impl LoadServiceConfig for OfServices {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        variable(&name(key.env(), key.service_id()))
    }
}

fn name(setting: &str, service: &str) -> String {
    let service = service.to_ascii_uppercase().replace([' ', '-'], "_");
    format!("{setting}_{service}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_has_its_own_variable() {
        for (service, expected) in [
            ("S3", "AWS_ENDPOINT_URL_S3"),
            ("CodePipeline", "AWS_ENDPOINT_URL_CODEPIPELINE"),
            ("CloudWatch Logs", "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS"),
        ] {
            assert_eq!(name("AWS_ENDPOINT_URL", service), expected);
        }
    }

    #[test]
    fn keys_are_there_or_their_absence_is_said() {
        let environment = |names: &'static [&'static str]| {
            move |name: &str| names.contains(&name).then(|| format!("the {name}"))
        };
        let all = &[
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
        ];
        let found = keys(environment(all)).unwrap();
        assert_eq!(found.access_key_id(), "the AWS_ACCESS_KEY_ID");
        assert_eq!(found.session_token(), Some("the AWS_SESSION_TOKEN"));
        let found = keys(environment(&["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])).unwrap();
        assert_eq!(found.session_token(), None);
        for few in [&["AWS_ACCESS_KEY_ID"] as &[_], &["AWS_SESSION_TOKEN"], &[]] {
            let error = keys(environment(few)).unwrap_err();
            let cause = std::error::Error::source(&error).unwrap().to_string();
            assert!(cause.contains("Lambda sets them"), "{cause}");
        }
    }
}
