//! Properties taken one by one, so that whatever is left over is named.

use serde_json::{Map, Value};

use super::{Result, Translation};
use crate::TemplateError;
use crate::suggest::did_you_mean;

/// The properties of a resource or of one of its events.
pub(super) struct Properties<'a> {
    resource: &'a str,
    /// `AWS::Serverless::Function`, or ``event `Name` ``.
    subject: String,
    map: Map<String, Value>,
}

impl<'a> Properties<'a> {
    /// `None` is no properties.
    pub(super) fn new(resource: &'a str, subject: &str, value: Option<&Value>) -> Result<Self> {
        let map = match value {
            None => Map::new(),
            Some(Value::Object(map)) => map.clone(),
            Some(_) => {
                return Err(TemplateError::transform(
                    resource,
                    format!("({subject}) has properties that are no mapping"),
                ));
            }
        };
        Ok(Self {
            resource,
            subject: subject.to_owned(),
            map,
        })
    }

    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.map.shift_remove(name)
    }

    /// Gives a property back.
    pub(super) fn put(&mut self, name: &str, value: Value) {
        self.map.insert(name.to_owned(), value);
    }

    pub(super) fn need(&mut self, name: &str) -> Result<Value> {
        self.take(name)
            .ok_or_else(|| self.fail(format!("has no `{name}`, which it needs")))
    }

    /// Moves the properties that are there and keep their names.
    pub(super) fn pass(&mut self, names: &[&str], into: &mut Map<String, Value>) {
        for name in names {
            if let Some(value) = self.take(name) {
                into.insert((*name).to_owned(), value);
            }
        }
    }

    /// A mapping, empty if it is not there.
    pub(super) fn mapping(&mut self, name: &str) -> Result<Map<String, Value>> {
        match self.take(name) {
            None => Ok(Map::new()),
            Some(Value::Object(map)) => Ok(map),
            Some(_) => Err(self.fail(format!("has a `{name}` that is no mapping"))),
        }
    }

    /// Refuses whatever has not been taken. `known` are all names that could have been; `uncovered` are real
    /// properties that the transform on this machine does not know.
    pub(super) fn finish(self, known: &[&str], uncovered: &[&str]) -> Result<()> {
        let Some(name) = self.map.keys().next() else {
            return Ok(());
        };
        if uncovered.contains(&name.as_str()) {
            return Err(self.fail(format!(
                "has `{name}`, which the transform on this machine does not cover"
            )));
        }
        let near = did_you_mean(name, known.iter().chain(uncovered).copied());
        Err(self.fail(format!("has no property `{name}`{near}")))
    }

    pub(super) fn fail(&self, what: impl AsRef<str>) -> TemplateError {
        TemplateError::transform(
            self.resource,
            format!("({}) {}", self.subject, what.as_ref()),
        )
    }

    /// A place in S3, as `s3://bucket/key?versionId=…` or as `{Bucket, Key, Version}`: bucket, key, version.
    pub(super) fn location(
        &self,
        name: &str,
        value: Value,
        translation: &Translation,
    ) -> Result<Location> {
        let value = translation.known(value);
        let fail = || {
            self.fail(format!(
                "has a `{name}` that is no object in S3: package the template first, which turns a local path into one"
            ))
        };
        match value {
            Value::String(uri) => {
                let (path, version) = match uri.split_once("?versionId=") {
                    Some((path, version)) => (path, Some(Value::from(version))),
                    None => (uri.as_str(), None),
                };
                let object = path
                    .strip_prefix("s3://")
                    .and_then(|path| path.split_once('/'));
                let (bucket, key) = object
                    .filter(|(bucket, key)| !bucket.is_empty() && !key.is_empty())
                    .ok_or_else(fail)?;
                Ok(Location {
                    bucket: bucket.into(),
                    key: key.into(),
                    version,
                })
            }
            Value::Object(mut map) => match (map.remove("Bucket"), map.remove("Key")) {
                (Some(bucket), Some(key)) => Ok(Location {
                    bucket,
                    key,
                    version: map.remove("Version"),
                }),
                _ => Err(fail()),
            },
            _ => Err(fail()),
        }
    }
}

/// An object in S3.
pub(super) struct Location {
    bucket: Value,
    key: Value,
    version: Option<Value>,
}

impl Location {
    /// As Lambda wants it.
    pub(super) fn code(self) -> Value {
        super::object([
            ("S3Bucket", Some(self.bucket)),
            ("S3Key", Some(self.key)),
            ("S3ObjectVersion", self.version),
        ])
    }

    /// As API Gateway wants it.
    pub(super) fn body(self) -> Value {
        super::object([
            ("Bucket", Some(self.bucket)),
            ("Key", Some(self.key)),
            ("Version", self.version),
        ])
    }
}
