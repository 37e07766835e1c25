//! What is to be done in one directory: which commands, which files decide what comes of it, and where it is put.

use std::path::{Path, PathBuf};

use towpath_tool::{
    Command,
    installed::{CARGO_HOME, GO_MODULES, MAVEN_REPOSITORY, VIRTUAL_ENVIRONMENT},
    task::{PNPM_AS_IT_IS, PYTHON_PACKAGES, go_packages},
};

use crate::{Manager, Parameters, Scripts, Toolchain, detect::Recipe};

/// What is to be done in one directory of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Where, relative to the root of the source.
    pub directory: PathBuf,
    /// How.
    pub recipe: Recipe,
}

impl Plan {
    /// By whom.
    pub fn manager(&self) -> Manager {
        self.recipe.manager
    }

    /// The directory as people read it.
    pub fn shown(&self) -> String {
        shown(&self.directory)
    }

    /// What the manager makes, relative to the root of the source: a copy of that in the source is no source, and is
    /// removed before. Packages of a workspace may get directories of their own beside these.
    pub fn destinations(&self) -> Vec<PathBuf> {
        let below: &[&str] = match self.manager() {
            Manager::Npm | Manager::YarnClassic | Manager::Pnpm => &["node_modules"],
            // The cache may be a part of the source ("zero install").
            Manager::Yarn => &[
                "node_modules",
                ".pnp.cjs",
                ".pnp.loader.mjs",
                ".yarn/unplugged",
            ],
            Manager::Pip => &[PYTHON_PACKAGES],
            Manager::Uv | Manager::Poetry => &[VIRTUAL_ENVIRONMENT],
            Manager::Cargo => &[CARGO_HOME],
            Manager::Go => &[GO_MODULES],
            Manager::Maven => &[MAVEN_REPOSITORY],
        };
        below
            .iter()
            .map(|below| self.directory.join(below))
            .collect()
    }

