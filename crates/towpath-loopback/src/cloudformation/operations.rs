//! What was done to a stack: operations, each with an id of its own, and the events that belong to them.
//!
//! A deployment that fails and is rolled back is two operations. Making a change set is one, too, beside
//! whatever else goes on.

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::early_validation::Finding;
use super::events::Event;
use super::hooks::HookResult;
use super::stack::Stack;
use super::status::StackStatus;
use super::wire::{Object, timestamp};

/// The kind of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OperationType {
    CreateStack,
    UpdateStack,
    DeleteStack,
    ContinueRollback,
    Rollback,
    CreateChangeSet,
}

impl OperationType {
    /// As the API spells it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::CreateStack => "CREATE_STACK",
            Self::UpdateStack => "UPDATE_STACK",
            Self::DeleteStack => "DELETE_STACK",
            Self::ContinueRollback => "CONTINUE_ROLLBACK",
            Self::Rollback => "ROLLBACK",
            Self::CreateChangeSet => "CREATE_CHANGESET",
        }
    }

    /// The operation that takes over when this one brings its stack to a status.
    fn gives_way_to(self, status: StackStatus) -> Option<Self> {
        match (self, status) {
            (
                Self::CreateStack | Self::UpdateStack,
                StackStatus::RollbackInProgress
                | StackStatus::UpdateRollbackInProgress
                | StackStatus::ImportRollbackInProgress,
            ) => Some(Self::Rollback),
            (Self::CreateStack, StackStatus::DeleteInProgress) => Some(Self::DeleteStack),
            _ => None,
        }
    }

    /// Whether the operation came through, if the status ends it.
    fn ended_by(self, status: StackStatus) -> Option<bool> {
        let came_through = matches!(
            (self, status),
            (Self::CreateStack, StackStatus::CreateComplete)
                | (
                    Self::UpdateStack,
                    StackStatus::UpdateComplete | StackStatus::ImportComplete,
                )
                | (Self::DeleteStack, StackStatus::DeleteComplete)
                | (
                    Self::Rollback | Self::ContinueRollback,
                    StackStatus::RollbackComplete
                        | StackStatus::UpdateRollbackComplete
                        | StackStatus::ImportRollbackComplete,
                )
        );
        status.is_settled().then_some(came_through)
    }
}

/// One operation.
#[derive(Debug, Clone)]
struct Performed {
    id: String,
    kind: OperationType,
    token: Option<String>,
    began: OffsetDateTime,
    /// When it ended, and whether it came through.
    ended: Option<(OffsetDateTime, bool)>,
}

/// What happened, one after the other.
#[derive(Debug, Clone)]
struct Entry {
    /// An id of its own, where what happened has none.
    id: String,
    at: OffsetDateTime,
    operation: Option<String>,
    what: Happened,
}

#[derive(Debug, Clone)]
enum Happened {
    Began,
    Ended {
        succeeded: bool,
    },
    /// The place of an event.
    Event(usize),
    Found(Finding),
    Refused(HookResult),
}

/// Everything that happened to a stack.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    operations: Vec<Performed>,
    /// The id of the stack's own operation: not of one that only makes a change set.
    current: Option<String>,
    events: Vec<Event>,
    entries: Vec<Entry>,
    /// How many of the events the stack's topics have been told.
    told: usize,
}

/// Which events are asked for.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    /// Only of this operation.
    pub(crate) operation: Option<String>,
    /// Only what failed.
    pub(crate) failed: bool,
}

impl History {
    /// The events of the stack and its resources, oldest first.
    pub(crate) fn events(&self) -> &[Event] {
        &self.events
    }

    /// The events that the stack's topics have not been told, and that count as told from now on.
    pub(crate) fn untold(&mut self) -> &[Event] {
        let first = std::mem::replace(&mut self.told, self.events.len());
        &self.events[first..]
    }

    /// The stack's next operation. One that is still under way has failed.
    pub(crate) fn begin(
        &mut self,
        kind: OperationType,
        token: Option<String>,
        now: OffsetDateTime,
    ) -> String {
        if let Some(former) = self.current.take() {
            self.end(&former, false, now);
        }
        let id = self.begin_beside(kind, token, now);
        self.current = Some(id.clone());
        id
    }

    /// An operation that leaves the stack as it is.
    pub(crate) fn begin_beside(
        &mut self,
        kind: OperationType,
        token: Option<String>,
        now: OffsetDateTime,
    ) -> String {
        let id = uuid::Uuid::new_v4().to_string();
        self.operations.push(Performed {
            id: id.clone(),
            kind,
            token,
            began: now,
            ended: None,
        });
        self.enter(now, Some(id.clone()), Happened::Began);
        id
    }

