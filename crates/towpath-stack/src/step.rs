//! What to do next about a stack: tables over its status, without I/O and without a clock.

use crate::{Observed, Stack, StackStatus};

/// What a deployment may do about a stack that an earlier one left broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// Nothing: a broken stack is refused.
    Fail,
    /// What loses no data that anybody relied on: a stack whose creation was rolled back is deleted and made anew, an
    /// update that stopped half way is rolled back, and a rollback that got stuck is continued. The default.
    Recover,
    /// Also what loses data: a stack whose creation, deletion or rollback failed is deleted and made anew. For stacks
    /// that hold none, such as those of tests.
    Replace,
}

/// What is to be done about a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// Make or change it.
    Deploy(OnFailure),
    /// Say what a deployment would do, and do nothing.
    Plan,
    /// Carry out a change set that was made before.
    Execute,
}

/// How a change set relates to the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The stack does not exist yet, or is an empty shell.
    Create,
    /// The stack exists.
    Update,
}

/// What is done first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preparation {
    /// Make a change set; or, where that is the goal, execute the one that there is.
    Proceed(Kind),
    /// An operation runs: look again later, and decide afresh then.
    Wait,
    /// Delete what is left of the stack, then look again.
    DeleteFirst,
    /// Continue the rollback that got stuck, then look again.
    ContinueRollback,
    /// Roll the update that stopped half way back, then look again.
    RollBack,
    /// Nothing can be done safely.
    Refuse(&'static str),
}

/// The first step towards a goal, from the stack's status.
///
/// Which operations a status allows is AWS's: <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html>
/// and the pages on stack failure options and on continuing a rollback.
pub fn prepare(status: Option<StackStatus>, goal: Goal) -> Preparation {
    use OnFailure::{Fail, Recover, Replace};
    use Preparation as P;
    use StackStatus as S;
    let Some(status) = status else {
        return match goal {
            Goal::Deploy(_) | Goal::Plan => P::Proceed(Kind::Create),
            Goal::Execute => P::Refuse(
                "no change set can be of it; name the stack that the plan was made for with stack=, or plan again if that was deleted since",
            ),
        };
    };
    match (status, goal) {
        (S::DeleteComplete, Goal::Execute) => {
            P::Refuse("it was deleted, and its change sets with it; plan again")
        }
        (S::ReviewInProgress | S::DeleteComplete, _) => P::Proceed(Kind::Create),
        (
            S::CreateComplete
            | S::UpdateComplete
            | S::ImportComplete
            | S::UpdateRollbackComplete
            | S::ImportRollbackComplete,
            _,
        ) => P::Proceed(Kind::Update),
        (
            S::CreateInProgress
            | S::UpdateInProgress
            | S::UpdateCompleteCleanupInProgress
            | S::RollbackInProgress
            | S::UpdateRollbackInProgress
            | S::UpdateRollbackCompleteCleanupInProgress
            | S::DeleteInProgress
            | S::ImportInProgress
            | S::ImportRollbackInProgress,
            _,
        ) => P::Wait,
        (S::RollbackComplete | S::RollbackFailed, Goal::Deploy(Recover | Replace)) => {
            P::DeleteFirst
        }
        (S::RollbackComplete | S::RollbackFailed, _) => P::Refuse(
            "its creation failed and it can only be deleted; deploy with on-failure=recover, or delete it",
        ),
        (S::UpdateRollbackFailed, Goal::Deploy(Recover)) => P::ContinueRollback,
        (S::UpdateFailed, Goal::Deploy(Recover | Replace)) => P::RollBack,
        (S::CreateFailed | S::DeleteFailed | S::UpdateRollbackFailed, Goal::Deploy(Replace)) => {
            P::DeleteFirst
        }
        (S::UpdateRollbackFailed, _) => P::Refuse(
            "its last rollback got stuck; deploy with on-failure=recover, or continue the rollback by hand",
        ),
        (S::UpdateFailed, Goal::Deploy(Fail) | Goal::Plan | Goal::Execute) => P::Refuse(
            "its last update failed with rollback disabled; deploy with on-failure=recover, or roll it back by hand",
        ),
        (S::CreateFailed, _) => P::Refuse(
            "its creation failed with rollback disabled, and what it made may hold data; look at it, then deploy with on-failure=replace, or delete it with action=delete",
        ),
        (S::DeleteFailed, _) => P::Refuse(
            "its deletion failed half way; finish that with action=delete, or deploy with on-failure=replace",
        ),
        (S::ImportRollbackFailed, _) => P::Refuse(
            "its import could not be rolled back; AWS documents no way on, so mend it by hand",
        ),
    }
}

