//! Which environment serves an event: an idle one of the right revision, else a new one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, Semaphore, SemaphorePermit};

use super::environment::Environment;
use super::function::Version;

/// Events that are served at the same time, of all functions together. A laptop is not a region;
/// what is above waits its turn.
const RUNNING: usize = 32;

/// Processes that are kept, idle ones included.
const PROCESSES: usize = 48;

/// Credentials are good for an hour and given at the start; no function runs longer than 15 minutes.
const OLD: Duration = Duration::from_mins(40);

/// The environments, and how many events are being served.
#[derive(Debug)]
pub(crate) struct Pool {
    state: Mutex<State>,
    permits: Semaphore,
    /// Told when an event has been served or a limit has changed.
    pub(crate) freed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Oldest first.
    members: Vec<Member>,
    /// Events being served, by function.
    running: BTreeMap<String, u32>,
}

#[derive(Debug)]
struct Member {
    environment: Arc<Environment>,
    is_busy: bool,
    since: Instant,
}

impl Default for Pool {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            permits: Semaphore::new(RUNNING),
            freed: Notify::new(),
        }
    }
}

/// The right to serve one event of a function. Given back when dropped.
#[derive(Debug)]
pub(crate) struct Ticket<'a> {
    pool: &'a Pool,
    function: String,
    /// Held, and given back with the rest.
    #[allow(dead_code, reason = "it is there to be dropped")]
    permit: Option<SemaphorePermit<'a>>,
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut state = self.pool.lock();
        if let Some(running) = state.running.get_mut(&self.function) {
            *running = running.saturating_sub(1);
        }
        drop(state);
        self.pool.freed.notify_waiters();
    }
}

impl Pool {
    /// Counts one more event of `function`, unless `reserved` are being served already.
    pub(crate) fn admit(&self, function: &str, reserved: Option<u32>) -> Option<Ticket<'_>> {
        let mut state = self.lock();
        let running = state.running.entry(function.to_owned()).or_default();
        if reserved.is_some_and(|limit| *running >= limit) {
            return None;
        }
        *running += 1;
        drop(state);
        Some(Ticket {
            pool: self,
            function: function.to_owned(),
            permit: None,
        })
    }

    /// Waits until this machine has room for the event.
    pub(crate) async fn wait<'a>(&'a self, mut ticket: Ticket<'a>) -> Ticket<'a> {
        ticket.permit = self.permits.acquire().await.ok();
        ticket
    }

    /// An idle environment of exactly this version and revision; it is busy from now on.
    pub(crate) fn take(&self, version: &Version) -> Option<Arc<Environment>> {
        let mut state = self.lock();
        // The youngest: its caches are warm, and the others may be let go one day.
        let member = state.members.iter_mut().rev().find(|member| {
            !member.is_busy
                && member.since.elapsed() < OLD
                && member.environment.is_ready()
                && is_of(&member.environment, version)
        })?;
        member.is_busy = true;
        Some(Arc::clone(&member.environment))
    }

    /// Takes a new environment in; it is busy. Where there are too many, the oldest idle one ends.
    pub(crate) fn add(&self, environment: &Arc<Environment>) {
        let mut state = self.lock();
        state
            .members
            .retain(|member| !member.environment.kill.is_cancelled());
        if state.members.len() >= PROCESSES
            && let Some(oldest) = state.members.iter().position(|member| !member.is_busy)
        {
            state.members.remove(oldest).environment.kill.cancel();
        }
        state.members.push(Member {
            environment: Arc::clone(environment),
            is_busy: true,
            since: Instant::now(),
        });
    }

    /// The environment has served its event. `keep` says whether it may serve another.
    pub(crate) fn give_back(&self, environment: &Arc<Environment>, keep: bool) {
        let mut state = self.lock();
        if keep && environment.is_ready() {
            for member in &mut state.members {
                if Arc::ptr_eq(&member.environment, environment) {
                    member.is_busy = false;
                }
            }
        } else {
            state
                .members
                .retain(|member| !Arc::ptr_eq(&member.environment, environment));
            environment.kill.cancel();
        }
    }

    /// Ends the idle environments of a function that `is_current` does not know any more. A busy
    /// one ends when it has served its event.
    pub(crate) fn retire(&self, function: &str, is_current: impl Fn(&Environment) -> bool) {
        self.lock().members.retain(|member| {
            let environment = &member.environment;
            let stays =
                member.is_busy || environment.function != function || is_current(environment);
            if !stays {
                environment.kill.cancel();
            }
            stays
        });
    }

    /// The environment of that id.
    pub(crate) fn find(&self, id: &str) -> Option<Arc<Environment>> {
        self.lock()
            .members
            .iter()
            .find(|member| member.environment.id == id)
            .map(|member| Arc::clone(&member.environment))
    }

    /// Ends every environment, and answers those that it ended.
    pub(crate) fn clear(&self) -> Vec<Arc<Environment>> {
        let members = std::mem::take(&mut self.lock().members);
        members
            .into_iter()
            .map(|member| {
                member.environment.kill.cancel();
                member.environment
            })
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_of(environment: &Environment, version: &Version) -> bool {
    environment.function == version.function
        && environment.number == version.number
        && environment.revision == version.revision
}
