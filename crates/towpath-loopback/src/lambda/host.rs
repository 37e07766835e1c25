//! What this machine brings to a function: interpreters, and the few variables that are passed on.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::sync::OnceCell;
use towpath_tool::environment::{LOCATORS, PASSED};

use super::configuration::Runtime;
use super::launch::Interpreter;
use crate::World;

/// The bootstrap of `nodejs*`, without which a handler is only a module.
const NODE_BOOTSTRAP: &str = include_str!("bootstrap.mjs");
/// The bootstrap of `python*`.
const PYTHON_BOOTSTRAP: &str = include_str!("bootstrap.py");

/// An interpreter that does not say within this time where it lies is used as it is found.
const PROBE: Duration = Duration::from_secs(10);

/// The interpreters, each looked for when the first function needs it.
#[derive(Debug, Default)]
pub(crate) struct Host {
    node: OnceCell<Interpreter>,
    python: OnceCell<Interpreter>,
}

impl Host {
    /// What a function of that runtime needs; nothing if it is a program by itself.
    pub(crate) async fn interpreter(
        &self,
        world: &World,
        runtime: &Runtime,
    ) -> std::io::Result<Interpreter> {
        let found = match runtime {
            Runtime::Provided(_) | Runtime::Image => return Ok(Interpreter::default()),
            Runtime::Node(_) => {
                self.node
                    .get_or_try_init(|| {
                        find(
                            world,
                            "node",
                            &["-p", "process.execPath + '\\n' + process.version"],
                            ("bootstrap.mjs", NODE_BOOTSTRAP),
                        )
                    })
                    .await
            }
            Runtime::Python(_) => self
                .python
                .get_or_try_init(|| {
                    find(
                        world,
                        "python3",
                        &[
                            "-c",
                            "import sys; print(sys.executable, sys.version.split()[0], sep='\\n')",
                        ],
                        ("bootstrap.py", PYTHON_BOOTSTRAP),
                    )
                })
                .await,
        };
        found.cloned()
    }
}

/// Finds an interpreter and writes its bootstrap below the state directory.
///
/// A version manager puts a shim on `PATH` that looks the real interpreter up at each start, which
/// takes longer than the interpreter itself; so it is asked once where it lies.
async fn find(
    world: &World,
    name: &str,
    question: &[&str],
    (file, bootstrap): (&str, &str),
) -> std::io::Result<Interpreter> {
    let directory = super::directory(world, "runtime")?;
    tokio::fs::create_dir_all(&directory).await?;
    let path = directory.join(file);
    tokio::fs::write(&path, bootstrap).await?;
    let program = match search(name) {
        None => None,
        Some(found) => Some(real(world, name, &found, question).await.unwrap_or(found)),
    };
    Ok(Interpreter {
        program,
        bootstrap: path,
    })
}

/// What the interpreter itself says it is.
async fn real(world: &World, name: &str, found: &Path, question: &[&str]) -> Option<PathBuf> {
    let asked = Command::new(found)
        .args(question)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PROBE, asked).await.ok()?.ok()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut lines = said.lines();
    let path = lines
        .next()
        .map(PathBuf::from)
        .filter(|path| path.is_file());
    if let Some(version) = lines.next() {
        world.fidelity.simulated(format!(
            "Lambda runtimes of {name}: this machine's {name} {} runs them all",
            version.trim_start_matches('v')
        ));
    }
    path
}

/// The first executable of that name on `PATH`.
fn search(name: &str) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|directory| directory.join(name))
        .find(|path| {
            path.metadata().is_ok_and(|metadata| {
                metadata.is_file() && metadata.permissions().mode() & 0o111 != 0
            })
        })
}

/// What a function process gets of this machine's environment: where programs lie, proxies,
/// certificates, registries. The same list as for build tools, which the functions pass on in turn.
pub(crate) fn passed() -> impl Iterator<Item = (OsString, OsString)> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let named = std::env::vars_os().filter(|(name, _)| {
        name.to_str()
            .is_some_and(|name| name != "TZ" && (PASSED.contains(&name) || name.starts_with("LC_")))
    });
    // Version managers look below HOME, which is another one for functions.
    let located = LOCATORS.iter().filter_map(move |(name, below_home)| {
        let usual = || {
            let path = home.as_ref()?.join((*below_home)?);
            path.is_dir().then(|| path.into_os_string())
        };
        Some((OsString::from(name), std::env::var_os(name).or_else(usual)?))
    });
    named.chain(located)
}
