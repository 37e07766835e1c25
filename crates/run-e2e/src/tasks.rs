//! The tests themselves: commands in the tree, one after the other, until one fails.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use towpath_job::duration;
use towpath_tool::{Limits, Workspace, task};

use crate::error::E2eError;
use crate::parameters::Parameters;

/// Tests that passed.
#[derive(Debug)]
pub(crate) struct Passed {
    commands: Vec<String>,
    took: Duration,
}

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let commands: Vec<String> = self
            .commands
            .iter()
            .map(|command| format!("`{command}`"))
            .collect();
        write!(
            f,
            "{} passed in {}",
            commands.join(", "),
            duration::render(self.took)
        )
    }
}

/// Runs the tasks in order. All of them are found before the first is run.
pub(crate) async fn run(
    tree: &Path,
    parameters: &Parameters,
    environment: &BTreeMap<String, String>,
    workspace: &Workspace,
    deadline: Instant,
) -> Result<Passed, E2eError> {
    let directory = tree.join(&parameters.directory);
    let directory = inside(tree, &directory)
        .filter(|directory| directory.is_dir())
        .ok_or_else(|| E2eError::NoDirectory(parameters.directory.clone()))?;
    let runner = parameters.work.runner;
    let commands = parameters
        .work
        .tasks
        .iter()
        .map(|task| task::detect(&directory, runner, task))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| E2eError::task(&error, tree))?;
    let started = Instant::now();
    let limits = Limits::until(deadline);
    let mut ran = Vec::new();
    for command in commands {
        // What the tests are told comes last: it is what the operator sees and sets.
        let command = command.envs(environment);
        towpath_tool::run(&command, workspace, &limits)
            .await
            .map_err(|source| E2eError::Tool {
                tests: None,
                source,
            })?;
        ran.push(command.to_string());
    }
    Ok(Passed {
        commands: ran,
        took: started.elapsed(),
    })
}

/// The real path of something in the tree; nothing when it does not exist, or when a link has led
/// out of the tree.
pub(crate) fn inside(tree: &Path, path: &Path) -> Option<PathBuf> {
    let tree = tree.canonicalize().ok()?;
    let path = path.canonicalize().ok()?;
    path.starts_with(&tree).then_some(path)
}

#[cfg(test)]
mod tests {
    use towpath_job::{Failure, FailureType, parameters::parse};

    use super::*;

    /// Runs tasks over a tree of files, with an environment.
    async fn run_in(
        files: &[(&str, &str)],
        parameters: &str,
        environment: &[(&str, &str)],
        seconds: u64,
    ) -> Result<String, Failure> {
        let workspace = Workspace::create().unwrap();
        let tree = workspace.path("source");
        for (name, text) in files {
            let path = tree.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let (_, parameters) = parse::<Parameters>(parameters, &[]).unwrap();
        let environment = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let deadline = Instant::now() + Duration::from_secs(seconds);
        run(&tree, &parameters, &environment, &workspace, deadline)
            .await
            .map(|passed| passed.to_string())
            .map_err(Failure::from)
    }

    const MAKEFILE: &str = "smoke:\n\ttest \"$$API_URL\" = http://x\ne2e: smoke\n\ttest -z \"$$AWS_SECRET_ACCESS_KEY\"\nbad:\n\techo 1 failing; exit 3\n";

    #[tokio::test]
    async fn tasks_run_in_order_with_the_environment() {
        let summary = run_in(
            &[("web/Makefile", MAKEFILE)],
            "task=smoke,e2e&dir=web",
            &[("API_URL", "http://x")],
            60,
        )
        .await
        .unwrap();
        assert!(
            summary.starts_with("`make smoke`, `make e2e` passed in "),
            "{summary}"
        );
    }

    #[tokio::test]
    async fn failures_by_table() {
        let tree = &[("Makefile", MAKEFILE)][..];
        for (case, files, parameters, seconds, kind, begins, contains) in [
            (
                "a failing test",
                tree,
                "task=bad",
                60,
                FailureType::JobFailed,
                "`make bad` failed with exit code 2\n",
                "1 failing",
            ),
            (
                "a command that fails",
                tree,
                "command=echo+no+luck;exit+3",
                60,
                FailureType::JobFailed,
                "`echo no luck;exit 3` failed with exit code 3\n",
                "no luck",
            ),
            (
                "a task that is not there",
                tree,
                "task=e2",
                60,
                FailureType::ConfigurationError,
                "there is no task `e2`, did you mean `e2e`?",
                "Makefile has",
            ),
            (
                "no runner",
                &[("a.txt", "")],
                "task=e2e",
                60,
                FailureType::ConfigurationError,
                "nothing to run task `e2e` with: `.` holds no package.json, gulpfile, makefile, justfile, Cargo.toml, tox.ini, noxfile.py, pom.xml, go.mod or go.work, and no tests of pytest",
                "hint: ",
            ),
            (
                "no directory",
                tree,
                "task=e2e&dir=web/x",
                60,
                FailureType::ConfigurationError,
                "the source has no directory `web/x`",
                "dir=",
            ),
            (
                "a test that hangs",
                tree,
                "command=echo+waiting;sleep+600",
                1,
                FailureType::JobFailed,
                "`echo waiting;sleep 600` did not end within ",
                "waiting",
            ),
        ] {
            let failure = run_in(files, parameters, &[], seconds)
                .await
                .expect_err(case);
            let rendered = failure.render();
            assert_eq!(failure.kind, kind, "{case}: {rendered}");
            assert!(rendered.starts_with(begins), "{case}: {rendered}");
            assert!(rendered.contains(contains), "{case}: {rendered}");
            assert!(!rendered.contains("/towpath-"), "{case}: {rendered}");
        }
    }

    #[test]
    fn a_link_out_of_the_tree_is_not_inside_it() {
        let workspace = Workspace::create().unwrap();
        let tree = workspace.path("source");
        std::fs::create_dir_all(&tree).unwrap();
        std::fs::write(tree.join("report.xml"), "").unwrap();
        std::os::unix::fs::symlink("/etc", tree.join("out")).unwrap();
        assert!(inside(&tree, &tree.join("report.xml")).is_some());
        assert!(inside(&tree, &tree.join("out/passwd")).is_none());
        assert!(inside(&tree, &tree.join("missing")).is_none());
    }
}
