//! The action's parameters.

mod ending;
mod shapes;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use towpath_job::parameters::{FromQuery, ParameterError, Query};
use towpath_job::{Artifact, ArtifactPath};
use towpath_stack::gate::Policy;
use towpath_stack::name;
use towpath_stack::step::OnFailure;

pub use ending::Ending;
use shapes::{is_change_set, is_region, is_role, is_stack_name, is_topic, is_type};

use crate::site::Site;

/// What is done to the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Make or change it.
    Deploy,
    /// Say what a deployment would change, and change nothing.
    Plan,
    /// Carry out a plan that was made before.
    Execute,
    /// Delete it. A stack that does not exist is deleted.
    Delete,
    /// Delete the stacks that have had their day.
    Sweep,
    /// Put a tree of files into a bucket of it.
    Site,
}

impl Operation {
    /// Whether it makes a change set.
    fn plans(self) -> bool {
        matches!(self, Self::Deploy | Self::Plan)
    }

    /// As `action=` says it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Deploy => "deploy",
            Self::Plan => "plan",
            Self::Execute => "execute",
            Self::Delete => "delete",
            Self::Sweep => "sweep",
            Self::Site => "site",
        }
    }
}

/// What the query string says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameters {
    /// `action=deploy|plan|execute|delete|sweep|site`.
    pub operation: Operation,
    /// `stack=`: its name, or the one that `stack-for=` comes to. Empty for a sweep, which is
    /// about no stack in particular.
    pub stack: String,
    /// The stack is one that lives for a while: it has a `ttl`, or its name is made by `stack-for`.
    pub ephemeral: bool,
    /// `template=`; always there for a deployment.
    pub template: Option<TemplateAt>,
    /// `config=Artifact::path`: a file `{"Parameters": {}, "Tags": {}, "StackPolicy": {}}`.
    pub config: Option<ArtifactPath>,
    /// `Param.NAME=value`: wins over the file.
    pub values: BTreeMap<String, String>,
    /// `previous=`: parameters that keep the value that the stack has.
    pub previous: BTreeSet<String>,
    /// `Tag.NAME=value`: wins over the file.
    pub tags: BTreeMap<String, String>,
    /// `capabilities=`: what CloudFormation may be told is acknowledged.
    pub capabilities: Vec<String>,
    /// `role=`: the ARN of the role that CloudFormation assumes.
    pub role: Option<String>,
    /// `region=`: another region than the function's.
    pub region: Option<String>,
    /// `nested=on|off`: whether change sets are made of nested stacks, too.
    pub nested: bool,
    /// `notify=`: the ARNs of topics; nothing leaves the stack's as they are, an empty list takes them away.
    pub notify: Option<Vec<String>>,
    /// `alarms=`: what rolls the deployment back, by name or ARN; nothing leaves the stack's as they are, an empty list
    /// takes them away.
    pub alarms: Option<Vec<String>>,
    /// `monitor=`: for how many minutes after the last resource they are watched.
    pub monitor: Option<u16>,
    /// `protect=on|off`: whether the stack may not be deleted; nothing leaves that as it is.
    pub protect: Option<bool>,
    /// `on-failure=fail|recover|replace`.
    pub on_failure: OnFailure,
    /// `skip=`: resources that a rollback which got stuck leaves as they are.
    pub skip: Vec<String>,
    /// `change-set=`: the ARN of the plan to carry out; nothing where the plan was empty.
    pub change_set: Option<String>,
    /// `replace=allow|deny`, `allow-loss=` and `stateful=`: what of the stack's data may go.
    pub loss: Policy,
    /// How stacks end.
    pub ending: Ending,
    /// What is put into a bucket; always there for a site.
    pub site: Option<Site>,
}

/// Where the template is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplateAt {
    /// `Artifact::path`: a file in an input artifact.
    Artifact(ArtifactPath),
    /// `s3://bucket/key`: an object in the stack's Region.
    S3 {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
    },
    /// `https://...`: the address of an object.
    Address(String),
}

