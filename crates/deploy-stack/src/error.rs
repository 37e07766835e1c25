//! Why a deployment fails, and how that is told to CodePipeline.

use std::fmt::Write as _;

use towpath_job::{Failure, FailureType, JobError, VariablesError};
use towpath_stack::cause::{self, Blame, Cause};
use towpath_stack::gate::{self, Loss};
use towpath_stack::{Fault, Importer, STACK_TYPE, StackError, StackStatus};
use towpath_template::TemplateError;

use crate::site::SiteError;
use crate::values::ValuesError;

/// Why a deployment or a deletion fails.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// The job does not have what the parameters name, or an artifact could not be moved.
    #[error(transparent)]
    Job(#[from] JobError),
    /// An output of the stack cannot be a variable.
    #[error("failed to make variables of the stack's outputs: {0}")]
    Variable(VariablesError),
    /// A deployment without a template.
    #[error("parameter `template` is missing")]
    NoTemplate,
    /// A file that should be text is not.
    #[error("`{0}` is not UTF-8 text")]
    NotText(String),
    /// The template cannot be read.
    #[error("failed to read template `{path}`: {source}")]
    Template {
        /// Where it is.
        path: String,
        /// What is wrong with it.
        source: TemplateError,
    },
    /// The configuration file cannot be read.
    #[error("failed to read configuration file `{path}`: {reason}")]
    Configuration {
        /// Where it is.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The values do not fit the template.
    #[error(transparent)]
    Values(#[from] ValuesError),
    /// The template needs what nobody allowed.
    #[error("the template needs {}, which `capabilities` does not allow{}", .missing.join(", "), because(.reason.as_ref()))]
    Capabilities {
        /// What is allowed.
        allowed: Vec<String>,
        /// What is needed beyond that.
        missing: Vec<String>,
        /// Why, in AWS's words.
        reason: Option<String>,
    },
    /// Alarms that do not exist.
    #[error("there is no alarm {} in the account and Region of the stack", quoted(.0))]
    UnknownAlarms(Vec<String>),
    /// An alarm that would roll back whatever is deployed.
    #[error("alarm `{name}` is in alarm already: {reason}")]
    InAlarm {
        /// Its name.
        name: String,
        /// Why, in CloudWatch's words.
        reason: String,
    },
    /// The alarms could not be looked at.
    #[error("{}", .0.message)]
    Alarms(Failure),
    /// A long template, and nowhere to put it.
    #[error(
        "the template has {0} bytes; more than 51,200 do not fit in a request, and RELEASE_BUCKET is not set"
    )]
    NoReleaseBucket(usize),
    /// No region, so no address for a long template.
    #[error("AWS_REGION is not set, and a template too long for a request needs an address")]
    NoRegion,
    /// A long template could not be uploaded.
    #[error("{}", .0.message)]
    Upload(Failure),
    /// A call to CloudFormation failed.
    #[error(transparent)]
    Stack(#[from] StackError),
    /// The stack is in a state that nothing safe leads out of.
    #[error("stack `{stack}` is {status}: {why}")]
    Refused {
        /// The stack.
        stack: String,
        /// Its status.
        status: String,
        /// Why it is refused.
        why: &'static str,
    },
    /// The change set could not be computed.
    #[error("CloudFormation could not plan the change of stack `{stack}`: {reason}")]
    ChangeSet {
        /// The stack.
        stack: String,
        /// AWS's words.
        reason: String,
    },
    /// The plan would lose data, and that was not allowed.
    #[error("the plan for stack `{stack}` would lose data: {}", gate::told(.losses))]
    Stopped {
        /// The stack.
        stack: String,
        /// What would go.
        losses: Vec<Loss>,
    },
    /// What the plan would do is not known to the end.
    #[error("the plan for stack `{stack}` cannot be judged: the change set of nested stack {} cannot be read", quoted(.nested))]
    Unjudged {
        /// The stack.
        stack: String,
        /// The nested stacks, by name.
        nested: Vec<String>,
    },
    /// A plan that was made before cannot be carried out any more.
    #[error(
        "change set `{change_set}` of stack `{stack}` is obsolete: it is gone, or the stack has changed since it was made"
    )]
    ObsoletePlan {
        /// The stack.
        stack: String,
        /// The change set, by ARN.
        change_set: String,
    },
    /// A rollback that does not end.
    #[error("{failed}")]
    Stuck {
        /// What it failed with; part of the text already.
        failed: Box<DeployError>,
        /// Resources that it could leave out.
        candidates: Vec<String>,
    },
    /// Nothing can be written.
    #[error("no room for what is to be published: {0}")]
    NoRoom(std::io::Error),
    /// The stack kept changing under our hands.
    #[error(
        "the plan for stack `{stack}` became obsolete {times} times, because something else changes the stack"
    )]
    Unsettled {
        /// The stack.
        stack: String,
        /// How often.
        times: u32,
    },
    /// The operation failed.
    #[error("{}", operation_failed(.verb, .stack, .arn, *.status, .cause.as_deref()))]
    Operation {
        /// What was being done: `deploy` or `delete`.
        verb: &'static str,
        /// The stack's name.
        stack: String,
        /// The stack's ARN.
        arn: String,
        /// Where the stack stands now.
        status: Option<StackStatus>,
        /// Why, as far as its events tell.
        cause: Option<Box<Cause>>,
    },
    /// What could not be deleted remains, after all that was allowed.
    #[error("{operation}")]
    Remains {
        /// The deletion that failed.
        operation: Box<DeployError>,
        /// What can be done about it.
        hint: String,
    },
    /// Other stacks import what this one exports.
    #[error("failed to delete stack `{stack}`: {}", imported(.importers))]
    Imported {
        /// The stack.
        stack: String,
        /// Who imports what.
        importers: Vec<Importer>,
    },
    /// A parameter names something that the stack does not have.
    #[error("stack `{stack}` has no {what} `{name}`, which {key}= names")]
    NoResource {
        /// The stack.
        stack: String,
        /// The parameter.
        key: &'static str,
        /// What it names.
        name: String,
        /// What it should be.
        what: &'static str,
    },
    /// A bucket is to be emptied that is to outlive its stack.
    #[error(
        "bucket `{name}` of stack `{stack}` is not emptied: its DeletionPolicy keeps it when the stack goes"
    )]
    KeptBucket {
        /// The stack.
        stack: String,
        /// The bucket's logical id.
        name: String,
    },
    /// Some of the stacks that have expired could not be deleted.
    #[error("failed to delete {} of the stacks that have expired\n{}\n{summary}", .failed.len(), .failed.join("\n"))]
    Swept {
        /// What became of all of them.
        summary: String,
        /// The stacks, and why.
        failed: Vec<String>,
    },
    /// A bucket could not be read or changed.
    #[error("{}", .0.message)]
    Bucket(Failure),
    /// The site cannot be put where it is to go, or cannot be put there as it is.
    #[error(transparent)]
    Site(#[from] SiteError),
    /// The stack may not be deleted.
    #[error("stack `{0}` has termination protection")]
    Protected(String),
}

