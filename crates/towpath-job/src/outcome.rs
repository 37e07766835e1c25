//! What one step of an action came to.

use serde_json::Value;

use crate::failure::Failure;
use crate::variables::Variables;
use towpath_secret::Secrets;

/// What one step of an action came to.
///
/// A token and variables cannot be reported together, so they cannot be built together.
#[must_use = "an unreported outcome hangs the pipeline until its timeout"]
#[derive(Debug)]
pub enum Outcome {
    /// The action is finished, and every declared output has been published.
    Done {
        /// One line for the console, cut to 2,048 characters.
        summary: String,
        /// What later actions may refer to as `#{namespace.name}`.
        variables: Variables,
        /// One for each declared output artifact: without them the outcome becomes a failure.
        receipts: Vec<Receipt>,
        /// What did the work elsewhere, such as a stack's ARN or a build's id, cut to 1,500 characters.
        external_id: Option<String>,
    },
    /// The action is still at work: CodePipeline is to call again with this state.
    Continue {
        /// What the next step needs to go on without repeating what has been done. It is
        /// versioned, and spilled to S3 when it is too long for a token, by the run loop.
        state: Value,
        /// What to show meanwhile.
        progress: Progress,
    },
    /// The action has failed.
    Failed(Failure),
}

impl Outcome {
    /// A success with a summary only.
    pub fn done(summary: impl Into<String>) -> Self {
        Self::Done {
            summary: summary.into(),
            variables: Variables::default(),
            receipts: Vec::new(),
            external_id: None,
        }
    }
}

impl Outcome {
    /// The outcome with every secret taken out of what is shown.
    pub(crate) fn redacted(self, secrets: &Secrets) -> Self {
        match self {
            Self::Done {
                summary,
                variables,
                receipts,
                external_id,
            } => Self::Done {
                summary: secrets.redact(&summary),
                variables: variables.redacted(secrets),
                receipts,
                external_id: external_id.map(|id| secrets.redact(&id)),
            },
            Self::Continue { state, progress } => Self::Continue {
                state,
                progress: Progress {
                    percent: progress.percent,
                    summary: secrets.redact(&progress.summary),
                    external_id: progress.external_id.map(|id| secrets.redact(&id)),
                },
            },
            Self::Failed(failure) => Self::Failed(failure.redacted(secrets)),
        }
    }
}

/// The proof that an output artifact was written. Whoever uploads it makes it, after the upload.
#[must_use = "without its receipts an outcome cannot be a success"]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    name: String,
    bytes: u64,
    sha256: Option<String>,
}

impl Receipt {
    /// The named output artifact has been published to its location, in so many bytes.
    pub(crate) fn published(name: impl Into<String>, bytes: u64) -> Self {
        Self {
            name: name.into(),
            bytes,
            sha256: None,
        }
    }

    /// The same, of an object with this SHA-256.
    pub(crate) fn with_digest(self, sha256: Option<String>) -> Self {
        Self { sha256, ..self }
    }

    /// The artifact's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The size of what was published.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The SHA-256 of what was published, in lower-case hexadecimal; `None` if not all of it passed through here.
    pub fn sha256(&self) -> Option<&str> {
        self.sha256.as_deref()
    }
}

/// How far an action has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// 0 to 100, when it is known.
    pub percent: Option<u8>,
    /// One line for the console, cut to 2,048 characters.
    pub summary: String,
    /// What does the work elsewhere, such as a build's id, cut to 1,500 characters.
    pub external_id: Option<String>,
}

impl Progress {
    /// Progress whose share of the whole is not known.
    pub fn new(summary: impl Into<String>) -> Self {
        Self {
            summary: summary.into(),
            ..Self::default()
        }
    }

    /// The same, of something that is at work elsewhere.
    #[must_use]
    pub fn with_external_id(self, id: Option<String>) -> Self {
        Self {
            external_id: id,
            ..self
        }
    }
}

/// The names in `declared` for which there is no receipt.
pub(crate) fn unpublished<'a>(declared: &'a [String], receipts: &[Receipt]) -> Vec<&'a str> {
    declared
        .iter()
        .map(String::as_str)
        .filter(|name| !receipts.iter().any(|receipt| receipt.name == *name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_taken_out_of_all_that_is_shown() {
        let secrets = Secrets::new(["very-secret".to_owned()]);
        let mut variables = Variables::new();
        variables.insert("Url", "https://very-secret@x").unwrap();
        let done = Outcome::Done {
            summary: "with very-secret".to_owned(),
            variables,
            receipts: Vec::new(),
            external_id: None,
        };
        let Outcome::Done {
            summary, variables, ..
        } = done.redacted(&secrets)
        else {
            panic!("still done");
        };
        assert_eq!(summary, "with ***");
        assert_eq!(variables.get("Url"), Some("https://***@x"));
        let going_on = Outcome::Continue {
            state: Value::Null,
            progress: Progress::new("at very-secret"),
        };
        let Outcome::Continue { progress, .. } = going_on.redacted(&secrets) else {
            panic!("still going on");
        };
        assert_eq!(progress.summary, "at ***");
    }

    #[test]
    fn unpublished_by_table() {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        for (declared, published, expected) in [
            (&[][..], &[][..], &[][..]),
            (&["A"], &["A"], &[]),
            (&["A", "B"], &["B"], &["A"]),
            (&["A"], &["a"], &["A"]),
            (&["A"], &["A", "A", "C"], &[]),
        ] {
            let receipts: Vec<_> = published
                .iter()
                .map(|n| Receipt::published(*n, 0))
                .collect();
            assert_eq!(
                unpublished(&names(declared), &receipts),
                expected,
                "declared {declared:?}, published {published:?}"
            );
        }
    }
}