    /// Ends an operation, if it has not ended.
    pub(crate) fn end(&mut self, id: &str, succeeded: bool, now: OffsetDateTime) {
        let under_way = self
            .operations
            .iter_mut()
            .find(|operation| operation.id == id && operation.ended.is_none());
        if let Some(operation) = under_way {
            operation.ended = Some((now, succeeded));
            self.enter(now, Some(id.to_owned()), Happened::Ended { succeeded });
        }
    }

    /// Records that the stack enters a status, which may begin an operation, and may end one.
    pub(crate) fn turn(&mut self, event: Event, status: StackStatus, now: OffsetDateTime) {
        if let Some(next) = self
            .kind(self.current.as_deref())
            .and_then(|kind| kind.gives_way_to(status))
        {
            self.begin(next, event.token.clone(), now);
        }
        self.push(event);
        let ended = self
            .kind(self.current.as_deref())
            .and_then(|kind| kind.ended_by(status));
        if let (Some(succeeded), Some(id)) = (ended, self.current.clone()) {
            self.end(&id, succeeded, now);
        }
    }

    /// Records an event of the operation that is under way; before the stack's first, that is the making of
    /// the change set which needed a shell of a stack.
    pub(crate) fn push(&mut self, mut event: Event) {
        let first = || {
            self.operations
                .first()
                .map(|operation| operation.id.clone())
        };
        event.operation = self.current.clone().or_else(first);
        let operation = event.operation.clone();
        self.enter(event.at, operation, Happened::Event(self.events.len()));
        self.events.push(event);
    }

    /// Records what the validation of an operation found.
    pub(crate) fn found(&mut self, operation: &str, finding: Finding, now: OffsetDateTime) {
        self.enter(now, Some(operation.to_owned()), Happened::Found(finding));
    }

    /// Records that a hook refused what an operation would do.
    pub(crate) fn refused(&mut self, operation: &str, hook: HookResult, now: OffsetDateTime) {
        self.enter(now, Some(operation.to_owned()), Happened::Refused(hook));
    }

    /// What hooks refused, oldest first.
    pub(crate) fn hooks(&self) -> impl Iterator<Item = &HookResult> {
        self.entries.iter().filter_map(|entry| match &entry.what {
            Happened::Refused(hook) => Some(hook),
            Happened::Event(place) => self.events[*place].hook.as_ref(),
            Happened::Began | Happened::Ended { .. } | Happened::Found(_) => None,
        })
    }

    fn enter(&mut self, at: OffsetDateTime, operation: Option<String>, what: Happened) {
        let id = uuid::Uuid::new_v4().to_string();
        self.entries.push(Entry {
            id,
            at,
            operation,
            what,
        });
    }

    fn operation(&self, id: Option<&str>) -> Option<&Performed> {
        self.operations
            .iter()
            .find(|operation| Some(operation.id.as_str()) == id)
    }

    fn kind(&self, id: Option<&str>) -> Option<OperationType> {
        self.operation(id).map(|operation| operation.kind)
    }

    /// Whether the operation was one of this stack's.
    pub(crate) fn has(&self, id: &str) -> bool {
        self.operation(Some(id)).is_some()
    }

    /// The id of the last operation of a kind that was asked for with this token.
    pub(crate) fn last(&self, kind: OperationType, token: Option<&str>) -> Option<&str> {
        self.operations
            .iter()
            .rfind(|operation| operation.kind == kind && operation.token.as_deref() == token)
            .map(|operation| operation.id.as_str())
    }

    /// `LastOperations`: the stack's last operation, and before it the one that it takes back. How far AWS
    /// goes back is not documented.
    pub(crate) fn latest(&self) -> Vec<Value> {
        let own: Vec<&Performed> = self
            .operations
            .iter()
            .rev()
            .filter(|operation| operation.kind != OperationType::CreateChangeSet)
            .take(2)
            .collect();
        let count = match own.first().map(|last| last.kind) {
            Some(OperationType::Rollback | OperationType::ContinueRollback) => 2,
            _ => 1,
        };
        own.iter()
            .take(count)
            .map(|operation| {
                json!({ "OperationType": operation.kind.as_str(), "OperationId": operation.id })
            })
            .collect()
    }

