//! A Python with the modules that a test needs, and children that inherit nothing of this machine's AWS.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use towpath_loopback::Loopback;

/// Names the interpreter. When it is set, a module that is missing is a failure.
const VARIABLE: &str = "TOWPATH_TEST_PYTHON";

/// What a child of a test may know of this machine: where programs and their libraries are found.
const PASSED: &[&str] = &[
    "PATH",
    "HOME",
    "LANG",
    "LD_LIBRARY_PATH",
    "PYENV_ROOT",
    "PYENV_VERSION",
    "TMPDIR",
];

/// An interpreter that has what was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Python(OsString);

impl Python {
    /// The interpreter, if it can import `modules`. Without one the test has nothing to do, and says so past
    /// libtest, which keeps what a passing test prints to itself.
    pub(crate) fn with(modules: &[&str]) -> Option<Self> {
        let named = std::env::var_os(VARIABLE).filter(|name| !name.is_empty());
        let demanded = named.is_some();
        let python = Self(named.unwrap_or_else(|| "python3".into()));
        let import = format!("import {}", modules.join(", "));
        let missing = match python.command(&["-c", &import]).output() {
            Ok(output) if output.status.success() => return Some(python),
            Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            Err(error) => error.to_string(),
        };
        let program = python.0.display();
        assert!(
            !demanded,
            "{VARIABLE} is `{program}`, which fails to `{import}`: {missing}"
        );
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        let reason = missing.lines().last().unwrap_or_default();
        let _ = writeln!(
            std::io::stderr(),
            "note: `{test}` is skipped, because `{program}` fails to `{import}` ({reason}); \
             name a Python that has them in {VARIABLE} to run it"
        );
        None
    }

    /// A command with almost nothing in its environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.0);
        command
            .args(arguments)
            .env_clear()
            .envs(
                PASSED
                    .iter()
                    .filter_map(|name| Some((*name, std::env::var_os(name)?))),
            )
            // Nothing but the variables given says who we are, and no page of output is waited for.
            .env("AWS_CONFIG_FILE", "/nonexistent/config")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/credentials")
            .env("AWS_PAGER", "")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            // A call that fails once has failed: a second try would hide it.
            .env("AWS_MAX_ATTEMPTS", "1")
            .stdin(Stdio::null());
        command
    }

    /// A script of this directory, pointed at the loopback. Its standard output.
    pub(crate) async fn script(&self, name: &str, loopback: &Loopback, directory: &Path) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/third_party")
            .join(name);
        let mut command = self.command(&[path.to_str().expect("a path in UTF-8")]);
        command.envs(loopback.environment()).current_dir(directory);
        let output = finish(command).await;
        said(name, &output);
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// The AWS CLI, pointed at the loopback: `python -m awscli`, but for its patience. Between two looks at a stack it
    /// sleeps for half a minute, which a loopback has no need of.
    pub(crate) async fn aws(&self, loopback: &Loopback, arguments: &[&str]) -> Output {
        const IMPATIENT: &str = "import runpy, time\n\
            sleep = time.sleep\n\
            time.sleep = lambda seconds: sleep(min(seconds, 0.5))\n\
            runpy.run_module('awscli', run_name='__main__')";
        let mut command = self.command(&["-c", IMPATIENT]);
        command.args(arguments).envs(loopback.environment());
        finish(command).await
    }
}

/// Runs to the end without holding up the loopback, which lives in this process.
pub(crate) async fn finish(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output())
        .await
        .expect("the thread lives")
        .expect("the program starts")
}

/// Fails with all that was said, unless it went well.
pub(crate) fn said(what: &str, output: &Output) {
    assert!(
        output.status.success(),
        "{what}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
