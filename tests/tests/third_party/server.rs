//! An AWS that nobody here wrote, as a process on a free port of 127.0.0.1.
//!
//! It ends with the value that stands for it, and all that it started ends with it.

use std::fs::{File, read_to_string};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How long it may take to answer on a busy machine.
const START: Duration = Duration::from_mins(2);

/// How often a port that was free a moment ago may be taken.
const PORTS: u32 = 5;

/// A running server.
pub(crate) struct Server {
    process: Child,
    port: u16,
    // Dropped after the process has ended: its log, and whatever it keeps.
    _directory: TempDir,
}

impl Server {
    /// Starts one with a command made for a port and a directory, and waits until it answers at `path`.
    pub(crate) async fn start(
        name: &str,
        path: &str,
        command: impl Fn(u16, &Path) -> Command,
    ) -> Self {
        let mut last = String::new();
        for _ in 0..PORTS {
            match Self::on_a_free_port(name, path, &command).await {
                Ok(started) => return started,
                Err(log) => last = log,
            }
        }
        panic!("{name} does not start: {last}");
    }

    async fn on_a_free_port(
        name: &str,
        path: &str,
        command: &impl Fn(u16, &Path) -> Command,
    ) -> Result<Self, String> {
        let directory = tempfile::tempdir().expect("a directory");
        let log = directory.path().join("log");
        let output = File::create(&log).expect("a log");
        // It cannot say which free port it took, so one is found for it.
        let port = TcpListener::bind(("127.0.0.1", 0))
            .and_then(|listener| listener.local_addr())
            .expect("a free port")
            .port();
        let mut command = command(port, directory.path());
        command
            .stdout(output.try_clone().expect("a second handle"))
            .stderr(output)
            .process_group(0);
        let process = command.spawn().expect("it starts");
        let mut started = Self {
            process,
            port,
            _directory: directory,
        };
        let end = Instant::now() + START;
        loop {
            if started
                .process
                .try_wait()
                .is_ok_and(|ended| ended.is_some())
            {
                return Err(read_to_string(&log).unwrap_or_default());
            }
            if answers(port, path).await {
                return Ok(started);
            }
            assert!(
                Instant::now() < end,
                "{name} does not answer: {}",
                read_to_string(&log).unwrap_or_default()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(group) = i32::try_from(self.process.id())
            .ok()
            .and_then(Pid::from_raw)
        {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.process.wait();
    }
}

/// Whether it answers a request for this path well.
async fn answers(port: u16, path: &str) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    match tokio::time::timeout(Duration::from_secs(5), ask).await {
        Ok(Ok(answer)) => answer.starts_with(b"HTTP/1.1 200"),
        Ok(Err(_)) | Err(_) => false,
    }
}
