//! CloudWatch Logs: groups and streams, each also a plain file that a person can follow.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use crate::{AwsError, Caller, World};

/// The log groups.
pub(crate) struct Logs {
    root: PathBuf,
}

impl Logs {
    /// No groups; files go below `root`.
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Adds a line, making the group and the stream when they are not there.
    /// The same line goes to `<state_dir>/logs/<group>/<stream>.log`.
    pub(crate) fn append(&self, group: &str, stream: &str, line: &str) {
        let _ = (group, stream, line, &self.root);
    }

    /// Answers one operation.
    pub(crate) async fn call(
        &self,
        _world: &Arc<World>,
        _caller: &Caller,
        operation: &str,
        _input: Value,
    ) -> Result<Value, AwsError> {
        Err(AwsError::unknown_operation("logs", operation))
    }
}
