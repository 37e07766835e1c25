//! The programs that install: found, and asked for their versions.
//!
//! A manager is a program on the path. For Yarn and pnpm, of which a project may want another version than the one that
//! is there, it is the first of these that fits: what the project brings along (`yarnPath`), the program on the path,
//! corepack.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Instant,
};

use towpath_tool::task::PNPM_AS_IT_IS;
use towpath_tool::{Command, Limits, ToolError, Workspace, run};

use crate::{InstallError, Manager, Plan, Runtime};

/// The programs that carry out a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toolchain {
    /// The manager's program.
    pub program: OsString,
    /// Arguments that come before the manager's own: `-m pip`.
    pub leading: Vec<OsString>,
    /// The manager's version: `11.2.0`.
    pub version: String,
    /// The version of what its packages run on: `20.1.0`.
    pub runtime: String,
    /// Where Node's headers lie, if they lie beside it: native modules are compiled without a network then.
    pub headers: Option<PathBuf>,
    /// What the reader should know about this choice.
    pub warning: Option<String>,
}

impl Toolchain {
    /// The first number of the manager's version; 0 where there is none.
    pub(crate) fn major(&self) -> u64 {
        major(&self.version)
    }

    /// Finds the programs for `plan`, whose directory is `directory`.
    pub async fn find(
        plan: &Plan,
        directory: &Path,
        workspace: &Workspace,
        deadline: Instant,
    ) -> Result<Self, InstallError> {
        let ask = Ask {
            directory,
            workspace,
            limits: Limits::until(deadline),
        };
        let recipe = &plan.recipe;
        let simple = |program: &str| (OsString::from(program), Vec::<OsString>::new(), None);
        let (program, leading, warning) = match recipe.manager {
            Manager::Npm => simple("npm"),
            Manager::Pip => ("python3".into(), vec!["-m".into(), "pip".into()], None),
            Manager::Uv => simple("uv"),
            Manager::Poetry => simple("poetry"),
            Manager::Cargo => simple("cargo"),
            Manager::Go => simple("go"),
            Manager::Maven => simple("mvn"),
            Manager::Yarn | Manager::YarnClassic | Manager::Pnpm => {
                let path = recipe.program.as_ref();
                match path.filter(|path| directory.join(path).is_file()) {
                    Some(path) => ("node".into(), vec![path.into()], None),
                    None => ask.for_one_that_fits(plan).await?,
                }
            }
        };
        let flag = match recipe.manager {
            Manager::Go => "version",
            _ => "--version",
        };
        let asked = Command::new(program.clone(), directory)
            .args(leading.iter().cloned())
            .arg(flag);
        let asked = match recipe.manager {
            Manager::Pnpm if warning.is_some() => asked.envs(PNPM_AS_IT_IS),
            _ => asked,
        };
        let told = ask.version(asked).await?;
        let version = version_in(&told).unwrap_or(told);
        let (runtime, headers) = ask.runtime(recipe.manager.runtime()).await?;
        Ok(Self {
            program,
            leading,
            version,
            runtime,
            headers,
            warning,
        })
    }
}

struct Ask<'a> {
    directory: &'a Path,
    workspace: &'a Workspace,
    limits: Limits,
}

