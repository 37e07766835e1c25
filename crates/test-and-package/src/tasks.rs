//! The project's own tasks, one after the other.

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use towpath_tool::{Command, Limits, Workspace, run, task};

use crate::error::ActionError;
use crate::parameters::{Parameters, Work};

/// Enough of the end of a task's output that a test runner's list of failures is in it; the
/// report keeps what fits.
const TAIL_BYTES: usize = 16 * 1024;

/// Tasks that have passed, with the time that each took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done(Vec<(String, Duration)>);

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (task, duration)) in self.0.iter().enumerate() {
            let comma = if number == 0 { "" } else { ", " };
            write!(f, "{comma}{task} ({:.1} s)", duration.as_secs_f64())?;
        }
        Ok(())
    }
}

/// Runs the tasks in the project's directory; the first that fails is the error. All of them are
/// found before the first is run. They end by `deadline`.
pub async fn run_tasks(
    project: &Path,
    parameters: &Parameters,
    workspace: &Workspace,
    deadline: Instant,
) -> Result<Done, ActionError> {
    let mut done = Done(Vec::new());
    for (name, command) in commands(project, &parameters.work)? {
        if Instant::now() >= deadline {
            return Err(ActionError::NoTime {
                task: name,
                done: done.to_string(),
            });
        }
        let command = command.envs(parameters.environment.iter().cloned());
        let limits = Limits {
            tail_bytes: TAIL_BYTES,
            ..Limits::until(deadline)
        };
        let finished =
            run(&command, workspace, &limits)
                .await
                .map_err(|source| ActionError::Task {
                    task: name.clone(),
                    tests: None,
                    source,
                })?;
        tracing::info!(
            task = name,
            "passed in {:.1} s",
            finished.duration.as_secs_f64()
        );
        done.0.push((name, finished.duration));
    }
    Ok(done)
}

/// What to run, by name.
fn commands(project: &Path, work: &Work) -> Result<Vec<(String, Command)>, ActionError> {
    let (names, runner) = match work {
        Work::Command(command) => (std::slice::from_ref(command), Some("command")),
        Work::Tasks { names, runner } => (names.as_slice(), *runner),
    };
    names
        .iter()
        .map(|name| {
            let command = task::detect(project, runner, name)?;
            let name = match work {
                Work::Command(_) => "command".to_owned(),
                Work::Tasks { .. } => name.clone(),
            };
            Ok((name, command))
        })
        .collect()
}
