//! Which files of the source decide what an installation comes to. Whoever keeps what was installed for the next time
//! asks this: with the same files, manager, runtime and parameters it comes to the same.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use crate::{Facts, InstallError, Manager, Plan, Runtime, Scripts};

/// What decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deciding {
    /// These files, relative to the root of the source: manifests, lock files, settings and patches.
    Files(BTreeSet<PathBuf>),
    /// Any file of the source may, since the installation runs the project's own code or copies it.
    Everything {
        /// What makes it so.
        because: String,
    },
}

impl Plan {
    /// What of `source` decides what this plan comes to.
    pub fn deciding(&self, source: &Path, scripts: Scripts) -> Result<Deciding, InstallError> {
        let mut files = BTreeSet::new();
        let walk = walkdir::WalkDir::new(source).into_iter();
        for entry in walk.filter_entry(is_source) {
            let entry = entry.map_err(|error| InstallError::walk(source, error))?;
            let path = entry.path().strip_prefix(source).unwrap_or(entry.path());
            if entry.file_type().is_file() && decides(self.manager().runtime(), path) {
                files.insert(path.to_owned());
            }
        }
        for path in &files {
            let because = |what: String| Deciding::Everything {
                because: format!("{} {what}", path.display()),
            };
            if let Some(what) = self.runs_code(source, path, scripts)? {
                return Ok(because(what));
            }
        }
        Ok(Deciding::Files(files))
    }

    /// What in a file makes the installation run or copy code of the project.
    fn runs_code(
        &self,
        source: &Path,
        path: &Path,
        scripts: Scripts,
    ) -> Result<Option<String>, InstallError> {
        let full = source.join(path);
        let name = path.file_name().and_then(|name| name.to_str());
        let text = match fs::read(&full) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(source) => return Err(InstallError::Tree { path: full, source }),
        };
        let name = name.unwrap_or_default();
        Ok(match (self.manager(), name) {
            (
                Manager::Npm | Manager::Yarn | Manager::YarnClassic | Manager::Pnpm,
                "package.json",
            ) => node_code(&text, scripts),
            (Manager::Pip, _) if has_extension(path, "txt") => local_requirement(&text),
            (Manager::Uv | Manager::Poetry, "pyproject.toml") if scripts != Scripts::Off => {
                built_from_source(&text)
            }
            _ => None,
        })
    }
}

/// Whether an entry of the source's walk is part of it: what was installed into it before, and git's own, are not.
pub(crate) fn is_source(entry: &walkdir::DirEntry) -> bool {
    entry.depth() == 0 || !matches!(entry.file_name().to_str(), Some("node_modules" | ".git"))
}

/// Whether a file has to do with how a language's packages are installed.
fn decides(runtime: Runtime, path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.unwrap_or_default();
    let is_below = |directory: &str| path.components().any(|part| part.as_os_str() == directory);
    match runtime {
        Runtime::Node => {
            let names = [
                "package.json",
                "package-lock.json",
                "npm-shrinkwrap.json",
                "yarn.lock",
                "pnpm-lock.yaml",
                "pnpm-workspace.yaml",
                ".npmrc",
                ".yarnrc",
                ".yarnrc.yml",
                ".pnpmfile.cjs",
                ".pnpmfile.mjs",
                "binding.gyp",
                ".nvmrc",
                ".node-version",
            ];
            let yarn = ["patches", "plugins", "releases"];
            names.contains(&name)
                || has_extension(path, "patch")
                || has_extension(path, "tgz")
                || (is_below(".yarn") && yarn.iter().any(|part| is_below(part)))
        }
        Runtime::Python => {
            let names = [
                "pyproject.toml",
                "setup.py",
                "setup.cfg",
                "uv.lock",
                "uv.toml",
                "poetry.lock",
                "poetry.toml",
                "pip.conf",
                ".python-version",
            ];
            names.contains(&name)
                || name.starts_with("README")
                || name.starts_with("LICENSE")
                || has_extension(path, "txt")
                || has_extension(path, "whl")
        }
        Runtime::Rust => {
            matches!(
                name,
                "Cargo.toml" | "Cargo.lock" | "rust-toolchain" | "rust-toolchain.toml"
            ) || (is_below(".cargo") && name.starts_with("config"))
        }
        Runtime::Go => matches!(name, "go.mod" | "go.sum" | "go.work" | "go.work.sum"),
        Runtime::Java => name == "pom.xml" || is_below(".mvn"),
    }
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
}

fn node_code(package: &str, scripts: Scripts) -> Option<String> {
    if package.contains("\"file:") {
        return Some("has a dependency on a part of the source (`file:`)".to_owned());
    }
    let lifecycle = Facts::of_package(package).lifecycle;
    match lifecycle.first() {
        Some(script) if scripts != Scripts::Off => Some(format!(
            "has a script that runs on installation (`{script}`)"
        )),
        _ => None,
    }
}

fn local_requirement(text: &str) -> Option<String> {
    let is_local = |line: &&str| {
        ["-e", "--editable", ".", "/", "file:"]
            .iter()
            .any(|start| line.starts_with(start))
            || line.contains("@ file:")
            || line.contains("://${")
    };
    let line = text.lines().map(str::trim).find(is_local)?;
    Some(format!("installs a part of the source (`{line}`)"))
}

