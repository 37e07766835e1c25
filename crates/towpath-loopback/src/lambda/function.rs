//! A function as Lambda keeps it: its newest state, its published versions, its aliases.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::macros::format_description;

use super::code::Code;
use super::configuration::Configuration;
use super::name::{FunctionName, LATEST, arn};
use super::policy::Statement;
use crate::{AwsError, World};

/// One state of a function: `$LATEST` as it is now, or a published version.
#[derive(Debug, Clone)]
pub(crate) struct Version {
    /// The function's name.
    pub(crate) function: String,
    /// `$LATEST` or a number.
    pub(crate) number: String,
    pub(crate) configuration: Configuration,
    pub(crate) code: Arc<Code>,
    /// Changes with every change; environments of another revision are not reused.
    pub(crate) revision: String,
    modified: OffsetDateTime,
}

impl Version {
    /// The state that the request asked for, as of now.
    pub(crate) fn new(function: &str, configuration: Configuration, code: Arc<Code>) -> Self {
        Self {
            function: function.to_owned(),
            number: LATEST.to_owned(),
            configuration,
            code,
            revision: uuid::Uuid::new_v4().to_string(),
            modified: OffsetDateTime::now_utc(),
        }
    }

    /// The `FunctionConfiguration` of this version, with an ARN that carries `qualifier`.
    pub(crate) fn render(&self, world: &World, qualifier: Option<&str>) -> Value {
        let mut shown = Map::new();
        shown.insert("FunctionName".into(), json!(self.function));
        shown.insert(
            "FunctionArn".into(),
            json!(arn(world, &self.function, qualifier)),
        );
        shown.extend(self.configuration.render());
        let modified = self
            .modified
            .format(format_description!(
                "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]+0000"
            ))
            .unwrap_or_default();
        for (name, value) in [
            ("CodeSha256", json!(self.code.sha256)),
            ("CodeSize", json!(self.code.size)),
            ("LastModified", json!(modified)),
            ("Version", json!(self.number)),
            ("RevisionId", json!(self.revision)),
            ("State", json!("Active")),
            ("LastUpdateStatus", json!("Successful")),
        ] {
            shown.insert(name.to_owned(), value);
        }
        Value::Object(shown)
    }
}

/// A name for a version.
#[derive(Debug, Clone)]
pub(crate) struct Alias {
    pub(crate) version: String,
    pub(crate) description: String,
    /// Kept and shown. Every invocation goes to `version`.
    pub(crate) routing: Option<Value>,
    pub(crate) revision: String,
}

impl Alias {
    /// The `AliasConfiguration`.
    pub(crate) fn render(&self, world: &World, function: &str, name: &str) -> Value {
        let mut shown = json!({
            "AliasArn": arn(world, function, Some(name)),
            "Name": name,
            "FunctionVersion": self.version,
            "Description": self.description,
            "RevisionId": self.revision,
        });
        if let Some(routing) = &self.routing {
            shown["RoutingConfig"] = routing.clone();
        }
        shown
    }
}

/// How asynchronous events are retried (`FunctionEventInvokeConfig`).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct EventInvoke {
    /// 0 to 2.
    pub(crate) retries: u32,
    /// Seconds, 60 to 21,600.
    pub(crate) age: u32,
    /// Kept and shown; nothing is sent.
    pub(crate) destinations: Option<Value>,
    /// Seconds since the epoch.
    pub(crate) modified: i64,
}

impl Default for EventInvoke {
    /// What AWS does without a configuration.
    fn default() -> Self {
        Self {
            retries: 2,
            age: 21_600,
            destinations: None,
            modified: 0,
        }
    }
}

/// A function with everything that hangs on its name.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) latest: Arc<Version>,
    pub(crate) published: BTreeMap<u64, Arc<Version>>,
    /// The number of the newest version ever published; numbers are not used twice.
    pub(crate) last_number: u64,
    pub(crate) aliases: BTreeMap<String, Alias>,
    /// Statements by qualifier.
    pub(crate) policy: BTreeMap<Option<String>, Vec<Statement>>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) reserved_concurrency: Option<u32>,
    /// By qualifier, `$LATEST` for the unqualified one.
    pub(crate) event_invoke: BTreeMap<String, EventInvoke>,
}

impl Function {
    /// A function with a first state and nothing else.
    pub(crate) fn new(latest: Version) -> Self {
        Self {
            latest: Arc::new(latest),
            published: BTreeMap::new(),
            last_number: 0,
            aliases: BTreeMap::new(),
            policy: BTreeMap::new(),
            tags: BTreeMap::new(),
            reserved_concurrency: None,
            event_invoke: BTreeMap::new(),
        }
    }

