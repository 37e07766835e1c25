//! Events of a function: what calls it.

use serde_json::{Map, Value, json};

use super::function::{Target, permission};
use super::properties::Properties;
use super::role::Role;
use super::{Result, Source, Translation, get_att, kind, object, only_if, reference, routes};
use crate::TemplateError;
use crate::suggest::did_you_mean;

const KINDS: [&str; 11] = [
    "Api",
    "HttpApi",
    "Schedule",
    "EventBridgeRule",
    "CloudWatchEvent",
    "SNS",
    "SQS",
    "DynamoDB",
    "Kinesis",
    "S3",
    "CloudWatchLogs",
];
const UNCOVERED: [&str; 10] = [
    "AlexaSkill",
    "Cognito",
    "DocumentDB",
    "IoTRule",
    "MSK",
    "MQ",
    "ScheduleV2",
    "SelfManagedKafka",
    "WebSocketApi",
    "EventBridgeSchedule",
];
/// Properties of an event source mapping that keep their names.
const MAPPING: &[&str] = &[
    "BatchSize",
    "BisectBatchOnFunctionError",
    "Enabled",
    "FilterCriteria",
    "FunctionResponseTypes",
    "MaximumBatchingWindowInSeconds",
    "MaximumRecordAgeInSeconds",
    "MaximumRetryAttempts",
    "ParallelizationFactor",
    "ScalingConfig",
    "StartingPosition",
    "StartingPositionTimestamp",
    "TumblingWindowInSeconds",
];

/// One event of a function.
struct Event<'a> {
    source: &'a Source<'a>,
    target: &'a Target,
    /// The function's and the event's name together.
    id: String,
}

pub(super) fn expand(
    translation: &mut Translation,
    source: &Source<'_>,
    target: &Target,
    role: &mut Role,
    name: &str,
    event: &Value,
) -> Result<()> {
    if routes::is_route(event) {
        let route = routes::parse(translation, source, name, event)?;
        if routes::is_covered(translation, source, &route)? {
            return Ok(());
        }
        let (id, permission) = route.permission(translation, source, name)?;
        return translation.add(&id, permission);
    }
    let given = Properties::new(
        source.id,
        &format!("event `{name}`"),
        event.get("Properties"),
    )?;
    let this = Event {
        source,
        target,
        id: format!("{}{name}", source.id),
    };
    match kind(event) {
        "Schedule" => this.rule(translation, given, true),
        "EventBridgeRule" | "CloudWatchEvent" => this.rule(translation, given, false),
        "SNS" => this.topic(translation, given),
        "S3" => this.bucket(translation, given),
        "CloudWatchLogs" => this.logs(translation, given),
        "SQS" => {
            role.poll("service-role/AWSLambdaSQSQueueExecutionRole");
            this.mapping(translation, given, "Queue")
        }
        "DynamoDB" => {
            role.poll("service-role/AWSLambdaDynamoDBExecutionRole");
            this.mapping(translation, given, "Stream")
        }
        "Kinesis" => {
            role.poll("service-role/AWSLambdaKinesisExecutionRole");
            this.mapping(translation, given, "Stream")
        }
        other if UNCOVERED.contains(&other) => Err(given.fail(format!(
            "has the type {other}, which the transform on this machine does not cover"
        ))),
        other => Err(given.fail(format!(
            "has the type `{other}`, which does not exist{}",
            did_you_mean(other, KINDS)
        ))),
    }
}