fn because(reason: Option<&String>) -> String {
    reason.map_or_else(String::new, |reason| format!(": {reason}"))
}

fn quoted(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

fn imported(importers: &[Importer]) -> String {
    let each: Vec<String> = importers
        .iter()
        .map(|importer| {
            let stacks = importer.stacks.join("`, `");
            format!("its export `{}` is imported by `{stacks}`", importer.export)
        })
        .collect();
    each.join("; ")
}

fn operation_failed(
    verb: &str,
    stack: &str,
    arn: &str,
    status: Option<StackStatus>,
    cause: Option<&Cause>,
) -> String {
    let status = status.map_or("gone", StackStatus::as_str);
    let mut text = match cause {
        None => {
            format!(
                "failed to {verb} stack `{stack}`: it is {status} and its events give no reason"
            )
        }
        Some(cause) => {
            let nested = match nested_name(&cause.stack, arn) {
                Some(name) => format!("in nested stack `{name}`, "),
                None => String::new(),
            };
            let reason = shortened(cause.reason.trim(), REASON);
            // What the stack says of itself is the cause, and needs no row of the stack around it.
            let of_resource = if cause.stack == arn && cause.resource_type == STACK_TYPE {
                String::new()
            } else {
                let Cause {
                    logical_id,
                    resource_type,
                    status,
                    ..
                } = cause;
                format!("{logical_id} ({resource_type}) {status}: ")
            };
            let mut text =
                format!("failed to {verb} stack `{stack}`: {nested}{of_resource}{reason}");
            if let Some(more) = &cause.more {
                text.push('\n');
                text.push_str(more);
            }
            for other in cause.others.iter().take(OTHERS) {
                text.push_str("\nalso ");
                text.push_str(&shortened(other, OTHER));
            }
            if let Some(left @ 1..) = cause.others.len().checked_sub(OTHERS) {
                let _ = write!(text, "\nand {left} more");
            }
            text.push_str("\nthe stack is now ");
            text.push_str(status);
            text
        }
    };
    if let Some(address) = cause::console(arn) {
        text.push_str("\nsee ");
        text.push_str(&address);
    }
    text
}

/// The longest reason that is told whole, in characters: a failure's message has 5,000, and its other parts need some.
const REASON: usize = 2_000;

/// How many others that failed are told, and how long each.
const OTHERS: usize = 5;
const OTHER: usize = 300;

/// The name of the stack, if it is another than ours.
fn nested_name<'a>(stack: &'a str, ours: &str) -> Option<&'a str> {
    if stack == ours {
        return None;
    }
    stack.split('/').nth(1)
}

