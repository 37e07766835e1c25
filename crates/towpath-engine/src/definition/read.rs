//! From JSON to types: every member of the wrong shape is reported, none is guessed.

use std::time::Duration;

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use super::{
    Action, ActionType, ArtifactStore, Definition, ExecutionMode, PipelineType, RetryMode, Stage,
    Variable, catalogue,
};
use crate::constraint::{ARTIFACT_NAME, NAME, NAMESPACE, Rule, Violations};
use crate::definition::Provider;

const BUCKET: Rule = Rule::length(3, 63).of(r"[a-zA-Z0-9\-\.]+", |c| {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '.')
});
const KEY_ID: Rule = Rule::length(1, 400);
const REGION: Rule = Rule::length(4, 30);
const PROVIDER: Rule = Rule::length(1, 35).of("[0-9A-Za-z_-]+", |c| {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
});
const VERSION: Rule = Rule::length(1, 9).of("[0-9A-Za-z_-]+", |c| {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
});
const VARIABLE: Rule = Rule::length(1, 128).of(
    crate::constraint::VARIABLE_PATTERN,
    crate::constraint::is_variable_character,
);
const VARIABLE_VALUE: Rule = Rule::length(1, 1000);

/// Reads the document, or says everything that is wrong with its members.
pub(super) fn read(document: &Value, region: &str) -> Result<Definition, Violations> {
    let mut reader = Reader::default();
    let definition = reader.pipeline(document, region);
    if reader.violations.is_empty() {
        Ok(definition)
    } else {
        Err(reader.violations)
    }
}

#[derive(Default)]
struct Reader {
    violations: Violations,
}

impl Reader {
    fn pipeline(&mut self, document: &Value, region: &str) -> Definition {
        let mut object = self.object(document, "pipeline").clone();
        let name = self.required(&object, "pipeline", "name", &NAME);
        let role_arn = self.role(&object, "pipeline");
        if role_arn.is_none() && object.get("roleArn").is_none_or(Value::is_null) {
            self.violations.missing("pipeline.roleArn");
        }
        let stores = self.stores(&object, region);
        let pipeline_type = match self
            .one_of(&object, "pipeline", "pipelineType", &["V1", "V2"])
            .as_deref()
        {
            Some("V2") => PipelineType::V2,
            _ => PipelineType::V1,
        };
        let mode = match self
            .one_of(
                &object,
                "pipeline",
                "executionMode",
                &["QUEUED", "SUPERSEDED", "PARALLEL"],
            )
            .as_deref()
        {
            Some("QUEUED") => ExecutionMode::Queued,
            Some("PARALLEL") => ExecutionMode::Parallel,
            _ => ExecutionMode::Superseded,
        };
        let variables = self
            .list(&object, "pipeline", "variables", false)
            .iter()
            .enumerate()
            .map(|(index, variable)| {
                let path = format!("pipeline.variables.{}.member", index + 1);
                let object = self.object(variable, &path);
                Variable {
                    name: self.required(&object, &path, "name", &VARIABLE),
                    default: self.optional(&object, &path, "defaultValue", &VARIABLE_VALUE),
                }
            })
            .collect();
        let stages: Vec<Stage> = self
            .list(&object, "pipeline", "stages", true)
            .iter()
            .enumerate()
            .map(|(index, stage)| {
                self.stage(stage, &format!("pipeline.stages.{}.member", index + 1))
            })
            .collect();

        object.insert("pipelineType".into(), pipeline_type.as_str().into());
        object.insert("executionMode".into(), mode.as_str().into());
        fill_defaults(&mut object, &stages);
        Definition {
            name,
            role_arn: role_arn.unwrap_or_default(),
            region: region.to_owned(),
            stores,
            stages,
            pipeline_type,
            mode,
            variables,
            document: object,
        }
    }

    fn stores(
        &mut self,
        object: &Map<String, Value>,
        region: &str,
    ) -> IndexMap<String, ArtifactStore> {
        let mut stores = IndexMap::new();
        if let Some(store) = present(object, "artifactStore") {
            stores.insert(
                region.to_owned(),
                self.store(store, "pipeline.artifactStore"),
            );
        }
        if let Some(several) = present(object, "artifactStores") {
            for (region, store) in &self.object(several, "pipeline.artifactStores") {
                let path = format!("pipeline.artifactStores.{region}");
                self.violations.text(region, &path, &REGION);
                let store = self.store(store, &path);
                stores.insert(region.clone(), store);
            }
        }
        stores
    }

    fn store(&mut self, store: &Value, path: &str) -> ArtifactStore {
        let object = self.object(store, path);
        let _ = self.required_one_of(&object, path, "type", &["S3"]);
        let encryption_key = present(&object, "encryptionKey").map(|key| {
            let path = format!("{path}.encryptionKey");
            let key = self.object(key, &path);
            let _ = self.required_one_of(&key, &path, "type", &["KMS"]);
            self.required(&key, &path, "id", &KEY_ID)
        });
        ArtifactStore {
            bucket: self.required(&object, path, "location", &BUCKET),
            encryption_key,
        }
    }