impl Ask<'_> {
    /// What the program prints.
    async fn version(&self, command: Command) -> Result<String, ToolError> {
        Ok(run(&command, self.workspace, &self.limits).await?.tail)
    }

    async fn runtime(&self, runtime: Runtime) -> Result<(String, Option<PathBuf>), InstallError> {
        let (program, question) = runtime.question();
        let told = self
            .version(Command::new(program, self.directory).args(question.iter().copied()))
            .await?;
        let headers = match runtime {
            Runtime::Node => told
                .split_once(' ')
                .and_then(|(_, path)| headers_beside(path)),
            Runtime::Python | Runtime::Rust | Runtime::Go | Runtime::Java => None,
        };
        Ok((version_in(&told).unwrap_or(told), headers))
    }

    async fn for_one_that_fits(
        &self,
        plan: &Plan,
    ) -> Result<(OsString, Vec<OsString>, Option<String>), InstallError> {
        let manager = plan.manager();
        let wanted = plan.recipe.version.as_deref();
        let name = manager.name();
        let on_path = match self
            .version(Command::new(name, self.directory).arg("--version"))
            .await
        {
            Ok(told) => OnPath::Version(version_in(&told).unwrap_or(told)),
            Err(ToolError::NotFound { .. }) => OnPath::Nothing,
            // Yarn 1 where the project wants another, corepack's stand-in without a way to the registry.
            Err(error @ ToolError::Exit { .. }) => OnPath::Refuses(error.tail().to_owned()),
            Err(error) => return Err(error.into()),
        };
        // pnpm fetches the version that is wanted, and takes its place; or cannot. What is it itself, then?
        let on_path = match on_path {
            OnPath::Refuses(said) if manager == Manager::Pnpm => {
                let itself = Command::new(name, self.directory).arg("--version");
                match self.version(itself.envs(PNPM_AS_IT_IS)).await {
                    Ok(told) => OnPath::Version(version_in(&told).unwrap_or(told)),
                    Err(_) => OnPath::Refuses(said),
                }
            }
            other => other,
        };
        let fit = fit(manager, wanted, &on_path);
        if fit == Fit::Exactly {
            return Ok((name.into(), Vec::new(), None));
        }
        let asked = match wanted {
            Some(version) => format!("{name}@{version}"),
            None => format!("{name}@{}", generation(manager)),
        };
        let corepack = Command::new("corepack", self.directory)
            .arg(&asked)
            .arg("--version");
        let refused = match self.version(corepack).await {
            Ok(_) => return Ok(("corepack".into(), vec![asked.into()], None)),
            Err(ToolError::NotFound { .. }) => None,
            Err(error @ ToolError::Exit { .. }) => Some(error.tail().to_owned()),
            Err(error) => return Err(error.into()),
        };
        if let (Fit::Nearly, OnPath::Version(version)) = (fit, &on_path) {
            let warning = format!("package.json asks for {asked}, and {version} is here");
            return Ok((name.into(), Vec::new(), Some(warning)));
        }
        Err(InstallError::NoManager {
            wanted: asked,
            found: on_path.told(name),
            corepack: refused,
        })
    }
}

/// The prefix of an installation of Node that has its headers: `/usr` for `/usr/bin/node`.
fn headers_beside(node: &str) -> Option<PathBuf> {
    let prefix = Path::new(node.trim()).parent()?.parent()?;
    prefix
        .join("include/node/node_api.h")
        .is_file()
        .then(|| prefix.to_owned())
}

/// What answers to a manager's name on the search path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum OnPath {
    Nothing,
    Version(String),
    /// It is there, but not for this project. What it said.
    Refuses(String),
}

