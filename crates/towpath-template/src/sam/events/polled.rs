//! Sources that Lambda polls: queues, streams, brokers and clusters, each with what the function's role needs for it.

use serde_json::{Map, Value, json};

use super::Event;
use crate::sam::properties::Properties;
use crate::sam::role::Role;
use crate::sam::{Result, Translation};

/// Properties of an event source mapping that keep their names.
const MAPPING: &[&str] = &[
    "BatchSize",
    "BisectBatchOnFunctionError",
    "Enabled",
    "FilterCriteria",
    "FunctionResponseTypes",
    "KmsKeyArn",
    "LoggingConfig",
    "MaximumBatchingWindowInSeconds",
    "MaximumRecordAgeInSeconds",
    "MaximumRetryAttempts",
    "MetricsConfig",
    "ParallelizationFactor",
    "ProvisionedPollerConfig",
    "Queues",
    "ScalingConfig",
    "SourceAccessConfigurations",
    "StartingPosition",
    "StartingPositionTimestamp",
    "Topics",
    "TumblingWindowInSeconds",
];
/// What a poller inside a network may do there.
const NETWORK: [&str; 6] = [
    "ec2:CreateNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeVpcs",
    "ec2:DescribeSubnets",
    "ec2:DescribeSecurityGroups",
];

/// What is known of a kind of source.
struct Polled {
    kind: &'static str,
    /// The property that names the source.
    property: Option<&'static str>,
    needs_position: bool,
    /// The managed policy that polling needs.
    policy: Option<&'static str>,
}

const POLLED: [Polled; 7] = [
    Polled {
        kind: "SQS",
        property: Some("Queue"),
        needs_position: false,
        policy: Some("service-role/AWSLambdaSQSQueueExecutionRole"),
    },
    Polled {
        kind: "DynamoDB",
        property: Some("Stream"),
        needs_position: true,
        policy: Some("service-role/AWSLambdaDynamoDBExecutionRole"),
    },
    Polled {
        kind: "Kinesis",
        property: Some("Stream"),
        needs_position: true,
        policy: Some("service-role/AWSLambdaKinesisExecutionRole"),
    },
    Polled {
        kind: "MSK",
        property: Some("Stream"),
        needs_position: true,
        policy: Some("service-role/AWSLambdaMSKExecutionRole"),
    },
    Polled {
        kind: "MQ",
        property: Some("Broker"),
        needs_position: false,
        policy: None,
    },
    Polled {
        kind: "DocumentDB",
        property: Some("Cluster"),
        needs_position: false,
        policy: None,
    },
    Polled {
        kind: "SelfManagedKafka",
        property: None,
        needs_position: false,
        policy: None,
    },
];

