//! Where more is to be read than AWS's words say.

use std::fmt::Write as _;

/// The log of a Lambda function, by its ARN (or an alias's): `/aws/lambda/NAME`, unless the function says otherwise.
pub fn function_log(function: &str) -> Option<String> {
    let arn = Arn::parse(function)?;
    let name = arn.resource.strip_prefix("function:")?;
    let name = name.split(':').next()?;
    (arn.service == "lambda" && !name.is_empty()).then(|| format!("/aws/lambda/{name}"))
}

/// The page of the console that shows a stack's events; `None` for what is not a stack's ARN.
pub fn console(stack: &str) -> Option<String> {
    let arn = Arn::parse(stack)?;
    (arn.service == "cloudformation").then(|| {
        format!(
            "{}/cloudformation/home?region={}#/stacks/events?stackId={}",
            arn.console(),
            arn.region,
            escaped(stack, false)
        )
    })
}

/// What a custom resource's function wrote: the log, and its stream where the reason names it.
pub(super) fn custom_resource(function: &str, reason: &str) -> Option<String> {
    let arn = Arn::parse(function)?;
    let log = function_log(function)?;
    let stream = reason
        .split_once("Log Stream: ")
        .and_then(|(_, rest)| rest.split_whitespace().next())
        .map(|stream| stream.trim_end_matches([',', ';', '.']));
    let mut address = format!(
        "{}/cloudwatch/home?region={}#logsV2:log-groups/log-group/{}",
        arn.console(),
        arn.region,
        escaped(&log, true)
    );
    if let Some(stream) = stream {
        address.push_str("/log-events/");
        address.push_str(&escaped(stream, true));
    }
    Some(format!("the function's log is {log}: {address}"))
}

/// A deployment of CodeDeploy that shifted an alias's traffic back, where the reason names it. `stack` tells the region.
pub(super) fn alias_shift(stack: &str, reason: &str) -> Option<String> {
    let arn = Arn::parse(stack)?;
    let deployment = reason
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
        .find(|word| {
            // `d-` and nine letters or digits (AWS: CodeDeploy, deployment ids).
            word.strip_prefix("d-").is_some_and(|id| {
                id.len() == 9
                    && id
                        .bytes()
                        .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
            })
        })?;
    Some(format!(
        "deployment {deployment}: {}/codesuite/codedeploy/deployments/{deployment}?region={}",
        arn.console(),
        arn.region
    ))
}

/// The parts of an ARN that tell where something is.
struct Arn<'a> {
    partition: &'a str,
    service: &'a str,
    region: &'a str,
    resource: &'a str,
}

impl<'a> Arn<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(6, ':');
        if parts.next()? != "arn" {
            return None;
        }
        Some(Self {
            partition: parts.next()?,
            service: parts.next()?,
            region: parts.next().filter(|region| !region.is_empty())?,
            resource: {
                parts.next()?;
                parts.next()?
            },
        })
    }

    /// Each partition has a console of its own.
    fn console(&self) -> String {
        let host = match self.partition {
            "aws-cn" => "console.amazonaws.cn",
            "aws-us-gov" => "console.amazonaws-us-gov.com",
            _ => "console.aws.amazon.com",
        };
        format!("https://{}.{host}", self.region)
    }
}

/// The console's own escapes: once for a stack, and for names of logs twice, with `$` for the second `%`.
fn escaped(text: &str, twice: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else if twice {
            let _ = write!(out, "$25{byte:02X}");
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_partition_has_its_console() {
        for (stack, expected) in [
            (
                "arn:aws:cloudformation:eu-west-1:1:stack/app/u",
                Some(
                    "https://eu-west-1.console.aws.amazon.com/cloudformation/home?region=eu-west-1#/stacks/events?stackId=arn%3Aaws%3Acloudformation%3Aeu-west-1%3A1%3Astack%2Fapp%2Fu",
                ),
            ),
            (
                "arn:aws-cn:cloudformation:cn-north-1:1:stack/a/u",
                Some(
                    "https://cn-north-1.console.amazonaws.cn/cloudformation/home?region=cn-north-1#/stacks/events?stackId=arn%3Aaws-cn%3Acloudformation%3Acn-north-1%3A1%3Astack%2Fa%2Fu",
                ),
            ),
            (
                "arn:aws-us-gov:cloudformation:us-gov-west-1:1:stack/a/u",
                Some(
                    "https://us-gov-west-1.console.amazonaws-us-gov.com/cloudformation/home?region=us-gov-west-1#/stacks/events?stackId=arn%3Aaws-us-gov%3Acloudformation%3Aus-gov-west-1%3A1%3Astack%2Fa%2Fu",
                ),
            ),
            ("app", None),
            ("arn:aws:lambda:eu-west-1:1:function:x", None),
        ] {
            assert_eq!(console(stack).as_deref(), expected, "{stack}");
        }
    }

    #[test]
    fn a_function_has_its_log() {
        for (function, expected) in [
            (
                "arn:aws:lambda:eu-west-1:1:function:seed",
                Some("/aws/lambda/seed"),
            ),
            (
                "arn:aws:lambda:eu-west-1:1:function:seed:live",
                Some("/aws/lambda/seed"),
            ),
            // A custom resource may be behind a topic, too: there is no log of that.
            ("arn:aws:sns:eu-west-1:1:seed", None),
            ("seed", None),
        ] {
            assert_eq!(function_log(function).as_deref(), expected, "{function}");
        }
    }

    #[test]
    fn a_custom_resource_leads_to_the_log_of_its_run() {
        let function = "arn:aws:lambda:eu-west-1:1:function:seed";
        assert_eq!(
            custom_resource(
                function,
                "Received response status [FAILED] from custom resource. Message returned: See the details in CloudWatch Log Stream: 2026/11/25/[$LATEST]ab (RequestId: 1)"
            )
            .expect("a log"),
            "the function's log is /aws/lambda/seed: https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#logsV2:log-groups/log-group/$252Faws$252Flambda$252Fseed/log-events/2026$252F11$252F25$252F$255B$2524LATEST$255Dab"
        );
        assert!(
            custom_resource(function, "no")
                .expect("a log")
                .ends_with("seed"),
            "the whole log where no stream is named"
        );
    }

    #[test]
    fn an_alias_shift_leads_to_its_deployment() {
        let stack = "arn:aws:cloudformation:eu-west-1:1:stack/app/u";
        for (reason, expected) in [
            (
                "Rollback successful: CodeDeploy deployment d-ABCDEF123 was stopped",
                Some(
                    "deployment d-ABCDEF123: https://eu-west-1.console.aws.amazon.com/codesuite/codedeploy/deployments/d-ABCDEF123?region=eu-west-1",
                ),
            ),
            ("d-not-one", None),
        ] {
            assert_eq!(alias_shift(stack, reason).as_deref(), expected, "{reason}");
        }
    }
}
