//! Who may call: credentials, roles and what their policies allow.

mod managed;
pub(crate) mod policy;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use uuid::Uuid;

use crate::fidelity::Fidelity;
use crate::{AwsError, Caller};
use policy::{Context, Principal, Question, Verdict};

/// How long a session's credentials are good: one hour, STS's own default.
const SESSION_MS: i64 = 3_600_000;

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

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials([redacted])")
    }
}

/// What a signature is checked against.
#[derive(Clone)]
pub(crate) struct Known {
    /// Never logged.
    pub(crate) secret_access_key: String,
    /// What must come with the request; `None` for long-term credentials.
    pub(crate) session_token: Option<String>,
    /// Milliseconds since the epoch; `None` never expires.
    pub(crate) expiration_ms: Option<i64>,
    /// Whom it proves.
    pub(crate) caller: Caller,
}

impl Known {
    /// Whether the credentials have run out at `now_ms`.
    pub(crate) fn expired(&self, now_ms: i64) -> bool {
        self.expiration_ms.is_some_and(|at| at <= now_ms)
    }

    /// Whether `token` is the one that these credentials need.
    pub(crate) fn accepts_token(&self, token: Option<&str>) -> bool {
        self.session_token.as_deref() == token.filter(|token| !token.is_empty())
    }
}

struct Session {
    known: Known,
    policy: Option<Value>,
}

/// Every credential and role of this world.
pub(crate) struct Identity {
    account: String,
    fidelity: Arc<Fidelity>,
    root: (String, String),
    state: RwLock<State>,
}

#[derive(Default)]
struct State {
    roles: BTreeMap<String, RoleDefinition>,
    managed: BTreeMap<String, Value>,
    sessions: BTreeMap<String, Session>,
}

impl Identity {
    /// Fresh root credentials, no roles.
    pub(crate) fn new(account: &str, fidelity: Arc<Fidelity>) -> Self {
        Self {
            account: account.to_owned(),
            fidelity,
            root: (access_key_id("AKIA"), secret()),
            state: RwLock::default(),
        }
    }

    /// Access key id and secret of the account's root, new in every world.
    pub(crate) fn root_credentials(&self) -> (&str, &str) {
        (&self.root.0, &self.root.1)
    }

    /// What is known of an access key id, whether or not it has expired.
    pub(crate) fn known(&self, access_key_id: &str) -> Option<Known> {
        if access_key_id == self.root.0 {
            return Some(Known {
                secret_access_key: self.root.1.clone(),
                session_token: None,
                expiration_ms: None,
                caller: Caller::Root,
            });
        }
        let state = self.read();
        Some(state.sessions.get(access_key_id)?.known.clone())
    }

    /// Creates or replaces a role.
    pub(crate) fn put_role(&self, name: &str, role: RoleDefinition) {
        self.write().roles.insert(name.to_owned(), role);
    }

    /// Forgets a role; its sessions can do nothing from then on.
    pub(crate) fn delete_role(&self, name: &str) {
        self.write().roles.remove(name);
    }

    /// The role of that name.
    pub(crate) fn role(&self, name: &str) -> Option<RoleDefinition> {
        self.read().roles.get(name).cloned()
    }

    /// Every role's name and definition.
    pub(crate) fn roles(&self) -> Vec<(String, RoleDefinition)> {
        self.read()
            .roles
            .iter()
            .map(|(name, role)| (name.clone(), role.clone()))
            .collect()
    }

    /// Creates or replaces a customer managed policy, which roles name by its ARN.
    pub(crate) fn put_policy(&self, arn: &str, document: Value) {
        self.write().managed.insert(arn.to_owned(), document);
    }

    /// Forgets a customer managed policy.
    pub(crate) fn delete_policy(&self, arn: &str) {
        self.write().managed.remove(arn);
    }

