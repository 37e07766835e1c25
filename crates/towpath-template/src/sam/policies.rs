//! What may stand in a function's `Policies`, and SAM's policy templates.

use serde_json::{Map, Value, json};

use crate::suggest::did_you_mean;

/// One entry of `Policies`.
pub(super) enum Policy {
    /// An ARN, as text or as a function.
    Managed(Value),
    /// A policy document.
    Inline(Value),
    /// `AWS::NoValue`
    None,
    /// `Fn::If` with both of its branches.
    Either(Value, Box<(Policy, Policy)>),
}

impl Policy {
    /// What stands for the policy in a list of ARNs.
    pub(super) fn managed(self) -> Option<Value> {
        match self {
            Self::Managed(arn) => Some(arn),
            Self::None => Some(super::no_value()),
            Self::Inline(_) | Self::Either(..) => None,
        }
    }
}

/// The error completes “has a policy that …”.
pub(super) fn parse(value: &Value, partition: &str) -> Result<Policy, String> {
    let map = match value {
        Value::String(name) => return Ok(Policy::Managed(managed(name, partition).into())),
        Value::Object(map) => map,
        _ => return Err("is neither a name nor a mapping".to_owned()),
    };
    if map.contains_key("Statement") {
        return Ok(Policy::Inline(value.clone()));
    }
    let Some((name, argument)) = map.iter().next().filter(|_| map.len() == 1) else {
        return Err("has no `Statement` and is no policy template".to_owned());
    };
    match (name.as_str(), argument) {
        ("Ref", Value::String(name)) if name == "AWS::NoValue" => Ok(Policy::None),
        ("Fn::If", Value::Array(parts)) => match parts.as_slice() {
            [condition, then, otherwise] => {
                let branches = (parse(then, partition)?, parse(otherwise, partition)?);
                Ok(Policy::Either(condition.clone(), Box::new(branches)))
            }
            _ => Err("uses `Fn::If` without a condition and two values".to_owned()),
        },
        ("Ref", _) => Ok(Policy::Managed(value.clone())),
        (function, _) if function.starts_with("Fn::") => Ok(Policy::Managed(value.clone())),
        (name, argument) => template(name, argument).map(Policy::Inline),
    }
}

/// Managed policies that do not lie at the root of their path.
const SERVICE_ROLES: &[&str] = &[
    "AWSLambdaBasicExecutionRole",
    "AWSLambdaDynamoDBExecutionRole",
    "AWSLambdaENIManagementAccess",
    "AWSLambdaKinesisExecutionRole",
    "AWSLambdaMSKExecutionRole",
    "AWSLambdaRole",
    "AWSLambdaSQSQueueExecutionRole",
    "AWSLambdaVPCAccessExecutionRole",
    "AWSCodeDeployRole",
    "AWSCodeDeployRoleForLambda",
    "AmazonAPIGatewayPushToCloudWatchLogs",
    "AmazonECSTaskExecutionRolePolicy",
    "AmazonS3ObjectLambdaExecutionRolePolicy",
];

/// The ARN of one of AWS's own policies; an ARN stays as it is.
fn managed(name: &str, partition: &str) -> String {
    if name.contains(':') {
        name.to_owned()
    } else if SERVICE_ROLES.contains(&name) {
        format!("arn:{partition}:iam::aws:policy/service-role/{name}")
    } else {
        format!("arn:{partition}:iam::aws:policy/{name}")
    }
}

