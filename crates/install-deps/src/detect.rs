//! Which package manager installs a directory: decided from the files in it.
//!
//! A lock file decides; beside it has to be the manifest that it belongs to. Without a lock file, what the manifest
//! says of itself decides (`packageManager` of package.json, the tables of pyproject.toml), and then its name.

mod error;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use crate::{Facts, Manager, facts::is_member};

pub use error::DetectError;

/// How a directory is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// By whom.
    pub manager: Manager,
    /// What says exactly which versions.
    pub lock: Option<String>,
    /// What says what is wanted: one file, but for pip.
    pub manifests: Vec<String>,
    /// The version of the manager that the project asks for.
    pub version: Option<String>,
    /// The program that the project brings along: Yarn's `yarnPath`.
    pub program: Option<String>,
    /// Of a workspace of Go, where its modules lie.
    pub modules: Vec<String>,
    /// What was found that led to it.
    pub reason: String,
    /// What the reader should know although it did not fail.
    pub warning: Option<String>,
}

impl Recipe {
    fn new(manager: Manager, manifest: &str) -> Self {
        Self {
            manager,
            lock: None,
            manifests: vec![manifest.to_owned()],
            version: None,
            program: None,
            modules: Vec::new(),
            reason: format!("there is a {manifest}"),
            warning: None,
        }
    }

    fn with_lock(mut self, lock: Option<String>) -> Self {
        if let Some(lock) = &lock {
            self.reason = format!("there is a {lock}");
        } else {
            let manifest = &self.manifests[0];
            self.reason = format!("there is a {manifest} and no lock file");
            self.warning = Some(format!(
                "no lock file: other versions may come tomorrow; commit {}",
                lock_of(self.manager)
            ));
        }
        self.lock = lock;
        self
    }

    /// As people call it: `npm ci`.
    pub fn name(&self) -> &'static str {
        match (self.manager, self.lock.is_some()) {
            (Manager::Npm, true) => "npm ci",
            (Manager::Npm, false) => "npm install",
            (Manager::Yarn | Manager::YarnClassic, _) => "yarn install",
            (Manager::Pnpm, _) => "pnpm install",
            (Manager::Pip, _) => "pip install",
            (Manager::Uv, _) => "uv sync",
            (Manager::Poetry, _) => "poetry sync",
            (Manager::Cargo, _) => "cargo vendor",
            (Manager::Go, _) => "go mod download",
            (Manager::Maven, _) => "mvn dependency:go-offline",
        }
    }
}

/// npm reads the first of these that is there.
const NPM_LOCKS: [&str; 2] = ["npm-shrinkwrap.json", "package-lock.json"];
const PACKAGE: &str = "package.json";
const PYPROJECT: &str = "pyproject.toml";
const OTHER_NODE_LOCKS: [(&str, &str); 2] = [("bun.lock", "Bun"), ("bun.lockb", "Bun")];
const OTHER_PYTHON_LOCKS: [(&str, &str); 2] = [("Pipfile.lock", "Pipenv"), ("pdm.lock", "PDM")];

/// The lock file that a manager writes.
pub(crate) fn lock_of(manager: Manager) -> &'static str {
    match manager {
        Manager::Npm => "package-lock.json",
        Manager::Yarn | Manager::YarnClassic => "yarn.lock",
        Manager::Pnpm => "pnpm-lock.yaml",
        Manager::Pip => "requirements.txt",
        Manager::Uv => "uv.lock",
        Manager::Poetry => "poetry.lock",
        Manager::Cargo => "Cargo.lock",
        Manager::Go => "go.sum",
        Manager::Maven => "pom.xml",
    }
}

/// What a person reads who asked for `wanted` and has nothing of it.
fn sought(wanted: Option<Manager>) -> String {
    let of = |manager| match manager {
        Manager::Npm => "package-lock.json, npm-shrinkwrap.json or package.json",
        Manager::Yarn | Manager::YarnClassic => "yarn.lock or package.json",
        Manager::Pnpm => "pnpm-lock.yaml or package.json",
        Manager::Pip => "requirements*.txt",
        Manager::Uv => "uv.lock or pyproject.toml with a table [project]",
        Manager::Poetry => "poetry.lock or pyproject.toml",
        Manager::Cargo => "Cargo.toml",
        Manager::Go => "go.mod or go.work",
        Manager::Maven => "pom.xml",
    };
    match wanted {
        Some(manager) => of(manager).to_owned(),
        None => "package-lock.json, npm-shrinkwrap.json, yarn.lock, pnpm-lock.yaml or package.json (Node), \
                 no uv.lock, poetry.lock or requirements*.txt (Python), no Cargo.toml, go.mod, go.work or pom.xml"
            .to_owned(),
    }
}

