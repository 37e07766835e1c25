//! An execution environment: one process, one event at a time.
//!
//! The environment is the place where an invocation and the function's process meet: the invocation
//! [hands over](Environment::run) an event, the process [takes](Environment::next) it over the
//! Runtime API and [answers](Environment::answer). What starts and ends the process is
//! [`super::process`]; who gets which environment is [`super::pool`].

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::function::Version;
use crate::World;

/// How long a warm environment may take to ask for its next event before it is given up.
const STUCK: Duration = Duration::from_secs(3);

/// `LogResult` holds the last four kilobytes of an invocation's output.
const TAIL: usize = 4096;

/// One process that serves one version of a function.
#[derive(Debug)]
pub(crate) struct Environment {
    /// Unguessable: who knows it may take the function's events.
    pub(crate) id: String,
    /// Names its log stream and its directory. No secret.
    pub(crate) instance: String,
    pub(crate) function: String,
    /// `$LATEST` or a version number.
    pub(crate) number: String,
    /// The version's revision that the process was started from.
    pub(crate) revision: String,
    pub(crate) log_group: String,
    pub(crate) log_stream: String,
    /// Cancelled to end the process with all that it started.
    pub(crate) kill: CancellationToken,
    events: mpsc::Sender<Delivery>,
    waiting: tokio::sync::Mutex<mpsc::Receiver<Delivery>>,
    in_flight: Mutex<Option<InFlight>>,
    /// What the process reported with `init/error`.
    refusal: Mutex<Option<Bytes>>,
    phase: watch::Sender<Phase>,
    tail: Mutex<String>,
}

/// Where the process is in its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It has not asked for an event yet.
    Starting,
    /// It has asked for an event.
    Ready,
    /// It has reported that it cannot start.
    Refused,
    /// It is gone, and so is what it started.
    Ended(End),
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// By itself, with this code.
    Exit(i32),
    /// By a signal.
    Signal(i32),
}

impl std::fmt::Display for End {
    /// The words in which Lambda tells of it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exit(0) => f.write_str("Runtime exited without providing a reason"),
            Self::Exit(code) => write!(f, "Runtime exited with error: exit status {code}"),
            Self::Signal(9) => f.write_str("Runtime exited with error: signal: killed"),
            Self::Signal(number) => write!(f, "Runtime exited with error: signal: {number}"),
        }
    }
}

/// An event with what accompanies it.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) request_id: String,
    /// The ARN by which the function was invoked.
    pub(crate) arn: String,
    pub(crate) payload: Bytes,
    /// Base64 of a JSON document, as the caller gave it.
    pub(crate) client_context: Option<String>,
    /// Counted from the moment the process takes the event.
    pub(crate) timeout: Duration,
}

/// What the process makes of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) payload: Bytes,
    /// It was posted to `…/error`.
    pub(crate) failed: bool,
}

/// How a hand-over went.
#[derive(Debug)]
pub(crate) enum Ran {
    /// The process answered.
    Answered(Answer),
    /// It took the event and ended without answering.
    Exited(End),
    /// It took the event and did not answer in time. It still runs.
    TimedOut,
    /// It did not take the event.
    Undelivered,
}

#[derive(Debug)]
struct Delivery {
    event: Event,
    taken: oneshot::Sender<()>,
    answer: oneshot::Sender<Answer>,
}

#[derive(Debug)]
struct InFlight {
    request_id: String,
    answer: oneshot::Sender<Answer>,
}

impl Environment {
    /// An environment for `version`; its process is yet to be started.
    pub(crate) fn new(version: &Version) -> Self {
        let (events, waiting) = mpsc::channel(1);
        let id = uuid::Uuid::new_v4().simple().to_string();
        let instance = uuid::Uuid::new_v4().simple().to_string();
        let now = time::OffsetDateTime::now_utc();
        Self {
            function: version.function.clone(),
            number: version.number.clone(),
            revision: version.revision.clone(),
            log_group: version.configuration.log_group(&version.function),
            log_stream: format!(
                "{:04}/{:02}/{:02}/[{}]{instance}",
                now.year(),
                u8::from(now.month()),
                now.day(),
                version.number,
            ),
            id,
            instance,
            kill: CancellationToken::new(),
            events,
            waiting: tokio::sync::Mutex::new(waiting),
            in_flight: Mutex::default(),
            refusal: Mutex::default(),
            phase: watch::Sender::new(Phase::Starting),
            tail: Mutex::default(),
        }
    }

    /// Waits until the process is ready for its first event, or will never be.
    pub(crate) async fn started(&self) -> Phase {
        let mut phase = self.phase.subscribe();
        let settled = phase.wait_for(|phase| *phase != Phase::Starting).await;
        settled.map_or(Phase::Ended(End::Signal(9)), |phase| phase.clone())
    }

