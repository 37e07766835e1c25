//! Continuation tokens: versioned JSON that carries an action over from one job to the next.
//!
//! A deployment may replace the functions between two steps of one action, so a token says which
//! version wrote it and another version is refused in words rather than misread.
//!
//! CodePipeline takes 2,048 characters. When the state is longer it is written to the artifact
//! store and the token only points at it, with a digest; `crate::spill` does the I/O.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::artifact::ArtifactLocation;
use crate::event::JobId;
use crate::failure::Failure;
use crate::limits;
use crate::text;

/// The version of the token's form. The state inside is the action's own affair.
const VERSION: u64 = 1;

/// Where an action stands after a step.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// The action that wrote it.
    pub action: String,
    /// The id of the action's first job, the same in all of its steps.
    pub origin: JobId,
    /// Which step wrote it: 1 is the first.
    pub attempt: u32,
    /// When the first step started.
    pub started_at: SystemTime,
    /// When the whole action must be over.
    pub deadline: SystemTime,
    /// What the action needs to go on.
    pub state: Value,
    /// What the step that wrote it was at: what a step that comes too late says of it. Short, because a token is.
    pub last: String,
}

/// Why a token cannot be used or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not JSON, or a member is missing.
    #[error("the continuation token is not one that this function wrote")]
    Foreign,
    /// Written by another version of the functions.
    #[error(
        "the continuation token has version {found}; this function understands version {VERSION}"
    )]
    Version {
        /// The version in the token.
        found: u64,
    },
    /// Written by another function.
    #[error("the continuation token was written by `{found}`, and this is `{expected}`")]
    Action {
        /// The action in the token.
        found: String,
        /// The action that reads it.
        expected: String,
    },
    /// The state in S3 is not what the token says it is.
    #[error("the state at s3://{bucket}/{key} is not what the continuation token refers to")]
    Digest {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
    },
    /// There is nowhere to put a long state.
    #[error(
        "the action's state has {length} characters, a continuation token takes {limit}, and the action has no artifact beside which the state could be kept",
        limit = limits::TOKEN
    )]
    NoPlace {
        /// The token's length with the state in it.
        length: usize,
    },
}

impl From<TokenError> for Failure {
    fn from(error: TokenError) -> Self {
        let message = error.to_string();
        match error {
            TokenError::Foreign | TokenError::Digest { .. } => {
                Failure::job(message).with_hint("retry the stage: the action starts from the beginning")
            }
            TokenError::Version { .. } | TokenError::Action { .. } => Failure::job(message).with_hint(
                "the functions were replaced while the action was at work; retry the stage: the action starts from the beginning",
            ),
            TokenError::NoPlace { .. } => Failure::configuration(message)
                .with_hint("declare an input or output artifact for the action"),
        }
    }
}

/// A token as it was read: whole, or with its state elsewhere.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Read {
    /// Everything is in the token.
    Whole(Token),
    /// `state` is null until [`complete`] has put it in.
    Pointer {
        /// The token without its state.
        token: Token,
        /// Where the state lies.
        at: ArtifactLocation,
        /// Its SHA-256, in hexadecimal.
        sha256: String,
    },
}

/// A token as it is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// Short enough.
    Inline(String),
    /// `bytes` must be at `at` before `token` is sent.
    Spill {
        /// The pointer.
        token: String,
        /// Where the state goes.
        at: ArtifactLocation,
        /// The state.
        bytes: Vec<u8>,
    },
}

/// The form on the wire.
#[derive(Serialize, Deserialize)]
struct Wire {
    v: u64,
    action: String,
    job: String,
    attempt: u32,
    started_at: u64,
    deadline: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<At>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    last: String,
}

/// Where a spilled state lies.
#[derive(Serialize, Deserialize)]
struct At {
    bucket: String,
    key: String,
    sha256: String,
}

