//! The role that a function or a state machine gets when it names none.

use serde_json::{Map, Value, json};

use super::policies::{self, Policy};
use super::properties::Properties;
use super::{Result, Source, Translation, get_att, no_value};

/// A resource's role: one of its own, being put together, or a given one.
pub(super) struct Role {
    id: String,
    partition: &'static str,
    given: Option<Value>,
    managed: Vec<Value>,
    /// Managed policies of event sources; they come last.
    sources: Vec<&'static str>,
    /// Policies of event sources, which come last too.
    source_policies: Vec<Value>,
    /// Policies that the transform adds; they come before the template's.
    own: Vec<Value>,
    inline: Vec<Value>,
    rest: Map<String, Value>,
}

impl Role {
    pub(super) fn new(
        translation: &Translation,
        source: &Source<'_>,
        given: &mut Properties<'_>,
        tags: Vec<Value>,
        assume: Value,
    ) -> Result<Self> {
        let mut rest = Map::from_iter([("AssumeRolePolicyDocument".to_owned(), assume)]);
        if let Some(path) = given.take("RolePath") {
            rest.insert("Path".to_owned(), path);
        }
        given.pass(&["PermissionsBoundary"], &mut rest);
        rest.insert("Tags".to_owned(), tags.into());
        let role = given.take("Role");
        if role
            .as_ref()
            .is_some_and(|role| role.get("Fn::If").is_some())
        {
            return Err(given.fail("has a `Role` that depends on a condition, which the transform on this machine does not cover"));
        }
        Ok(Self {
            id: format!("{}Role", source.id),
            partition: translation.partition,
            given: role,
            managed: Vec::new(),
            sources: Vec::new(),
            source_policies: Vec::new(),
            own: Vec::new(),
            inline: Vec::new(),
            rest,
        })
    }

    /// The trust policy that lets a service take on the role.
    pub(super) fn assumed_by(service: &str) -> Value {
        json!({"Version": "2012-10-17", "Statement": [{
            "Action": ["sts:AssumeRole"],
            "Effect": "Allow",
            "Principal": {"Service": [service]},
        }]})
    }

    /// What a function needs to write its log.
    pub(super) fn log(&mut self) {
        self.manage("service-role/AWSLambdaBasicExecutionRole");
    }

    /// What the resource's `Role` is.
    pub(super) fn arn(&self) -> Value {
        self.given
            .clone()
            .unwrap_or_else(|| get_att(&self.id, "Arn"))
    }

    /// Whether the transform makes the role.
    pub(super) fn is_own(&self) -> bool {
        self.given.is_none()
    }

    pub(super) fn trace(&mut self) {
        self.manage("AWSXrayWriteOnlyAccess");
    }

    pub(super) fn join_network(&mut self) {
        self.manage("service-role/AWSLambdaVPCAccessExecutionRole");
    }

    /// What an event source that Lambda polls needs: a managed policy, by name.
    pub(super) fn poll(&mut self, policy: &'static str) {
        self.sources.push(policy);
    }

    /// What an event source needs that no managed policy grants; the same document is not added twice.
    pub(super) fn add_source(&mut self, name: &str, document: Value) {
        let policies = self
            .own
            .iter()
            .chain(&self.inline)
            .chain(&self.source_policies);
        if policies
            .map(|policy| &policy["PolicyDocument"])
            .all(|other| *other != document)
        {
            self.source_policies
                .push(json!({"PolicyName": name, "PolicyDocument": document}));
        }
    }

    /// A policy that follows from another property of the function.
    pub(super) fn add_own(&mut self, name: &str, document: Value) {
        self.own
            .push(json!({"PolicyName": name, "PolicyDocument": document}));
    }

    /// The template's `Policies`: one or several; names, ARNs, documents and SAM policy templates.
    pub(super) fn add_policies(&mut self, given: &mut Properties<'_>) -> Result<()> {
        let policies = match given.take("Policies") {
            None => return Ok(()),
            Some(Value::Array(list)) => list,
            Some(one) => vec![one],
        };
        for (index, policy) in policies.into_iter().enumerate() {
            let name = format!("{}Policy{index}", self.id);
            let inline = |document: Value| json!({"PolicyName": name, "PolicyDocument": document});
            match policies::parse(&policy, self.partition).map_err(|what| given.fail(format!("has a policy that {what}")))? {
                Policy::Managed(arn) => self.managed.push(arn),
                Policy::Inline(document) => self.inline.push(inline(document)),
                Policy::None => {}
                Policy::Either(condition, branches) => match *branches {
                    (Policy::Inline(document), Policy::None) => {
                        self.inline.push(json!({"Fn::If": [condition, inline(document), no_value()]}));
                    }
                    (Policy::None, Policy::Inline(document)) => {
                        self.inline.push(json!({"Fn::If": [condition, no_value(), inline(document)]}));
                    }
                    (Policy::Inline(then), Policy::Inline(otherwise)) => {
                        self.inline.push(json!({"Fn::If": [condition, inline(then), inline(otherwise)]}));
                    }
                    (then, otherwise) => match (then.managed(), otherwise.managed()) {
                        (Some(then), Some(otherwise)) => {
                            self.managed.push(json!({"Fn::If": [condition, then, otherwise]}));
                        }
                        _ => return Err(given.fail("has policies of different kinds in one `Fn::If`: use one for each kind")),
                    },
                },
            }
        }
        Ok(())
    }

    fn manage(&mut self, policy: &str) {
        self.managed.push(json!(format!(
            "arn:{}:iam::aws:policy/{policy}",
            self.partition
        )));
    }

    /// Adds the role, if it is the resource's own.
    pub(super) fn finish(
        mut self,
        translation: &mut Translation,
        source: &Source<'_>,
    ) -> Result<()> {
        if self.given.is_some() {
            return Ok(());
        }
        for policy in std::mem::take(&mut self.sources) {
            self.manage(policy);
        }
        let mut managed: Vec<Value> = Vec::new();
        for policy in self.managed {
            if !managed.contains(&policy) {
                managed.push(policy);
            }
        }
        let mut properties = self.rest;
        properties.insert("ManagedPolicyArns".to_owned(), managed.into());
        let policies = self.own.into_iter().chain(self.inline);
        let policies: Vec<Value> = policies.chain(self.source_policies).collect();
        if !policies.is_empty() {
            properties.insert("Policies".to_owned(), policies.into());
        }
        translation.add(
            &self.id,
            source.beside("AWS::IAM::Role", Value::Object(properties)),
        )
    }
}