    fn stage(&mut self, stage: &Value, path: &str) -> Stage {
        let object = self.object(stage, path);
        let name = self.required(&object, path, "name", &NAME);
        let retry = present(&object, "onFailure").and_then(|on_failure| {
            let path = format!("{path}.onFailure");
            let on_failure = self.object(on_failure, &path);
            let result = self.one_of(
                &on_failure,
                &path,
                "result",
                &["ROLLBACK", "FAIL", "RETRY", "SKIP"],
            );
            let mode = present(&on_failure, "retryConfiguration").and_then(|retry| {
                let path = format!("{path}.retryConfiguration");
                let retry = self.object(retry, &path);
                self.one_of(
                    &retry,
                    &path,
                    "retryMode",
                    &["FAILED_ACTIONS", "ALL_ACTIONS"],
                )
            });
            (result.as_deref() == Some("RETRY")).then(|| {
                mode.and_then(|mode| RetryMode::parse(&mode))
                    .unwrap_or(RetryMode::FailedActions)
            })
        });
        let actions = self
            .list(&object, path, "actions", true)
            .iter()
            .enumerate()
            .map(|(index, action)| {
                let path = format!("{path}.actions.{}.member", index + 1);
                self.action(action, &path, &name)
            })
            .collect();
        Stage {
            name,
            actions,
            retry,
        }
    }

    fn action(&mut self, action: &Value, path: &str, stage: &str) -> Action {
        let object = self.object(action, path);
        let name = self.required(&object, path, "name", &NAME);
        let action_type = self.action_type(&object, path);
        let provider = catalogue::find(&action_type).map_or(Provider::Lambda, |e| e.provider);
        let run_order = self.integer(&object, path, "runOrder", 1, 999).unwrap_or(1);
        let timeout = self
            .integer(&object, path, "timeoutInMinutes", 5, 86_400)
            .map(|minutes| Duration::from_secs(minutes.unsigned_abs() * 60));
        Action {
            configuration: self.configuration(&object, path, stage, &name),
            inputs: self.artifacts(&object, path, "inputArtifacts"),
            outputs: self.artifacts(&object, path, "outputArtifacts"),
            namespace: self.optional(&object, path, "namespace", &NAMESPACE),
            role_arn: self.role(&object, path),
            region: self.optional(&object, path, "region", &REGION),
            run_order: u16::try_from(run_order).unwrap_or(1),
            name,
            action_type,
            provider,
            timeout,
        }
    }

    fn action_type(&mut self, object: &Map<String, Value>, path: &str) -> ActionType {
        let path = format!("{path}.actionTypeId");
        let Some(action_type) = present(object, "actionTypeId") else {
            self.violations.missing(&path);
            return ActionType {
                category: String::new(),
                owner: String::new(),
                provider: String::new(),
                version: String::new(),
            };
        };
        let object = self.object(action_type, &path);
        ActionType {
            category: self.required_one_of(
                &object,
                &path,
                "category",
                &[
                    "Source", "Build", "Deploy", "Test", "Invoke", "Approval", "Compute",
                ],
            ),
            owner: self.required_one_of(&object, &path, "owner", &["AWS", "ThirdParty", "Custom"]),
            provider: self.required(&object, &path, "provider", &PROVIDER),
            version: self.required(&object, &path, "version", &VERSION),
        }
    }

    fn configuration(
        &mut self,
        object: &Map<String, Value>,
        path: &str,
        stage: &str,
        action: &str,
    ) -> IndexMap<String, String> {
        let Some(configuration) = present(object, "configuration") else {
            return IndexMap::new();
        };
        let path = format!("{path}.configuration");
        let mut entries = IndexMap::new();
        for (key, value) in &self.object(configuration, &path) {
            let Some(text) = scalar(value) else {
                self.violations.add(
                    Some(&value.to_string()),
                    &path,
                    format_args!("Map value must be a string (key `{key}` of action `{action}` in stage `{stage}`)"),
                );
                continue;
            };
            for (what, length, most) in [
                ("keys", key.chars().count(), 50),
                ("value", text.chars().count(), 1000),
            ] {
                if !(1..=most).contains(&length) {
                    self.violations.add(
                        Some(&format!("{{{key}={text}}}")),
                        &path,
                        format_args!(
                            "Map {what} must satisfy constraint: [Member must have length less than or equal to {most}, Member must have length greater than or equal to 1] (`{key}` of action `{action}` in stage `{stage}` has {length} characters)"
                        ),
                    );
                }
            }
            entries.insert(key.clone(), text);
        }
        entries
    }

    fn artifacts(&mut self, object: &Map<String, Value>, path: &str, member: &str) -> Vec<String> {
        self.list(object, path, member, false)
            .iter()
            .enumerate()
            .map(|(index, artifact)| {
                let path = format!("{path}.{member}.{}.member", index + 1);
                let artifact = self.object(artifact, &path);
                self.required(&artifact, &path, "name", &ARTIFACT_NAME)
            })
            .collect()
    }

