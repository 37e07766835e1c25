//! Rules of EventBridge and schedules of EventBridge Scheduler, which call a function or start a state machine.

use serde_json::{Map, Value, json};

use crate::sam::function::{Target, permission};
use crate::sam::properties::Properties;
use crate::sam::role::Role;
use crate::sam::{Result, Source, Translation, get_att, object, reference};

/// The longest id that a rule's target may have.
const TARGET_ID: usize = 64;

/// What an event starts.
pub(in crate::sam) enum Callee<'a> {
    Function(&'a Target),
    /// A state machine or its alias, whose `Ref` is its ARN.
    StateMachine {
        id: &'a str,
        boundary: Option<Value>,
    },
}

impl Callee<'_> {
    fn arn(&self) -> Value {
        match self {
            Callee::Function(target) => target.arn(),
            Callee::StateMachine { id, .. } => reference(id),
        }
    }

    /// The end of a policy's name, and the action that it allows.
    fn call(&self) -> (&'static str, &'static str) {
        match self {
            Callee::Function(_) => ("LambdaPolicy", "lambda:InvokeFunction"),
            Callee::StateMachine { .. } => ("StartExecutionPolicy", "states:StartExecution"),
        }
    }
}

/// One event of that kind.
pub(in crate::sam) struct Timed<'a> {
    pub(in crate::sam) source: &'a Source<'a>,
    pub(in crate::sam) callee: Callee<'a>,
    /// The logical ids of the callee and the event together.
    pub(in crate::sam) id: String,
}