fn shortened(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

fn blamed(blame: Blame) -> FailureType {
    match blame {
        Blame::Permission => FailureType::PermissionError,
        Blame::Configuration => FailureType::ConfigurationError,
        Blame::Unavailable => FailureType::SystemUnavailable,
        Blame::Work => FailureType::JobFailed,
    }
}

fn kind_of(fault: Fault) -> FailureType {
    match fault {
        Fault::Throttled | Fault::Unavailable => FailureType::SystemUnavailable,
        Fault::Denied => FailureType::PermissionError,
        Fault::Refused => FailureType::ConfigurationError,
    }
}

impl DeployError {
    /// What is told of an error that says nothing about the stack, and passes by itself: then the next step tries
    /// again. A service that cannot be reached is told at once, unless something has `begun` that goes on without us.
    pub(crate) fn passing(&self, begun: bool) -> Option<&'static str> {
        match self {
            Self::Stack(error)
                if error.fault() == Fault::Throttled
                    || error.fault() == Fault::Unavailable && begun =>
            {
                tracing::warn!(%error, "CloudFormation did not answer; looking again later");
                Some("CloudFormation does not answer for now")
            }
            Self::Bucket(failure) if failure.kind == FailureType::SystemUnavailable => {
                let message = &failure.message;
                tracing::warn!(message, "S3 did not answer; going on later");
                Some("S3 does not answer for now")
            }
            _ => None,
        }
    }
}