/// These build a package from its metadata alone, as long as that is written down.
const PLAIN_BACKENDS: [&str; 4] = [
    "uv_build",
    "hatchling.build",
    "poetry.core.masonry.api",
    "flit_core.buildapi",
];

fn built_from_source(pyproject: &str) -> Option<String> {
    let value = |key: &str| {
        pyproject.lines().find_map(|line| {
            let (name, value) = line.split_once('=')?;
            (name.trim() == key).then(|| value.trim().trim_matches(['"', '\'']).to_owned())
        })
    };
    let is_package = pyproject
        .lines()
        .any(|line| line.trim() == "[build-system]");
    if !is_package {
        return None;
    }
    match value("build-backend") {
        Some(backend) if PLAIN_BACKENDS.contains(&backend.as_str()) => value("dynamic")
            .map(|_| "has metadata that is read from the source (`dynamic`)".to_owned()),
        Some(backend) => Some(format!(
            "is built by {backend}, which may compile the source"
        )),
        None => Some("is built by setuptools, which may compile the source".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Facts, detect};

    fn deciding(files: &[(&str, &str)], scripts: Scripts) -> Deciding {
        let source = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = source.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let facts = Facts::read(source.path()).unwrap();
        let plan = Plan {
            directory: PathBuf::new(),
            recipe: detect::recipe(&facts, None, "`app`").unwrap(),
        };
        plan.deciding(source.path(), scripts).unwrap()
    }

    #[test]
    fn manifests_lock_files_and_settings_decide_and_code_does_not() {
        for (files, expected) in [
            (
                &[
                    ("package.json", "{}"),
                    ("package-lock.json", "{}"),
                    (".npmrc", ""),
                    ("src/index.js", ""),
                    ("packages/a/package.json", "{}"),
                    ("node_modules/b/package.json", "{}"),
                    ("patches/c.patch", ""),
                ][..],
                &[
                    ".npmrc",
                    "package-lock.json",
                    "package.json",
                    "packages/a/package.json",
                    "patches/c.patch",
                ][..],
            ),
            (
                &[
                    ("requirements.txt", "-r more.txt\nsix==1\n"),
                    ("more.txt", ""),
                    ("app.py", ""),
                ],
                &["more.txt", "requirements.txt"],
            ),
            (
                &[
                    (
                        "pyproject.toml",
                        "[project]\n[build-system]\nbuild-backend = \"hatchling.build\"\n",
                    ),
                    ("uv.lock", ""),
                    ("src/app.py", ""),
                ],
                &["pyproject.toml", "uv.lock"],
            ),
            (
                &[
                    ("Cargo.toml", ""),
                    ("Cargo.lock", ""),
                    (".cargo/config.toml", ""),
                    ("src/main.rs", ""),
                ],
                &[".cargo/config.toml", "Cargo.lock", "Cargo.toml"],
            ),
            (
                &[("go.mod", ""), ("go.sum", ""), ("main.go", "")],
                &["go.mod", "go.sum"],
            ),
            (
                &[("pom.xml", ""), ("a/pom.xml", ""), ("a/A.java", "")],
                &["a/pom.xml", "pom.xml"],
            ),
        ] {
            let expected = expected.iter().map(PathBuf::from).collect();
            assert_eq!(
                deciding(files, Scripts::Policy),
                Deciding::Files(expected),
                "{files:?}"
            );
        }
    }

    #[test]
    fn where_the_project_s_code_runs_everything_decides() {
        use Scripts::{Off, Policy};
        let hook = r#"{"scripts": {"postinstall": "node make.js"}}"#;
        let local = r#"{"dependencies": {"a": "file:vendor/a"}}"#;
        let setuptools = "[project]\n[build-system]\nbuild-backend = \"setuptools.build_meta\"\n";
        let dynamic = "[project]\ndynamic = [\"version\"]\n[build-system]\nbuild-backend = \"hatchling.build\"\n";
        for (files, scripts, expected) in [
            (
                &[("package.json", hook)][..],
                Policy,
                Some("package.json has a script that runs on installation (`postinstall`)"),
            ),
            (&[("package.json", hook)], Off, None),
            (
                &[("package.json", "{}"), ("packages/a/package.json", hook)],
                Policy,
                Some("packages/a/package.json has a script"),
            ),
            (
                &[("package.json", local)],
                Off,
                Some("package.json has a dependency on a part of the source"),
            ),
            (
                &[("requirements.txt", "six==1\n-e .\n")],
                Policy,
                Some("requirements.txt installs a part of the source (`-e .`)"),
            ),
            (
                &[("requirements.txt", "./vendor/a\n")],
                Policy,
                Some("requirements.txt installs a part"),
            ),
            (
                &[("pyproject.toml", setuptools), ("uv.lock", "")],
                Policy,
                Some("pyproject.toml is built by setuptools.build_meta"),
            ),
            (
                &[("pyproject.toml", setuptools), ("uv.lock", "")],
                Off,
                None,
            ),
            (
                &[("pyproject.toml", dynamic), ("uv.lock", "")],
                Policy,
                Some("pyproject.toml has metadata"),
            ),
        ] {
            match (deciding(files, scripts), expected) {
                (Deciding::Everything { because }, Some(expected)) => {
                    assert!(because.starts_with(expected), "{files:?}: {because}");
                }
                (Deciding::Files(_), None) => {}
                (other, _) => panic!("{files:?} {scripts:?}: {other:?}"),
            }
        }
    }
}
