//! What to do next about a stack: tables over its status, without I/O and without a clock.

use crate::{Observed, StackStatus};

/// What a deployment may do about a stack that an earlier one left broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// Nothing: a broken stack is refused.
    Fail,
    /// What can lose no data: a stack whose creation never succeeded is deleted and made anew, and
    /// a rollback that got stuck is continued once. The default.
    Recover,
}

/// How a change set relates to the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The stack does not exist yet, or is an empty shell.
    Create,
    /// The stack exists.
    Update,
}

/// What a deployment does first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preparation {
    /// Make a change set.
    Plan(Kind),
    /// Somebody else's operation runs: look again later, and plan afresh then.
    Wait,
    /// Delete what is left of a creation that never succeeded, then plan.
    DeleteFirst,
    /// Continue the rollback that got stuck, then plan.
    ContinueRollback,
    /// Nothing can be done safely.
    Refuse(&'static str),
}

/// The first step of a deployment, from the stack's status and the policy.
pub fn prepare(status: Option<StackStatus>, policy: OnFailure) -> Preparation {
    use StackStatus as S;
    let recover = |step: Preparation, refusal: &'static str| match policy {
        OnFailure::Recover => step,
        OnFailure::Fail => Preparation::Refuse(refusal),
    };
    let Some(status) = status else {
        return Preparation::Plan(Kind::Create);
    };
    match status {
        S::ReviewInProgress | S::DeleteComplete => Preparation::Plan(Kind::Create),
        S::CreateComplete
        | S::UpdateComplete
        | S::ImportComplete
        | S::UpdateRollbackComplete
        | S::ImportRollbackComplete => Preparation::Plan(Kind::Update),
        S::CreateInProgress
        | S::UpdateInProgress
        | S::UpdateCompleteCleanupInProgress
        | S::RollbackInProgress
        | S::UpdateRollbackInProgress
        | S::UpdateRollbackCompleteCleanupInProgress
        | S::DeleteInProgress
        | S::ImportInProgress
        | S::ImportRollbackInProgress => Preparation::Wait,
        S::RollbackComplete | S::RollbackFailed | S::CreateFailed => recover(
            Preparation::DeleteFirst,
            "its creation failed and it can only be deleted; say on-failure=recover, or delete it",
        ),
        S::UpdateRollbackFailed => recover(
            Preparation::ContinueRollback,
            "its last rollback got stuck; say on-failure=recover, or continue the rollback by hand",
        ),
        S::UpdateFailed => Preparation::Refuse(
            "its last update failed with rollback disabled; roll it back by hand, then retry",
        ),
        S::DeleteFailed => Preparation::Refuse(
            "its deletion failed half way; finish that with action=delete, then retry",
        ),
        S::ImportRollbackFailed => Preparation::Refuse(
            "its import could not be rolled back; AWS documents no way on, so mend it by hand",
        ),
    }
}

/// How an operation that this attempt has started stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Still under way.
    Wait,
    /// It failed, and the stack is on its way back.
    RollingBack,
    /// It has come to the exact end that it was started for.
    Succeeded,
    /// It has come to another end.
    Failed,
}

/// How the execution of our change set stands.
///
/// `ours` tells that the stack shows signs of it (its last change set is ours, or its time of
/// update has moved): before that, a settled status is an old one, read late.
pub fn execution(kind: Kind, status: Option<StackStatus>, ours: bool) -> Progress {
    use StackStatus as S;
    let Some(status) = status else {
        return Progress::Failed;
    };
    match (kind, status) {
        (Kind::Create, S::CreateComplete) => Progress::Succeeded,
        (Kind::Update, S::UpdateComplete) if ours => Progress::Succeeded,
        (Kind::Create, S::ReviewInProgress | S::CreateInProgress)
        | (
            Kind::Update,
            S::UpdateInProgress
            | S::UpdateCompleteCleanupInProgress
            | S::CreateComplete
            | S::ImportComplete
            | S::ImportRollbackComplete,
        ) => Progress::Wait,
        (Kind::Update, S::UpdateComplete | S::UpdateRollbackComplete) if !ours => Progress::Wait,
        (
            _,
            S::RollbackInProgress
            | S::DeleteInProgress
            | S::UpdateRollbackInProgress
            | S::UpdateRollbackCompleteCleanupInProgress,
        ) => Progress::RollingBack,
        (_, _) => Progress::Failed,
    }
}