    /// Whether the role's trust policy lets `service` (`lambda.amazonaws.com`) assume it.
    /// The service says for which account it acts, and for which of its resources when it knows.
    pub(crate) fn trusts_service(
        &self,
        role: &str,
        service: &str,
        source_arn: Option<&str>,
    ) -> bool {
        let mut context = Context::new();
        context.insert("aws:sourceaccount".into(), vec![self.account.clone()]);
        if let Some(arn) = source_arn {
            context.insert("aws:sourcearn".into(), vec![arn.to_owned()]);
        }
        self.role(role_name(role)).is_some_and(|role| {
            trust_allows(
                &role.trust,
                &[Principal::Service(service.to_owned())],
                &context,
            )
        })
    }

    /// Whether the role's trust policy lets `caller` assume it.
    pub(crate) fn trusts_caller(&self, role: &str, caller: &Caller) -> bool {
        self.role(role_name(role)).is_some_and(|role| {
            trust_allows(&role.trust, &self.principals(caller), &Context::new())
        })
    }

    /// A session of a role, by its name or ARN, limited by `session_policy` when there is one.
    /// The trust policy is not asked: a service that acts for AWS asks it by [`Identity::trusts_service`].
    pub(crate) fn assume(
        &self,
        role: &str,
        session_name: &str,
        session_policy: Option<Value>,
    ) -> Result<Credentials, AwsError> {
        let name = role_name(role);
        let mut state = self.write();
        if !state.roles.contains_key(name) {
            return Err(AwsError::client(
                "AccessDenied",
                format!("no role `{name}` exists, so nobody can assume it"),
            )
            .with_status(403));
        }
        let credentials = Credentials {
            access_key_id: access_key_id("ASIA"),
            secret_access_key: secret(),
            session_token: format!("{}{}", secret(), secret()),
            expiration_ms: now_ms() + SESSION_MS,
        };
        let session = Session {
            known: Known {
                secret_access_key: credentials.secret_access_key.clone(),
                session_token: Some(credentials.session_token.clone()),
                expiration_ms: Some(credentials.expiration_ms),
                caller: Caller::Role {
                    session_arn: format!(
                        "arn:aws:sts::{}:assumed-role/{name}/{session_name}",
                        self.account
                    ),
                    role: name.to_owned(),
                    access_key_id: credentials.access_key_id.clone(),
                },
            },
            policy: session_policy,
        };
        let now = now_ms();
        // An expired session is remembered for one more lifetime, so that its use is told from a wrong key.
        state
            .sessions
            .retain(|_, session| !session.known.expired(now - SESSION_MS));
        state
            .sessions
            .insert(credentials.access_key_id.clone(), session);
        Ok(credentials)
    }

    /// Ends a session's credentials now, as if their hour were over.
    pub(crate) fn expire(&self, access_key_id: &str) {
        if let Some(session) = self.write().sessions.get_mut(access_key_id) {
            session.known.expiration_ms = Some(0);
        }
    }

    /// Whether the caller may do `action` (`s3:GetObject`) on `resource` (an ARN or `*`).
    pub(crate) fn authorize(
        &self,
        caller: &Caller,
        action: &str,
        resource: &str,
    ) -> Result<(), AwsError> {
        self.authorize_with(caller, action, resource, &Context::new(), None)
    }

    /// The same, with the request's condition keys and the policy of the resource itself.
    pub(crate) fn authorize_with(
        &self,
        caller: &Caller,
        action: &str,
        resource: &str,
        context: &Context,
        resource_policy: Option<&Value>,
    ) -> Result<(), AwsError> {
        let principals = self.principals(caller);
        // Condition keys are compared without regard to case.
        let mut context: Context = context
            .iter()
            .map(|(key, values)| (key.to_ascii_lowercase(), values.clone()))
            .collect();
        self.describe(caller, &mut context);
        let question = Question {
            action,
            resource,
            principals: &principals,
            context: &context,
        };
        let on_resource = resource_policy
            .map(|policy| policy::evaluate_resource(policy, &question))
            .unwrap_or_default();
        let (identity, session) = match caller {
            Caller::Root => (
                Verdict {
                    allowed: true,
                    ..Verdict::default()
                },
                None,
            ),
            Caller::Role {
                role,
                access_key_id,
                ..
            } => self.judge_role(role, access_key_id, &question),
        };
        let unknown = [Some(&identity), session.as_ref(), Some(&on_resource)];
        for operator in unknown.into_iter().flatten().flat_map(|v| &v.unknown) {
            self.fidelity
                .simulated(format!("IAM condition operator {operator}"));
        }

        let reason = if identity.denied {
            "with an explicit deny in an identity-based policy".to_owned()
        } else if session.as_ref().is_some_and(|verdict| verdict.denied) {
            "with an explicit deny in a session policy".to_owned()
        } else if on_resource.denied {
            "with an explicit deny in a resource-based policy".to_owned()
        } else if !identity.allowed && !on_resource.allowed {
            format!("because no identity-based policy allows the {action} action")
        } else if session.as_ref().is_some_and(|verdict| !verdict.allowed) {
            format!("because no session policy allows the {action} action")
        } else {
            return Ok(());
        };
        Err(AwsError::client(
            "AccessDenied",
            format!(
                "User: {} is not authorized to perform: {action} on resource: {resource} {reason}",
                caller.arn(&self.account)
            ),
        )
        .with_status(403))
    }

