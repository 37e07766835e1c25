//! S3 events and Cognito triggers: properties of what calls, and not resources of their own.

use serde_json::{Map, Value, json};

use super::Event;
use crate::TemplateError;
use crate::sam::function::permission;
use crate::sam::properties::Properties;
use crate::sam::{Result, Translation, get_att, kind, object, only_if, reference};

impl Event<'_> {
    pub(super) fn bucket(
        &self,
        translation: &mut Translation,
        mut given: Properties<'_>,
    ) -> Result<()> {
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

    /// A trigger of a user pool, which is a property of the pool.
    pub(super) fn pool(
        &self,
        translation: &mut Translation,
        mut given: Properties<'_>,
    ) -> Result<()> {
        let pool = given.need("UserPool")?;
        let pool = pool.get("Ref").and_then(Value::as_str).filter(|id| {
            translation
                .resources
                .get(*id)
                .is_some_and(|pool| kind(pool) == "AWS::Cognito::UserPool")
        });
        let Some(pool) = pool.map(str::to_owned) else {
            return Err(
                given.fail("has a `UserPool` that is no `Ref` to a user pool of this template")
            );
        };
        let triggers = match given.need("Trigger")? {
            Value::Array(triggers) => triggers,
            one => vec![one],
        };
        given.finish(&["Trigger", "UserPool"], &[])?;
        let arn = get_att(&pool, "Arn");
        let principal = "cognito-idp.amazonaws.com";
        let permission = permission(self.target, principal, [("SourceArn", Some(arn))]);
        let permission = self.source.beside("AWS::Lambda::Permission", permission);
        // One permission for all triggers of the function, and so for all its user pools the last one's.
        let id = format!("{}CognitoPermission", self.target.id);
        translation.made.insert(id, permission);
        for trigger in triggers {
            let Some(trigger) = trigger.as_str() else {
                return Err(self
                    .source
                    .fail("has a Cognito event whose `Trigger` is no text"));
            };
            translation.triggers.push(Trigger {
                function: self.source.id.to_owned(),
                pool: pool.clone(),
                name: trigger.to_owned(),
                arn: self.target.arn(),
            });
        }
        Ok(())
    }
}

/// A trigger of a user pool.
pub(in crate::sam) struct Trigger {
    function: String,
    pool: String,
    name: String,
    arn: Value,
}

impl Trigger {
    /// Puts the trigger into its user pool, which has each of them once.
    pub(in crate::sam) fn attach(self, resources: &mut Map<String, Value>) -> Result<()> {
        let fail = |what: String| Err(TemplateError::transform(&self.function, what));
        let pool = resources
            .entry(self.pool.clone())
            .or_insert_with(|| json!({}));
        let properties = pool
            .as_object_mut()
            .map(|pool| pool.entry("Properties").or_insert_with(|| json!({})));
        let triggers = properties.and_then(Value::as_object_mut).and_then(|map| {
            let triggers = map.entry("LambdaConfig").or_insert_with(|| json!({}));
            triggers.as_object_mut()
        });
        let Some(triggers) = triggers else {
            return fail(format!(
                "has a trigger of the user pool `{}`, whose `LambdaConfig` is no mapping",
                self.pool
            ));
        };
        if triggers.contains_key(&self.name) {
            return fail(format!(
                "has the trigger `{}` of the user pool `{}`, which has one already: keep one",
                self.name, self.pool
            ));
        }
        triggers.insert(self.name, self.arn);
        Ok(())
    }
}

/// An S3 event, which is a property of the bucket and not a resource of its own.
pub(in crate::sam) struct Notification {
    function: String,
    bucket: String,
    permission: String,
    condition: Option<String>,
    configurations: Vec<Value>,
}

impl Notification {
    /// Puts the notification into its bucket and makes the bucket wait for the permission, without which S3 would
    /// refuse it. With a condition the wait is a tag, since `DependsOn` knows no conditions.
    pub(in crate::sam) fn attach(self, resources: &mut Map<String, Value>) -> Result<()> {
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