    /// The commands that do it, one after the other, in `directory`: where the plan's directory really lies.
    pub fn commands(
        &self,
        tools: &Toolchain,
        parameters: &Parameters,
        directory: &Path,
    ) -> Vec<Command> {
        let scripts = parameters.scripts;
        let is_locked = self.recipe.lock.is_some();
        let start = || {
            let command =
                Command::new(tools.program.clone(), directory).args(tools.leading.iter().cloned());
            match &tools.headers {
                // Else node-gyp would fetch them.
                Some(headers) if std::env::var_os(NODE_HEADERS).is_none() => {
                    command.env(NODE_HEADERS, headers)
                }
                _ => command,
            }
        };
        let with = |command: Command| command.args(&parameters.arguments);
        let choose =
            |condition, yes: &'static str, no: &'static str| if condition { yes } else { no };
        match self.manager() {
            Manager::Npm => {
                // An audit and the funding notice ask the registry about every package and install none. What the
                // cache has is what the lock file names: its digest is checked. In the foreground, scripts are listed.
                let command = start()
                    .arg(choose(is_locked, "ci", "install"))
                    .env("npm_config_audit", "false")
                    .env("npm_config_fund", "false")
                    .env("npm_config_foreground_scripts", "true")
                    .env("npm_config_prefer_offline", "true");
                vec![with(match scripts {
                    Scripts::Off => command.arg("--ignore-scripts"),
                    Scripts::On if tools.major() >= 12 => {
                        command.env("npm_config_dangerously_allow_all_scripts", "true")
                    }
                    Scripts::On | Scripts::Policy => command,
                })]
            }
            Manager::YarnClassic => {
                let command = start().args(["install", "--non-interactive"]);
                let command = if is_locked {
                    command.arg("--frozen-lockfile")
                } else {
                    command
                };
                vec![with(match scripts {
                    Scripts::Off => command.arg("--ignore-scripts"),
                    Scripts::On | Scripts::Policy => command,
                })]
            }
            Manager::Yarn => {
                // Plug'n'Play runs packages out of the cache, so the cache is a part of what was installed.
                let command = start()
                    .arg("install")
                    .arg(choose(is_locked, "--immutable", "--no-immutable"))
                    .env("YARN_ENABLE_GLOBAL_CACHE", "false")
                    .env("YARN_CACHE_FOLDER", directory.join(".yarn/cache"))
                    .env("YARN_ENABLE_TELEMETRY", "false");
                vec![with(match scripts {
                    Scripts::Off => command.arg("--mode=skip-build"),
                    Scripts::On => command.env("YARN_ENABLE_SCRIPTS", "true"),
                    Scripts::Policy => command,
                })]
            }
            Manager::Pnpm => {
                let command = start()
                    .arg("install")
                    .arg(choose(
                        is_locked,
                        "--frozen-lockfile",
                        "--no-frozen-lockfile",
                    ))
                    .arg("--reporter=append-only");
                // It is near enough to the version that is wanted, and may not look for that again.
                let command = if tools.warning.is_some() {
                    command.envs(PNPM_AS_IT_IS)
                } else {
                    command
                };
                vec![with(match scripts {
                    // Since pnpm 11 what was not built fails the installation, also when that was asked for.
                    Scripts::Off => command
                        .arg("--ignore-scripts")
                        .env("pnpm_config_strict_dep_builds", "false"),
                    Scripts::On => command
                        .env("npm_config_dangerously_allow_all_builds", "true")
                        .env("pnpm_config_dangerously_allow_all_builds", "true"),
                    Scripts::Policy => command,
                })]
            }
            Manager::Pip => {
                // Byte code would hold times, and with them no two artifacts were the same.
                let command = start()
                    .args([
                        "install",
                        "--no-compile",
                        "--no-warn-script-location",
                        "--target",
                    ])
                    .arg(PYTHON_PACKAGES);
                let command = match scripts {
                    Scripts::Off => command.args(["--only-binary", ":all:"]),
                    Scripts::On | Scripts::Policy => command,
                };
                let command = if names_requirements(&parameters.arguments) {
                    command
                } else {
                    let files = self.recipe.manifests.iter();
                    files.fold(command, |command, file| command.arg("-r").arg(file))
                };
                vec![with(command)]
            }
            Manager::Uv => {
                // An interpreter that uv fetched would not be there for the tasks.
                let command = start()
                    .arg("sync")
                    .env("UV_PYTHON_DOWNLOADS", "never")
                    .env("UV_PROJECT_ENVIRONMENT", VIRTUAL_ENVIRONMENT)
                    .env("UV_COMPILE_BYTECODE", "0")
                    .env("UV_NO_PROGRESS", "1");
                let command = if is_locked {
                    command.arg("--locked")
                } else {
                    command
                };
                vec![with(match scripts {
                    Scripts::Off => command.args(["--no-build", "--no-install-workspace"]),
                    Scripts::On | Scripts::Policy => command,
                })]
            }
            Manager::Poetry => {
                let poetry = || {
                    start()
                        .env("POETRY_NO_INTERACTION", "1")
                        .env("POETRY_VIRTUALENVS_CREATE", "true")
                        .env("POETRY_VIRTUALENVS_IN_PROJECT", "true")
                        // Nobody is there to unlock one.
                        .env("POETRY_KEYRING_ENABLED", "false")
                };
                let command = match (is_locked, tools.major()) {
                    (true, 2..) => poetry().arg("sync"),
                    (true, _) => poetry().args(["install", "--sync"]),
                    (false, _) => poetry().arg("install"),
                };
                let command = with(match scripts {
                    Scripts::Off => command
                        .arg("--no-root")
                        .env("POETRY_INSTALLER_ONLY_BINARY", ":all:"),
                    Scripts::On | Scripts::Policy => command,
                });
                if is_locked {
                    vec![poetry().args(["check", "--lock"]), command]
                } else {
                    vec![command]
                }
            }
            Manager::Cargo => {
                // The registry's index changes with every release of anything; what is vendored changes with the lock
                // file alone. Where it lies is printed, as configuration.
                let locked = choose(is_locked, " --locked", "");
                let arguments = shell_words::join(&parameters.arguments);
                let separator = choose(arguments.is_empty(), "", " ");
                vec![Command::shell(
                    format!(
                        "mkdir -p {CARGO_HOME} && cargo vendor{locked} --versioned-dirs{separator}{arguments} \
                         {CARGO_HOME}/vendor > {CARGO_HOME}/config.toml"
                    ),
                    directory,
                )]
            }
            Manager::Go => {
                let here = |command: Command| {
                    command
                        .env("GOMODCACHE", directory.join(GO_MODULES))
                        .env("GOFLAGS", "-mod=readonly -modcacherw")
                        .env("GOTOOLCHAIN", "local")
                };
                let modules = &self.recipe.modules;
                // Module by module: Go 1.19 takes those of a workspace for something that was downloaded.
                let of_module = |module: &String| {
                    let module = Command {
                        directory: directory.join(module),
                        ..start()
                    };
                    here(module).env("GOWORK", "off").args(["mod", "verify"])
                };
                let mut commands = vec![with(here(start()).args(["mod", "download"]))];
                match modules.as_slice() {
                    [] => commands.push(here(start()).args(["mod", "verify"])),
                    modules => commands.extend(modules.iter().map(of_module)),
                }
                // Which packages are imported, and from which modules: go.sum has to have all of these.
                let list = ["list", "-deps", "-test", "-e", "-f"];
                commands.push(
                    here(start())
                        .args(list)
                        .arg("{{with .Error}}{{.}}{{end}}")
                        .args(go_packages(modules)),
                );
                commands
            }
            Manager::Maven => {
                let mut repository = std::ffi::OsString::from("-Dmaven.repo.local=");
                repository.push(directory.join(MAVEN_REPOSITORY));
                vec![with(
                    start()
                        .args(["--batch-mode", "--no-transfer-progress"])
                        .arg(repository)
                        .arg("dependency:go-offline"),
                )]
            }
        }
    }
}