/// What a deletion does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    /// There is nothing, or nothing any more.
    Done,
    /// Ask for it.
    Start,
    /// Look again later.
    Wait,
    /// The service gave up, or refused and left the stack as it was.
    Failed,
}

/// How often a settled status after our request for deletion is taken for an old one, read late.
pub const STALE_READS: u32 = 5;

/// The next step of a deletion. `asked` counts the observations since we asked for it; `None`
/// when we have not.
pub fn deletion(observed: &Observed, asked: Option<u32>) -> Deletion {
    use StackStatus as S;
    let Some(status) = observed.status() else {
        return Deletion::Done;
    };
    match (status, asked) {
        (S::DeleteComplete, _) => Deletion::Done,
        (
            S::DeleteInProgress
            | S::CreateInProgress
            | S::UpdateInProgress
            | S::UpdateCompleteCleanupInProgress
            | S::RollbackInProgress
            | S::UpdateRollbackInProgress
            | S::UpdateRollbackCompleteCleanupInProgress
            | S::ImportInProgress
            | S::ImportRollbackInProgress,
            _,
        ) => Deletion::Wait,
        (_, None) => Deletion::Start,
        (S::DeleteFailed, Some(_)) => Deletion::Failed,
        (_, Some(seen)) if seen < STALE_READS => Deletion::Wait,
        (_, Some(_)) => Deletion::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Stack;

    #[test]
    fn every_status_has_its_first_step() {
        use Preparation as P;
        use StackStatus as S;
        let refused = |step: P| matches!(step, P::Refuse(_));
        for (status, under_recover, fail_refuses) in [
            (S::ReviewInProgress, P::Plan(Kind::Create), false),
            (S::DeleteComplete, P::Plan(Kind::Create), false),
            (S::CreateComplete, P::Plan(Kind::Update), false),
            (S::UpdateComplete, P::Plan(Kind::Update), false),
            (S::ImportComplete, P::Plan(Kind::Update), false),
            (S::UpdateRollbackComplete, P::Plan(Kind::Update), false),
            (S::ImportRollbackComplete, P::Plan(Kind::Update), false),
            (S::CreateInProgress, P::Wait, false),
            (S::UpdateInProgress, P::Wait, false),
            (S::UpdateCompleteCleanupInProgress, P::Wait, false),
            (S::RollbackInProgress, P::Wait, false),
            (S::UpdateRollbackInProgress, P::Wait, false),
            (S::UpdateRollbackCompleteCleanupInProgress, P::Wait, false),
            (S::DeleteInProgress, P::Wait, false),
            (S::ImportInProgress, P::Wait, false),
            (S::ImportRollbackInProgress, P::Wait, false),
            (S::RollbackComplete, P::DeleteFirst, true),
            (S::RollbackFailed, P::DeleteFirst, true),
            (S::CreateFailed, P::DeleteFirst, true),
            (S::UpdateRollbackFailed, P::ContinueRollback, true),
        ] {
            assert_eq!(
                prepare(Some(status), OnFailure::Recover),
                under_recover,
                "{status}"
            );
            assert_eq!(
                refused(prepare(Some(status), OnFailure::Fail)),
                fail_refuses,
                "{status}"
            );
        }
        for status in [S::UpdateFailed, S::DeleteFailed, S::ImportRollbackFailed] {
            for policy in [OnFailure::Fail, OnFailure::Recover] {
                assert!(refused(prepare(Some(status), policy)), "{status}");
            }
        }
        assert_eq!(prepare(None, OnFailure::Fail), P::Plan(Kind::Create));
    }

    #[test]
    fn only_a_creation_that_never_succeeded_is_deleted() {
        for status in StackStatus::ALL {
            let deletes = prepare(Some(status), OnFailure::Recover) == Preparation::DeleteFirst;
            let never_succeeded = matches!(
                status,
                StackStatus::RollbackComplete
                    | StackStatus::RollbackFailed
                    | StackStatus::CreateFailed
            );
            assert_eq!(deletes, never_succeeded, "{status}");
        }
    }

    #[test]
    fn success_is_one_exact_status_of_our_own_operation() {
        for status in StackStatus::ALL {
            for ours in [false, true] {
                let created = execution(Kind::Create, Some(status), ours);
                assert_eq!(
                    created == Progress::Succeeded,
                    status == StackStatus::CreateComplete,
                    "create {status} ours={ours}"
                );
                let updated = execution(Kind::Update, Some(status), ours);
                assert_eq!(
                    updated == Progress::Succeeded,
                    status == StackStatus::UpdateComplete && ours,
                    "update {status} ours={ours}"
                );
            }
        }
    }

    #[test]
    fn an_execution_waits_rolls_back_and_fails() {
        use Progress as P;
        use StackStatus as S;
        for (kind, status, ours, expected) in [
            (Kind::Create, S::ReviewInProgress, false, P::Wait),
            (Kind::Create, S::CreateInProgress, true, P::Wait),
            (Kind::Create, S::RollbackInProgress, true, P::RollingBack),
            (Kind::Create, S::RollbackComplete, true, P::Failed),
            (Kind::Create, S::RollbackFailed, true, P::Failed),
            (Kind::Create, S::DeleteComplete, true, P::Failed),
            (Kind::Update, S::UpdateComplete, false, P::Wait),
            (Kind::Update, S::CreateComplete, false, P::Wait),
            (
                Kind::Update,
                S::UpdateCompleteCleanupInProgress,
                true,
                P::Wait,
            ),
            (
                Kind::Update,
                S::UpdateRollbackInProgress,
                true,
                P::RollingBack,
            ),
            (Kind::Update, S::UpdateRollbackComplete, false, P::Wait),
            (Kind::Update, S::UpdateRollbackComplete, true, P::Failed),
            (Kind::Update, S::UpdateRollbackFailed, true, P::Failed),
            (Kind::Update, S::UpdateFailed, true, P::Failed),
        ] {
            assert_eq!(
                execution(kind, Some(status), ours),
                expected,
                "{kind:?} {status} {ours}"
            );
        }
        assert_eq!(
            execution(Kind::Update, None, true),
            P::Failed,
            "deleted under our feet"
        );
    }

    fn observed(status: StackStatus) -> Observed {
        Observed::Present(Box::new(Stack {
            arn: "arn".into(),
            name: "app".into(),
            status,
            reason: None,
            change_set: None,
            last_updated: None,
            parameters: Vec::new(),
            outputs: std::collections::BTreeMap::new(),
            termination_protection: false,
        }))
    }

    #[test]
    fn a_deletion_starts_once_and_ends() {
        use Deletion as D;
        use StackStatus as S;
        for (status, asked, expected) in [
            (S::CreateComplete, None, D::Start),
            (S::RollbackComplete, None, D::Start),
            (S::DeleteFailed, None, D::Start),
            (S::ReviewInProgress, None, D::Start),
            (S::UpdateInProgress, None, D::Wait),
            (S::DeleteInProgress, None, D::Wait),
            (S::DeleteInProgress, Some(9), D::Wait),
            (S::CreateComplete, Some(0), D::Wait),
            (S::CreateComplete, Some(STALE_READS), D::Failed),
            (S::DeleteFailed, Some(0), D::Failed),
            (S::DeleteComplete, Some(1), D::Done),
        ] {
            assert_eq!(
                deletion(&observed(status), asked),
                expected,
                "{status} {asked:?}"
            );
        }
        assert_eq!(
            deletion(&Observed::Absent, None),
            D::Done,
            "an absent stack is deleted"
        );
        assert_eq!(deletion(&Observed::Absent, Some(2)), D::Done);
    }
}