/// Whether the stack shows signs of our change set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// None yet: what is seen may be older than our operation.
    NotYet,
    /// Our change set is the one that was executed last.
    Ours,
    /// The stack has been updated since we looked first, and names no change set: by us, where the engine names none, or
    /// by somebody without one. Only the events tell how ours ended.
    Unnamed,
    /// Something else has happened to the stack since.
    Superseded,
}

/// Tells whose doing the stack's state is.
///
/// `last` is the change set that the stack names as its last, if the engine names one; `moved`
/// tells that the time of the last update is another than before our operation.
pub fn sign(last: Option<&str>, ours: &str, moved: bool) -> Sign {
    match last {
        Some(id) if id == ours => Sign::Ours,
        None if moved => Sign::Unnamed,
        Some(_) if moved => Sign::Superseded,
        Some(_) | None => Sign::NotYet,
    }
}

/// How an operation that this attempt has started stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Still under way.
    Wait,
    /// The stack looks as before: an old state, read late, or an operation that never began.
    Stale,
    /// It failed, and the stack is on its way back.
    RollingBack,
    /// It has come to the exact end that it was started for.
    Succeeded,
    /// It has come to another end.
    Failed,
    /// Something else has changed the stack since: only the events tell how ours ended.
    Superseded,
}

/// How the execution of our change set stands.
pub fn execution(kind: Kind, status: Option<StackStatus>, sign: Sign) -> Progress {
    use StackStatus as S;
    let Some(status) = status else {
        return Progress::Failed;
    };
    if sign == Sign::Superseded {
        return Progress::Superseded;
    }
    match (kind, status) {
        (Kind::Create, S::CreateComplete) => Progress::Succeeded,
        (Kind::Create, S::CreateInProgress) => Progress::Wait,
        (Kind::Create, S::ReviewInProgress) => Progress::Stale,
        (Kind::Create, S::RollbackInProgress | S::DeleteInProgress) => Progress::RollingBack,
        (
            Kind::Create,
            S::CreateFailed
            | S::RollbackComplete
            | S::RollbackFailed
            | S::DeleteComplete
            | S::DeleteFailed,
        ) => Progress::Failed,
        // Whoever updates it has found it created.
        (
            Kind::Create,
            S::UpdateInProgress
            | S::UpdateCompleteCleanupInProgress
            | S::UpdateComplete
            | S::UpdateFailed
            | S::UpdateRollbackInProgress
            | S::UpdateRollbackFailed
            | S::UpdateRollbackCompleteCleanupInProgress
            | S::UpdateRollbackComplete
            | S::ImportInProgress
            | S::ImportComplete
            | S::ImportRollbackInProgress
            | S::ImportRollbackFailed
            | S::ImportRollbackComplete,
        ) => Progress::Superseded,
        (Kind::Update, S::UpdateInProgress | S::UpdateCompleteCleanupInProgress) => Progress::Wait,
        (
            Kind::Update,
            S::UpdateRollbackInProgress | S::UpdateRollbackCompleteCleanupInProgress,
        ) => Progress::RollingBack,
        (Kind::Update, S::UpdateComplete) => match sign {
            Sign::Ours | Sign::Unnamed => Progress::Succeeded,
            Sign::NotYet | Sign::Superseded => Progress::Stale,
        },
        (Kind::Update, S::UpdateFailed | S::UpdateRollbackFailed | S::UpdateRollbackComplete) => {
            match sign {
                Sign::Ours | Sign::Unnamed => Progress::Failed,
                Sign::NotYet | Sign::Superseded => Progress::Stale,
            }
        }
        (Kind::Update, S::CreateComplete | S::ImportComplete | S::ImportRollbackComplete) => {
            Progress::Stale
        }
        (
            Kind::Update,
            S::DeleteInProgress
            | S::DeleteFailed
            | S::DeleteComplete
            | S::ImportInProgress
            | S::ImportRollbackInProgress
            | S::ImportRollbackFailed,
        ) => Progress::Superseded,
        // A stack that was updated cannot come to be in creation again.
        (
            Kind::Update,
            S::CreateInProgress
            | S::CreateFailed
            | S::RollbackInProgress
            | S::RollbackFailed
            | S::RollbackComplete
            | S::ReviewInProgress,
        ) => Progress::Failed,
    }
}