impl Event<'_> {
    /// The mapping of a polled source, or the properties back if the source is of another kind.
    pub(super) fn poll<'p>(
        &self,
        translation: &mut Translation,
        role: &mut Role,
        kind: &str,
        mut given: Properties<'p>,
    ) -> Result<Option<Properties<'p>>> {
        let Some(polled) = POLLED.iter().find(|polled| polled.kind == kind) else {
            return Ok(Some(given));
        };
        let mut mapping = Map::from_iter([("FunctionName".to_owned(), self.target.name())]);
        let arn = polled.property.map(|name| given.need(name)).transpose()?;
        if let Some(arn) = &arn {
            mapping.insert("EventSourceArn".to_owned(), arn.clone());
        }
        given.pass(MAPPING, &mut mapping);
        if polled.needs_position && !mapping.contains_key("StartingPosition") {
            return Err(given.fail("has no `StartingPosition`, which a stream needs"));
        }
        if let Some(policy) = polled.policy {
            role.poll(policy);
        }
        let access = access(&given, mapping.get("SourceAccessConfigurations"))?;
        let key = given.take("SecretsManagerKmsKeyId");
        let name = self.own_properties(kind, &mut given, &mut mapping)?;
        let mut statements = statements(kind, &given, &access, arn.as_ref())?;
        if let Some(key) = key.filter(|_| !["SQS", "DynamoDB", "Kinesis", "MSK"].contains(&kind)) {
            let Some(key) = key.as_str() else {
                return Err(given.fail("has a `SecretsManagerKmsKeyId` that is no text"));
            };
            let arn = format!(
                "arn:${{AWS::Partition}}:kms:${{AWS::Region}}:${{AWS::AccountId}}:key/{key}"
            );
            // One text for MQ, a list for the others: so it is in what AWS makes of it.
            let action = if kind == "MQ" {
                json!("kms:Decrypt")
            } else {
                json!(["kms:Decrypt"])
            };
            statements
                .push(json!({"Action": action, "Effect": "Allow", "Resource": {"Fn::Sub": arn}}));
        }
        if !statements.is_empty() {
            let mut document = json!({ "Statement": statements });
            if kind == "SelfManagedKafka" {
                document["Version"] = json!("2012-10-17");
            }
            role.add_source(&name, document);
        }
        self.failures(role, &mut given, &mut mapping)?;
        let others = [
            "Broker",
            "Cluster",
            "CollectionName",
            "ConsumerGroupId",
            "DatabaseName",
            "DestinationConfig",
            "DynamicPolicyName",
            "FullDocument",
            "KafkaBootstrapServers",
            "Queue",
            "SecretsManagerKmsKeyId",
            "Stream",
        ];
        given.finish(&[MAPPING, &others].concat(), &["SchemaRegistryConfig"])?;
        let kind = "AWS::Lambda::EventSourceMapping";
        self.add(translation, "", kind, Value::Object(mapping))?;
        Ok(None)
    }

    /// The properties that only some kinds have; the result is the name of the role's policy.
    fn own_properties(
        &self,
        kind: &str,
        given: &mut Properties<'_>,
        mapping: &mut Map<String, Value>,
    ) -> Result<String> {
        match kind {
            "DocumentDB" => {
                let mut own =
                    Map::from_iter([("DatabaseName".to_owned(), given.need("DatabaseName")?)]);
                given.pass(&["CollectionName", "FullDocument"], &mut own);
                mapping.insert("DocumentDBEventSourceConfig".to_owned(), own.into());
                Ok("SamAutoGeneratedDocumentDBPolicy".to_owned())
            }
            "MQ" => {
                let dynamic = given.take("DynamicPolicyName");
                Ok(if dynamic.is_some_and(|dynamic| dynamic == true) {
                    format!("{}AMQPolicy", self.id)
                } else {
                    "SamAutoGeneratedAMQPolicy".to_owned()
                })
            }
            "MSK" => {
                if let Some(group) = given.take("ConsumerGroupId") {
                    mapping.insert(
                        "AmazonManagedKafkaEventSourceConfig".to_owned(),
                        json!({ "ConsumerGroupId": group }),
                    );
                }
                Ok("MSKExecutionRolePolicy".to_owned())
            }
            "SelfManagedKafka" => {
                let servers = given.need("KafkaBootstrapServers")?;
                mapping.insert(
                    "SelfManagedEventSource".to_owned(),
                    json!({"Endpoints": {"KafkaBootstrapServers": servers}}),
                );
                let topics = mapping.get("Topics").and_then(Value::as_array);
                if topics.map(Vec::len) != Some(1) {
                    return Err(given.fail("needs `Topics` with one topic in it"));
                }
                if let Some(group) = given.take("ConsumerGroupId") {
                    mapping.insert(
                        "SelfManagedKafkaEventSourceConfig".to_owned(),
                        json!({ "ConsumerGroupId": group }),
                    );
                }
                Ok("SelfManagedKafkaExecutionRolePolicy".to_owned())
            }
            _ => Ok(String::new()),
        }
    }

    /// Where records go that could not be worked on, and the right to send them there.
    fn failures(
        &self,
        role: &mut Role,
        given: &mut Properties<'_>,
        mapping: &mut Map<String, Value>,
    ) -> Result<()> {
        let Some(mut configuration) = given.take("DestinationConfig") else {
            return Ok(());
        };
        let Some(failure) = configuration
            .get_mut("OnFailure")
            .and_then(Value::as_object_mut)
        else {
            return Err(given.fail("has a `DestinationConfig` without a mapping `OnFailure`"));
        };
        let kind = failure.shift_remove("Type");
        let destination = failure.get("Destination").cloned().unwrap_or(Value::Null);
        let allow = |action: &str, resource: &Value| json!({"Action": action, "Effect": "Allow", "Resource": resource});
        let statements = match kind.as_ref().map(Value::as_str) {
            None | Some(Some("Kafka")) => Vec::new(),
            Some(Some("SQS")) => vec![allow("sqs:SendMessage", &destination)],
            Some(Some("SNS")) => vec![allow("sns:publish", &destination)],
            Some(Some("S3")) => vec![
                allow(
                    "s3:PutObject",
                    &json!({"Fn::Join": ["/", [destination, "*"]]}),
                ),
                allow("s3:ListBucket", &destination),
            ],
            Some(_) => {
                return Err(given.fail(
                    "has a destination of failures whose `Type` is not SQS, SNS, S3 or Kafka",
                ));
            }
        };
        if let (false, Some(Value::String(kind))) = (statements.is_empty(), kind) {
            let name = format!("{}{kind}Policy", self.id);
            role.add_source(&name, json!({ "Statement": statements }));
        }
        mapping.insert("DestinationConfig".to_owned(), configuration);
        Ok(())
    }
}

