//! What an execution came to, as `ListActionExecutions` tells it.

use std::collections::BTreeMap;

use aws_sdk_codepipeline::types::{ActionExecutionDetail, ActionExecutionOutput};

use crate::assert_says;

/// An execution that has ended.
#[derive(Debug, Clone)]
pub struct Run {
    /// The pipeline's name.
    pub pipeline: String,
    /// The execution's id.
    pub execution: String,
    /// CodePipeline's word for how it ended.
    pub status: String,
    /// Every action that began, the first one first.
    pub actions: Vec<Done>,
}

impl Run {
    /// The action of that name.
    #[track_caller]
    pub fn action(&self, name: &str) -> &Done {
        self.actions
            .iter()
            .find(|done| done.action == name)
            .unwrap_or_else(|| panic!("action `{name}` did not begin: {self:#?}"))
    }
}

/// An action that has ended.
#[derive(Debug, Clone)]
pub struct Done {
    /// Its name.
    pub action: String,
    /// CodePipeline's word for how it ended.
    pub status: String,
    /// The failure's type, such as `JobFailed`.
    pub code: Option<String>,
    /// The failure's text.
    pub message: Option<String>,
    /// What a success says of itself.
    pub summary: Option<String>,
    /// What did the work elsewhere.
    pub external_id: Option<String>,
    /// Its output variables.
    pub variables: BTreeMap<String, String>,
    /// Name, bucket and key of each output artifact.
    pub(crate) artifacts: Vec<(String, String, String)>,
}

impl Done {
    pub(crate) fn of(detail: &ActionExecutionDetail) -> Self {
        let output = detail.output();
        let result = output.and_then(|output| output.execution_result());
        let error = result.and_then(|result| result.error_details());
        let mut artifacts = Vec::new();
        for artifact in output
            .map(ActionExecutionOutput::output_artifacts)
            .unwrap_or_default()
        {
            if let (Some(name), Some(location)) = (artifact.name(), artifact.s3_location()) {
                artifacts.push((
                    name.to_owned(),
                    location.bucket().unwrap_or_default().to_owned(),
                    location.key().unwrap_or_default().to_owned(),
                ));
            }
        }
        Self {
            action: detail.action_name().unwrap_or_default().to_owned(),
            status: detail
                .status()
                .map(|status| status.as_str().to_owned())
                .unwrap_or_default(),
            code: error.and_then(|error| error.code()).map(str::to_owned),
            message: error.and_then(|error| error.message()).map(str::to_owned),
            summary: result
                .and_then(|result| result.external_execution_summary())
                .map(str::to_owned),
            external_id: result
                .and_then(|result| result.external_execution_id())
                .map(str::to_owned),
            variables: output
                .and_then(|output| output.output_variables())
                .map(|all| all.iter().map(|(k, v)| (k.clone(), v.clone())).collect())
                .unwrap_or_default(),
            artifacts,
        }
    }

    /// That it failed with this type, in words among which these are. Answers all of them.
    #[track_caller]
    pub fn failed(&self, code: &str, words: &[&str]) -> &str {
        let message = self.message.as_deref().unwrap_or_default();
        assert_eq!(self.status, "Failed", "{self:#?}");
        assert_eq!(self.code.as_deref(), Some(code), "{self:#?}");
        assert_says(message, words);
        assert!(
            message.chars().count() <= 5_000,
            "CodePipeline takes 5,000 characters:\n{message}"
        );
        message
    }

    /// That it succeeded.
    #[track_caller]
    pub fn succeeded(&self) -> &Self {
        assert_eq!(self.status, "Succeeded", "{self:#?}");
        self
    }
}