/// How our own operation came out that ended with this status, as its events say.
///
/// Whatever kind of change set it was taken for: a job may be delivered twice, and where one delivery finds no stack and
/// creates it, the other that comes later asks for an update by the same name, and gets the change set that there is.
pub fn ended(status: StackStatus) -> Progress {
    match status {
        StackStatus::CreateComplete | StackStatus::UpdateComplete => Progress::Succeeded,
        _ => Progress::Failed,
    }
}

/// How the execution of a change set stands that was executed to its end, where neither the stack nor an event shows by
/// whom.
///
/// AWS's own stacks show that in time: by a change set, or by the time of the last update. A stack that was updated and
/// has neither is another service's, which has none to show; there the end of the change set and the status of the
/// stack together are the word for it.
pub fn unsigned(kind: Kind, stack: Option<&Stack>) -> Progress {
    match stack {
        Some(stack) if stack.change_set.is_none() && stack.last_updated.is_none() => {
            match execution(kind, Some(stack.status), Sign::Ours) {
                Progress::Succeeded => Progress::Succeeded,
                _ => Progress::Stale,
            }
        }
        _ => Progress::Stale,
    }
}

/// How a deletion stands that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    /// There is nothing any more.
    Done,
    /// Look again later.
    Wait,
    /// The service gave up, or refused and left the stack as it was.
    Failed,
}

/// How often a settled status after our own request is taken for an old one, read late.
pub const STALE_READS: u32 = 5;