impl TemplateAt {
    fn parse(text: &str) -> Option<Self> {
        if let Some(object) = text.strip_prefix("s3://") {
            let (bucket, key) = object.split_once('/')?;
            return (!bucket.is_empty() && !key.is_empty()).then(|| Self::S3 {
                bucket: bucket.to_owned(),
                key: key.to_owned(),
            });
        }
        if let Some(rest) = text.strip_prefix("https://") {
            return rest
                .split_once('/')
                .is_some_and(|(host, key)| !host.is_empty() && !key.is_empty())
                .then(|| Self::Address(text.to_owned()));
        }
        text.parse().ok().map(Self::Artifact)
    }
}

impl std::fmt::Display for TemplateAt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Artifact(path) => path.fmt(f),
            Self::S3 { bucket, key } => write!(f, "s3://{bucket}/{key}"),
            Self::Address(address) => f.write_str(address),
        }
    }
}

/// How many topics CloudFormation tells of a stack (AWS: CreateChangeSet, `NotificationARNs`).
const TOPICS: usize = 5;
/// How many alarms may roll a deployment back (AWS: RollbackConfiguration).
const ALARMS: usize = 5;
/// For how long they may be watched, in minutes (the same).
const MONITOR: u64 = 180;

/// What `notify` and `alarms` say of taking away what there is.
const OFF: &str = "off";

const CAPABILITIES: [&str; 3] = [
    "CAPABILITY_IAM",
    "CAPABILITY_NAMED_IAM",
    "CAPABILITY_AUTO_EXPAND",
];

impl FromQuery for Parameters {
    fn from_query(query: &mut Query, outputs: &[Artifact]) -> Result<Self, ParameterError> {
        let operation = query.take_choice(
            "action",
            &[
                ("deploy", Operation::Deploy),
                ("plan", Operation::Plan),
                ("execute", Operation::Execute),
                ("delete", Operation::Delete),
                ("sweep", Operation::Sweep),
                ("site", Operation::Site),
            ],
        );
        let template = query.take_as(
            "template",
            "of the form Artifact::path, s3://bucket/key or https://address",
            TemplateAt::parse,
        );
        let config = query.take_artifact_path("config");
        let values = query.take_prefix("Param.").into_iter().collect();
        let previous = query.take_list("previous");
        let tags = query.take_prefix("Tag.").into_iter().collect();
        let capabilities = query.take_list("capabilities");
        let role = query.take_filled("role");
        let region = query.take_filled("region");
        let notify = list_or_off(query.take_list("notify"));
        let alarms = list_or_off(query.take_list("alarms"));
        let monitor = query.take_as(
            "monitor",
            "a number of whole minutes up to 3h, such as 10m",
            minutes,
        );
        let protect = query.take_choice("protect", &[("on", true), ("off", false)]);
        let nested = query.take_choice("nested", &[("on", true), ("off", false)]);
        let on_failure = query.take_choice(
            "on-failure",
            &[
                ("fail", OnFailure::Fail),
                ("recover", OnFailure::Recover),
                ("replace", OnFailure::Replace),
            ],
        );
        let skip = query.take_list("skip");
        let change_set = query.take_filled("change-set");
        let everything = query.take_choice("replace", &[("deny", false), ("allow", true)]);
        let named = query.take_list("allow-loss");
        let stateful = query.take_list("stateful");
        let ending = Ending::from_query(query);
        let site = Site::from_query(query);
        let by_name = query.take_filled("stack");
        let by_text = query.take_filled("stack-for");
        let made_for = by_text.is_some();
        let operation = operation?.unwrap_or(Operation::Deploy);
        let (nested, everything) = (nested?, everything?);
        // Of these two also the default is said only where it means something.
        for (key, given, meant) in [
            ("nested", nested.is_some(), operation.plans()),
            (
                "replace",
                everything.is_some(),
                operation == Operation::Deploy,
            ),
        ] {
            if given && !meant {
                return Err(meaningless(key, operation));
            }
        }
        let ending = ending?;
        let parameters = Self {
            operation,
            ephemeral: made_for || ending.ttl.is_some(),
            stack: stack(operation, by_name, by_text)?,
            template: template?,
            config: config?,
            values,
            previous: previous.into_iter().collect(),
            tags,
            capabilities,
            role,
            region,
            notify,
            alarms,
            monitor: monitor?,
            protect: protect?,
            nested: nested.unwrap_or(true),
            on_failure: on_failure?.unwrap_or(OnFailure::Recover),
            skip,
            change_set,
            loss: Policy {
                everything: everything.unwrap_or(false),
                named: named.into_iter().collect(),
                stateful: stateful.into_iter().collect(),
            },
            ending,
            site: site?,
        };
        parameters.check(outputs)?;
        Ok(parameters)
    }
}

