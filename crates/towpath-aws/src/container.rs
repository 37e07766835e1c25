//! Credentials of a container's role, from where its environment says: how CodeBuild gives a build those of
//! its project's role.
//!
//! <https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html>

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::date_time::Format;
use http_body_util::BodyExt;
use serde::Deserialize;

use crate::environment;
use crate::http::Wire;

/// A path on [`HOST`].
pub(crate) const RELATIVE: &str = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
/// A whole address.
pub(crate) const FULL: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
/// What goes along as `Authorization`, if it is set.
const AUTHORIZATION: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN";
/// Where the service is that a path means.
const HOST: &str = "http://169.254.170.2";
/// Hosts that may be asked without TLS: they are this machine's own.
const NEAR: [&str; 5] = [
    "127.0.0.1",
    "localhost",
    "169.254.170.2",
    "169.254.170.23",
    "[::1]",
];

/// The answer. Its `Debug` is nobody's.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    access_key_id: String,
    secret_access_key: String,
    token: Option<String>,
    expiration: Option<String>,
}

/// Where to ask, as the environment says; nothing if it does not.
fn address(variable: impl Fn(&str) -> Option<String>) -> Option<Result<String, CredentialsError>> {
    if let Some(path) = variable(RELATIVE) {
        return Some(Ok(format!("{HOST}{path}")));
    }
    let full = variable(FULL)?;
    let host = full.strip_prefix("http://").map(|rest| {
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => authority,
        }
    });
    let allowed = full.starts_with("https://") || host.is_some_and(|host| NEAR.contains(&host));
    Some(if allowed {
        Ok(full)
    } else {
        Err(CredentialsError::invalid_configuration(format!(
            "{FULL} is neither https nor on this machine"
        )))
    })
}

/// Whether the environment says where a container's credentials are.
pub(crate) fn is_meant() -> bool {
    address(environment::variable).is_some()
}

/// Asks for them.
pub(crate) async fn credentials(wire: &Wire) -> Result<Credentials, CredentialsError> {
    let address = address(environment::variable).ok_or_else(|| {
        CredentialsError::not_loaded(format!("neither {RELATIVE} nor {FULL} is set"))
    })??;
    let failed = |why: String| {
        CredentialsError::provider_error(format!(
            "failed to get the credentials of the container's role: {why}"
        ))
    };
    let mut request = HttpRequest::new(SdkBody::empty());
    request
        .set_uri(address)
        .map_err(|error| CredentialsError::invalid_configuration(error.to_string()))?;
    if let Some(token) = environment::variable(AUTHORIZATION) {
        request
            .headers_mut()
            .try_insert("authorization", token)
            .map_err(|error| CredentialsError::invalid_configuration(error.to_string()))?;
    }
    let response = wire
        .call(request)
        .await
        .map_err(|error| failed(error.to_string()))?;
    let status = response.status();
    let body = response
        .into_body()
        .collect()
        .await
        .map_err(|error| failed(error.to_string()))?
        .to_bytes();
    if !status.is_success() {
        return Err(failed(format!("status {status}")));
    }
    read(&body).map_err(failed)
}

/// Reads an answer. What is wrong with one is said without what is in it.
fn read(body: &[u8]) -> Result<Credentials, String> {
    let answer: Answer = serde_json::from_slice(body)
        .map_err(|error| format!("the answer cannot be read at column {}", error.column()))?;
    let expires = match answer.expiration {
        None => None,
        Some(text) => {
            let at = aws_smithy_types::DateTime::from_str(&text, Format::DateTime)
                .map_err(|_| "the answer's time cannot be read".to_owned())?;
            Some(SystemTime::try_from(at).map_err(|error| error.to_string())?)
        }
    };
    Ok(Credentials::new(
        answer.access_key_id,
        answer.secret_access_key,
        answer.token,
        expires,
        "container",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_asked_without_tls() {
        for (relative, full, expected) in [
            (None, None, None),
            (
                Some("/v2/credentials/x"),
                Some("http://elsewhere/"),
                Some(Ok("http://169.254.170.2/v2/credentials/x")),
            ),
            (
                None,
                Some("http://127.0.0.1:8080/x?y=http://z"),
                Some(Ok("http://127.0.0.1:8080/x?y=http://z")),
            ),
            (None, Some("http://[::1]/x"), Some(Ok("http://[::1]/x"))),
            (
                None,
                Some("https://example.org/x"),
                Some(Ok("https://example.org/x")),
            ),
            (None, Some("http://example.org/x"), Some(Err(()))),
            (None, Some("http://127.0.0.1.example.org/"), Some(Err(()))),
            (None, Some("ftp://127.0.0.1/"), Some(Err(()))),
        ] {
            let given = |name: &str| match name {
                RELATIVE => relative.map(str::to_owned),
                _ => full.map(str::to_owned),
            };
            let found = address(given).map(|found| found.map_err(drop));
            let expected = expected.map(|found| found.map(str::to_owned));
            assert_eq!(found, expected, "{relative:?} {full:?}");
        }
    }

    #[test]
    fn an_answer_is_read_with_its_time() {
        let read = read(
            br#"{"RoleArn": "r", "AccessKeyId": "AKID", "SecretAccessKey": "s", "Token": "t", "Expiration": "2026-01-02T03:04:05Z"}"#,
        )
        .unwrap();
        assert_eq!(read.access_key_id(), "AKID");
        assert_eq!(read.session_token(), Some("t"));
        let seconds = read
            .expiry()
            .and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
        assert_eq!(seconds.map(|since| since.as_secs()), Some(1_767_323_045));
        for bad in [
            &b"{}"[..],
            b"secret",
            br#"{"AccessKeyId":"a","SecretAccessKey":"s","Expiration":"x"}"#,
        ] {
            let said = super::read(bad).unwrap_err();
            assert!(!said.contains("secret"), "{said}");
        }
    }
}
