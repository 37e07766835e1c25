//! Who calls: what the signature proved.

/// The principal behind a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// The loopback's own root credentials, or a service calling another inside the loopback. May do anything.
    Root,
    /// A session of a role: checked against the role's policies, and against the session's own policy when it has one.
    Role {
        /// `arn:aws:sts::ACCOUNT:assumed-role/NAME/SESSION`.
        session_arn: String,
        /// The role's name.
        role: String,
        /// The access key that signed, by which the session policy is found.
        access_key_id: String,
    },
}

impl Caller {
    /// The ARN that messages and policies know the caller by.
    pub fn arn(&self, account: &str) -> String {
        match self {
            Self::Root => format!("arn:aws:iam::{account}:root"),
            Self::Role { session_arn, .. } => session_arn.clone(),
        }
    }
}