/// What a statement of a policy template is about.
enum On {
    Everything,
    /// One resource, `service:…` after the partition.
    One(&'static str),
    Several(&'static [&'static str]),
    /// A parameter that is itself an ARN.
    Given(&'static str),
}

/// Actions and what they are about.
struct Grant {
    /// Separated by spaces.
    actions: &'static str,
    /// A single action is a text or a list of one, as SAM happens to write it.
    is_list: bool,
    on: On,
}

const fn list(actions: &'static str, on: On) -> Grant {
    Grant {
        actions,
        is_list: true,
        on,
    }
}

const fn text(actions: &'static str, on: On) -> Grant {
    Grant {
        actions,
        is_list: false,
        on,
    }
}

const TABLE: &str = "dynamodb:@:table/${tableName}";
const TABLE_AND_INDEX: On = On::Several(&[TABLE, "dynamodb:@:table/${tableName}/index/*"]);
const BUCKET_AND_OBJECTS: On = On::Several(&["s3:::${bucketName}", "s3:::${bucketName}/*"]);
const QUEUE: On = On::One("sqs:@:${queueName}");

/// The policy templates of SAM (AWS documents them under “AWS SAM policy templates”). `@` is region and account;
/// `${name}` is the parameter `Name`.
const TEMPLATES: &[(&str, &[Grant])] = &[
    (
        "AMIDescribePolicy",
        &[list("ec2:DescribeImages", On::Everything)],
    ),
    (
        "AWSSecretsManagerGetSecretValuePolicy",
        &[list(
            "secretsmanager:GetSecretValue",
            On::Given("secretArn"),
        )],
    ),
    (
        "AcmGetCertificatePolicy",
        &[list("acm:GetCertificate", On::Given("certificateArn"))],
    ),
    (
        "CloudFormationDescribeStacksPolicy",
        &[list(
            "cloudformation:DescribeStacks",
            On::One("cloudformation:@:stack/*"),
        )],
    ),
    (
        "CloudWatchDescribeAlarmHistoryPolicy",
        &[list("cloudwatch:DescribeAlarmHistory", On::Everything)],
    ),
    (
        "CloudWatchPutMetricPolicy",
        &[list("cloudwatch:PutMetricData", On::Everything)],
    ),
    (
        "CodePipelineLambdaExecutionPolicy",
        &[list(
            "codepipeline:PutJobSuccessResult codepipeline:PutJobFailureResult",
            On::Everything,
        )],
    ),
    (
        "CodePipelineReadOnlyPolicy",
        &[list(
            "codepipeline:ListPipelineExecutions",
            On::One("codepipeline:@:${pipelinename}"),
        )],
    ),
    (
        "DynamoDBCrudPolicy",
        &[list(
            "dynamodb:GetItem dynamodb:DeleteItem dynamodb:PutItem dynamodb:Scan \
                 dynamodb:Query dynamodb:UpdateItem dynamodb:BatchWriteItem \
                 dynamodb:BatchGetItem dynamodb:DescribeTable dynamodb:ConditionCheckItem",
            TABLE_AND_INDEX,
        )],
    ),
    (
        "DynamoDBReadPolicy",
        &[list(
            "dynamodb:GetItem dynamodb:Scan dynamodb:Query dynamodb:BatchGetItem \
                 dynamodb:DescribeTable",
            TABLE_AND_INDEX,
        )],
    ),
    (
        "DynamoDBReconfigurePolicy",
        &[list("dynamodb:UpdateTable", On::One(TABLE))],
    ),
    (
        "DynamoDBStreamReadPolicy",
        &[
            list(
                "dynamodb:DescribeStream dynamodb:GetRecords dynamodb:GetShardIterator",
                On::One("dynamodb:@:table/${tableName}/stream/${streamName}"),
            ),
            list(
                "dynamodb:ListStreams",
                On::One("dynamodb:@:table/${tableName}/stream/*"),
            ),
        ],
    ),
    (
        "DynamoDBWritePolicy",
        &[list(
            "dynamodb:PutItem dynamodb:UpdateItem dynamodb:BatchWriteItem",
            TABLE_AND_INDEX,
        )],
    ),
    (
        "EC2DescribePolicy",
        &[list(
            "ec2:DescribeRegions ec2:DescribeInstances",
            On::Everything,
        )],
    ),
    (
        "EventBridgePutEventsPolicy",
        &[text(
            "events:PutEvents",
            On::One("events:@:event-bus/${eventBusName}"),
        )],
    ),
    (
        "FilterLogEventsPolicy",
        &[list(
            "logs:FilterLogEvents",
            On::One("logs:@:log-group:${logGroupName}:log-stream:*"),
        )],
    ),
    (
        "FirehoseWritePolicy",
        &[list(
            "firehose:PutRecord firehose:PutRecordBatch",
            On::One("firehose:@:deliverystream/${deliveryStreamName}"),
        )],
    ),
    (
        "KMSDecryptPolicy",
        &[text("kms:Decrypt", On::One("kms:@:key/${keyId}"))],
    ),
    (
        "KMSEncryptPolicy",
        &[text("kms:Encrypt", On::One("kms:@:key/${keyId}"))],
    ),
    (
        "KinesisStreamReadPolicy",
        &[
            list(
                "kinesis:ListStreams kinesis:DescribeLimits",
                On::One("kinesis:@:stream/*"),
            ),
            list(
                "kinesis:DescribeStream kinesis:DescribeStreamSummary kinesis:GetRecords \
                 kinesis:GetShardIterator",
                On::One("kinesis:@:stream/${streamName}"),
            ),
        ],
    ),
    (
        "LambdaInvokePolicy",
        &[list(
            "lambda:InvokeFunction",
            On::One("lambda:@:function:${functionName}*"),
        )],
    ),
    (
        "Route53ChangeResourceRecordSetsPolicy",
        &[list(
            "route53:ChangeResourceRecordSets",
            On::One("route53:::hostedzone/${HostedZoneId}"),
        )],
    ),
    (
        "S3CrudPolicy",
        &[list(
            "s3:GetObject s3:ListBucket s3:GetBucketLocation s3:GetObjectVersion \
                 s3:PutObject s3:PutObjectAcl s3:GetLifecycleConfiguration \
                 s3:PutLifecycleConfiguration s3:DeleteObject",
            BUCKET_AND_OBJECTS,
        )],
    ),
    (
        "S3FullAccessPolicy",
        &[
            list(
                "s3:GetObject s3:GetObjectAcl s3:GetObjectVersion s3:PutObject s3:PutObjectAcl \
                 s3:DeleteObject s3:DeleteObjectTagging s3:DeleteObjectVersionTagging \
                 s3:GetObjectTagging s3:GetObjectVersionTagging s3:PutObjectTagging \
                 s3:PutObjectVersionTagging",
                On::Several(&["s3:::${bucketName}/*"]),
            ),
            list(
                "s3:ListBucket s3:GetBucketLocation s3:GetLifecycleConfiguration \
                 s3:PutLifecycleConfiguration",
                On::Several(&["s3:::${bucketName}"]),
            ),
        ],
    ),
    (
        "S3ReadPolicy",
        &[list(
            "s3:GetObject s3:ListBucket s3:GetBucketLocation s3:GetObjectVersion \
                 s3:GetLifecycleConfiguration",
            BUCKET_AND_OBJECTS,
        )],
    ),
    (
        "S3WritePolicy",
        &[list(
            "s3:PutObject s3:PutObjectAcl s3:PutLifecycleConfiguration",
            BUCKET_AND_OBJECTS,
        )],
    ),
    (
        "SESCrudPolicy",
        &[list(
            "ses:GetIdentityVerificationAttributes ses:SendEmail ses:SendRawEmail \
                 ses:VerifyEmailIdentity",
            On::One("ses:@:identity/${identityName}"),
        )],
    ),
    (
        "SESSendBouncePolicy",
        &[list(
            "ses:SendBounce",
            On::One("ses:@:identity/${identityName}"),
        )],
    ),
    (
        "SNSCrudPolicy",
        &[list(
            "sns:ListSubscriptionsByTopic sns:CreateTopic sns:SetTopicAttributes \
                 sns:Subscribe sns:Publish",
            On::One("sns:@:${topicName}*"),
        )],
    ),
    (
        "SNSPublishMessagePolicy",
        &[list("sns:Publish", On::One("sns:@:${topicName}"))],
    ),
    (
        "SQSPollerPolicy",
        &[list(
            "sqs:ChangeMessageVisibility sqs:ChangeMessageVisibilityBatch sqs:DeleteMessage \
                 sqs:DeleteMessageBatch sqs:GetQueueAttributes sqs:ReceiveMessage",
            QUEUE,
        )],
    ),
    ("SQSSendMessagePolicy", &[list("sqs:SendMessage*", QUEUE)]),
    (
        "SSMParameterReadPolicy",
        &[
            list("ssm:DescribeParameters", On::Everything),
            list(
                "ssm:GetParameters ssm:GetParameter ssm:GetParametersByPath",
                On::One("ssm:@:parameter/${parameterName}"),
            ),
        ],
    ),
    (
        "SSMParameterWithSlashPrefixReadPolicy",
        &[
            list("ssm:DescribeParameters", On::Everything),
            list(
                "ssm:GetParameters ssm:GetParameter ssm:GetParametersByPath",
                On::One("ssm:@:parameter${parameterName}"),
            ),
        ],
    ),
    (
        "StepFunctionsExecutionPolicy",
        &[list(
            "states:StartExecution",
            On::One("states:@:stateMachine:${stateMachineName}"),
        )],
    ),
    (
        "VPCAccessPolicy",
        &[list(
            "ec2:CreateNetworkInterface ec2:DeleteNetworkInterface \
                 ec2:DescribeNetworkInterfaces ec2:DetachNetworkInterface",
            On::Everything,
        )],
    ),
];

/// The document that a policy template stands for.
fn template(name: &str, arguments: &Value) -> Result<Value, String> {
    let Some((_, grants)) = TEMPLATES.iter().find(|(known, _)| *known == name) else {
        let near = did_you_mean(name, TEMPLATES.iter().map(|(known, _)| *known));
        return Err(format!(
            "has no `Statement`, and `{name}` is no policy template that is known here{near}"
        ));
    };
    let argument = |variable: &str| {
        let parameter = parameter(variable);
        arguments
            .get(&parameter)
            .cloned()
            .ok_or_else(|| format!("uses {name} without its parameter `{parameter}`"))
    };
    let substituted = |text: String| -> Result<Value, String> {
        let given: Map<String, Value> = variables(&text)
            .map(|name| Ok((name.to_owned(), argument(name)?)))
            .collect::<Result<_, String>>()?;
        Ok(if given.is_empty() {
            json!({"Fn::Sub": text})
        } else {
            json!({"Fn::Sub": [text, given]})
        })
    };
    let arn = |tail: &str| {
        substituted(format!(
            "arn:${{AWS::Partition}}:{}",
            tail.replace('@', "${AWS::Region}:${AWS::AccountId}")
        ))
    };
    let mut statements = Vec::new();
    for grant in *grants {
        let resource = match &grant.on {
            On::Everything => json!("*"),
            On::One(tail) => arn(tail)?,
            On::Several(tails) => tails
                .iter()
                .map(|tail| arn(tail))
                .collect::<Result<_, _>>()?,
            On::Given(variable) => substituted(format!("${{{variable}}}"))?,
        };
        let action = if grant.is_list {
            grant.actions.split_whitespace().map(Value::from).collect()
        } else {
            json!(grant.actions)
        };
        statements.push(json!({"Action": action, "Effect": "Allow", "Resource": resource}));
    }
    Ok(json!({"Statement": statements}))
}

/// Every policy template that is known here, with the names of its parameters.
pub fn policy_templates() -> Vec<(&'static str, Vec<String>)> {
    let texts = |on: &On| match on {
        On::Everything => Vec::new(),
        On::One(tail) => vec![(*tail).to_owned()],
        On::Several(tails) => tails.iter().map(|tail| (*tail).to_owned()).collect(),
        On::Given(variable) => vec![format!("${{{variable}}}")],
    };
    let parameters = |grants: &[Grant]| -> Vec<String> {
        let texts: Vec<String> = grants.iter().flat_map(|grant| texts(&grant.on)).collect();
        let mut parameters: Vec<String> = texts
            .iter()
            .flat_map(|text| variables(text))
            .map(parameter)
            .collect();
        parameters.sort();
        parameters.dedup();
        parameters
    };
    TEMPLATES
        .iter()
        .map(|(name, grants)| (*name, parameters(grants)))
        .collect()
}

/// The names in `${…}`, without pseudo parameters.
fn variables(text: &str) -> impl Iterator<Item = &str> {
    text.split("${")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once('}')?.0))
        .filter(|name| !name.contains("::"))
}

/// The parameter behind a variable: the same name with a capital, but for one slip of SAM's.
fn parameter(variable: &str) -> String {
    match variable {
        "pipelinename" => "PipelineName".to_owned(),
        _ => variable[..1].to_uppercase() + &variable[1..],
    }
}