/// How the deletion stands. `asked` counts the observations since we asked for it, up to
/// [`STALE_READS`], and is that at once when the deletion was seen under way.
pub fn deletion(observed: &Observed, asked: u32) -> Deletion {
    match observed.status() {
        None | Some(StackStatus::DeleteComplete) => Deletion::Done,
        Some(status) if status.is_under_way() || asked < STALE_READS => Deletion::Wait,
        Some(_) => Deletion::Failed,
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::teardown;

    /// Each status by each goal, and by a deletion: what docs/actions.md shows, and what the action does.
    #[test]
    fn every_status_has_its_first_step() {
        let page = include_str!("../../../docs/actions.md");
        let mut table = "\
            | the stack is | `plan` | `execute` | `deploy`, `fail` | `deploy`, `recover` | `deploy`, `replace` | `delete` |\n\
            |---|---|---|---|---|---|---|\n"
            .to_owned();
        let all = StackStatus::ALL.map(Some);
        for status in [None].into_iter().chain(all) {
            let word =
                status.map_or_else(|| "not there".to_owned(), |status| format!("`{status}`"));
            let mut cells = vec![word];
            for goal in [
                Goal::Plan,
                Goal::Execute,
                Goal::Deploy(OnFailure::Fail),
                Goal::Deploy(OnFailure::Recover),
                Goal::Deploy(OnFailure::Replace),
            ] {
                cells.push(
                    match (prepare(status, goal), goal) {
                        (Preparation::Proceed(_), Goal::Execute) => "executes",
                        (Preparation::Proceed(Kind::Create), _) => "creates",
                        (Preparation::Proceed(Kind::Update), _) => "updates",
                        (Preparation::Wait, _) => "waits",
                        (Preparation::DeleteFirst, _) => "deletes, creates",
                        (Preparation::ContinueRollback, _) => "continues the rollback, updates",
                        (Preparation::RollBack, _) => "rolls back, updates",
                        (Preparation::Refuse(_), _) => "refuses",
                    }
                    .to_owned(),
                );
            }
            let seen = status.map_or(Observed::Absent, observed);
            cells.push(
                match begins(&seen) {
                    teardown::Step::Gone => "is done",
                    teardown::Step::Ask(_) => "deletes",
                    teardown::Step::Wait => "waits",
                    other => panic!("{status:?}: {other:?}"),
                }
                .to_owned(),
            );
            let _ = writeln!(table, "| {} |", cells.join(" | "));
        }
        assert!(
            page.contains(&table),
            "docs/actions.md does not have this table:\n{table}"
        );
    }

    #[test]
    fn a_goal_that_only_looks_or_executes_deletes_and_rolls_back_nothing() {
        for status in [None].into_iter().chain(StackStatus::ALL.map(Some)) {
            for goal in [Goal::Plan, Goal::Execute, Goal::Deploy(OnFailure::Fail)] {
                let step = prepare(status, goal);
                assert!(
                    matches!(
                        step,
                        Preparation::Proceed(_) | Preparation::Wait | Preparation::Refuse(_)
                    ),
                    "{status:?} {goal:?}: {step:?}"
                );
            }
        }
    }

    #[test]
    fn a_stack_that_ever_worked_is_deleted_only_by_replace() {
        for status in StackStatus::ALL {
            let deletes =
                |policy| prepare(Some(status), Goal::Deploy(policy)) == Preparation::DeleteFirst;
            let never_worked = matches!(
                status,
                StackStatus::RollbackComplete | StackStatus::RollbackFailed
            );
            assert!(!deletes(OnFailure::Fail), "{status}");
            assert_eq!(deletes(OnFailure::Recover), never_worked, "{status}");
            let failed = matches!(
                status,
                StackStatus::CreateFailed
                    | StackStatus::DeleteFailed
                    | StackStatus::UpdateRollbackFailed
            );
            assert_eq!(
                deletes(OnFailure::Replace),
                never_worked || failed,
                "{status}"
            );
        }
    }

    #[test]
    fn whose_doing_a_state_is_shows_on_the_stack() {
        for (last, moved, expected) in [
            (Some("ours"), false, Sign::Ours),
            (Some("ours"), true, Sign::Ours),
            (Some("theirs"), false, Sign::NotYet),
            (Some("theirs"), true, Sign::Superseded),
            (None, true, Sign::Unnamed),
            (None, false, Sign::NotYet),
        ] {
            assert_eq!(sign(last, "ours", moved), expected, "{last:?} {moved}");
        }
    }

    #[test]
    fn success_is_one_exact_status_of_our_own_operation() {
        for status in StackStatus::ALL {
            for sign in [Sign::NotYet, Sign::Ours, Sign::Unnamed, Sign::Superseded] {
                let succeeds = |kind| execution(kind, Some(status), sign) == Progress::Succeeded;
                assert_eq!(
                    succeeds(Kind::Create),
                    status == StackStatus::CreateComplete && sign != Sign::Superseded,
                    "create {status} {sign:?}"
                );
                assert_eq!(
                    succeeds(Kind::Update),
                    status == StackStatus::UpdateComplete
                        && matches!(sign, Sign::Ours | Sign::Unnamed),
                    "update {status} {sign:?}"
                );
            }
        }
    }

    #[test]
    fn an_execution_waits_rolls_back_and_fails() {
        use Progress as P;
        use Sign::{NotYet, Ours, Superseded};
        use StackStatus as S;
        for (kind, status, sign, expected) in [
            (Kind::Create, S::ReviewInProgress, NotYet, P::Stale),
            (Kind::Create, S::CreateInProgress, Ours, P::Wait),
            (Kind::Create, S::RollbackInProgress, Ours, P::RollingBack),
            (Kind::Create, S::RollbackComplete, Ours, P::Failed),
            (Kind::Create, S::RollbackFailed, Ours, P::Failed),
            (Kind::Create, S::DeleteComplete, Ours, P::Failed),
            (Kind::Create, S::UpdateComplete, Ours, P::Superseded),
            (Kind::Update, S::UpdateComplete, NotYet, P::Stale),
            (Kind::Update, S::CreateComplete, NotYet, P::Stale),
            (
                Kind::Update,
                S::UpdateCompleteCleanupInProgress,
                Ours,
                P::Wait,
            ),
            (
                Kind::Update,
                S::UpdateRollbackInProgress,
                Ours,
                P::RollingBack,
            ),
            (Kind::Update, S::UpdateRollbackComplete, NotYet, P::Stale),
            (Kind::Update, S::UpdateRollbackComplete, Ours, P::Failed),
            (
                Kind::Update,
                S::UpdateRollbackComplete,
                Superseded,
                P::Superseded,
            ),
            (Kind::Update, S::UpdateComplete, Superseded, P::Superseded),
            (Kind::Update, S::UpdateRollbackFailed, Ours, P::Failed),
            (Kind::Update, S::UpdateFailed, Ours, P::Failed),
            (Kind::Update, S::DeleteComplete, Ours, P::Superseded),
        ] {
            assert_eq!(
                execution(kind, Some(status), sign),
                expected,
                "{kind:?} {status} {sign:?}"
            );
        }
        assert_eq!(
            execution(Kind::Update, None, Ours),
            P::Failed,
            "deleted under our feet"
        );
    }

    #[test]
    fn an_execution_without_a_sign_is_believed_where_there_never_is_one() {
        use Progress as P;
        use StackStatus as S;
        let (set, time) = (Some("theirs"), Some("2026-01-01T00:00:00Z"));
        for (status, last, updated, expected) in [
            (S::UpdateComplete, set, time, P::Stale),
            (S::UpdateComplete, None, time, P::Stale),
            (S::UpdateComplete, set, None, P::Stale),
            (S::UpdateComplete, None, None, P::Succeeded),
            // Not what an execution to the end leaves: it was read late, or is another operation's.
            (S::CreateComplete, None, None, P::Stale),
            (S::UpdateRollbackComplete, None, None, P::Stale),
        ] {
            let Observed::Present(mut stack) = observed(status) else {
                unreachable!("it is made present");
            };
            stack.change_set = last.map(str::to_owned);
            stack.last_updated = updated.map(str::to_owned);
            assert_eq!(
                unsigned(Kind::Update, Some(&stack)),
                expected,
                "{status} {last:?} {updated:?}"
            );
        }
        assert_eq!(unsigned(Kind::Update, None), P::Stale);
    }

    fn observed(status: StackStatus) -> Observed {
        Observed::Present(Box::new(Stack::named("app", status)))
    }

    /// The first step of `action=delete`.
    fn begins(seen: &Observed) -> teardown::Step {
        let (done, rules) = (teardown::Done::default(), teardown::Rules::default());
        teardown::next(seen, &[], &done, &rules, 0)
    }

    #[test]
    fn the_end_of_our_own_operation_is_success_in_two_statuses() {
        for status in StackStatus::ALL {
            let good = matches!(status.as_str(), "CREATE_COMPLETE" | "UPDATE_COMPLETE");
            let expected = if good {
                Progress::Succeeded
            } else {
                Progress::Failed
            };
            assert_eq!(ended(status), expected, "{status}");
        }
    }

    #[test]
    fn a_deletion_starts_once_and_ends() {
        use Deletion as D;
        use StackStatus as S;
        use teardown::{How, Step};
        for (status, expected) in [
            (S::CreateComplete, Step::Ask(How::Plain)),
            (S::RollbackComplete, Step::Ask(How::Plain)),
            (S::DeleteFailed, Step::Ask(How::Plain)),
            (S::ReviewInProgress, Step::Ask(How::Plain)),
            (S::UpdateInProgress, Step::Wait),
            (S::DeleteInProgress, Step::Wait),
        ] {
            assert_eq!(begins(&observed(status)), expected, "{status}");
        }
        for (status, asked, expected) in [
            (S::DeleteInProgress, 9, D::Wait),
            (S::CreateComplete, 0, D::Wait),
            (S::CreateComplete, STALE_READS, D::Failed),
            (S::DeleteFailed, 0, D::Wait),
            (S::DeleteFailed, STALE_READS, D::Failed),
            (S::DeleteComplete, 1, D::Done),
        ] {
            assert_eq!(
                deletion(&observed(status), asked),
                expected,
                "{status} {asked}"
            );
        }
        assert_eq!(
            begins(&Observed::Absent),
            Step::Gone,
            "an absent stack is deleted"
        );
        assert_eq!(deletion(&Observed::Absent, 2), D::Done);
    }
}