    /// The version that a qualifier leads to.
    pub(crate) fn resolve(&self, qualifier: Option<&str>) -> Option<Arc<Version>> {
        let qualifier = qualifier.unwrap_or(LATEST);
        let number = self
            .aliases
            .get(qualifier)
            .map_or(qualifier, |alias| alias.version.as_str());
        if number == LATEST {
            return Some(Arc::clone(&self.latest));
        }
        self.published.get(&number.parse().ok()?).cloned()
    }

    /// As [`Function::resolve`], with what Lambda answers when there is none.
    pub(crate) fn require(
        &self,
        world: &World,
        name: &FunctionName,
    ) -> Result<Arc<Version>, AwsError> {
        self.resolve(name.qualifier.as_deref())
            .ok_or_else(|| name.not_found(world))
    }

    /// Publishes `$LATEST`. Without a change since the last version that one is returned.
    pub(crate) fn publish(&mut self, description: Option<String>) -> Arc<Version> {
        if let Some(last) = self.published.get(&self.last_number)
            && same(last, &self.latest)
        {
            return Arc::clone(last);
        }
        self.last_number += 1;
        let mut version = Version::clone(&self.latest);
        version.number = self.last_number.to_string();
        version.revision = uuid::Uuid::new_v4().to_string();
        if let Some(description) = description {
            version.configuration.description = description;
        }
        let version = Arc::new(version);
        self.published
            .insert(self.last_number, Arc::clone(&version));
        version
    }

    /// Whether environments of that version and revision may still serve.
    pub(crate) fn is_current(&self, number: &str, revision: &str) -> bool {
        let version = if number == LATEST {
            Some(&self.latest)
        } else {
            number
                .parse()
                .ok()
                .and_then(|number: u64| self.published.get(&number))
        };
        version.is_some_and(|version| version.revision == revision)
    }

    /// Whether a policy of this function lets `principal` invoke it for `source_arn`.
    pub(crate) fn permits(
        &self,
        qualifier: Option<&str>,
        principal: &str,
        source_arn: &str,
        account: &str,
    ) -> bool {
        self.policy
            .get(&qualifier.map(str::to_owned))
            .is_some_and(|statements| {
                statements
                    .iter()
                    .any(|statement| statement.permits(principal, source_arn, account))
            })
    }
}

/// A publication's own description does not make it another version.
fn same(published: &Version, latest: &Version) -> bool {
    let mut configuration = published.configuration.clone();
    configuration
        .description
        .clone_from(&latest.configuration.description);
    configuration == latest.configuration && published.code.sha256 == latest.code.sha256
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::Settings;

    fn version(sha256: &str) -> Version {
        let world = World::new(Settings::new("/nowhere"), 1);
        let configuration = Configuration::create(
            &world,
            &json!({ "Runtime": "provided.al2023", "Handler": "bootstrap", "Role": "r" }),
        )
        .unwrap();
        let code = Code {
            sha256: sha256.into(),
            size: 1,
            root: PathBuf::new(),
            image: None,
        };
        Version::new("app", configuration, Arc::new(code))
    }

    #[test]
    fn a_version_is_published_only_when_something_changed() {
        let mut function = Function::new(version("one"));
        assert_eq!(function.publish(Some("first".into())).number, "1");
        assert_eq!(function.publish(None).number, "1");
        function.latest = Arc::new(version("two"));
        assert_eq!(function.publish(None).number, "2");
        assert_eq!(function.resolve(Some("1")).unwrap().code.sha256, "one");
    }

    #[test]
    fn a_qualifier_leads_to_a_version() {
        let mut function = Function::new(version("one"));
        function.publish(None);
        function.latest = Arc::new(version("two"));
        function.aliases.insert(
            "live".into(),
            Alias {
                version: "1".into(),
                description: String::new(),
                routing: None,
                revision: String::new(),
            },
        );
        for (qualifier, expected) in [
            (None, Some("two")),
            (Some("$LATEST"), Some("two")),
            (Some("1"), Some("one")),
            (Some("live"), Some("one")),
            (Some("2"), None),
            (Some("other"), None),
        ] {
            let got = function
                .resolve(qualifier)
                .map(|version| version.code.sha256.clone());
            assert_eq!(got.as_deref(), expected, "{qualifier:?}");
        }
    }
}
