//! Events of a function: what calls it.

use serde_json::{Map, Value, json};

use super::function::{Target, permission};
use super::properties::Properties;
use super::role::Role;
use super::{Result, Source, Translation, get_att, kind, object, reference, routes};
use crate::suggest::did_you_mean;

mod bucket;
mod polled;
mod timed;

pub(super) use self::bucket::{Notification, Trigger};
pub(super) use self::timed::{Callee, Timed};

const KINDS: [&str; 19] = [
    "AlexaSkill",
    "Cognito",
    "DocumentDB",
    "IoTRule",
    "MQ",
    "MSK",
    "ScheduleV2",
    "SelfManagedKafka",
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
        "Schedule" => this.timed().rule(translation, given, true),
        "ScheduleV2" => this.timed().schedule(translation, given),
        "EventBridgeRule" | "CloudWatchEvent" => this.timed().rule(translation, given, false),
        "SNS" => this.topic(translation, role, given),
        "S3" => this.bucket(translation, given),
        "Cognito" => this.pool(translation, given),
        "CloudWatchLogs" => this.logs(translation, given),
        "IoTRule" => this.iot_rule(translation, given),
        "AlexaSkill" => this.skill(translation, given),
        other => match this.poll(translation, role, other, given)? {
            None => Ok(()),
            Some(given) => Err(given.fail(format!(
                "has the type `{other}`, which does not exist{}",
                did_you_mean(other, KINDS)
            ))),
        },
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

    fn timed(&self) -> Timed<'_> {
        Timed {
            source: self.source,
            callee: Callee::Function(self.target),
            id: self.id.clone(),
        }
    }

    /// A topic calls the function itself, or by way of a queue.
    fn topic(
        &self,
        translation: &mut Translation,
        role: &mut Role,
        mut given: Properties<'_>,
    ) -> Result<()> {
        let topic = given.need("Topic")?;
        let queue = match given.take("SqsSubscription") {
            None | Some(Value::Bool(false)) => None,
            Some(Value::Bool(true)) => Some(self.new_queue(translation, &topic)?),
            Some(own) => {
                let (Some(arn), Some(url)) = (own.get("QueueArn"), own.get("QueueUrl")) else {
                    return Err(given.fail(
                        "has a `SqsSubscription` that is neither true nor a mapping with `QueueArn` and `QueueUrl`",
                    ));
                };
                Some((own.clone(), arn.clone(), url.clone()))
            }
        };
        let endpoint = queue
            .as_ref()
            .map_or_else(|| self.target.arn(), |(_, arn, _)| arn.clone());
        let protocol = if queue.is_some() { "sqs" } else { "lambda" };
        let mut subscription = Map::from_iter([
            ("Endpoint".to_owned(), endpoint),
            ("Protocol".to_owned(), json!(protocol)),
            ("TopicArn".to_owned(), topic.clone()),
        ]);
        let passed = [
            "FilterPolicy",
            "FilterPolicyScope",
            "RedrivePolicy",
            "Region",
        ];
        given.pass(&passed, &mut subscription);
        given.finish(&["Topic", "SqsSubscription"], &[])?;
        let kind = "AWS::SNS::Subscription";
        self.add(translation, "", kind, Value::Object(subscription))?;
        let Some((own, arn, url)) = queue else {
            return self.permit(translation, "sns.amazonaws.com", "SourceArn", topic);
        };
        let statement = json!({
            "Action": "sqs:SendMessage",
            "Effect": "Allow",
            "Principal": "*",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
        });
        let policy = json!({
            "PolicyDocument": {"Version": "2012-10-17", "Statement": [statement]},
            "Queues": [url],
        });
        let id = own
            .get("QueuePolicyLogicalId")
            .and_then(Value::as_str)
            .map_or_else(|| format!("{}QueuePolicy", self.id), str::to_owned);
        translation.add(&id, self.source.beside("AWS::SQS::QueuePolicy", policy))?;
        role.poll("service-role/AWSLambdaSQSQueueExecutionRole");
        // `Enabled` of the template counts for nothing on AWS either.
        let mapping = json!({
            "BatchSize": own.get("BatchSize").cloned().unwrap_or_else(|| json!(10)),
            "Enabled": true,
            "EventSourceArn": arn,
            "FunctionName": self.target.name(),
        });
        let kind = "AWS::Lambda::EventSourceMapping";
        self.add(translation, "EventSourceMapping", kind, mapping)
    }

    /// A queue between topic and function: no settings of its own, its ARN and its URL.
    fn new_queue(
        &self,
        translation: &mut Translation,
        topic: &Value,
    ) -> Result<(Value, Value, Value)> {
        let fifo = topic
            .get("Ref")
            .and_then(Value::as_str)
            .and_then(|id| translation.resources.get(id))
            .and_then(|topic| topic.get("Properties")?.get("FifoTopic"))
            .map(|fifo| translation.known(fifo.clone()))
            .filter(|fifo| fifo != &json!(false));
        let queue = object([("FifoQueue", fifo)]);
        self.add(translation, "Queue", "AWS::SQS::Queue", queue)?;
        let id = format!("{}Queue", self.id);
        Ok((json!({}), get_att(&id, "Arn"), reference(&id)))
    }

    fn iot_rule(&self, translation: &mut Translation, mut given: Properties<'_>) -> Result<()> {
        let payload = object([
            ("Sql", Some(given.need("Sql")?)),
            ("RuleDisabled", Some(json!(false))),
            (
                "Actions",
                Some(json!([{"Lambda": {"FunctionArn": self.target.arn()}}])),
            ),
            ("AwsIotSqlVersion", given.take("AwsIotSqlVersion")),
        ]);
        given.finish(&["AwsIotSqlVersion", "Sql"], &[])?;
        let text = format!(
            "arn:{}:iot:${{AWS::Region}}:${{AWS::AccountId}}:rule/${{RuleName}}",
            translation.partition
        );
        let arn = json!({"Fn::Sub": [text, {"RuleName": reference(&self.id)}]});
        let mut permission =
            permission(self.target, "iot.amazonaws.com", [("SourceArn", Some(arn))]);
        permission["SourceAccount"] = json!({"Fn::Sub": "${AWS::AccountId}"});
        let kind = "AWS::Lambda::Permission";
        self.add(translation, "Permission", kind, permission)?;
        let rule = json!({ "TopicRulePayload": payload });
        self.add(translation, "", "AWS::IoT::TopicRule", rule)
    }

    fn skill(&self, translation: &mut Translation, mut given: Properties<'_>) -> Result<()> {
        let skill = given.take("SkillId");
        given.finish(&["SkillId"], &[])?;
        let principal = "alexa-appkit.amazon.com";
        let permission = permission(self.target, principal, [("EventSourceToken", skill)]);
        let kind = "AWS::Lambda::Permission";
        self.add(translation, "Permission", kind, permission)
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
}
