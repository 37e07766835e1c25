//! Who may call: credentials, roles and what their policies allow.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use serde_json::Value;

use crate::{AwsError, Caller};

/// A role as IAM keeps it.
#[derive(Debug, Clone)]
pub(crate) struct RoleDefinition {
    /// `arn:aws:iam::ACCOUNT:role/PATH/NAME`.
    pub(crate) arn: String,
    /// The trust policy (`AssumeRolePolicyDocument`).
    pub(crate) trust: Value,
    /// Policy documents; a string is the ARN of a managed policy.
    pub(crate) policies: Vec<Value>,
}

/// Temporary credentials of a role's session.
#[derive(Clone)]
pub(crate) struct Credentials {
    /// `ASIA…`.
    pub(crate) access_key_id: String,
    /// Never logged.
    pub(crate) secret_access_key: String,
    /// Goes with every request as `X-Amz-Security-Token`.
    pub(crate) session_token: String,
    /// Milliseconds since the epoch.
    pub(crate) expiration_ms: i64,
}

/// Every credential and role of this world.
pub(crate) struct Identity {
    account: String,
    roles: RwLock<BTreeMap<String, RoleDefinition>>,
}

impl Identity {
    /// Fresh root credentials, no roles.
    pub(crate) fn new(account: &str) -> Self {
        Self {
            account: account.to_owned(),
            roles: RwLock::default(),
        }
    }

    /// Creates or replaces a role.
    pub(crate) fn put_role(&self, name: &str, role: RoleDefinition) {
        self.roles
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.to_owned(), role);
    }

    /// Forgets a role; its sessions can do nothing from then on.
    pub(crate) fn delete_role(&self, name: &str) {
        self.roles
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(name);
    }

    /// The role of that name.
    pub(crate) fn role(&self, name: &str) -> Option<RoleDefinition> {
        self.roles
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .cloned()
    }

    /// A session of a role, by its name or ARN, limited by `session_policy` when there is one.
    pub(crate) fn assume(
        &self,
        role: &str,
        session_name: &str,
        session_policy: Option<Value>,
    ) -> Result<Credentials, AwsError> {
        let _ = (role, session_name, session_policy, &self.account);
        Err(AwsError::internal("not yet"))
    }

    /// Whether the caller may do `action` (`s3:GetObject`) on `resource` (an ARN or `*`).
    pub(crate) fn authorize(
        &self,
        caller: &Caller,
        action: &str,
        resource: &str,
    ) -> Result<(), AwsError> {
        let _ = (caller, action, resource);
        Ok(())
    }
}
