//! The `towpath` program in a directory of its own.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::Value;
use tempfile::TempDir;

use crate::world::files;
use crate::{PATIENCE, Tree, assert_says, wait_for, wait_long_for};

/// The program, the directory that it is started in, and one for temporary files.
pub struct CommandLine {
    program: PathBuf,
    home: TempDir,
    temporary: TempDir,
    mark: String,
    wrapper: Vec<String>,
}

impl CommandLine {
    /// An empty directory to run `program` in.
    pub fn new(program: &str) -> Self {
        Self {
            program: program.into(),
            home: tempfile::tempdir().expect("a directory"),
            temporary: tempfile::tempdir().expect("a directory"),
            mark: format!("towpath-test-{}", uuid::Uuid::new_v4().simple()),
            wrapper: Vec::new(),
        }
    }

    /// The same with files in it.
    #[must_use]
    pub fn with(self, tree: &Tree) -> Self {
        tree.write(self.home.path());
        self
    }

    /// The same, started by another program that takes it and its arguments as its last arguments.
    #[must_use]
    pub fn within(mut self, wrapper: &[&str]) -> Self {
        self.wrapper = wrapper.iter().map(ToString::to_string).collect();
        self
    }

    /// The working directory.
    pub fn directory(&self) -> &Path {
        self.home.path()
    }

    /// What every process of this program carries in its environment.
    pub fn mark(&self) -> &str {
        &self.mark
    }

    /// Every file below `.towpath`.
    pub fn state_files(&self) -> Vec<PathBuf> {
        files(&self.home.path().join(".towpath"))
    }

    /// What lies among the temporary files.
    pub fn temporary_files(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.temporary.path()).expect("the directory");
        entries.flatten().map(|entry| entry.path()).collect()
    }

    /// Runs it to its end.
    pub fn run(&self, arguments: &[&str]) -> Finished {
        self.start(arguments).finish()
    }

    /// Starts it, with nobody at the terminal.
    pub fn start(&self, arguments: &[&str]) -> Running {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let stderr = child.stderr.take().expect("a pipe");
        Running::new(child, stderr)
    }

    /// Starts it at a terminal of the given kind: the other end of the terminal is where a person would sit.
    pub fn start_at_terminal(&self, kind: &str, arguments: &[&str]) -> (Running, File) {
        let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&person).expect("a terminal of ours");
        unlockpt(&person).expect("a terminal of ours");
        let name = ptsname(&person, Vec::new()).expect("its name");
        let name = name.into_string().expect("a path");
        let terminal = File::options().read(true).write(true).open(name);
        let terminal = terminal.expect("a terminal");
        let child = self
            .command(arguments)
            .env("TERM", kind)
            .stdin(terminal.try_clone().expect("a terminal"))
            .stderr(terminal)
            .spawn()
            .expect("the program starts");
        let person = File::from(person);
        let screen = person.try_clone().expect("a terminal");
        (Running::new(child, screen), person)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        // A search path is handed on to every function and every tool.
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = match self.wrapper.split_first() {
            None => Command::new(&self.program),
            Some((wrapper, first)) => {
                let mut command = Command::new(wrapper);
                command.args(first).arg(&self.program);
                command
            }
        };
        command
            .args(arguments)
            .current_dir(self.home.path())
            .env("PATH", format!("{path}:/nonexistent/{}", self.mark))
            .env("TMPDIR", self.temporary.path())
            .env_remove("AWS_ENDPOINT_URL")
            .stdout(Stdio::piped());
        command
    }
}

/// The program while it runs. Ended by force when it is dropped.
pub struct Running {
    child: Child,
    out: Option<JoinHandle<String>>,
    err: Option<JoinHandle<()>>,
    said: Arc<Mutex<String>>,
}

impl Running {
    fn new(mut child: Child, mut stderr: impl Read + Send + 'static) -> Self {
        let mut stdout = child.stdout.take().expect("a pipe");
        let said = Arc::<Mutex<String>>::default();
        let ear = Arc::clone(&said);
        Self {
            out: Some(std::thread::spawn(move || {
                let mut text = String::new();
                let _ = stdout.read_to_string(&mut text);
                text
            })),
            err: Some(std::thread::spawn(move || {
                // A prompt has no end of line. (A terminal that nobody has open any more is an error.)
                let mut piece = [0; 4096];
                while let Ok(count @ 1..) = stderr.read(&mut piece) {
                    let mut said = ear.lock().unwrap_or_else(PoisonError::into_inner);
                    said.push_str(&String::from_utf8_lossy(&piece[..count]));
                }
            })),
            said,
            child,
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has said this on stderr.
    #[track_caller]
    pub fn says(&mut self, words: &str) {
        let said = Arc::clone(&self.said);
        wait_for(words, || {
            let said = said.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if said.contains(words) {
                return Some(());
            }
            let ended = self.child.try_wait().expect("a child of ours");
            assert!(
                ended.is_none(),
                "it ended without saying `{words}`:\n{said}"
            );
            None
        });
    }

    /// The port of its AWS, once it has said it.
    pub fn port(&mut self) -> u16 {
        self.says("AWS is http://127.0.0.1:");
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let rest = said.split("AWS is http://127.0.0.1:").nth(1);
        let digits = rest.and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next());
        digits.and_then(|port| port.parse().ok()).expect("a port")
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("it has not ended");
    }

    /// Waits for its end.
    #[track_caller]
    pub fn finish(self) -> Finished {
        self.finish_within(PATIENCE)
    }

    /// Waits for its end, which may take as long as this: where something is compiled.
    #[track_caller]
    pub fn finish_within(mut self, patience: Duration) -> Finished {
        let status = wait_long_for("the program's end", patience, || {
            self.child.try_wait().expect("a child of ours")
        });
        let stdout = self.out.take().and_then(|out| out.join().ok());
        if let Some(err) = self.err.take() {
            let _ = err.join();
        }
        let stderr = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        Finished {
            status,
            stdout: stdout.unwrap_or_default(),
            stderr: stderr.clone(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
            // A test that fails waits once more, so that nothing of it is left behind.
            let start = std::time::Instant::now();
            while start.elapsed() < PATIENCE / 6 {
                if matches!(self.child.try_wait(), Ok(Some(_))) {
                    return;
                }
                std::thread::sleep(crate::LOOK);
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// The program after its end.
#[derive(Debug, Clone)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// Its data.
    pub stdout: String,
    /// What it told meanwhile.
    pub stderr: String,
}

impl Finished {
    /// That it ended with this code, and said these words on stderr. Answers all that it said there.
    #[track_caller]
    pub fn exited(&self, code: i32, words: &[&str]) -> &str {
        assert_eq!(self.status.code(), Some(code), "{self:#?}");
        assert_says(&self.stderr, words);
        &self.stderr
    }

    /// Its data as the one JSON document that they are.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("not one JSON document: {error}\n{self:#?}"))
    }
}