impl Parameters {
    fn check(&self, outputs: &[Artifact]) -> Result<(), ParameterError> {
        if self.operation != Operation::Sweep && !is_stack_name(&self.stack) {
            return Err(ParameterError::invalid(
                "stack",
                &self.stack,
                "a stack's name: a letter, then letters, digits and hyphens, at most 128 in all",
            ));
        }
        if let Some(unknown) = self
            .capabilities
            .iter()
            .find(|name| !CAPABILITIES.contains(&name.as_str()))
        {
            return Err(ParameterError::invalid(
                "capabilities",
                unknown,
                format!("one of {}", CAPABILITIES.join(", ")),
            ));
        }
        if let Some(wrong) = self.role.as_ref().filter(|arn| !is_role(arn)) {
            return Err(ParameterError::invalid("role", wrong, "a role's ARN"));
        }
        if let Some(wrong) = self.region.as_ref().filter(|region| !is_region(region)) {
            return Err(ParameterError::invalid(
                "region",
                wrong,
                "a Region's name, such as eu-west-1",
            ));
        }
        if let Some(wrong) = self.loss.stateful.iter().find(|kind| !is_type(kind)) {
            return Err(ParameterError::invalid(
                "stateful",
                wrong,
                "a type of resources, such as AWS::Logs::LogGroup or Custom::Ledger",
            ));
        }
        if let Some(wrong) = self.change_set.as_ref().filter(|arn| !is_change_set(arn)) {
            return Err(ParameterError::invalid(
                "change-set",
                wrong,
                "the ARN of a change set, such as #{Plan.ChangeSetArn}, or none",
            ));
        }
        if let Some(wrong) = self.notify.iter().flatten().find(|arn| !is_topic(arn)) {
            return Err(ParameterError::invalid(
                "notify",
                wrong,
                "the ARN of an SNS topic, or off",
            ));
        }
        if self
            .notify
            .as_ref()
            .is_some_and(|topics| topics.len() > TOPICS)
        {
            return Err(ParameterError::Conflict(format!(
                "parameter `notify` names more than {TOPICS} topics, and CloudFormation takes no more"
            )));
        }
        if self
            .alarms
            .as_ref()
            .is_some_and(|alarms| alarms.len() > ALARMS)
        {
            return Err(ParameterError::Conflict(format!(
                "parameter `alarms` names more than {ALARMS} alarms, and CloudFormation watches no more"
            )));
        }
        if let Some(name) = self
            .previous
            .iter()
            .find(|name| self.values.contains_key(*name))
        {
            return Err(ParameterError::Conflict(format!(
                "parameter `{name}` of the template is given by Param.{name} and kept by `previous`"
            )));
        }
        if let Some(key) = self
            .meaningless()
            .or_else(|| self.ending.meaningless(self.operation))
        {
            return Err(meaningless(key, self.operation));
        }
        if let Some(key) = self.ending.origin_key().filter(|_| !self.ephemeral) {
            return Err(ParameterError::Conflict(format!(
                "parameter `{key}` is for stacks that live for a while, which `ttl` or `stack-for` makes of it; say Tag.{key} for any other"
            )));
        }
        match self.operation {
            Operation::Deploy | Operation::Plan if self.template.is_none() => {
                Err(ParameterError::Missing("template".into()))
            }
            Operation::Execute if self.change_set.is_none() => {
                Err(ParameterError::Missing("change-set".into()))
            }
            Operation::Site if self.site.is_none() => Err(ParameterError::Missing("site".into())),
            // What it has to remember of several stacks does not fit into a token; it is kept beside an artifact.
            Operation::Sweep if !self.ending.dry_run && outputs.is_empty() => {
                Err(ParameterError::Conflict(
                    "action=sweep with dry-run=off needs an output artifact, for its report and for what it has to remember"
                        .to_owned(),
                ))
            }
            Operation::Deploy | Operation::Plan | Operation::Execute | Operation::Sweep => Ok(()),
            // Found out before the stack is gone.
            Operation::Delete | Operation::Site => match outputs.first() {
                Some(output) => Err(ParameterError::Conflict(format!(
                    "action={} publishes nothing, but the action declares output artifact `{}`",
                    self.operation.name(),
                    output.name
                ))),
                None => Ok(()),
            },
        }
    }