    /// Waits until the process and what it started are gone.
    pub(crate) async fn ended(&self) -> End {
        let mut phase = self.phase.subscribe();
        match phase
            .wait_for(|phase| matches!(phase, Phase::Ended(_)))
            .await
            .as_deref()
        {
            Ok(Phase::Ended(end)) => *end,
            _ => End::Signal(9),
        }
    }

    /// Whether it may be given an event.
    pub(crate) fn is_ready(&self) -> bool {
        *self.phase.borrow() == Phase::Ready && !self.kill.is_cancelled()
    }

    /// What the process reported instead of asking for its first event.
    pub(crate) fn refusal(&self) -> Option<Bytes> {
        lock(&self.refusal).clone()
    }

    /// Hands an event over and waits for what comes of it.
    pub(crate) async fn run(&self, event: Event) -> Ran {
        let timeout = event.timeout;
        let (taken, is_taken) = oneshot::channel();
        let (answer, answered) = oneshot::channel();
        let delivery = Delivery {
            event,
            taken,
            answer,
        };
        if self.events.try_send(delivery).is_err() {
            return Ran::Undelivered;
        }
        tokio::select! {
            biased;
            taken = tokio::time::timeout(STUCK, is_taken) => {
                if !matches!(taken, Ok(Ok(()))) {
                    return Ran::Undelivered;
                }
            }
            _ = self.ended() => return Ran::Undelivered,
        }
        let ran = tokio::select! {
            biased;
            Ok(answer) = answered => Ran::Answered(answer),
            end = self.ended() => Ran::Exited(end),
            () = tokio::time::sleep(timeout) => Ran::TimedOut,
        };
        lock(&self.in_flight).take(); // an answer that comes now is answered with an error
        ran
    }

    /// The process asks for its next event: waits for one. `None` when the environment closes.
    pub(crate) async fn next(&self) -> Option<Event> {
        self.phase.send_if_modified(|phase| {
            let starts = *phase == Phase::Starting;
            if starts {
                *phase = Phase::Ready;
            }
            starts
        });
        let Delivery {
            event,
            taken,
            answer,
        } = self.waiting.lock().await.recv().await?;
        *lock(&self.in_flight) = Some(InFlight {
            request_id: event.request_id.clone(),
            answer,
        });
        let _ = taken.send(());
        Some(event)
    }

    /// The process answers the event of that id. `false` when that event is not its own, or no longer.
    pub(crate) fn answer(&self, request_id: &str, answer: Answer) -> bool {
        let mut in_flight = lock(&self.in_flight);
        if in_flight
            .as_ref()
            .is_none_or(|current| current.request_id != request_id)
        {
            return false;
        }
        in_flight
            .take()
            .is_some_and(|current| current.answer.send(answer).is_ok())
    }

    /// The process says why it cannot start.
    pub(crate) fn refuse(&self, report: Bytes) {
        *lock(&self.refusal) = Some(report);
        self.phase.send_if_modified(|phase| {
            let starts = *phase == Phase::Starting;
            if starts {
                *phase = Phase::Refused;
            }
            starts
        });
    }

    /// The process is gone.
    pub(crate) fn end(&self, end: End) {
        self.phase.send_replace(Phase::Ended(end));
    }

    /// Notes in the log that an event begins; the tail is of this event from here on.
    pub(crate) fn log_start(&self, world: &World, request_id: &str) {
        lock(&self.tail).clear();
        self.log(
            world,
            &format!("START RequestId: {request_id} Version: {}", self.number),
        );
    }

    /// Adds a line of output to the log.
    pub(crate) fn log(&self, world: &World, line: &str) {
        world.logs.append(&self.log_group, &self.log_stream, line);
        let mut tail = lock(&self.tail);
        tail.push_str(line);
        tail.push('\n');
        if tail.len() > 2 * TAIL {
            let cut = tail.len() - TAIL;
            let cut = (cut..tail.len())
                .find(|at| tail.is_char_boundary(*at))
                .unwrap_or(tail.len());
            tail.drain(..cut);
        }
    }

    /// The end of the output since the last event began, at most four kilobytes.
    pub(crate) fn tail(&self) -> String {
        let tail = lock(&self.tail);
        let cut = tail.len().saturating_sub(TAIL);
        let cut = (cut..=tail.len())
            .find(|at| tail.is_char_boundary(*at))
            .unwrap_or(tail.len());
        tail[cut..].to_owned()
    }
}

/// When the event's time is up, in milliseconds since the epoch, for one that is taken now.
pub(crate) fn deadline_ms(timeout: Duration) -> u128 {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    (now + timeout).as_millis()
}

/// A clock for durations that are shown.
pub(crate) fn milliseconds_since(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1000.0
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
