//! What `install-deps` leaves in a tree that would not work at another path by itself, and how it is made to.
//!
//! `install-deps` takes out what holds on its machine and in its directory only: links to an interpreter, the
//! directory's own path in files. For each installation that needs something put back there is a [`Record`] in
//! [`RECORDS`], at the root of the tree. Before a task runs, `restore` puts back what the records name, and gives the
//! task the variables by which its tools find what was installed.
//!
//! Before such a tree is published again, [`make_portable`] takes out what `restore` put in.
//!
//! Records are looked for in the task's directory and in those above it, and never above the job's own tree: what lies
//! in a shared temporary directory may be anybody's.

mod portable;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs, io,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Component, Path, PathBuf},
};

use serde::{Deserialize, Serialize};

pub use portable::{make_portable, without_places};

use crate::{Command, Workspace, environment};

/// The directory of records, at the root of a tree.
pub const RECORDS: &str = ".towpath-installed";

/// Stands, in the files that a record names, for the absolute path of the tree's root.
pub const ROOT: &str = "/towpath.source.root";

/// Where a Python virtual environment lies, below the directory of its project.
pub const VIRTUAL_ENVIRONMENT: &str = ".venv";
/// Where cargo's home lies, with the sources of all packages.
pub const CARGO_HOME: &str = ".cargo-home";
/// Where the cache of Go's modules lies.
pub const GO_MODULES: &str = ".go-modules";
/// Where Maven's local repository lies.
pub const MAVEN_REPOSITORY: &str = ".m2-repository";

/// One installation in a tree, as far as something has to be put back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// [`Record::VERSION`] of whoever wrote it.
    pub version: u32,
    /// Where it was installed, relative to the root of the tree; empty for the root itself.
    pub directory: PathBuf,
    /// What tasks in that directory are told of.
    pub provides: Option<Provided>,
    /// Files that hold [`ROOT`] in place of the tree's path, relative to the tree's root.
    pub files: Vec<PathBuf>,
}

/// What an installation provides for the tasks in its directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Provided {
    /// [`VIRTUAL_ENVIRONMENT`].
    VirtualEnvironment {
        /// Python's version without its last part, such as `3.12`.
        python: String,
    },
    /// [`CARGO_HOME`].
    CargoHome,
    /// [`GO_MODULES`].
    GoModules,
    /// [`MAVEN_REPOSITORY`].
    MavenRepository,
}

/// Why an installed tree cannot be made to work where it is.
#[derive(Debug, thiserror::Error)]
pub enum InstalledError {
    /// A record cannot be understood.
    #[error("`{path}` does not say what was installed: {reason}")]
    Record {
        /// The record.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file cannot be read or written.
    #[error("failed to restore `{path}`: {source}")]
    Restore {
        /// The file.
        path: PathBuf,
        /// What the system said; part of the text already.
        source: io::Error,
    },
    /// A file cannot be made to work elsewhere again.
    #[error("failed to take this machine's paths out of `{path}`: {source}")]
    Portable {
        /// The file.
        path: PathBuf,
        /// What the system said; part of the text already.
        source: io::Error,
    },
    /// The interpreter is another one than the environment was made with.
    #[error(
        "the installed packages in `{environment}` are for Python {wanted}, which is not here ({}): let the same image \
         install them and run the tasks",
        found.join(", ")
    )]
    NoPython {
        /// The virtual environment.
        environment: PathBuf,
        /// The version.
        wanted: String,
        /// What each candidate came to.
        found: Vec<String>,
    },
}

impl Record {
    /// The version of the format.
    pub const VERSION: u32 = 1;

    /// Writes the record into the tree at `root`, in a file that is `manager`'s for this directory.
    pub fn write(&self, root: &Path, manager: &str) -> io::Result<()> {
        let parts: Vec<_> = self
            .directory
            .iter()
            .map(|part| part.to_string_lossy())
            .collect();
        let place = if parts.is_empty() {
            "root".to_owned()
        } else {
            parts.join("+")
        };
        let records = root.join(RECORDS);
        fs::create_dir_all(&records)?;
        let text = serde_json::to_string_pretty(self).map_err(io::Error::other)?;
        fs::write(records.join(format!("{place}.{manager}.json")), text + "\n")
    }