/// Decides how `directory` (as shown to people) is installed, from what is in it.
pub fn recipe(
    facts: &Facts,
    wanted: Option<Manager>,
    directory: &str,
) -> Result<Recipe, DetectError> {
    let found = Found {
        facts,
        wanted,
        directory,
    };
    let mut recipes = Vec::new();
    let is_wanted =
        |manager: Manager| wanted.is_none_or(|wanted| wanted.runtime() == manager.runtime());
    if is_wanted(Manager::Npm) {
        recipes.extend(found.node()?);
    }
    if is_wanted(Manager::Pip) {
        recipes.extend(found.python()?);
    }
    // The root of a workspace need not be a module.
    let (go_manifest, go_lock) = if facts.has("go.mod") || !facts.has("go.work") {
        ("go.mod", "go.sum")
    } else {
        ("go.work", "go.work.sum")
    };
    for (manager, manifest, lock) in [
        (Manager::Cargo, "Cargo.toml", "Cargo.lock"),
        (Manager::Go, go_manifest, go_lock),
        (Manager::Maven, "pom.xml", ""),
    ] {
        if is_wanted(manager) {
            let plain = found.plain(manager, manifest, lock)?;
            recipes.extend(plain.map(|recipe| match manager {
                Manager::Go => Recipe {
                    modules: facts.go_modules.clone(),
                    ..recipe
                },
                _ => recipe,
            }));
        }
    }
    let mut recipes = recipes.into_iter();
    match (recipes.next(), recipes.next()) {
        (Some(recipe), None) => Ok(recipe),
        (Some(one), Some(other)) => Err(DetectError::Conflict {
            directory: directory.to_owned(),
            files: [evidence(&one), evidence(&other)],
            managers: [one.manager, other.manager],
        }),
        (None, _) => Err(found.nothing()),
    }
}

struct Found<'a> {
    facts: &'a Facts,
    wanted: Option<Manager>,
    directory: &'a str,
}

