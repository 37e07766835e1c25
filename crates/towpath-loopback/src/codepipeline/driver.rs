//! Does what the engine asks for: invokes functions, fetches sources, tells people, keeps time.
//!
//! Each effect is a task of its own that ends with the loopback. An effect that cannot be done is
//! fed back as the failure of its job or action; an engine that does not wait for it any more
//! (abandoned, timed out, deleted) refuses it, and that is the end of it.

mod approval;
mod invoke;
mod source;

use std::future::Future;
use std::sync::Arc;

use tokio::sync::watch;
use towpath_engine::{Effect, Input, Time};

use crate::World;

pub(super) use invoke::job_data;

/// Sets tasks to what is to be done.
pub(super) fn perform(world: &Arc<World>, pipeline: &str, effects: Vec<Effect>) {
    for effect in effects {
        let name = pipeline.to_owned();
        let own = Arc::clone(world);
        match effect {
            Effect::InvokeFunction(job) => {
                spawn(world, async move {
                    invoke::invoke(&own, &name, &job).await;
                });
            }
            Effect::FetchSource(fetch) => {
                spawn(world, async move {
                    source::fetch(&own, &name, &fetch).await;
                });
            }
            Effect::RequestApproval(request) => {
                spawn(world, async move {
                    approval::request(&own, &name, &request).await;
                });
            }
            // The timer was set under the engine's lock.
            Effect::SetTimer { .. } => {}
            Effect::ActionEnded {
                execution,
                action_execution,
                status,
            } => {
                tracing::debug!(pipeline, %execution, %action_execution, %status, "action ended");
            }
            Effect::ExecutionEnded { execution, status } => {
                tracing::info!(pipeline, %execution, %status, "execution ended");
            }
        }
    }
}

fn spawn(world: &Arc<World>, work: impl Future<Output = ()> + Send + 'static) {
    let stopping = world.stopping.clone();
    world.tasks.spawn(async move {
        tokio::select! {
            () = stopping.cancelled() => {}
            () = work => {}
        }
    });
}

/// Feeds what became of an effect. A refusal means that nobody waits for it any more.
fn tell(world: &Arc<World>, pipeline: &str, input: Input) {
    if let Err(error) = world.codepipeline.feed(world, pipeline, input) {
        tracing::debug!(pipeline, %error, "an effect came too late");
    }
}

/// Delivers a pipeline's ticks, until the pipeline or the loopback is gone.
pub(super) fn keep_time(
    world: &Arc<World>,
    pipeline: &str,
    mut alarm: watch::Receiver<Option<Time>>,
) {
    let own = Arc::clone(world);
    let name = pipeline.to_owned();
    spawn(world, async move {
        let mut due: Option<Time> = None;
        loop {
            let ring = async {
                match due {
                    Some(at) => tokio::time::sleep_until(own.codepipeline.clock.instant(at)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = alarm.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    due = *alarm.borrow_and_update();
                }
                () = ring => {
                    // A timer that rings a little early is slept on once more.
                    if due.is_some_and(|at| own.codepipeline.clock.now() >= at) {
                        due = None;
                        tell(&own, &name, Input::Tick);
                    }
                }
            }
        }
    });
}
