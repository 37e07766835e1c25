//! Delivering a report: the only calls to `PutJobSuccessResult` and `PutJobFailureResult`.

use std::time::{Duration, Instant};

use aws_sdk_codepipeline::Client;
use aws_sdk_codepipeline::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_codepipeline::types::{ExecutionDetails, FailureDetails};
use lambda_runtime::Diagnostic;
use tokio::time::timeout_at;

use crate::event::JobId;
use crate::failure::{self, Failure, FailureType};
use crate::report::{self, Report};

/// The pause before a report is tried again, doubled each time. The SDK has retried by then.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// What a try gets however little is left: enough for a new connection and an answer.
const SHORTEST_TRY: Duration = Duration::from_secs(2);
/// What is reported of a failure whose own words were refused.
const PLAIN: &str = "the action failed; its report was refused, see the function's log";

/// How a job was settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Success was reported.
    Succeeded,
    /// A continuation was reported.
    Continued,
    /// Failure was reported.
    Failed,
    /// CodePipeline had a result for the job already: the event was delivered twice, or the
    /// pipeline has given the job up.
    Already,
}

/// Why no report reached CodePipeline. This is all that a function tells Lambda of.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The event has no job id, so there is nothing to report about and nobody to report to.
    #[error(
        "the event has no job id at `CodePipeline.job`.`id` (it is {found}): this function is to be invoked by a Lambda action of CodePipeline"
    )]
    NoJobId {
        /// What the event is, without its values.
        found: String,
    },
    /// CodePipeline does not know the job.
    #[error(
        "CodePipeline in {region} does not know job {id}: the event belongs to another Region or account, is made up, or the job is long gone ({message})"
    )]
    UnknownJob {
        /// The job.
        id: JobId,
        /// Where it was reported.
        region: String,
        /// What the service said.
        message: String,
    },
    /// The function's role may not report.
    #[error(
        "the function's role may not report job {id}: {message}; it needs codepipeline:PutJobSuccessResult and codepipeline:PutJobFailureResult on resource \"*\""
    )]
    Denied {
        /// The job.
        id: JobId,
        /// What the service said.
        message: String,
    },
    /// The service refused, or could not be reached until Lambda's deadline.
    #[error("failed to report job {id}: {message}")]
    Undelivered {
        /// The job.
        id: JobId,
        /// What the service said, or why it could not be reached.
        message: String,
    },
}

impl From<ReportError> for Diagnostic {
    fn from(error: ReportError) -> Self {
        let error_type = match error {
            ReportError::NoJobId { .. } => "Towpath.NoJobId",
            ReportError::UnknownJob { .. } => "Towpath.UnknownJob",
            ReportError::Denied { .. } => "Towpath.ReportDenied",
            ReportError::Undelivered { .. } => "Towpath.ReportUndelivered",
        };
        Self {
            error_type: error_type.to_owned(),
            error_message: error.to_string(),
        }
    }
}

/// What a refused call means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// The job has a result already.
    Already,
    /// Try again.
    Transient,
    /// The content was refused; another report may be taken.
    Content,
    /// The job is not known.
    Unknown,
    /// A permission is missing.
    Denied,
    /// Nothing can be done.
    Final,
}

/// Judges a refusal by the service's error code; without one the service did not answer.
fn judge(code: Option<&str>, kind: FailureType) -> Refusal {
    match code {
        Some("InvalidJobStateException") => Refusal::Already,
        Some("JobNotFoundException") => Refusal::Unknown,
        Some("ValidationException" | "OutputVariablesSizeExceededException") => Refusal::Content,
        _ => match kind {
            FailureType::SystemUnavailable => Refusal::Transient,
            FailureType::PermissionError => Refusal::Denied,
            FailureType::JobFailed
            | FailureType::ConfigurationError
            | FailureType::RevisionOutOfSync
            | FailureType::RevisionUnavailable => Refusal::Final,
        },
    }
}