impl Event<'_> {
    fn add(
        &self,
        translation: &mut Translation,
        suffix: &str,
        kind: &str,
        properties: Value,
    ) -> Result<()> {
        translation.add(
            &format!("{}{suffix}", self.id),
            self.source.beside(kind, properties),
        )
    }

    fn permit(
        &self,
        translation: &mut Translation,
        principal: &str,
        name: &str,
        value: Value,
    ) -> Result<()> {
        let permission = permission(self.target, principal, [(name, Some(value))]);
        self.add(
            translation,
            "Permission",
            "AWS::Lambda::Permission",
            permission,
        )
    }

    /// A rule of EventBridge, by time or by pattern.
    fn rule(
        &self,
        translation: &mut Translation,
        mut given: Properties<'_>,
        is_schedule: bool,
    ) -> Result<()> {
        let state = match (
            given.take("State"),
            given.take("Enabled").filter(|_| is_schedule),
        ) {
            (Some(_), Some(_)) => {
                return Err(given.fail("has both `State` and `Enabled`: keep one"));
            }
            (Some(state), None) => Some(state),
            (None, Some(Value::Bool(enabled))) => {
                Some(json!(if enabled { "ENABLED" } else { "DISABLED" }))
            }
            (None, Some(_)) => {
                return Err(given.fail("has an `Enabled` that is neither true nor false"));
            }
            (None, None) => None,
        };
        let id = given
            .take("Target")
            .and_then(|target| target.get("Id").cloned());
        let mut target = Map::from_iter([
            ("Arn".to_owned(), self.target.arn()),
            (
                "Id".to_owned(),
                id.unwrap_or_else(|| json!(format!("{}LambdaTarget", self.id))),
            ),
        ]);
        given.pass(
            &["Input", "InputPath", "InputTransformer", "RetryPolicy"],
            &mut target,
        );
        if let Some(queue) = given.take("DeadLetterConfig") {
            if queue.get("Arn").is_none() {
                return Err(given.fail(
                    "has a `DeadLetterConfig` without an `Arn`; a queue made for it is not covered",
                ));
            }
            target.insert("DeadLetterConfig".to_owned(), queue);
        }
        let mut rule = Map::new();
        if is_schedule {
            rule.insert("ScheduleExpression".to_owned(), given.need("Schedule")?);
        } else {
            rule.insert("EventPattern".to_owned(), given.need("Pattern")?);
            given.pass(&["EventBusName"], &mut rule);
        }
        for name in ["Name", "RuleName"] {
            if let Some(name) = given.take(name) {
                rule.insert("Name".to_owned(), name);
            }
        }
        given.pass(&["Description"], &mut rule);
        rule.extend(state.map(|state| ("State".to_owned(), state)));
        rule.insert("Targets".to_owned(), json!([target]));
        let known = [
            "DeadLetterConfig",
            "Description",
            "Enabled",
            "EventBusName",
            "Input",
            "InputPath",
            "InputTransformer",
            "Name",
            "Pattern",
            "RetryPolicy",
            "RuleName",
            "Schedule",
            "State",
            "Target",
        ];
        given.finish(&known, &[])?;
        self.add(translation, "", "AWS::Events::Rule", Value::Object(rule))?;
        self.permit(
            translation,
            "events.amazonaws.com",
            "SourceArn",
            get_att(&self.id, "Arn"),
        )
    }

    fn topic(&self, translation: &mut Translation, mut given: Properties<'_>) -> Result<()> {
        let topic = given.need("Topic")?;
        let mut subscription = Map::from_iter([
            ("Endpoint".to_owned(), self.target.arn()),
            ("Protocol".to_owned(), json!("lambda")),
            ("TopicArn".to_owned(), topic.clone()),
        ]);
        let passed = [
            "FilterPolicy",
            "FilterPolicyScope",
            "RedrivePolicy",
            "Region",
        ];
        given.pass(&passed, &mut subscription);
        given.finish(&["Topic"], &["SqsSubscription"])?;
        self.add(
            translation,
            "",
            "AWS::SNS::Subscription",
            Value::Object(subscription),
        )?;
        self.permit(translation, "sns.amazonaws.com", "SourceArn", topic)
    }

    /// A source that Lambda polls.
    fn mapping(
        &self,
        translation: &mut Translation,
        mut given: Properties<'_>,
        property: &str,
    ) -> Result<()> {
        let mut mapping = Map::from_iter([
            ("EventSourceArn".to_owned(), given.need(property)?),
            ("FunctionName".to_owned(), self.target.name()),
        ]);
        given.pass(MAPPING, &mut mapping);
        if property == "Stream" && !mapping.contains_key("StartingPosition") {
            return Err(given.fail("has no `StartingPosition`, which a stream needs"));
        }
        let known: Vec<&str> = MAPPING.iter().copied().chain([property]).collect();
        given.finish(
            &known,
            &[
                "DestinationConfig",
                "KmsKeyArn",
                "MetricsConfig",
                "ProvisionedPollerConfig",
            ],
        )?;
        self.add(
            translation,
            "",
            "AWS::Lambda::EventSourceMapping",
            Value::Object(mapping),
        )
    }

    fn logs(&self, translation: &mut Translation, mut given: Properties<'_>) -> Result<()> {
        let (group, pattern) = (given.need("LogGroupName")?, given.need("FilterPattern")?);
        given.finish(&["LogGroupName", "FilterPattern"], &[])?;
        let text = format!(
            "arn:{}:logs:${{AWS::Region}}:${{AWS::AccountId}}:log-group:${{__LogGroupName__}}:*",
            translation.partition
        );
        let arn = json!({"Fn::Sub": [text, {"__LogGroupName__": group}]});
        self.permit(translation, "logs.amazonaws.com", "SourceArn", arn)?;
        let filter = json!({"LogGroupName": group, "FilterPattern": pattern, "DestinationArn": self.target.arn()});
        let mut resource = self.source.beside("AWS::Logs::SubscriptionFilter", filter);
        resource["DependsOn"] = json!([format!("{}Permission", self.id)]);
        translation.add(&self.id, resource)
    }

    fn bucket(&self, translation: &mut Translation, mut given: Properties<'_>) -> Result<()> {
        let bucket = given.need("Bucket")?;
        let Some(bucket) = bucket.get("Ref").and_then(Value::as_str) else {
            return Err(given.fail("has a `Bucket` that is no `Ref` to a bucket of this template"));
        };
        let events = match given.need("Events")? {
            Value::Array(events) => events,
            one => vec![one],
        };
        let filter = given.take("Filter");
        given.finish(&["Bucket", "Events", "Filter"], &[])?;
        self.permit(
            translation,
            "s3.amazonaws.com",
            "SourceAccount",
            reference("AWS::AccountId"),
        )?;
        translation.notifications.push(Notification {
            function: self.source.id.to_owned(),
            bucket: bucket.to_owned(),
            permission: format!("{}Permission", self.id),
            condition: self.source.condition().map(str::to_owned),
            configurations: events
                .into_iter()
                .map(|event| {
                    let configuration = object([
                        ("Function", Some(self.target.arn())),
                        ("Filter", filter.clone()),
                        ("Event", Some(event)),
                    ]);
                    only_if(self.source.condition(), configuration)
                })
                .collect(),
        });
        Ok(())
    }
}

