//! SNS: topics whose messages are kept in files, and reach Lambda subscribers.

use std::sync::Arc;

use serde_json::Value;

use crate::{AwsError, Caller, World};

/// The service's state.
#[derive(Default)]
pub(crate) struct Sns {}

impl Sns {
    /// Answers one operation.
    pub(crate) async fn call(
        &self,
        _world: &Arc<World>,
        _caller: &Caller,
        operation: &str,
        _input: Value,
    ) -> Result<Value, AwsError> {
        Err(AwsError::unknown_operation("sns", operation))
    }
}
