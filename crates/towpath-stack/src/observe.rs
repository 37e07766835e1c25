//! What a stack is like now.

use std::collections::BTreeMap;

use aws_sdk_cloudformation::Client;

use crate::{StackError, StackStatus};

/// The type of a stack, among the resources of another and in its own events.
pub const STACK_TYPE: &str = "AWS::CloudFormation::Stack";

/// How deep nested stacks are followed: to their change sets, to the cause of a failure, to their buckets.
pub const NESTED_DEPTH: usize = 5;

/// A stack as `DescribeStacks` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stack {
    /// The stack's ARN: unlike its name, it never comes to mean another stack.
    pub arn: String,
    /// The stack's name.
    pub name: String,
    /// Where it stands.
    pub status: StackStatus,
    /// Why it stands there, in AWS's words.
    pub reason: Option<String>,
    /// The change set that was executed last, by ARN.
    pub change_set: Option<String>,
    /// When it was last updated, as the service words it; absent for a stack that never was.
    pub last_updated: Option<String>,
    /// The names of its parameters.
    pub parameters: Vec<String>,
    /// Its outputs.
    pub outputs: BTreeMap<String, String>,
    /// Whether it may not be deleted.
    pub termination_protection: bool,
    /// The names of what it exports to other stacks.
    pub exports: Vec<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// The stack that it is nested in, by ARN.
    pub parent: Option<String>,
}

impl Stack {
    /// A stack of which no more is known than this.
    pub fn named(name: &str, status: StackStatus) -> Self {
        Self {
            arn: name.to_owned(),
            name: name.to_owned(),
            status,
            reason: None,
            change_set: None,
            last_updated: None,
            parameters: Vec::new(),
            outputs: BTreeMap::new(),
            termination_protection: false,
            exports: Vec::new(),
            tags: BTreeMap::new(),
            parent: None,
        }
    }
}

/// What was seen of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observed {
    /// There is no stack of that name.
    Absent,
    /// There is one.
    Present(Box<Stack>),
}

impl Observed {
    /// The stack's status; `None` when there is no stack.
    pub fn status(&self) -> Option<StackStatus> {
        match self {
            Self::Absent => None,
            Self::Present(stack) => Some(stack.status),
        }
    }

    /// The stack, if there is one.
    pub fn stack(&self) -> Option<&Stack> {
        match self {
            Self::Absent => None,
            Self::Present(stack) => Some(stack),
        }
    }
}

/// Reads a stack by ARN or name.
///
/// `DescribeStacks` models no errors: absence is a `ValidationError` with a certain text, and a
/// malformed name is a `ValidationError` too, so both the code and the text are compared.
pub async fn describe(client: &Client, stack: &str) -> Result<Observed, StackError> {
    let answer = match client.describe_stacks().stack_name(stack).send().await {
        Ok(answer) => answer,
        Err(error) => {
            let error = StackError::call("describe stack", stack, &error);
            return if is_absent(error.code(), error.message()) {
                Ok(Observed::Absent)
            } else {
                Err(error)
            };
        }
    };
    let Some(seen) = answer.stacks().first() else {
        return Ok(Observed::Absent);
    };
    read(seen, stack).map(|stack| Observed::Present(Box::new(stack)))
}

/// Reads every stack of the Region that is not deleted, page by page.
pub async fn describe_all(client: &Client, mut each: impl FnMut(Stack)) -> Result<(), StackError> {
    let mut next = None;
    loop {
        let answer = client
            .describe_stacks()
            .set_next_token(next.take())
            .send()
            .await
            .map_err(|error| StackError::call("list the stacks of", "this Region", &error))?;
        for seen in answer.stacks() {
            match read(seen, "") {
                Ok(stack) => each(stack),
                // A status that this version does not know is nobody else's trouble.
                Err(error) => tracing::warn!(%error, "a stack is left out"),
            }
        }
        next = answer.next_token().map(str::to_owned);
        if next.is_none() {
            return Ok(());
        }
    }
}

fn read(seen: &aws_sdk_cloudformation::types::Stack, stack: &str) -> Result<Stack, StackError> {
    let status = seen.stack_status().map_or("", |status| status.as_str());
    let status =
        status.parse().map_err(
            |error: crate::status::UnknownStatus| StackError::Unreadable {
                stack: stack.to_owned(),
                what: error.to_string(),
            },
        )?;
    Ok(Stack {
        arn: seen.stack_id().unwrap_or(stack).to_owned(),
        name: seen.stack_name().unwrap_or(stack).to_owned(),
        status,
        reason: seen.stack_status_reason().map(str::to_owned),
        change_set: seen.change_set_id().map(str::to_owned),
        last_updated: seen.last_updated_time().map(ToString::to_string),
        parameters: seen
            .parameters()
            .iter()
            .filter_map(|parameter| parameter.parameter_key())
            .map(str::to_owned)
            .collect(),
        outputs: seen
            .outputs()
            .iter()
            .filter_map(|output| {
                Some((
                    output.output_key()?.to_owned(),
                    output.output_value()?.to_owned(),
                ))
            })
            .collect(),
        termination_protection: seen.enable_termination_protection().unwrap_or(false),
        exports: seen
            .outputs()
            .iter()
            .filter_map(|output| output.export_name().map(str::to_owned))
            .collect(),
        tags: seen
            .tags()
            .iter()
            .filter_map(|tag| Some((tag.key()?.to_owned(), tag.value()?.to_owned())))
            .collect(),
        parent: seen.parent_id().map(str::to_owned),
    })
}

fn is_absent(code: Option<&str>, message: &str) -> bool {
    code == Some("ValidationError")
        && message.starts_with("Stack ")
        && message.ends_with("does not exist")
}

#[cfg(test)]
mod tests {
    use super::is_absent;

    #[test]
    fn only_the_exact_text_means_absent() {
        for (code, message, expected) in [
            (
                Some("ValidationError"),
                "Stack with id app does not exist",
                true,
            ),
            (Some("ValidationError"), "Stack [app] does not exist", true),
            (
                Some("ValidationError"),
                "1 validation error detected: Value 'a_b' at 'stackName' failed to satisfy constraint",
                false,
            ),
            (
                Some("AccessDenied"),
                "Stack with id app does not exist",
                false,
            ),
            (None, "Stack with id app does not exist", false),
        ] {
            assert_eq!(is_absent(code, message), expected, "{message}");
        }
    }
}