/// An S3 event, which is a property of the bucket and not a resource of its own.
pub(super) struct Notification {
    function: String,
    bucket: String,
    permission: String,
    condition: Option<String>,
    configurations: Vec<Value>,
}

impl Notification {
    /// Puts the notification into its bucket and makes the bucket wait for the permission, without which S3 would
    /// refuse it. With a condition the wait is a tag, since `DependsOn` knows no conditions.
    pub(super) fn attach(self, resources: &mut Map<String, Value>) -> Result<()> {
        let bucket = resources
            .get_mut(&self.bucket)
            .filter(|bucket| kind(bucket) == "AWS::S3::Bucket");
        let Some(bucket) = bucket.and_then(Value::as_object_mut) else {
            let what = format!(
                "has an S3 event of `{}`, which is no bucket of this template",
                self.bucket
            );
            return Err(TemplateError::transform(&self.function, what));
        };
        let shape = || {
            TemplateError::transform(&self.bucket, "has notifications or tags of the wrong shape")
        };
        let properties = bucket.entry("Properties").or_insert_with(|| json!({}));
        let properties = properties.as_object_mut().ok_or_else(shape)?;
        let notifications = properties
            .entry("NotificationConfiguration")
            .or_insert_with(|| json!({}));
        let notifications = notifications.as_object_mut().ok_or_else(shape)?;
        let functions = notifications
            .entry("LambdaConfigurations")
            .or_insert_with(|| json!([]));
        functions
            .as_array_mut()
            .ok_or_else(shape)?
            .extend(self.configurations);
        if let Some(condition) = &self.condition {
            let tags = properties
                .entry("Tags")
                .or_insert_with(|| json!([]))
                .as_array_mut()
                .ok_or_else(shape)?;
            tags.push(json!({
                "Key": format!("sam:ConditionalDependsOn:{}", self.permission),
                "Value": {"Fn::If": [condition, reference(&self.permission), "no dependency"]},
            }));
            return Ok(());
        }
        let mut waits = match bucket.remove("DependsOn") {
            None => Vec::new(),
            Some(Value::Array(names)) => names,
            Some(name) => vec![name],
        };
        waits.push(json!(self.permission));
        bucket.insert("DependsOn".to_owned(), waits.into());
        Ok(())
    }
}