    fn role(&mut self, object: &Map<String, Value>, path: &str) -> Option<String> {
        let role = self.optional(object, path, "roleArn", &Rule::length(0, 1024))?;
        let parts: Vec<&str> = role.splitn(6, ':').collect();
        let well_formed = matches!(parts.as_slice(), ["arn", partition, "iam", "", account, resource]
            if partition.starts_with("aws")
                && account.len() == 12
                && account.chars().all(|c| c.is_ascii_digit())
                && resource.starts_with("role/"));
        if !well_formed {
            self.violations.add(
                Some(&role),
                &format!("{path}.roleArn"),
                r"Member must satisfy regular expression pattern: arn:aws(-[\w]+)*:iam::[0-9]{12}:role/.*",
            );
        }
        Some(role)
    }

    // The members of an object.

    fn object(&mut self, value: &Value, path: &str) -> Map<String, Value> {
        if let Value::Object(object) = value {
            return object.clone();
        }
        if value.is_null() {
            self.violations.missing(path);
        } else {
            self.violations
                .add(Some(&value.to_string()), path, "Member must be a structure");
        }
        Map::new()
    }

    fn list(
        &mut self,
        object: &Map<String, Value>,
        path: &str,
        member: &str,
        required: bool,
    ) -> Vec<Value> {
        let path = format!("{path}.{member}");
        match present(object, member) {
            Some(Value::Array(list)) => return list.clone(),
            Some(other) => {
                self.violations
                    .add(Some(&other.to_string()), &path, "Member must be a list");
            }
            None if required => self.violations.missing(&path),
            None => {}
        }
        Vec::new()
    }

    fn optional(
        &mut self,
        object: &Map<String, Value>,
        path: &str,
        member: &str,
        rule: &Rule,
    ) -> Option<String> {
        let value = present(object, member)?;
        let path = format!("{path}.{member}");
        let Some(text) = scalar(value) else {
            self.violations
                .add(Some(&value.to_string()), &path, "Member must be a string");
            return None;
        };
        self.violations.text(&text, &path, rule);
        Some(text)
    }

    fn required(
        &mut self,
        object: &Map<String, Value>,
        path: &str,
        member: &str,
        rule: &Rule,
    ) -> String {
        if present(object, member).is_none() {
            self.violations.missing(&format!("{path}.{member}"));
        }
        self.optional(object, path, member, rule)
            .unwrap_or_default()
    }

    fn one_of(
        &mut self,
        object: &Map<String, Value>,
        path: &str,
        member: &str,
        set: &[&str],
    ) -> Option<String> {
        let text = self.optional(object, path, member, &Rule::length(0, usize::MAX))?;
        self.violations
            .one_of(&text, &format!("{path}.{member}"), set);
        Some(text)
    }

    fn required_one_of(
        &mut self,
        object: &Map<String, Value>,
        path: &str,
        member: &str,
        set: &[&str],
    ) -> String {
        if present(object, member).is_none() {
            self.violations.missing(&format!("{path}.{member}"));
        }
        self.one_of(object, path, member, set).unwrap_or_default()
    }

    fn integer(
        &mut self,
        object: &Map<String, Value>,
        path: &str,
        member: &str,
        min: i64,
        max: i64,
    ) -> Option<i64> {
        let value = present(object, member)?;
        let path = format!("{path}.{member}");
        let number = match value {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        let Some(number) = number else {
            self.violations
                .add(Some(&value.to_string()), &path, "Member must be an integer");
            return None;
        };
        self.violations.range(number, &path, min, max);
        Some(number)
    }
}

/// A member that is there and not null.
fn present<'a>(object: &'a Map<String, Value>, member: &str) -> Option<&'a Value> {
    object.get(member).filter(|value| !value.is_null())
}

/// CloudFormation turns numbers and flags in a configuration into text; so is it here.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// `GetPipeline` shows every action with its run order and, though empty, its lists and configuration.
fn fill_defaults(document: &mut Map<String, Value>, stages: &[Stage]) {
    document.retain(|_, value| !value.is_null());
    let Some(documents) = document.get_mut("stages").and_then(Value::as_array_mut) else {
        return;
    };
    for (document, stage) in documents.iter_mut().zip(stages) {
        let Some(actions) = document.get_mut("actions").and_then(Value::as_array_mut) else {
            continue;
        };
        for (document, action) in actions.iter_mut().zip(&stage.actions) {
            let Some(document) = document.as_object_mut() else {
                continue;
            };
            document.retain(|_, value| !value.is_null());
            document.insert("runOrder".into(), action.run_order.into());
            document.insert("configuration".into(), json!(action.configuration));
            for member in ["inputArtifacts", "outputArtifacts"] {
                document.entry(member).or_insert_with(|| json!([]));
            }
        }
    }
}