impl Found<'_> {
    fn node(&self) -> Result<Option<Recipe>, DetectError> {
        let locks = self.node_locks();
        let foreign = self.foreign(&OTHER_NODE_LOCKS);
        if !self.facts.has(PACKAGE) {
            return match locks.first() {
                Some((_, lock)) => Err(self.lock_alone(lock, PACKAGE)),
                None => Ok(None),
            };
        }
        let pinned = self.facts.package_manager.as_ref().and_then(|(name, _)| {
            let mut known = Manager::NAMED.iter();
            known.find(|(known, manager)| {
                known == name && manager.runtime() == Manager::Npm.runtime()
            })
        });
        let pinned = pinned.map(|(_, manager)| *manager);
        let lock_of = |asked: Manager| {
            let mut locks = locks.iter();
            locks.find(|(manager, _)| manager.is(asked)).cloned()
        };
        let (manager, lock) = match (self.wanted, pinned, locks.as_slice()) {
            // Who says `manager=` has seen the other lock files.
            (Some(wanted), ..) => {
                lock_of(wanted).map_or((wanted, None), |(manager, lock)| (manager, Some(lock)))
            }
            (None, Some(pinned), []) if foreign.is_none() => (pinned, None),
            (None, Some(pinned), locks) => match (lock_of(pinned), locks.first(), &foreign) {
                (Some((manager, lock)), ..) => (manager, Some(lock)),
                (None, Some((_, other)), _) | (None, None, Some((other, _))) => {
                    return Err(DetectError::Pinned {
                        directory: self.directory.to_owned(),
                        manager: pinned,
                        lock: other.clone(),
                    });
                }
                (None, None, None) => (pinned, None),
            },
            (None, None, [(_, one), (_, other), ..]) => return Err(self.two_locks(one, other)),
            (None, None, [(manager, lock)]) => match foreign {
                Some((other, _)) => return Err(self.two_locks(lock, &other)),
                None => (*manager, Some(lock.clone())),
            },
            (None, None, []) => match foreign {
                Some((lock, owner)) => {
                    return Err(DetectError::ForeignLock {
                        directory: self.directory.to_owned(),
                        lock,
                        owner,
                        manager: Manager::Npm,
                    });
                }
                None => (Manager::Npm, None),
            },
        };
        let is_classic = match (&lock, self.version_of(manager)) {
            (Some(_), _) => !self.facts.yarn_is_berry,
            (None, version) => version.is_some_and(|version| version.starts_with("1.")),
        };
        let manager = match manager {
            Manager::Yarn | Manager::YarnClassic if is_classic => Manager::YarnClassic,
            Manager::Yarn | Manager::YarnClassic => Manager::Yarn,
            other => other,
        };
        let mut recipe = Recipe::new(manager, PACKAGE).with_lock(lock);
        recipe.version = self.version_of(manager);
        if pinned.is_some_and(|pinned| manager.is(pinned)) {
            let and = &recipe.reason;
            recipe.reason = format!("package.json has it as packageManager and {and}");
        }
        if manager == Manager::Yarn {
            recipe.program.clone_from(&self.facts.yarn_path);
        }
        if let Some((_, other)) = locks.iter().find(|(known, _)| !known.is(manager)) {
            recipe.warning = Some(format!("{other} is left aside"));
        }
        Ok(Some(recipe))
    }

    /// Lock files with their managers; for each manager the one that it reads.
    fn node_locks(&self) -> Vec<(Manager, String)> {
        let npm = NPM_LOCKS.iter().find(|lock| self.facts.has(lock));
        let yarn = if self.facts.yarn_is_berry {
            Manager::Yarn
        } else {
            Manager::YarnClassic
        };
        let others = [(yarn, "yarn.lock"), (Manager::Pnpm, "pnpm-lock.yaml")];
        let others = others.into_iter().filter(|(_, lock)| self.facts.has(lock));
        npm.map(|lock| (Manager::Npm, *lock))
            .into_iter()
            .chain(others)
            .map(|(manager, lock)| (manager, lock.to_owned()))
            .collect()
    }

    /// The version in `packageManager`, if that is about this manager.
    fn version_of(&self, manager: Manager) -> Option<String> {
        let (name, version) = self.facts.package_manager.as_ref()?;
        (name == manager.name()).then(|| version.clone())?
    }

    fn python(&self) -> Result<Option<Recipe>, DetectError> {
        let requirements: Vec<String> = self
            .facts
            .names
            .iter()
            .filter(|name| is_requirements(name))
            .cloned()
            .collect();
        let table = |name: &str| self.facts.pyproject.contains(name);
        let uv = self.facts.has("uv.lock");
        let poetry = self.facts.has("poetry.lock");
        let manager = match self.wanted {
            Some(Manager::Pip) if requirements.is_empty() => return Ok(None),
            Some(Manager::Uv) if !uv && !table("project") => return Ok(None),
            Some(Manager::Poetry) if !poetry && !self.facts.has(PYPROJECT) => return Ok(None),
            Some(manager) => manager,
            None if uv && poetry => return Err(self.two_locks("uv.lock", "poetry.lock")),
            None if uv => Manager::Uv,
            None if poetry => Manager::Poetry,
            None if !requirements.is_empty() => Manager::Pip,
            None => match self.foreign(&OTHER_PYTHON_LOCKS) {
                Some((lock, owner)) => {
                    return Err(DetectError::ForeignLock {
                        directory: self.directory.to_owned(),
                        lock,
                        owner,
                        manager: Manager::Pip,
                    });
                }
                None if table("tool.poetry") => Manager::Poetry,
                None if table("tool.uv") && table("project") => Manager::Uv,
                None => return Ok(None),
            },
        };
        if manager == Manager::Pip {
            let reason = format!("there is {}", requirements.join(", "));
            return Ok(Some(Recipe {
                manifests: requirements,
                reason,
                ..Recipe::new(manager, "")
            }));
        }
        let lock = Some(lock_of(manager)).filter(|lock| self.facts.has(lock));
        if let Some(lock) = lock.filter(|_| !self.facts.has(PYPROJECT)) {
            return Err(self.lock_alone(lock, PYPROJECT));
        }
        let mut recipe = Recipe::new(manager, PYPROJECT).with_lock(lock.map(str::to_owned));
        if let (Some(file), None) = (requirements.first(), &recipe.warning) {
            recipe.warning = Some(format!("{file} is left aside"));
        }
        Ok(Some(recipe))
    }

    /// A manager with one manifest, and one name for a lock file or none.
    fn plain(
        &self,
        manager: Manager,
        manifest: &str,
        lock: &str,
    ) -> Result<Option<Recipe>, DetectError> {
        let lock = Some(lock).filter(|lock| self.facts.has(lock));
        match (self.facts.has(manifest), lock) {
            (false, None) => Ok(None),
            // A tool may be written in Go without being a module; only cargo's file is surely cargo's.
            (false, Some(lock)) => Err(self.lock_alone(lock, manifest)),
            (true, Some(lock)) => Ok(Some(
                Recipe::new(manager, manifest).with_lock(Some(lock.to_owned())),
            )),
            (true, None) if manager == Manager::Cargo => {
                Ok(Some(Recipe::new(manager, manifest).with_lock(None)))
            }
            // A module without dependencies has no go.sum; Maven has no lock file at all.
            (true, None) => Ok(Some(Recipe::new(manager, manifest))),
        }
    }

    fn foreign(&self, locks: &[(&str, &'static str)]) -> Option<(String, &'static str)> {
        locks
            .iter()
            .find(|(lock, _)| self.facts.has(lock))
            .map(|(lock, owner)| ((*lock).to_owned(), *owner))
    }

    fn two_locks(&self, one: &str, other: &str) -> DetectError {
        DetectError::TwoLocks {
            directory: self.directory.to_owned(),
            locks: [one.to_owned(), other.to_owned()],
        }
    }

    fn lock_alone(&self, lock: &str, manifest: &str) -> DetectError {
        DetectError::LockAlone {
            directory: self.directory.to_owned(),
            lock: lock.to_owned(),
            manifest: manifest.to_owned(),
        }
    }

    fn nothing(&self) -> DetectError {
        DetectError::Nothing {
            directory: self.directory.to_owned(),
            sought: sought(self.wanted),
            has_pyproject: self.facts.has(PYPROJECT),
            elsewhere: Vec::new(),
        }
    }
}

/// The file that speaks for a recipe most plainly.
fn evidence(recipe: &Recipe) -> String {
    let mut files = recipe.lock.iter().chain(&recipe.manifests);
    files.next().cloned().unwrap_or_default()
}

fn is_requirements(name: &str) -> bool {
    name.strip_prefix("requirements")
        .and_then(|rest| rest.strip_suffix(".txt"))
        .is_some()
}

/// Whether a file makes its directory one that could be installed.
pub(crate) fn is_manifest(name: &str) -> bool {
    [
        PACKAGE,
        "uv.lock",
        "poetry.lock",
        "Cargo.toml",
        "go.mod",
        "go.work",
        "pom.xml",
    ]
    .contains(&name)
        || is_requirements(name)
}

/// The nearest directory above one without a lock file that is the root of a workspace that it belongs to and has the
/// lock file, as an index into `above` (nearest first), with its recipe. `directory` is where the member lies; its
/// ancestors are those in `above`.
pub(crate) fn workspace_above(
    member: &Recipe,
    directory: &Path,
    above: &[(String, Facts)],
) -> Option<(usize, Recipe)> {
    if member.lock.is_some() {
        return None;
    }
    let depth = directory.components().count();
    above.iter().enumerate().find_map(|(at, (shown, facts))| {
        let is_root = match member.manager {
            Manager::Npm | Manager::Yarn | Manager::YarnClassic | Manager::Pnpm => {
                let below: PathBuf = directory.iter().skip(depth - (at + 1)).collect();
                is_member(&facts.node_workspaces, &below)
            }
            Manager::Uv => facts.pyproject.contains("tool.uv.workspace"),
            Manager::Cargo => facts.cargo_workspace,
            Manager::Pip | Manager::Poetry | Manager::Go | Manager::Maven => false,
        };
        if !is_root {
            return None;
        }
        let wanted = match member.manager.runtime() {
            // A member says nothing of its manager; the root does.
            crate::Runtime::Node => None,
            _ => Some(member.manager),
        };
        let recipe = recipe(facts, wanted, shown).ok()?;
        let belongs = recipe.manager.runtime() == member.manager.runtime();
        let lock = recipe.lock.clone().filter(|_| belongs)?;
        let reason = format!(
            "there is a {lock} in {shown}, the root of the workspace that {} belongs to",
            member.manifests[0]
        );
        Some((at, Recipe { reason, ..recipe }))
    })
}