    fn judge_role(
        &self,
        role: &str,
        access_key_id: &str,
        question: &Question<'_>,
    ) -> (Verdict, Option<Verdict>) {
        let state = self.read();
        let mut identity = Verdict::default();
        for policy in state
            .roles
            .get(role)
            .map_or(&[][..], |role| role.policies.as_slice())
        {
            match policy {
                Value::String(arn) => {
                    match state
                        .managed
                        .get(arn)
                        .cloned()
                        .or_else(|| managed::document(arn))
                    {
                        Some(document) => identity.merge(policy::evaluate(&document, question)),
                        None => self
                            .fidelity
                            .refused(format!("managed policy {arn} (grants nothing here)")),
                    }
                }
                document => identity.merge(policy::evaluate(document, question)),
            }
        }
        let session = state
            .sessions
            .get(access_key_id)
            .and_then(|session| session.policy.as_ref())
            .map(|policy| policy::evaluate(policy, question));
        (identity, session)
    }

    /// Every name under which a policy may mean the caller.
    fn principals(&self, caller: &Caller) -> Vec<Principal> {
        let mut names = vec![
            caller.arn(&self.account),
            format!("arn:aws:iam::{}:root", self.account),
            self.account.clone(),
        ];
        if let Caller::Role { role, .. } = caller
            && let Some(role) = self.role(role)
        {
            names.push(role.arn);
        }
        names.into_iter().map(Principal::Aws).collect()
    }

    fn describe(&self, caller: &Caller, context: &mut Context) {
        let arn = match caller {
            Caller::Root => caller.arn(&self.account),
            // For a session this key holds the role's ARN, not the session's.
            Caller::Role { role, .. } => self
                .role(role)
                .map_or_else(|| caller.arn(&self.account), |role| role.arn),
        };
        context.insert("aws:principalarn".into(), vec![arn]);
        for key in [
            "aws:principalaccount",
            "aws:resourceaccount",
            "s3:resourceaccount",
        ] {
            context.insert(key.into(), vec![self.account.clone()]);
        }
        // The wire here is plain HTTP on the loopback interface; a policy that insists on TLS would refuse everything.
        context.insert("aws:securetransport".into(), vec!["true".into()]);
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn trust_allows(trust: &Value, principals: &[Principal], context: &Context) -> bool {
    let verdict = policy::evaluate_trust(
        trust,
        &Question {
            action: "sts:AssumeRole",
            resource: "*",
            principals,
            context,
        },
    );
    verdict.allowed && !verdict.denied
}

/// The name in `arn:aws:iam::ACCOUNT:role/PATH/NAME`, or the text itself.
fn role_name(role: &str) -> &str {
    role.rsplit('/').next().unwrap_or(role)
}

/// Milliseconds since the epoch.
pub(crate) fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        })
}

fn access_key_id(prefix: &str) -> String {
    let random = Uuid::new_v4().simple().to_string().to_ascii_uppercase();
    format!("{prefix}{}", &random[..16])
}

/// 244 random bits.
fn secret() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

#[cfg(test)]
mod tests;