impl OnPath {
    fn told(&self, name: &str) -> String {
        match self {
            Self::Nothing => format!("there is no `{name}` on the search path"),
            Self::Version(version) => format!("`{name}` on the search path is {version}"),
            Self::Refuses(tail) => {
                let said = tail.lines().map(str::trim).find(|line| !line.is_empty());
                format!(
                    "`{name}` on the search path refuses: {}",
                    said.unwrap_or_default()
                )
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fit {
    Exactly,
    /// Reads the same lock file.
    Nearly,
    Not,
}

/// Whether what is on the path may install a project that wants `wanted`.
fn fit(manager: Manager, wanted: Option<&str>, on_path: &OnPath) -> Fit {
    let OnPath::Version(here) = on_path else {
        return Fit::Not;
    };
    let is_generation = match manager {
        Manager::YarnClassic => major(here) == 1,
        Manager::Yarn => major(here) >= 2,
        _ => true,
    };
    match wanted {
        _ if !is_generation => Fit::Not,
        None => Fit::Exactly,
        Some(wanted) if wanted == here => Fit::Exactly,
        Some(wanted) if major(wanted) == major(here) => Fit::Nearly,
        Some(_) => Fit::Not,
    }
}

/// What corepack is asked for where the project names no version.
fn generation(manager: Manager) -> &'static str {
    match manager {
        Manager::YarnClassic => "1",
        Manager::Yarn => "4",
        _ => "latest",
    }
}

fn major(version: &str) -> u64 {
    version
        .split('.')
        .next()
        .and_then(|number| number.parse().ok())
        .unwrap_or_default()
}

/// The first word that looks like a version: `go version go1.19.8 linux/amd64` → `1.19.8`.
fn version_in(told: &str) -> Option<String> {
    let words = told.split(|c: char| c.is_whitespace() || matches!(c, '"' | '(' | ')' | ','));
    words
        .map(|word| word.trim_start_matches(|c: char| c.is_ascii_alphabetic()))
        // Maven writes in bold, on a pipe too.
        .map(|word| word.split('\u{1b}').next().unwrap_or_default())
        .find(|word| {
            let mut parts = word.split('.');
            let is_number = |part: Option<&str>| {
                part.is_some_and(|part| part.starts_with(|first: char| first.is_ascii_digit()))
            };
            is_number(parts.next()) && is_number(parts.next())
        })
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found_in_what_programs_say() {
        for (told, expected) in [
            ("11.19.1", Some("11.19.1")),
            ("v20.20.2", Some("20.20.2")),
            ("Python 3.11.7", Some("3.11.7")),
            (
                "pip 23.2.1 from /usr/lib/python3.11/site-packages/pip (python 3.11)",
                Some("23.2.1"),
            ),
            ("uv 0.13.9 (x86_64-unknown-linux-gnu)", Some("0.13.9")),
            ("Poetry (version 2.5.1)", Some("2.5.1")),
            ("cargo 1.95.0 (f2d3ce0bd 2026-03-21)", Some("1.95.0")),
            ("go version go1.19.8 linux/amd64", Some("1.19.8")),
            (
                "\u{1b}[1mApache Maven 3.8.7\u{1b}[m\nMaven home: /usr/share/maven\nJava version: 17.0.15, vendor: Debian",
                Some("3.8.7"),
            ),
            ("openjdk version \"17.0.15\" 2025-04-15", Some("17.0.15")),
            ("none", None),
            ("", None),
        ] {
            assert_eq!(version_in(told).as_deref(), expected, "{told}");
        }
    }

    #[test]
    fn headers_are_found_beside_node() {
        let prefix = tempfile::tempdir().unwrap();
        let node = prefix.path().join("bin/node");
        assert_eq!(headers_beside(node.to_str().unwrap()), None);
        std::fs::create_dir_all(prefix.path().join("include/node")).unwrap();
        std::fs::write(prefix.path().join("include/node/node_api.h"), "").unwrap();
        assert_eq!(
            headers_beside(node.to_str().unwrap()).as_deref(),
            Some(prefix.path())
        );
        assert_eq!(headers_beside("node"), None);
    }

    #[test]
    fn the_program_on_the_path_is_taken_if_it_fits() {
        use Fit::{Exactly, Nearly, Not};
        let version = |text: &str| OnPath::Version(text.to_owned());
        for (manager, wanted, on_path, expected) in [
            (Manager::Pnpm, None, version("10.1.0"), Exactly),
            (Manager::Pnpm, Some("10.1.0"), version("10.1.0"), Exactly),
            (Manager::Pnpm, Some("10.2.0"), version("10.1.0"), Nearly),
            (Manager::Pnpm, Some("9.1.0"), version("10.1.0"), Not),
            (Manager::Pnpm, Some("9.1.0"), OnPath::Nothing, Not),
            (Manager::Pnpm, None, OnPath::Refuses(String::new()), Not),
            (Manager::YarnClassic, None, version("1.22.22"), Exactly),
            (Manager::YarnClassic, None, version("4.1.0"), Not),
            (Manager::Yarn, None, version("1.22.22"), Not),
            (Manager::Yarn, None, version("3.8.0"), Exactly),
            (Manager::Yarn, Some("4.1.0"), version("4.18.0"), Nearly),
            (Manager::Yarn, Some("4.1.0"), version("3.8.0"), Not),
        ] {
            assert_eq!(
                fit(manager, wanted, &on_path),
                expected,
                "{manager} {wanted:?} {on_path:?}"
            );
        }
    }
}