/// The pairs of `Type` and `URI` in `SourceAccessConfigurations`.
fn access(given: &Properties<'_>, list: Option<&Value>) -> Result<Vec<(String, Value)>> {
    let entries = match list {
        None => return Ok(Vec::new()),
        Some(Value::Array(entries)) => entries,
        Some(_) => return Err(given.fail("has `SourceAccessConfigurations` that are no list")),
    };
    entries
        .iter()
        .map(|entry| {
            let kind = entry.get("Type").and_then(Value::as_str).ok_or_else(|| {
                given.fail("has an entry of `SourceAccessConfigurations` without a `Type`")
            })?;
            let uri = entry.get("URI").cloned().unwrap_or(Value::Null);
            Ok((kind.to_owned(), uri))
        })
        .collect()
}

fn allow(actions: &[&str], resource: &Value) -> Value {
    json!({"Action": actions, "Effect": "Allow", "Resource": resource})
}

/// What the function's role must be allowed for the source, beside managed policies.
fn statements(
    kind: &str,
    given: &Properties<'_>,
    access: &[(String, Value)],
    arn: Option<&Value>,
) -> Result<Vec<Value>> {
    let secret = |uri: &Value| allow(&["secretsmanager:GetSecretValue"], uri);
    let arn = arn.unwrap_or(&Value::Null);
    let basic = || {
        match access
        .iter()
        .filter(|(kind, _)| kind == "BASIC_AUTH")
        .collect::<Vec<_>>()[..]
    {
        [(_, uri)] if !uri.is_null() => Ok(secret(uri)),
        _ => Err(given.fail(
            "needs `SourceAccessConfigurations` with one entry of the type BASIC_AUTH that has a `URI`",
        )),
    }
    };
    let of_database = |kind: &str| {
        let arn =
            format!("arn:${{AWS::Partition}}:rds:${{AWS::Region}}:${{AWS::AccountId}}:{kind}:*");
        json!({ "Fn::Sub": arn })
    };
    Ok(match kind {
        "MSK" => access
            .iter()
            .filter(|(kind, uri)| kind == "CLIENT_CERTIFICATE_TLS_AUTH" && !uri.is_null())
            .map(|(_, uri)| secret(uri))
            .collect(),
        "MQ" => vec![basic()?, allow(&["mq:DescribeBroker"], arn)],
        "DocumentDB" => vec![
            basic()?,
            allow(
                &["rds:DescribeDBClusterParameters"],
                &of_database("cluster-pg"),
            ),
            allow(&["rds:DescribeDBSubnetGroups"], &of_database("subgrp")),
            allow(&["rds:DescribeDBClusters"], arn),
            allow(&NETWORK, &json!("*")),
        ],
        "SelfManagedKafka" => kafka(given, access)?,
        _ => Vec::new(),
    })
}

/// Secrets, a certificate and a network of a cluster that is not AWS's.
fn kafka(given: &Properties<'_>, access: &[(String, Value)]) -> Result<Vec<Value>> {
    if access.is_empty() {
        return Err(given.fail("has no `SourceAccessConfigurations`, which it needs"));
    }
    let (mut authentication, mut certificate) = (None, None);
    let (mut mechanisms, mut subnets, mut groups) = (0, false, false);
    for (kind, uri) in access {
        match kind.as_str() {
            "VPC_SUBNET" => subnets = true,
            "VPC_SECURITY_GROUP" => groups = true,
            "IAM_AUTH" | "IAM_OAUTHBEARER_AUTH" => mechanisms += 1,
            "SASL_SCRAM_256_AUTH"
            | "SASL_SCRAM_512_AUTH"
            | "BASIC_AUTH"
            | "CLIENT_CERTIFICATE_TLS_AUTH"
            | "OAUTHBEARER_AUTH" => {
                mechanisms += 1;
                authentication = Some(uri);
            }
            "SERVER_ROOT_CA_CERTIFICATE" => certificate = Some(uri),
            "OAUTHBEARER_SCOPE"
            | "OAUTHBEARER_AUDIENCE"
            | "OAUTHBEARER_LOGICAL_CLUSTER"
            | "OAUTHBEARER_IDENTITY_POOL" => {}
            other => {
                return Err(given.fail(format!(
                    "has an entry of `SourceAccessConfigurations` of the type `{other}`, which a Kafka cluster does not have"
                )));
            }
        }
    }
    if mechanisms > 1 {
        return Err(given.fail("names more than one way of authentication: keep one"));
    }
    if subnets != groups {
        return Err(given.fail(
            "needs both VPC_SUBNET and VPC_SECURITY_GROUP in `SourceAccessConfigurations`, or neither",
        ));
    }
    let mut statements: Vec<Value> = authentication
        .into_iter()
        .chain(certificate)
        .map(|uri| allow(&["secretsmanager:GetSecretValue"], uri))
        .collect();
    if subnets {
        statements.push(allow(&NETWORK, &json!("*")));
    }
    Ok(statements)
}
