//! Which IAM actions on which resources an operation needs. Best effort: what has no resource here is `*`.

use serde_json::Value;

use crate::input::{list, text};
use crate::{World, ssm};

/// An IAM action and the resource it concerns.
pub(crate) type Need = (String, String);

/// What a caller must be allowed. `service` is the signing name.
pub(crate) fn needed(
    world: &World,
    service: &str,
    operation: &str,
    method: &str,
    path: &str,
    input: &Value,
) -> Vec<Need> {
    let named = |member: &str| text(input, member);
    match service {
        // Lambda and API Gateway's own rules: one asks for itself, the other's actions are HTTP methods.
        "lambda" => passed_role(named("Role")),
        // CodeBuild's policies may ask what a request overrides, which the service itself knows.
        "codebuild" => passed_role(named("serviceRole").or_else(|| named("serviceRoleOverride"))),
        "apigateway" => vec![(
            format!("apigateway:{method}"),
            format!(
                "arn:aws:apigateway:{}::{}",
                world.settings.region,
                path.trim_end_matches('/')
            ),
        )],
        // Anybody may ask who they are; a role's trust policy decides who may assume it.
        "sts" => match operation {
            "GetCallerIdentity" => Vec::new(),
            _ => vec![(
                format!("sts:{operation}"),
                named("RoleArn").unwrap_or_else(|| "*".into()),
            )],
        },
        "cloudformation" => {
            let mut needs = vec![(
                format!("cloudformation:{operation}"),
                stack(
                    world,
                    named("StackName")
                        .or_else(|| named("StackId"))
                        // A change set and an operation are parts of a stack, which is what a policy names.
                        .or_else(|| world.cloudformation.owner(&named("ChangeSetName")?))
                        .or_else(|| world.cloudformation.owner(&named("OperationId")?)),
                ),
            )];
            needs.extend(passed_role(named("RoleARN")));
            needs
        }
        "codepipeline" => vec![(
            format!("codepipeline:{operation}"),
            pipeline(world, operation, input),
        )],
        "logs" => {
            let group = named("logGroupName")
                .or_else(|| named("logGroupIdentifier"))
                .map(|group| {
                    let name = group
                        .split_once(":log-group:")
                        .map_or(group.as_str(), |(_, name)| name);
                    name.trim_end_matches(":*").to_owned()
                });
            let resource = match (group, named("logStreamName")) {
                (Some(group), Some(stream)) if operation.contains("Event") => {
                    format!("log-group:{group}:log-stream:{stream}")
                }
                (Some(group), _) => format!("log-group:{group}:*"),
                // A list of groups is asked of all groups.
                (None, _) => "log-group::log-stream:*".to_owned(),
            };
            vec![(format!("logs:{operation}"), world.arn("logs", &resource))]
        }
        "sns" => vec![(
            format!("sns:{operation}"),
            named("TopicArn")
                .or_else(|| named("TargetArn"))
                .or_else(|| named("Name").map(|name| world.arn("sns", &name)))
                .unwrap_or_else(|| "*".into()),
        )],
        "secretsmanager" => {
            let resource = named("SecretId")
                .or_else(|| named("Name"))
                .map_or_else(|| "*".to_owned(), |id| world.secretsmanager.arn(world, &id));
            vec![(format!("secretsmanager:{operation}"), resource)]
        }
        "ssm" => parameters(world, operation, input),
        "monitoring" => {
            let names = list(input, "AlarmNames")
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .chain(named("AlarmName"));
            let resources: Vec<String> = names
                .map(|name| world.arn("cloudwatch", &format!("alarm:{name}")))
                .collect();
            each(format!("cloudwatch:{operation}"), resources)
        }
        other => vec![(format!("{other}:{operation}"), "*".to_owned())],
    }
}

/// Giving a role to a service is a permission of its own.
fn passed_role(role: Option<String>) -> Vec<Need> {
    role.map(|role| ("iam:PassRole".to_owned(), role))
        .into_iter()
        .collect()
}

fn stack(world: &World, name: Option<String>) -> String {
    match name {
        Some(arn) if arn.starts_with("arn:") => arn,
        // The id behind the name is not known to policies either: they end in `/*`.
        Some(name) => world.arn("cloudformation", &format!("stack/{name}/*")),
        None => "*".to_owned(),
    }
}

fn pipeline(world: &World, operation: &str, input: &Value) -> String {
    // Jobs have no resource: https://docs.aws.amazon.com/service-authorization/latest/reference/list_awscodepipeline.html
    if operation.contains("Job") || operation == "ListPipelines" {
        return "*".to_owned();
    }
    let name = text(input, "pipelineName")
        .or_else(|| text(input, "name"))
        .or_else(|| text(input.get("pipeline")?, "name"));
    let Some(name) = name else {
        return "*".to_owned();
    };
    let mut resource = name;
    // An approval and a retry concern an action or a stage of the pipeline.
    for member in ["stageName", "actionName"] {
        if let Some(part) = text(input, member) {
            resource.push('/');
            resource.push_str(&part);
        }
    }
    world.arn("codepipeline", &resource)
}