impl Timed<'_> {
    fn add(
        &self,
        translation: &mut Translation,
        suffix: &str,
        kind: &str,
        properties: Value,
    ) -> Result<()> {
        let id = format!("{}{suffix}", self.id);
        translation.add(&id, self.source.beside(kind, properties))
    }

    /// A rule of EventBridge, by time or by pattern.
    pub(in crate::sam) fn rule(
        &self,
        translation: &mut Translation,
        mut given: Properties<'_>,
        is_schedule: bool,
    ) -> Result<()> {
        let state = state(&mut given, is_schedule)?;
        let id = given
            .take("Target")
            .and_then(|target| target.get("Id").cloned());
        let role = match self.callee {
            Callee::StateMachine { .. } if is_schedule => given.take("RoleArn"),
            _ => None,
        };
        let mut target = Map::from_iter([
            ("Arn".to_owned(), self.callee.arn()),
            (
                "Id".to_owned(),
                id.unwrap_or_else(|| json!(self.target_id())),
            ),
        ]);
        given.pass(
            &["Input", "InputPath", "InputTransformer", "RetryPolicy"],
            &mut target,
        );
        if let Some(queue) = self.dead_letters(translation, &mut given, true)? {
            target.insert("DeadLetterConfig".to_owned(), json!({ "Arn": queue }));
        }
        if let Callee::StateMachine { boundary, .. } = &self.callee {
            let role = if let Some(role) = role {
                role
            } else {
                let name = format!("{}Role", self.id);
                self.role(translation, "events", &name, None, boundary.clone())?
            };
            target.insert("RoleArn".to_owned(), role);
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
        if let Callee::Function(target) = self.callee {
            let arn = get_att(&self.id, "Arn");
            let permission = permission(target, "events.amazonaws.com", [("SourceArn", Some(arn))]);
            self.add(
                translation,
                "Permission",
                "AWS::Lambda::Permission",
                permission,
            )?;
        }
        Ok(())
    }

    fn target_id(&self) -> String {
        let suffix = match self.callee {
            Callee::Function(_) => "LambdaTarget",
            Callee::StateMachine { .. } => "StepFunctionsTarget",
        };
        let room = TARGET_ID - suffix.len();
        format!("{}{suffix}", &self.id[..self.id.len().min(room)])
    }

    /// A schedule of EventBridge Scheduler, with the role that it calls under.
    pub(in crate::sam) fn schedule(
        &self,
        translation: &mut Translation,
        mut given: Properties<'_>,
    ) -> Result<()> {
        const PASSED: [&str; 7] = [
            "Description",
            "EndDate",
            "GroupName",
            "KmsKeyArn",
            "ScheduleExpressionTimezone",
            "StartDate",
            "State",
        ];
        let mut schedule = Map::from_iter([(
            "ScheduleExpression".to_owned(),
            given.need("ScheduleExpression")?,
        )]);
        let window = given.take("FlexibleTimeWindow");
        schedule.insert(
            "FlexibleTimeWindow".to_owned(),
            window.unwrap_or_else(|| json!({"Mode": "OFF"})),
        );
        let unnamed = given.take("OmitName").is_some_and(|omit| omit == true);
        match (given.take("Name"), unnamed) {
            (Some(_), true) => {
                return Err(given.fail("has both `Name` and `OmitName`: keep one"));
            }
            (None, true) => {}
            (name, false) => {
                let name = name.unwrap_or_else(|| json!(self.id));
                schedule.insert("Name".to_owned(), name);
            }
        }
        given.pass(&PASSED, &mut schedule);
        let queue = self.dead_letters(translation, &mut given, false)?;
        let boundary = given.take("PermissionsBoundary");
        let role = match given.take("RoleArn") {
            Some(role) => role,
            None => self.role(translation, "scheduler", &self.id, queue.as_ref(), boundary)?,
        };
        let mut target = Map::from_iter([
            ("Arn".to_owned(), self.callee.arn()),
            ("RoleArn".to_owned(), role),
        ]);
        given.pass(&["Input", "RetryPolicy"], &mut target);
        if let Some(queue) = queue {
            target.insert("DeadLetterConfig".to_owned(), json!({ "Arn": queue }));
        }
        schedule.insert("Target".to_owned(), Value::Object(target));
        let others = [
            "DeadLetterConfig",
            "FlexibleTimeWindow",
            "Input",
            "Name",
            "OmitName",
            "PermissionsBoundary",
            "RetryPolicy",
            "RoleArn",
            "ScheduleExpression",
        ];
        given.finish(&[&PASSED[..], &others].concat(), &[])?;
        let kind = "AWS::Scheduler::Schedule";
        self.add(translation, "", kind, Value::Object(schedule))
    }

    /// The role that the event's service takes on, called after the event; its policy is called after `name`.
    fn role(
        &self,
        translation: &mut Translation,
        service: &str,
        name: &str,
        queue: Option<&Value>,
        boundary: Option<Value>,
    ) -> Result<Value> {
        let policy = |name: &str, suffix: &str, action: &str, resource: &Value| {
            let statement = json!({"Action": action, "Effect": "Allow", "Resource": resource});
            json!({
                "PolicyName": format!("{name}{suffix}"),
                "PolicyDocument": {"Statement": [statement]},
            })
        };
        let (suffix, action) = self.callee.call();
        let mut policies = vec![policy(name, suffix, action, &self.callee.arn())];
        if let Some(queue) = queue {
            policies.push(policy(name, "SQSPolicy", "sqs:SendMessage", queue));
        }
        let assume = Role::assumed_by(&format!("{service}.amazonaws.com"));
        let role = object([
            ("AssumeRolePolicyDocument", Some(assume)),
            ("Policies", Some(policies.into())),
            ("PermissionsBoundary", boundary),
        ]);
        self.add(translation, "Role", "AWS::IAM::Role", role)?;
        Ok(get_att(&format!("{}Role", self.id), "Arn"))
    }

    /// The queue for what could not be delivered: a given one, or one that is made, which a rule needs a policy on.
    fn dead_letters(
        &self,
        translation: &mut Translation,
        given: &mut Properties<'_>,
        of_rule: bool,
    ) -> Result<Option<Value>> {
        let Some(letters) = given.take("DeadLetterConfig") else {
            return Ok(None);
        };
        let queue = match (letters.get("Arn"), letters.get("Type")) {
            (Some(arn), None) => return Ok(Some(arn.clone())),
            (None, Some(kind)) if kind == "SQS" => match letters.get("QueueLogicalId") {
                None => format!("{}Queue", self.id),
                Some(Value::String(id)) => id.clone(),
                Some(_) => {
                    return Err(given.fail("has a `QueueLogicalId` that is no text"));
                }
            },
            _ => {
                return Err(given.fail(
                    "has a `DeadLetterConfig` that needs either the `Arn` of a queue or the `Type` SQS",
                ));
            }
        };
        translation.add(&queue, self.source.beside("AWS::SQS::Queue", json!({})))?;
        if of_rule {
            let statement = json!({
                "Effect": "Allow",
                "Principal": {"Service": "events.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": get_att(&queue, "Arn"),
                "Condition": {"ArnEquals": {"aws:SourceArn": get_att(&self.id, "Arn")}},
            });
            let policy = json!({
                "PolicyDocument": {"Version": "2012-10-17", "Statement": [statement]},
                "Queues": [reference(&queue)],
            });
            self.add(translation, "QueuePolicy", "AWS::SQS::QueuePolicy", policy)?;
        }
        Ok(Some(get_att(&queue, "Arn")))
    }
}

/// `State`, or what `Enabled` stands for.
fn state(given: &mut Properties<'_>, is_schedule: bool) -> Result<Option<Value>> {
    let enabled = given.take("Enabled").filter(|_| is_schedule);
    match (given.take("State"), enabled) {
        (Some(_), Some(_)) => Err(given.fail("has both `State` and `Enabled`: keep one")),
        (Some(state), None) => Ok(Some(state)),
        (None, Some(Value::Bool(enabled))) => {
            Ok(Some(json!(if enabled { "ENABLED" } else { "DISABLED" })))
        }
        (None, Some(_)) => Err(given.fail("has an `Enabled` that is neither true nor false")),
        (None, None) => Ok(None),
    }
}