impl From<DeployError> for Failure {
    fn from(error: DeployError) -> Self {
        let message = error.to_string();
        match error {
            DeployError::Job(error) => error.into(),
            DeployError::Variable(_) => Failure::configuration(message)
                .with_hint("CodePipeline takes 122,880 bytes of variables; shorten the stack's outputs"),
            DeployError::NoTemplate
            | DeployError::NotText(_)
            | DeployError::Template { .. } => Failure::configuration(message),
            DeployError::Configuration { .. } => Failure::configuration(message).with_hint(
                "the file has the form {\"Parameters\": {\"Name\": \"value\"}, \"Tags\": {\"Name\": \"value\"}, \"StackPolicy\": {\"Statement\": []}}",
            ),
            DeployError::Values(ValuesError::Unknown { .. }) => Failure::configuration(message)
                .with_hint("declare it in the template's Parameters, or take its Param.NAME out of UserParameters and the file that config= names"),
            DeployError::Values(ValuesError::Missing(_)) => Failure::configuration(message)
                .with_hint("give it as Param.NAME=value in UserParameters, or in the file that config= names"),
            DeployError::Capabilities {
                allowed, missing, ..
            } => {
                let all: Vec<String> = allowed.into_iter().chain(missing).collect();
                Failure::configuration(message).with_hint(format!(
                    "if the template may do that, allow it in UserParameters: capabilities={}",
                    all.join(",")
                ))
            }
            DeployError::UnknownAlarms(_) => Failure::configuration(message).with_hint(
                "check the names in alarms=; CloudFormation would roll everything back when it finds one missing",
            ),
            DeployError::InAlarm { .. } => Failure::job(message).with_hint(
                "retry the stage when it is over; to deploy what mends it, take the alarm out of alarms= for that deployment",
            ),
            DeployError::Alarms(failure) => match failure.kind {
                FailureType::PermissionError => failure.with_hint(
                    "allow cloudwatch:DescribeAlarms on resource \"*\" in the role of the deploy-stack function",
                ),
                _ => failure,
            },
            DeployError::NoReleaseBucket(_) => Failure::configuration(message)
                .with_hint("set RELEASE_BUCKET in the function's environment to a bucket that it may write to"),
            DeployError::NoRegion => Failure::configuration(message)
                .with_hint("set AWS_REGION in the function's environment; Lambda does"),
            DeployError::Upload(failure) => failure,
            DeployError::Stack(error) => stack_failure(&error, message),
            DeployError::Refused { .. } => Failure::configuration(message),
            DeployError::ChangeSet { reason, .. } => {
                let advice = cause::advise(&reason);
                // A plan that cannot be made is nobody's work that failed.
                let kind = match blamed(advice.blame) {
                    FailureType::JobFailed => FailureType::ConfigurationError,
                    kind => kind,
                };
                let failure = Failure::new(kind, message);
                match advice.hint {
                    Some(hint) => failure.with_hint(hint),
                    None => failure,
                }
            }
            DeployError::Stopped { losses, .. } => {
                Failure::configuration(message).with_hint(format!(
                    "keep what is there by DeletionPolicy and UpdateReplacePolicy in the template, or allow the loss in \
                     UserParameters: allow-loss={}, or replace=allow for all; action=plan publishes the whole plan",
                    gate::names(&losses)
                ))
            }
            DeployError::Unjudged { nested, .. } => Failure::configuration(message).with_hint(format!(
                "allow the role of the deploy-stack function cloudformation:DescribeChangeSet on nested stacks, too; or, if \
                 whatever they hold may go, say so in UserParameters: allow-loss={}, or replace=allow for all",
                nested.join(",")
            )),
            DeployError::ObsoletePlan { .. } => Failure::configuration(message)
                .with_hint("plan again (retry the stage with action=plan), and have the new plan reviewed"),
            DeployError::Stuck { failed, candidates } => {
                let failure = Failure::from(*failed);
                failure.with_hint(format!(
                    "mend what is named above and retry the stage; or leave resources as they are with skip={} in \
                     UserParameters, if what the template says of them is true in fact",
                    candidates.join(",")
                ))
            }
            DeployError::NoRoom(_) => Failure::job(message)
                .with_hint("raise the function's EphemeralStorage"),
            DeployError::Unsettled { .. } => Failure::new(FailureType::JobFailed, message)
                .with_hint("see who else deploys the stack, and retry the stage"),
            DeployError::Operation { arn, cause, .. } => {
                let advice = cause.as_deref().map(Cause::advice);
                let kind = advice.map_or(FailureType::JobFailed, |advice| blamed(advice.blame));
                let failure = Failure::new(kind, message).with_external_id(arn);
                match advice.and_then(|advice| advice.hint) {
                    Some(hint) => failure.with_hint(hint),
                    None => failure,
                }
            }
            DeployError::Remains { operation, hint } => {
                let failure = Failure::from(*operation);
                match &failure.hint {
                    // How a bucket is emptied from here is better than that it has to be.
                    Some(advice) if !hint.contains("empty-buckets=") => {
                        let both = format!("{advice}; {hint}");
                        failure.with_hint(both)
                    }
                    Some(_) | None => failure.with_hint(hint),
                }
            }
            DeployError::Imported { .. } => Failure::configuration(message).with_hint(
                "deploy these stacks without the import, or delete them first",
            ),
            DeployError::NoResource { .. } => Failure::configuration(message)
                .with_hint("write the logical id as the template has it, `Nested.Id` in a nested stack"),
            DeployError::KeptBucket { .. } => Failure::configuration(message)
                .with_hint("take it out of empty-buckets=, or change its DeletionPolicy and deploy that"),
            DeployError::Swept { .. } => Failure::job(message)
                .with_hint("mend what is in the way of each, or delete it with action=delete"),
            DeployError::Bucket(failure) => failure,
            DeployError::Site(error) => error.into(),
            DeployError::Protected(_) => Failure::configuration(message)
                .with_hint("switch the protection off by hand if the stack really is to go"),
        }
    }
}

fn stack_failure(error: &StackError, message: String) -> Failure {
    let failure = Failure::new(kind_of(error.fault()), message);
    if let StackError::Foreign { owner, .. } = error {
        return failure.with_hint(format!(
            "say stack={owner}, or take change-set= from the plan of the stack that is meant"
        ));
    }
    // The only object that a call of ours names is the template.
    if error.message().starts_with("S3 error:") {
        return failure.with_hint(
            "see that template= names an object that is there, in the stack's Region, and let the role of the deploy-stack function read it (s3:GetObject)",
        );
    }
    match (error.code(), error.fault()) {
        (Some("InsufficientCapabilitiesException"), _) => failure.with_hint(
            "add what it asks for to capabilities= in UserParameters, for example capabilities=CAPABILITY_IAM,CAPABILITY_AUTO_EXPAND",
        ),
        (_, Fault::Denied) if error.message().contains("iam:PassRole") => failure.with_hint(
            "allow iam:PassRole on the role that role= names, in the role of the deploy-stack function; or correct role=",
        ),
        (_, Fault::Denied) => failure.with_hint(
            "allow it in the role of the deploy-stack function; that of template.yaml reaches stacks whose names begin with ApplicationName and a hyphen, so see whether stack= is right",
        ),
        (_, Fault::Throttled | Fault::Unavailable) => failure.with_hint("retry the stage"),
        (_, Fault::Refused) => match cause::advise(error.message()).hint {
            Some(hint) => failure.with_hint(hint),
            None => failure,
        },
    }
}
