//! How long a step may take: what Lambda leaves, less what the report needs, and never more than
//! the action's own `timeout`.

use std::time::{Duration, SystemTime};

/// The most that is kept back for ending tools and reporting.
const LARGEST_RESERVE: Duration = Duration::from_secs(30);
/// The least, unless there is less than twice as much.
const SMALLEST_RESERVE: Duration = Duration::from_millis(500);

/// What ends a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    /// The function's own time-out.
    Lambda,
    /// The action's `timeout`.
    Timeout,
}

/// The time of one step, counted from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    /// When the action should have come to an outcome.
    pub(crate) soft: Duration,
    /// When the run loop stops waiting for it.
    pub(crate) hard: Duration,
    /// When the run loop stops everything else and reports, whatever is still running.
    pub(crate) last: Duration,
    /// Which limit `soft` comes from.
    pub(crate) bound: Bound,
}

/// Divides the time up to Lambda's deadline. `action` is when the whole action must be over.
pub(crate) fn divide(now: SystemTime, lambda: SystemTime, action: SystemTime) -> Budget {
    let left = lambda.duration_since(now).unwrap_or_default();
    let reserve = (left / 10)
        .clamp(SMALLEST_RESERVE, LARGEST_RESERVE)
        .min(left / 2);
    let by_lambda = left.saturating_sub(reserve);
    let by_timeout = action.duration_since(now).unwrap_or_default();
    let (soft, bound) = if by_timeout < by_lambda {
        (by_timeout, Bound::Timeout)
    } else {
        (by_lambda, Bound::Lambda)
    };
    Budget {
        soft,
        hard: soft + reserve / 2,
        last: by_lambda + reserve * 3 / 4,
        bound,
    }
}

/// How much of `left` the work itself may take: the rest is for packing and publishing what it
/// made, and for reporting how it failed.
pub(crate) fn work(left: Duration) -> Duration {
    const MOST_KEPT: Duration = Duration::from_mins(1);
    const LEAST_KEPT: Duration = Duration::from_secs(3);
    let kept = (left / 10).clamp(LEAST_KEPT, MOST_KEPT).min(left / 4);
    left.saturating_sub(kept)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn division_by_table() {
        let seconds = Duration::from_secs_f64;
        for (case, lambda, action, soft, hard, bound) in [
            ("15 minutes", 900.0, 85_000.0, 870.0, 885.0, Bound::Lambda),
            ("1 minute", 60.0, 85_000.0, 54.0, 57.0, Bound::Lambda),
            ("3 seconds", 3.0, 85_000.0, 2.5, 2.75, Bound::Lambda),
            ("half a second", 0.5, 85_000.0, 0.25, 0.375, Bound::Lambda),
            ("none", 0.0, 85_000.0, 0.0, 0.0, Bound::Lambda),
            ("timeout first", 900.0, 10.0, 10.0, 25.0, Bound::Timeout),
            ("timeout passed", 900.0, 0.0, 0.0, 15.0, Bound::Timeout),
        ] {
            let now = SystemTime::UNIX_EPOCH + seconds(1e9);
            let budget = divide(now, now + seconds(lambda), now + seconds(action));
            assert_eq!(
                (budget.soft, budget.hard, budget.bound),
                (seconds(soft), seconds(hard), bound),
                "{case}"
            );
        }
    }

    #[test]
    fn work_keeps_some_back_by_table() {
        for (left, expected) in [
            (870_000, 810_000),
            (100_000, 90_000),
            (20_000, 17_000),
            (4_000, 3_000),
            (1_000, 750),
            (0, 0),
        ] {
            let (left, expected) = (Duration::from_millis(left), Duration::from_millis(expected));
            assert_eq!(work(left), expected, "{left:?}");
        }
    }

    proptest! {
        #[test]
        fn the_order_of_the_limits_holds(lambda in 0u64..1_000_000, action in 0u64..1_000_000) {
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
            let left = Duration::from_millis(lambda);
            let budget = divide(now, now + left, now + Duration::from_millis(action));
            prop_assert!(budget.soft <= budget.hard);
            prop_assert!(budget.hard <= budget.last);
            prop_assert!(budget.last <= left);
        }
    }
}