/// Delivers a report, again and again while the service does not answer, until `until`.
///
/// A report whose content the service refuses is replaced: a success or a continuation by a
/// failure that says so, a failure by one of fixed words. A job that is never settled holds its
/// pipeline up for 20 minutes.
pub(crate) async fn deliver(
    client: &Client,
    id: &JobId,
    mut report: Report,
    until: Instant,
) -> Result<Settled, ReportError> {
    let undelivered = |message| ReportError::Undelivered {
        id: id.clone(),
        message,
    };
    let mut pause = FIRST_PAUSE;
    loop {
        let end = try_until(Instant::now(), until);
        let (refusal, message) = match timeout_at(end.into(), send(client, id, &report)).await {
            Ok(Ok(settled)) => return Ok(settled),
            Ok(Err(refused)) => refused,
            Err(_) => (
                Refusal::Transient,
                "CodePipeline did not answer in time".to_owned(),
            ),
        };
        match refusal {
            Refusal::Already => {
                tracing::info!(%message, "the job has a result already");
                return Ok(Settled::Already);
            }
            Refusal::Transient if Instant::now() + pause < until => {
                tracing::warn!(%message, "the report was not taken, trying again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            Refusal::Content => match replacement(&report, &message) {
                Some(instead) => {
                    tracing::error!(%message, "the report was refused, failing the job");
                    report = instead;
                }
                None => return Err(undelivered(message)),
            },
            Refusal::Unknown => {
                return Err(ReportError::UnknownJob {
                    id: id.clone(),
                    region: client
                        .config()
                        .region()
                        .map_or_else(|| "an unknown Region".to_owned(), ToString::to_string),
                    message,
                });
            }
            Refusal::Denied => {
                return Err(ReportError::Denied {
                    id: id.clone(),
                    message,
                });
            }
            Refusal::Transient | Refusal::Final => return Err(undelivered(message)),
        }
    }
}

/// When a try is given up that begins `now`: it gets half of what is left, so that one that hangs
/// on a dead connection leaves time for another.
fn try_until(now: Instant, until: Instant) -> Instant {
    let left = until.saturating_duration_since(now);
    now + (left / 2).max(SHORTEST_TRY).min(left)
}

/// What to report when the content of `report` was refused; nothing when that was tried already.
fn replacement(report: &Report, message: &str) -> Option<Report> {
    let what = match report {
        Report::Done { .. } => "success",
        Report::Continue { .. } => "progress",
        Report::Failed { kind, message, .. } => {
            return (message != PLAIN).then(|| report::failed(&Failure::new(*kind, PLAIN)));
        }
    };
    Some(report::failed(&Failure::job(format!(
        "CodePipeline refused the report of this action's {what}: {message}"
    ))))
}

/// One call.
async fn send(client: &Client, id: &JobId, report: &Report) -> Result<Settled, (Refusal, String)> {
    match report {
        Report::Done {
            summary,
            variables,
            external_id,
        } => {
            let mut call = client
                .put_job_success_result()
                .job_id(id.as_str())
                .set_execution_details(details(summary.as_ref(), None, external_id.as_ref()));
            for (name, value) in variables.iter() {
                call = call.output_variables(name, value);
            }
            call.send().await.map_err(|error| refused(&error))?;
            Ok(Settled::Succeeded)
        }
        Report::Continue {
            token,
            summary,
            percent,
            external_id,
        } => {
            client
                .put_job_success_result()
                .job_id(id.as_str())
                .continuation_token(token)
                .set_execution_details(details(summary.as_ref(), *percent, external_id.as_ref()))
                .send()
                .await
                .map_err(|error| refused(&error))?;
            Ok(Settled::Continued)
        }
        Report::Failed {
            kind,
            message,
            external_id,
        } => {
            let details = FailureDetails::builder()
                .r#type(kind.as_str().into())
                .message(message)
                .set_external_execution_id(external_id.clone())
                .build()
                .expect("type and message are set");
            client
                .put_job_failure_result()
                .job_id(id.as_str())
                .failure_details(details)
                .send()
                .await
                .map_err(|error| refused(&error))?;
            Ok(Settled::Failed)
        }
    }
}

fn details(
    summary: Option<&String>,
    percent: Option<i32>,
    external_id: Option<&String>,
) -> Option<ExecutionDetails> {
    (summary.is_some() || percent.is_some() || external_id.is_some()).then(|| {
        ExecutionDetails::builder()
            .set_summary(summary.cloned())
            .set_percent_complete(percent)
            .set_external_execution_id(external_id.cloned())
            .build()
    })
}

fn refused<E>(error: &SdkError<E>) -> (Refusal, String)
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let code = error.as_service_error().and_then(|service| service.code());
    let mut refusal = judge(code, failure::aws_kind(error));
    // A 5xx may come from something in between, with no code that says so.
    if refusal == Refusal::Final
        && error
            .raw_response()
            .is_some_and(|response| response.status().is_server_error())
    {
        refusal = Refusal::Transient;
    }
    (refusal, failure::aws_cause(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_by_table() {
        for (code, kind, expected) in [
            (
                Some("InvalidJobStateException"),
                FailureType::JobFailed,
                Refusal::Already,
            ),
            (
                Some("JobNotFoundException"),
                FailureType::JobFailed,
                Refusal::Unknown,
            ),
            (
                Some("ValidationException"),
                FailureType::JobFailed,
                Refusal::Content,
            ),
            (
                Some("OutputVariablesSizeExceededException"),
                FailureType::JobFailed,
                Refusal::Content,
            ),
            (
                Some("ThrottlingException"),
                FailureType::SystemUnavailable,
                Refusal::Transient,
            ),
            (None, FailureType::SystemUnavailable, Refusal::Transient),
            (
                Some("AccessDeniedException"),
                FailureType::PermissionError,
                Refusal::Denied,
            ),
            (Some("Strange"), FailureType::JobFailed, Refusal::Final),
        ] {
            assert_eq!(judge(code, kind), expected, "{code:?}");
        }
    }

    #[test]
    fn a_refused_report_is_replaced_by_table() {
        let failed = |message: &str| {
            report::failed(&Failure::configuration(message).with_external_id("stack-1"))
        };
        let done = Report::Done {
            summary: None,
            variables: crate::variables::Variables::new(),
            external_id: None,
        };
        let continued = report::continued("token".to_owned(), &crate::outcome::Progress::new("x"));
        for (report, kind, expected) in [
            (
                &done,
                FailureType::JobFailed,
                "CodePipeline refused the report of this action's success: bad",
            ),
            (
                &continued,
                FailureType::JobFailed,
                "CodePipeline refused the report of this action's progress: bad",
            ),
            (&failed("odd"), FailureType::ConfigurationError, PLAIN),
        ] {
            let instead = replacement(report, "bad");
            assert_eq!(
                instead,
                Some(Report::Failed {
                    kind,
                    message: expected.to_owned(),
                    external_id: None
                })
            );
        }
        assert_eq!(replacement(&failed(PLAIN), "bad"), None, "once is enough");
    }

    #[test]
    fn a_try_leaves_time_for_another() {
        let now = Instant::now();
        for (left, expected) in [
            (60_000, 30_000),
            (5_000, 2_500),
            (3_000, 2_000),
            (500, 500),
            (0, 0),
        ] {
            let end = try_until(now, now + Duration::from_millis(left));
            assert_eq!(end - now, Duration::from_millis(expected), "{left}");
        }
    }

    #[test]
    fn an_event_without_an_id_is_told_apart_in_the_metrics() {
        let diagnostic = Diagnostic::from(ReportError::NoJobId {
            found: "an empty object".to_owned(),
        });
        assert_eq!(diagnostic.error_type, "Towpath.NoJobId");
        assert!(diagnostic.error_message.contains("an empty object"));
    }
}