fn parameters(world: &World, operation: &str, input: &Value) -> Vec<Need> {
    let names = list(input, "Names")
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .chain(text(input, "Name"))
        .chain(text(input, "Path"));
    let names: Vec<String> = names.collect();
    let resources: Vec<String> = names
        .iter()
        .map(|name| {
            if name.starts_with("arn:") {
                return name.clone();
            }
            world.arn(
                "ssm",
                &format!("parameter/{}", name.trim_start_matches('/')),
            )
        })
        .collect();
    let mut needs = each(format!("ssm:{operation}"), resources);
    // What Parameter Store hands on has to be readable where it lies, too.
    for secret in names.iter().filter_map(|name| ssm::secret(name)) {
        needs.push((
            "secretsmanager:GetSecretValue".to_owned(),
            world.secretsmanager.arn(world, secret),
        ));
    }
    needs
}

fn each(action: String, resources: Vec<String>) -> Vec<Need> {
    if resources.is_empty() {
        return vec![(action, "*".to_owned())];
    }
    resources
        .into_iter()
        .map(|resource| (action.clone(), resource))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Settings;

    #[test]
    fn operations_need_actions_on_resources() {
        let world = World::new(Settings::new("/nowhere"), 1);
        let arn = |rest: &str| {
            let (service, resource) = rest.split_once(' ').expect("two words");
            format!("arn:aws:{service}:us-east-1:000000000000:{resource}")
        };
        for (service, operation, input, expected) in [
            (
                "codepipeline",
                "PutJobSuccessResult",
                json!({"jobId": "j"}),
                vec![("codepipeline:PutJobSuccessResult", "*".to_owned())],
            ),
            (
                "codepipeline",
                "StartPipelineExecution",
                json!({"name": "p"}),
                vec![("codepipeline:StartPipelineExecution", arn("codepipeline p"))],
            ),
            (
                "codepipeline",
                "PutApprovalResult",
                json!({"pipelineName": "p", "stageName": "s", "actionName": "a"}),
                vec![("codepipeline:PutApprovalResult", arn("codepipeline p/s/a"))],
            ),
            (
                "cloudformation",
                "CreateChangeSet",
                json!({"StackName": "s", "RoleARN": "arn:role"}),
                vec![
                    (
                        "cloudformation:CreateChangeSet",
                        arn("cloudformation stack/s/*"),
                    ),
                    ("iam:PassRole", "arn:role".to_owned()),
                ],
            ),
            (
                "cloudformation",
                "DescribeStacks",
                json!({}),
                vec![("cloudformation:DescribeStacks", "*".to_owned())],
            ),
            (
                "ssm",
                "GetParameters",
                json!({"Names": ["/a/b", "c"]}),
                vec![
                    ("ssm:GetParameters", arn("ssm parameter/a/b")),
                    ("ssm:GetParameters", arn("ssm parameter/c")),
                ],
            ),
            (
                "monitoring",
                "DescribeAlarms",
                json!({"AlarmNames": ["x"]}),
                vec![("cloudwatch:DescribeAlarms", arn("cloudwatch alarm:x"))],
            ),
            (
                "logs",
                "PutLogEvents",
                json!({"logGroupName": "/g", "logStreamName": "s"}),
                vec![("logs:PutLogEvents", arn("logs log-group:/g:log-stream:s"))],
            ),
            (
                "secretsmanager",
                "GetSecretValue",
                json!({"SecretId": "app/npm"}),
                vec![(
                    "secretsmanager:GetSecretValue",
                    arn("secretsmanager secret:app/npm"),
                )],
            ),
            (
                "ssm",
                "GetParameter",
                json!({"Name": "/aws/reference/secretsmanager/app/npm"}),
                vec![
                    (
                        "ssm:GetParameter",
                        arn("ssm parameter/aws/reference/secretsmanager/app/npm"),
                    ),
                    (
                        "secretsmanager:GetSecretValue",
                        arn("secretsmanager secret:app/npm"),
                    ),
                ],
            ),
            ("sts", "GetCallerIdentity", json!({}), vec![]),
            (
                "apigateway",
                "GetRestApis",
                json!({}),
                vec![(
                    "apigateway:GET",
                    "arn:aws:apigateway:us-east-1::/restapis".to_owned(),
                )],
            ),
        ] {
            let needs = needed(&world, service, operation, "GET", "/restapis", &input);
            let expected: Vec<Need> = expected
                .into_iter()
                .map(|(action, resource)| (action.to_owned(), resource))
                .collect();
            assert_eq!(needs, expected, "{service}:{operation}");
        }
    }
}