    /// As `DescribeEvents` shows it: newest first, at most `size` of what lies before the `end`, and where
    /// the next page ends.
    pub(crate) fn describe(
        &self,
        stack: &Stack,
        wanted: &Wanted,
        end: usize,
        size: usize,
    ) -> (Vec<Value>, Option<usize>) {
        let end = end.min(self.entries.len());
        let mut shown = Vec::new();
        for (place, entry) in self.entries[..end].iter().enumerate().rev() {
            let of_operation = wanted.operation.is_none() || wanted.operation == entry.operation;
            if !of_operation || (wanted.failed && !self.failed(entry)) {
                continue;
            }
            if shown.len() == size {
                return (shown, Some(place + 1));
            }
            shown.push(self.show(stack, entry));
        }
        (shown, None)
    }

    fn failed(&self, entry: &Entry) -> bool {
        match &entry.what {
            Happened::Began => false,
            Happened::Ended { succeeded } => !succeeded,
            Happened::Event(place) => self.events[*place].kind() != "PROGRESS_EVENT",
            Happened::Found(_) | Happened::Refused(_) => true,
        }
    }

    /// The members are those of `OperationEvent`; which of them a row of which `EventType` has is not
    /// documented, beyond what their names say.
    fn show(&self, stack: &Stack, entry: &Entry) -> Value {
        let operation = self.operation(entry.operation.as_deref());
        let row = json!({ "StackId": stack.id, "Timestamp": timestamp(entry.at) })
            .with("OperationId", entry.operation.clone())
            .with("OperationType", operation.map(|of| of.kind.as_str()))
            .with(
                "ClientRequestToken",
                operation.and_then(|of| of.token.clone()),
            );
        let began = operation.map(|of| timestamp(of.began));
        match &entry.what {
            Happened::Began => row
                .with("EventId", Some(entry.id.clone()))
                .with("EventType", Some("STACK_EVENT"))
                .with("OperationStatus", Some("IN_PROGRESS"))
                .with("StartTime", began),
            Happened::Ended { succeeded } => {
                let status = if *succeeded { "SUCCEEDED" } else { "FAILED" };
                row.with("EventId", Some(entry.id.clone()))
                    .with("EventType", Some("STACK_EVENT"))
                    .with("OperationStatus", Some(status))
                    .with("StartTime", began)
                    .with("EndTime", Some(timestamp(entry.at)))
            }
            Happened::Event(place) => self.events[*place].show(row),
            Happened::Refused(hook) => hook
                .tell(row)
                .with("EventId", Some(entry.id.clone()))
                .with("EventType", Some("HOOK_INVOCATION_ERROR")),
            Happened::Found(finding) => {
                finding.describe(row.with("EventId", Some(entry.id.clone())))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_may_begin_and_end_an_operation() {
        use OperationType::{ContinueRollback, CreateStack, DeleteStack, Rollback, UpdateStack};
        for (kind, status, next, ended) in [
            (CreateStack, StackStatus::CreateInProgress, None, None),
            (CreateStack, StackStatus::CreateComplete, None, Some(true)),
            (CreateStack, StackStatus::CreateFailed, None, Some(false)),
            (
                CreateStack,
                StackStatus::RollbackInProgress,
                Some(Rollback),
                None,
            ),
            (
                CreateStack,
                StackStatus::DeleteInProgress,
                Some(DeleteStack),
                None,
            ),
            (
                UpdateStack,
                StackStatus::UpdateCompleteCleanupInProgress,
                None,
                None,
            ),
            (UpdateStack, StackStatus::UpdateComplete, None, Some(true)),
            (UpdateStack, StackStatus::UpdateFailed, None, Some(false)),
            (
                UpdateStack,
                StackStatus::UpdateRollbackInProgress,
                Some(Rollback),
                None,
            ),
            (Rollback, StackStatus::UpdateRollbackInProgress, None, None),
            (Rollback, StackStatus::RollbackComplete, None, Some(true)),
            (
                Rollback,
                StackStatus::UpdateRollbackFailed,
                None,
                Some(false),
            ),
            (
                ContinueRollback,
                StackStatus::UpdateRollbackComplete,
                None,
                Some(true),
            ),
            (DeleteStack, StackStatus::DeleteComplete, None, Some(true)),
            // A refused delete settles back to where the stack was.
            (DeleteStack, StackStatus::UpdateComplete, None, Some(false)),
        ] {
            assert_eq!(kind.gives_way_to(status), next, "{kind:?} {status:?}");
            assert_eq!(kind.ended_by(status), ended, "{kind:?} {status:?}");
        }
    }
}