    fn read(path: &Path) -> Result<Self, InstalledError> {
        let wrong = |reason: String| InstalledError::Record {
            path: path.to_owned(),
            reason,
        };
        let bytes = fs::read(path).map_err(|error| wrong(error.to_string()))?;
        let record: Self =
            serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
        if record.version != Self::VERSION {
            let version = record.version;
            return Err(wrong(format!("it is of version {version}, not 1")));
        }
        let mut named = record.files.iter().chain([&record.directory]);
        let outside = named.find(|path| !is_inside(path)).cloned();
        drop(named);
        if let Some(path) = outside {
            let path = path.display();
            return Err(wrong(format!(
                "it names `{path}`, which is not inside the tree"
            )));
        }
        Ok(record)
    }

    /// What a task is told, for a tree at `root`: variables, and directories in front of its `PATH`.
    fn environment(&self, root: &Path) -> (Vec<(&'static str, OsString)>, Option<PathBuf>) {
        let at = |name: &str| root.join(&self.directory).join(name);
        match &self.provides {
            None => (Vec::new(), None),
            Some(Provided::VirtualEnvironment { .. }) => {
                let path = at(VIRTUAL_ENVIRONMENT);
                let programs = path.join("bin");
                // `uv run` would install first, `poetry run` look for an environment elsewhere.
                let variables = [
                    ("VIRTUAL_ENV", path.into()),
                    ("UV_NO_SYNC", "1".into()),
                    ("UV_PYTHON_DOWNLOADS", "never".into()),
                    ("POETRY_VIRTUALENVS_IN_PROJECT", "true".into()),
                ];
                (variables.into(), Some(programs))
            }
            Some(Provided::CargoHome) => {
                let variables = [
                    ("CARGO_HOME", at(CARGO_HOME).into()),
                    ("CARGO_NET_OFFLINE", "true".into()),
                ];
                (variables.into(), None)
            }
            Some(Provided::GoModules) => {
                let variables = [
                    ("GOMODCACHE", at(GO_MODULES).into()),
                    ("GOPROXY", "off".into()),
                    ("GOTOOLCHAIN", "local".into()),
                    // What Go unpacks there can be removed with the job.
                    ("GOFLAGS", "-modcacherw".into()),
                ];
                (variables.into(), None)
            }
            Some(Provided::MavenRepository) => {
                let mut repository = OsString::from("-Dmaven.repo.local=");
                repository.push(at(MAVEN_REPOSITORY));
                // Not offline: which provider of tests surefire needs, it finds out when it runs them.
                (vec![("MAVEN_OPTS", repository)], None)
            }
        }
    }
}

fn is_inside(path: &Path) -> bool {
    path.components()
        .all(|part| matches!(part, Component::Normal(_)))
}

/// Puts back what the records around `command`'s directory name, and tells the command of it. Safe to repeat.
pub(crate) fn restore(mut command: Command) -> Result<Command, InstalledError> {
    let host: BTreeMap<_, _> = std::env::vars_os().collect();
    // Without a slash at its end, which would come before the one in what is restored.
    let directory: PathBuf = command.directory.components().collect();
    let mut told: Vec<(usize, Record, PathBuf)> = Vec::new();
    for root in Workspace::trees_around(&directory) {
        for record in records(&root)? {
            restore_files(&root, &record.files)?;
            if let Some(Provided::VirtualEnvironment { python }) = &record.provides {
                let environment = root.join(&record.directory).join(VIRTUAL_ENVIRONMENT);
                restore_interpreter(&environment, python, &host)?;
            }
            let place = root.join(&record.directory);
            if directory.starts_with(&place) {
                told.push((place.components().count(), record, root.clone()));
            }
        }
    }
    // The nearest first: what it says is not said otherwise by one further off.
    told.sort_by_key(|(depth, ..)| std::cmp::Reverse(*depth));
    for (_, record, root) in told {
        let (variables, programs) = record.environment(&root);
        for (name, value) in variables {
            command.environment.entry(name.into()).or_insert(value);
        }
        command.search.extend(programs);
    }
    Ok(command)
}

fn records(root: &Path) -> Result<Vec<Record>, InstalledError> {
    let directory = root.join(RECORDS);
    let mut paths = Vec::new();
    match fs::read_dir(&directory) {
        Ok(entries) => {
            for entry in entries {
                let entry = entry.map_err(|source| InstalledError::Restore {
                    path: directory.clone(),
                    source,
                })?;
                paths.push(entry.path());
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => {
            return Err(InstalledError::Restore {
                path: directory,
                source,
            });
        }
    }
    paths.sort();
    paths
        .iter()
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .map(|path| Record::read(path))
        .collect()
}

/// Writes the tree's path into the files that have [`ROOT`] in its place. A file that is no longer there, or is a link,
/// is left alone.
fn restore_files(root: &Path, files: &[PathBuf]) -> Result<(), InstalledError> {
    for file in files {
        let path = root.join(file);
        let failed = |source| InstalledError::Restore {
            path: path.clone(),
            source,
        };
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_file() => {
                let bytes = fs::read(&path).map_err(failed)?;
                let root = root.as_os_str().as_encoded_bytes();
                if let Some(restored) = replaced(&bytes, ROOT.as_bytes(), root) {
                    rewrite(&path, &restored, &metadata.permissions()).map_err(failed)?;
                }
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(())
}

/// `bytes` with `new` wherever they hold `old`; nothing if they do not.
pub fn replaced(bytes: &[u8], old: &[u8], new: &[u8]) -> Option<Vec<u8>> {
    let finder = memchr::memmem::Finder::new(old);
    let mut found = finder.find_iter(bytes).peekable();
    found.peek()?;
    let mut out = Vec::with_capacity(bytes.len());
    let mut end = 0;
    for at in found {
        out.extend_from_slice(&bytes[end..at]);
        out.extend_from_slice(new);
        end = at + old.len();
    }
    out.extend_from_slice(&bytes[end..]);
    Some(out)
}

/// Puts a new file in the place of an old one: the old one may be a hard link into a cache.
pub fn rewrite(path: &Path, bytes: &[u8], permissions: &fs::Permissions) -> io::Result<()> {
    let parent = path.parent().unwrap_or(Path::new("."));
    let mut new = tempfile::NamedTempFile::new_in(parent)?;
    io::Write::write_all(&mut new, bytes)?;
    let mode = permissions.mode() & 0o777;
    new.as_file()
        .set_permissions(fs::Permissions::from_mode(mode | 0o600))?;
    new.persist(path)?;
    Ok(())
}

/// Links the environment's `python` to this machine's, and says in `pyvenv.cfg` where that lies.
fn restore_interpreter(
    environment: &Path,
    version: &str,
    host: &BTreeMap<OsString, OsString>,
) -> Result<(), InstalledError> {
    let programs = environment.join("bin");
    let python = programs.join("python");
    // It also is whole if a task of this job has made it anew.
    if !environment.is_dir() || python.exists() {
        return Ok(());
    }
    let interpreter = interpreter(environment, version, host)?;
    let settings = environment.join("pyvenv.cfg");
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| InstalledError::Restore { path, source }
    };
    let text = fs::read_to_string(&settings).map_err(failed(&settings))?;
    let home = interpreter.parent().unwrap_or(Path::new("/"));
    fs::write(&settings, format!("home = {}\n{text}", home.display()))
        .map_err(failed(&settings))?;
    fs::create_dir_all(&programs).map_err(failed(&programs))?;
    for (name, target) in [
        ("python", interpreter.as_path()),
        ("python3", Path::new("python")),
        (&format!("python{version}"), Path::new("python")),
    ] {
        let link = programs.join(name);
        match symlink(target, &link) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => other.map_err(failed(&link))?,
        }
    }
    Ok(())
}

/// Where the interpreter of that version really lies: version managers put a stand-in on the path, which finds nothing
/// when it is called by way of a link. So whatever answers to the name is asked.
fn interpreter(
    environment: &Path,
    version: &str,
    host: &BTreeMap<OsString, OsString>,
) -> Result<PathBuf, InstalledError> {
    const QUESTION: &str = "import sys; print('%d.%d' % sys.version_info[:2]); \
                            print(getattr(sys, '_base_executable', None) or sys.executable)";
    let mut found = Vec::new();
    for name in [&format!("python{version}"), "python3", "python"] {
        let asked = std::process::Command::new(name)
            .args(["-I", "-c", QUESTION])
            .env_clear()
            .envs(environment::outside_of_jobs(host))
            .current_dir("/")
            .stdin(std::process::Stdio::null())
            .output();
        match asked {
            Ok(output) if output.status.success() => {
                let told = String::from_utf8_lossy(&output.stdout);
                let mut lines = told.lines();
                match (lines.next(), lines.next()) {
                    (Some(its), Some(path)) if its == version => return Ok(path.into()),
                    (its, _) => found.push(format!("`{name}` is {}", its.unwrap_or_default())),
                }
            }
            Ok(_) => found.push(format!("`{name}` fails")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                found.push(format!("there is no `{name}`"));
            }
            Err(error) => found.push(format!("`{name}` does not start: {error}")),
        }
    }
    Err(InstalledError::NoPython {
        environment: environment.to_owned(),
        wanted: version.to_owned(),
        found,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(directory: &str, provides: Option<Provided>, files: &[&str]) -> Record {
        Record {
            version: Record::VERSION,
            directory: directory.into(),
            provides,
            files: files.iter().map(PathBuf::from).collect(),
        }
    }

    /// A tree where jobs have theirs.
    fn tree() -> (tempfile::TempDir, Workspace, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let workspace = Workspace::create_in(directory.path()).unwrap();
        let root = workspace.path("source");
        fs::create_dir_all(root.join("api/src")).unwrap();
        (directory, workspace, root)
    }

    fn told(command: &Command) -> Vec<(String, String)> {
        let text = |value: &OsString| value.to_string_lossy().into_owned();
        let variables = command.environment.iter();
        variables
            .map(|(name, value)| (text(name), text(value)))
            .collect()
    }

    #[test]
    fn a_task_is_told_of_what_is_installed_around_it_the_nearest_first() {
        let (_kept, _workspace, root) = tree();
        record("", Some(Provided::CargoHome), &[])
            .write(&root, "cargo")
            .unwrap();
        record("api", Some(Provided::GoModules), &[])
            .write(&root, "go")
            .unwrap();
        record("api", Some(Provided::CargoHome), &[])
            .write(&root, "cargo")
            .unwrap();
        let at = |path: &str| root.join(path).to_string_lossy().into_owned();
        let home = |path| ("CARGO_HOME".to_owned(), at(path));
        for (directory, expected, go) in [
            ("", home(".cargo-home"), false),
            ("api", home("api/.cargo-home"), true),
            ("api/src", home("api/.cargo-home"), true),
        ] {
            let command = restore(Command::new("true", root.join(directory))).unwrap();
            let told = told(&command);
            assert!(told.contains(&expected), "{directory}: {told:?}");
            let modules = ("GOMODCACHE".to_owned(), at("api/.go-modules"));
            assert_eq!(told.contains(&modules), go, "{directory}: {told:?}");
        }
    }

    #[test]
    fn what_lies_above_the_job_s_tree_is_not_believed() {
        let (kept, _workspace, root) = tree();
        record("", Some(Provided::CargoHome), &[])
            .write(kept.path(), "cargo")
            .unwrap();
        let command = restore(Command::new("true", root)).unwrap();
        assert_eq!(told(&command), []);
    }

    #[test]
    fn the_tree_s_path_is_written_into_the_files_that_are_named_and_no_others() {
        let (_kept, _workspace, root) = tree();
        let text = format!("x={ROOT}/a:{ROOT}/b\n");
        for name in ["one", "other"] {
            fs::write(root.join(name), &text).unwrap();
        }
        fs::set_permissions(root.join("one"), fs::Permissions::from_mode(0o755)).unwrap();
        record("", None, &["one", "gone", "api"])
            .write(&root, "npm")
            .unwrap();
        for _ in 0..2 {
            let command = restore(Command::new("true", root.join("api"))).unwrap();
            assert_eq!(told(&command), []);
            let at = root.display();
            assert_eq!(
                fs::read_to_string(root.join("one")).unwrap(),
                format!("x={at}/a:{at}/b\n")
            );
            assert_eq!(fs::read_to_string(root.join("other")).unwrap(), text);
        }
        let mode = fs::metadata(root.join("one")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o755);
    }

    #[test]
    fn a_record_that_means_nothing_is_named() {
        for (text, expected) in [
            ("{", "EOF while parsing"),
            (
                r#"{"version": 2, "directory": "", "provides": null, "files": []}"#,
                "it is of version 2",
            ),
            (
                r#"{"version": 1, "directory": "", "provides": null, "files": ["../x"]}"#,
                "it names `../x`, which is not inside the tree",
            ),
            (
                r#"{"version": 1, "directory": "/", "provides": null, "files": []}"#,
                "it names `/`",
            ),
            (
                r#"{"version": 1, "directory": "", "provides": "nonsense", "files": []}"#,
                "unknown variant `nonsense`",
            ),
        ] {
            let (_kept, _workspace, root) = tree();
            fs::create_dir(root.join(RECORDS)).unwrap();
            fs::write(root.join(RECORDS).join("root.npm.json"), text).unwrap();
            let error = restore(Command::new("true", root)).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn an_interpreter_that_is_not_here_is_named() {
        let (_kept, _workspace, root) = tree();
        fs::create_dir_all(root.join(".venv")).unwrap();
        let python = Provided::VirtualEnvironment {
            python: "2.4".to_owned(),
        };
        record("", Some(python), &[]).write(&root, "uv").unwrap();
        let error = restore(Command::new("true", root)).unwrap_err().to_string();
        assert!(
            error.contains("are for Python 2.4, which is not here (there is no `python2.4`")
                || error.contains("are for Python 2.4, which is not here (`python2.4` fails"),
            "{error}"
        );
    }
}
