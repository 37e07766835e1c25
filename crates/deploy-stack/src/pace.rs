//! How long a step works on what may be too much for one invocation.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Until when a step works. However late it is, it does something first: else a step that had to fetch much before would
/// be repeated for ever.
#[derive(Debug)]
pub struct Pace {
    until: Instant,
    worked: AtomicBool,
}

impl Pace {
    /// Until this moment.
    pub fn until(until: Instant) -> Self {
        Self {
            until,
            worked: AtomicBool::new(false),
        }
    }

    /// Something has been done that the next step need not do again.
    pub(crate) fn worked(&self) {
        self.worked.store(true, Ordering::Relaxed);
    }

    /// Whether the rest is for the next step.
    pub(crate) fn is_over(&self) -> bool {
        self.worked.load(Ordering::Relaxed) && Instant::now() >= self.until
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_step_that_is_late_from_the_start_does_something_all_the_same() {
        let now = Instant::now();
        for (until, worked, over) in [
            (now, false, false),
            (now, true, true),
            (now + Duration::from_hours(1), true, false),
        ] {
            let pace = Pace::until(until);
            if worked {
                pace.worked();
            }
            assert_eq!(pace.is_over(), over, "{worked}");
        }
    }
}