    /// A key that is given, and that the operation has no use for.
    fn meaningless(&self) -> Option<&'static str> {
        let plans = self.operation.plans();
        let deploys = self.operation == Operation::Deploy;
        let executes = self.operation == Operation::Execute;
        [
            (plans, self.template.is_some(), "template"),
            (plans || executes, self.config.is_some(), "config"),
            (plans, !self.previous.is_empty(), "previous"),
            (plans, self.notify.is_some(), "notify"),
            (plans, self.alarms.is_some(), "alarms"),
            (plans, self.monitor.is_some(), "monitor"),
            (deploys || executes, self.protect.is_some(), "protect"),
            (plans, !self.values.is_empty(), "Param.NAME"),
            (plans, !self.tags.is_empty(), "Tag.NAME"),
            (plans, !self.capabilities.is_empty(), "capabilities"),
            (plans, !self.loss.stateful.is_empty(), "stateful"),
            (deploys, !self.loss.named.is_empty(), "allow-loss"),
            (deploys, !self.skip.is_empty(), "skip"),
            (executes, self.change_set.is_some(), "change-set"),
            (
                self.operation == Operation::Site,
                self.site.is_some(),
                "site",
            ),
        ]
        .into_iter()
        .find_map(|(meant, given, key)| (given && !meant).then_some(key))
    }
}

fn meaningless(key: &str, operation: Operation) -> ParameterError {
    ParameterError::Conflict(format!(
        "parameter `{key}` means nothing with action={}",
        operation.name()
    ))
}

/// The stack's name: as it is given, or made of the text that it is to stand for.
fn stack(
    operation: Operation,
    named: Option<String>,
    named_for: Option<String>,
) -> Result<String, ParameterError> {
    match (operation, named, named_for) {
        (Operation::Sweep, None, None) => Ok(String::new()),
        (Operation::Sweep, ..) => Err(ParameterError::Conflict(
            "action=sweep is about no stack in particular; say prefix= to restrict it".to_owned(),
        )),
        (_, Some(_), Some(_)) => Err(ParameterError::Conflict(
            "`stack` and `stack-for` exclude each other".to_owned(),
        )),
        (_, Some(name), None) => Ok(name),
        (_, None, Some(text)) => Ok(name::safe(&text)),
        (_, None, None) => Err(ParameterError::Missing("stack".into())),
    }
}

/// Nothing, where nothing is said; an empty list, where there is to be none.
fn list_or_off(list: Vec<String>) -> Option<Vec<String>> {
    match list.as_slice() {
        [] => None,
        [word] if word == OFF => Some(Vec::new()),
        _ => Some(list),
    }
}

fn minutes(text: &str) -> Option<u16> {
    let time = towpath_job::duration::parse(text)?;
    let minutes = time.as_secs() / 60;
    (Duration::from_secs(minutes * 60) == time && minutes <= MONITOR)
        .then(|| u16::try_from(minutes).ok())
        .flatten()
}

#[cfg(test)]
mod tests;