/// Reads a token that `action` is to go on from.
pub(crate) fn read(text: &str, action: &str) -> Result<Read, TokenError> {
    let value: Value = serde_json::from_str(text).map_err(|_| TokenError::Foreign)?;
    let version = value
        .get("v")
        .and_then(Value::as_u64)
        .ok_or(TokenError::Foreign)?;
    if version != VERSION {
        return Err(TokenError::Version { found: version });
    }
    let wire: Wire = serde_json::from_value(value).map_err(|_| TokenError::Foreign)?;
    if wire.action != action {
        return Err(TokenError::Action {
            found: text::head(&wire.action, 60),
            expected: action.to_owned(),
        });
    }
    let token = Token {
        action: wire.action,
        origin: JobId::new(wire.job).ok_or(TokenError::Foreign)?,
        attempt: wire.attempt,
        started_at: from_millis(wire.started_at).ok_or(TokenError::Foreign)?,
        deadline: from_millis(wire.deadline).ok_or(TokenError::Foreign)?,
        state: wire.state.unwrap_or(Value::Null),
        last: wire.last,
    };
    Ok(match wire.at {
        None => Read::Whole(token),
        Some(At {
            bucket,
            key,
            sha256,
        }) => Read::Pointer {
            token,
            at: ArtifactLocation { bucket, key },
            sha256,
        },
    })
}

/// Puts a spilled state, as fetched, into its token.
pub(crate) fn complete(
    mut token: Token,
    at: &ArtifactLocation,
    sha256: &str,
    bytes: &[u8],
) -> Result<Token, TokenError> {
    let refuse = || TokenError::Digest {
        bucket: at.bucket.clone(),
        key: at.key.clone(),
    };
    if digest(bytes) != sha256 {
        return Err(refuse());
    }
    token.state = serde_json::from_slice(bytes).map_err(|_| refuse())?;
    Ok(token)
}

/// Writes a token, its state elsewhere when it would be too long. `place` is an artifact of the
/// job, beside which the state goes.
pub(crate) fn write(
    token: &Token,
    place: Option<&ArtifactLocation>,
) -> Result<Written, TokenError> {
    let wire = |state, at| Wire {
        v: VERSION,
        action: token.action.clone(),
        job: token.origin.as_str().to_owned(),
        attempt: token.attempt,
        started_at: to_millis(token.started_at),
        deadline: to_millis(token.deadline),
        state,
        at,
        last: token.last.clone(),
    };
    let inline = to_text(&wire(Some(token.state.clone()), None));
    let length = text::length(&inline);
    if length <= limits::TOKEN {
        return Ok(Written::Inline(inline));
    }
    let place = place.ok_or(TokenError::NoPlace { length })?;
    let bytes = token.state.to_string().into_bytes();
    let sha256 = digest(&bytes);
    let at = ArtifactLocation {
        bucket: place.bucket.clone(),
        key: spill_key(&place.key, &sha256),
    };
    let pointer = to_text(&wire(
        None,
        Some(At {
            bucket: at.bucket.clone(),
            key: at.key.clone(),
            sha256,
        }),
    ));
    Ok(Written::Spill {
        token: pointer,
        at,
        bytes,
    })
}

/// Where a state goes: under the pipeline's own prefix of the artifact bucket, which is the first
/// segment of every artifact's key, and where the bucket's life cycle cleans up after the
/// artifacts anyway. Named by content, so that a step which runs twice writes the same object or
/// another one, and never changes what a token already points at.
fn spill_key(artifact_key: &str, sha256: &str) -> String {
    match artifact_key.split_once('/') {
        Some((pipeline, _)) => format!("{pipeline}/towpath-state/{sha256}"),
        None => format!("towpath-state/{sha256}"),
    }
}

fn to_text(wire: &Wire) -> String {
    serde_json::to_string(wire).expect("numbers, texts and JSON values can be written as JSON")
}

fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Milliseconds since the epoch. What lies before it is the epoch.
pub(crate) fn to_millis(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

/// The other way round. `None` for what a `SystemTime` cannot be.
pub(crate) fn from_millis(millis: u64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn token(state: Value) -> Token {
        Token {
            action: "deploy-stack".to_owned(),
            origin: JobId::new("11111111-abcd-1111-abcd-111111abcdef").unwrap(),
            attempt: 3,
            started_at: from_millis(1_700_000_000_123).unwrap(),
            deadline: from_millis(1_700_003_600_123).unwrap(),
            state,
            last: String::new(),
        }
    }

    fn place() -> ArtifactLocation {
        ArtifactLocation {
            bucket: "artifacts".to_owned(),
            key: "my-pipeline/Package/abc1234".to_owned(),
        }
    }

    #[test]
    fn the_form_is_kept() {
        let Written::Inline(text) = write(&token(json!({"stack": "app"})), None).unwrap() else {
            panic!("short enough");
        };
        assert_eq!(
            text,
            r#"{"v":1,"action":"deploy-stack","job":"11111111-abcd-1111-abcd-111111abcdef","attempt":3,"started_at":1700000000123,"deadline":1700003600123,"state":{"stack":"app"}}"#
        );
        assert_eq!(
            read(&text, "deploy-stack"),
            Ok(Read::Whole(token(json!({"stack": "app"}))))
        );
    }

    #[test]
    fn a_long_state_goes_beside_the_artifacts() {
        let long = token(json!({"text": "x".repeat(3_000)}));
        let Written::Spill {
            token: text,
            at,
            bytes,
        } = write(&long, Some(&place())).unwrap()
        else {
            panic!("too long to be inline");
        };
        assert_eq!(at.bucket, "artifacts");
        assert!(at.key.starts_with("my-pipeline/towpath-state/"));
        let Read::Pointer {
            token: read,
            at: read_at,
            sha256,
        } = read(&text, "deploy-stack").unwrap()
        else {
            panic!("a pointer");
        };
        assert_eq!(read_at, at);
        assert_eq!(complete(read.clone(), &at, &sha256, &bytes), Ok(long));
        assert!(matches!(
            complete(read, &at, &sha256, b"{}"),
            Err(TokenError::Digest { .. })
        ));
    }

    #[test]
    fn a_long_state_without_artifacts_is_refused() {
        let long = token(json!("x".repeat(3_000)));
        assert!(matches!(
            write(&long, None),
            Err(TokenError::NoPlace { length }) if length > 3_000
        ));
    }

    #[test]
    fn other_tokens_are_refused_in_words() {
        for (case, text, expected) in [
            (
                "not json",
                "abc".to_owned(),
                "is not one that this function wrote",
            ),
            (
                "no version",
                r#"{"action":"x"}"#.to_owned(),
                "is not one that this function wrote",
            ),
            (
                "older",
                r#"{"v":0}"#.to_owned(),
                "has version 0; this function understands version 1",
            ),
            (
                "newer",
                r#"{"v":2,"anything":[]}"#.to_owned(),
                "has version 2; this function understands version 1",
            ),
            (
                "a member is missing",
                r#"{"v":1,"action":"deploy-stack"}"#.to_owned(),
                "is not one that this function wrote",
            ),
            (
                "another action",
                {
                    let mut other = token(Value::Null);
                    other.action = "approve".to_owned();
                    match write(&other, None).unwrap() {
                        Written::Inline(text) => text,
                        Written::Spill { .. } => panic!("short enough"),
                    }
                },
                "was written by `approve`, and this is `deploy-stack`",
            ),
        ] {
            let error = read(&text, "deploy-stack").expect_err(case);
            assert!(error.to_string().contains(expected), "{case}: {error}");
            let rendered = Failure::from(error).render();
            assert!(rendered.contains("hint: "), "{case}: {rendered}");
        }
    }

    proptest! {
        #[test]
        fn a_written_token_fits_and_comes_back(state in "\\PC{0,3000}") {
            let given = token(Value::String(state));
            match write(&given, Some(&place())).unwrap() {
                Written::Inline(text) => {
                    prop_assert!(text::length(&text) <= limits::TOKEN);
                    prop_assert_eq!(read(&text, "deploy-stack"), Ok(Read::Whole(given)));
                }
                Written::Spill { token: text, at, bytes } => {
                    prop_assert!(text::length(&text) <= limits::TOKEN);
                    let Ok(Read::Pointer { token, sha256, .. }) = read(&text, "deploy-stack") else {
                        panic!("a pointer");
                    };
                    prop_assert_eq!(complete(token, &at, &sha256, &bytes), Ok(given));
                }
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in any::<String>()) {
            let _ = read(&text, "deploy-stack");
        }
    }
}