/// Names the prefix of an installation of Node with its headers, to node-gyp. The function's own is passed on.
const NODE_HEADERS: &str = "npm_config_nodedir";

pub(crate) fn shown(directory: &Path) -> String {
    if directory.as_os_str().is_empty() {
        "the root of the source".to_owned()
    } else {
        format!("`{}`", directory.display())
    }
}

/// Whether `args` say themselves which requirements are meant.
fn names_requirements(arguments: &[String]) -> bool {
    arguments.iter().any(|argument| {
        argument == "-r" || argument == "--requirement" || argument.starts_with("--requirement=")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Facts, detect};

    fn plan(files: &[&str]) -> Plan {
        let facts = Facts {
            names: files.iter().map(|name| (*name).to_owned()).collect(),
            yarn_is_berry: files.contains(&".yarnrc.yml"),
            pyproject: files
                .contains(&"pyproject.toml")
                .then(|| "tool.poetry".to_owned())
                .into_iter()
                .collect(),
            ..Facts::default()
        };
        Plan {
            directory: "app".into(),
            recipe: detect::recipe(&facts, None, "`app`").unwrap(),
        }
    }

    fn tools(manager: Manager, version: &str) -> Toolchain {
        let (program, leading): (&str, &[&str]) = match manager {
            Manager::Pip => ("python3", &["-m", "pip"]),
            Manager::Maven => ("mvn", &[]),
            other => (other.name(), &[]),
        };
        Toolchain {
            program: program.into(),
            leading: leading.iter().map(Into::into).collect(),
            version: version.to_owned(),
            runtime: String::new(),
            headers: Some("/opt/node".into()),
            warning: None,
        }
    }

    #[test]
    fn the_command_is_what_one_would_type() {
        use Scripts::{Off, On, Policy};
        let pip = "python3 -m pip install --no-compile --no-warn-script-location --target .python-packages";
        for (files, version, scripts, arguments, expected) in [
            (&["package.json", "package-lock.json"][..], "11.0.0", Policy, &[][..], "npm ci".to_owned()),
            (
                &["package.json", "package-lock.json"],
                "11.0.0",
                Off,
                &["--omit=dev"],
                "npm ci --ignore-scripts --omit=dev".into(),
            ),
            (&["package.json"], "11.0.0", On, &[], "npm install".into()),
            (
                &["package.json", "yarn.lock"],
                "1.22.22",
                Policy,
                &["--production"],
                "yarn install --non-interactive --frozen-lockfile --production".into(),
            ),
            (
                &["package.json", "yarn.lock", ".yarnrc.yml"],
                "4.1.0",
                Policy,
                &[],
                "yarn install --immutable".into(),
            ),
            (
                &["package.json", "yarn.lock", ".yarnrc.yml"],
                "4.1.0",
                Off,
                &[],
                "yarn install --immutable --mode=skip-build".into(),
            ),
            (
                &["package.json", "pnpm-lock.yaml"],
                "10.0.0",
                Off,
                &[],
                "pnpm install --frozen-lockfile --reporter=append-only --ignore-scripts".into(),
            ),
            (
                &["requirements-a.txt", "requirements-b.txt"],
                "24.0",
                On,
                &[],
                format!("{pip} -r requirements-a.txt -r requirements-b.txt"),
            ),
            (
                &["requirements.txt"],
                "24.0",
                Off,
                &["-r", "b.txt"],
                format!("{pip} --only-binary :all: -r b.txt"),
            ),
            (&["pyproject.toml", "uv.lock"], "0.13.0", Policy, &["--no-dev"], "uv sync --locked --no-dev".into()),
            (
                &["pyproject.toml", "poetry.lock"],
                "2.1.0",
                Off,
                &[],
                "poetry check --lock && poetry sync --no-root".into(),
            ),
            (
                &["pyproject.toml", "poetry.lock"],
                "1.8.0",
                Policy,
                &[],
                "poetry check --lock && poetry install --sync".into(),
            ),
            (&["pyproject.toml"], "2.1.0", Policy, &[], "poetry install".into()),
            (
                &["Cargo.toml", "Cargo.lock"],
                "1.90.0",
                Policy,
                &[],
                "mkdir -p .cargo-home && cargo vendor --locked --versioned-dirs .cargo-home/vendor > \
                 .cargo-home/config.toml"
                    .into(),
            ),
            (
                &["pom.xml"],
                "3.9.0",
                Policy,
                &["-P", "ci"],
                "mvn --batch-mode --no-transfer-progress -Dmaven.repo.local=/w/app/.m2-repository \
                 dependency:go-offline -P ci"
                    .into(),
            ),
        ] {
            let plan = plan(files);
            let parameters = Parameters {
                arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
                scripts,
                ..Parameters::default()
            };
            let commands = plan.commands(&tools(plan.manager(), version), &parameters, Path::new("/w/app"));
            let typed: Vec<String> = commands.iter().map(ToString::to_string).collect();
            assert_eq!(typed.join(" && "), expected, "{files:?}");
        }
    }

    #[test]
    fn scripts_are_allowed_in_each_managers_own_way() {
        use Scripts::{Off, On, Policy};
        for (files, version, scripts, variable, expected) in [
            (
                &["package.json", "package-lock.json"][..],
                "11.0.0",
                On,
                "npm_config_dangerously_allow_all_scripts",
                None,
            ),
            (
                &["package.json", "package-lock.json"],
                "12.0.0",
                On,
                "npm_config_dangerously_allow_all_scripts",
                Some("true"),
            ),
            (
                &["package.json", "package-lock.json"],
                "12.0.0",
                Policy,
                "npm_config_dangerously_allow_all_scripts",
                None,
            ),
            (
                &["package.json", "yarn.lock", ".yarnrc.yml"],
                "4.1.0",
                On,
                "YARN_ENABLE_SCRIPTS",
                Some("true"),
            ),
            (
                &["package.json", "yarn.lock", ".yarnrc.yml"],
                "4.1.0",
                Policy,
                "YARN_ENABLE_SCRIPTS",
                None,
            ),
            (
                &["package.json", "pnpm-lock.yaml"],
                "10.0.0",
                On,
                "npm_config_dangerously_allow_all_builds",
                Some("true"),
            ),
            (
                &["pyproject.toml", "poetry.lock"],
                "2.0.0",
                Off,
                "POETRY_INSTALLER_ONLY_BINARY",
                Some(":all:"),
            ),
        ] {
            let plan = plan(files);
            let parameters = Parameters {
                scripts,
                ..Parameters::default()
            };
            let commands = plan.commands(
                &tools(plan.manager(), version),
                &parameters,
                Path::new("/w/app"),
            );
            let last = commands.last().unwrap();
            let value = last.environment.get(std::ffi::OsStr::new(variable));
            assert_eq!(
                value
                    .map(|value| value.to_string_lossy().into_owned())
                    .as_deref(),
                expected,
                "{files:?} {version} {scripts:?}"
            );
        }
    }
}
