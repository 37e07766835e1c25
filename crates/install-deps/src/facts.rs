//! What the files of one directory say about who installs it. Reading is done here, and no deciding.

use std::{collections::BTreeSet, fs, io, path::Path};

use serde_json::Value;

use towpath_tool::task::go_modules;

use crate::InstallError;

/// The files of a directory, and what those say that decide.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The names of the files.
    pub names: BTreeSet<String>,
    /// `packageManager` of package.json: name, and version if there is one.
    pub package_manager: Option<(String, Option<String>)>,
    /// Which directories below this one belong to its workspace, of npm, Yarn or pnpm: patterns, of which one that
    /// begins with `!` takes out. Empty if it is the root of none.
    pub node_workspaces: Vec<String>,
    /// Scripts that a manager runs by itself, as package.json has them: `postinstall` and its like.
    pub lifecycle: Vec<String>,
    /// yarn.lock is of Yarn 2 or later.
    pub yarn_is_berry: bool,
    /// `yarnPath` of .yarnrc.yml: the Yarn that the project brings along.
    pub yarn_path: Option<String>,
    /// The tables of pyproject.toml, such as `project` and `tool.poetry`.
    pub pyproject: BTreeSet<String>,
    /// Cargo.toml has a `[workspace]`.
    pub cargo_workspace: bool,
    /// Where the modules of go.work lie.
    pub go_modules: Vec<String>,
}

impl Facts {
    /// Reads a directory. A file that cannot be understood says nothing: its manager will say what is wrong with it.
    pub(crate) fn read(directory: &Path) -> Result<Self, InstallError> {
        let names = names(directory)?;
        let text = |name: &str| -> Result<String, InstallError> {
            if !names.contains(name) {
                return Ok(String::new());
            }
            let path = directory.join(name);
            match fs::read(&path) {
                Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
                Err(source) => Err(InstallError::Tree { path, source }),
            }
        };
        let mut facts = Self {
            yarn_is_berry: is_berry(&text("yarn.lock")?),
            yarn_path: setting(&text(".yarnrc.yml")?, "yarnPath"),
            pyproject: tables(&text("pyproject.toml")?),
            cargo_workspace: tables(&text("Cargo.toml")?).contains("workspace"),
            go_modules: go_modules(&text("go.work")?),
            ..Self::of_package(&text("package.json")?)
        };
        facts
            .node_workspaces
            .extend(list(&text("pnpm-workspace.yaml")?, "packages"));
        Ok(Self { names, ..facts })
    }

    pub(crate) fn of_package(text: &str) -> Self {
        let package: Value =
            serde_json::from_str(text.trim_start_matches('\u{feff}')).unwrap_or_default();
        let lifecycle = ["preinstall", "install", "postinstall", "prepare"];
        Self {
            package_manager: package["packageManager"]
                .as_str()
                .and_then(parse_package_manager),
            node_workspaces: workspaces(&package["workspaces"]),
            lifecycle: lifecycle
                .into_iter()
                .filter(|name| package["scripts"][name].is_string())
                .map(str::to_owned)
                .collect(),
            ..Self::default()
        }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.names.contains(name)
    }
}

/// `workspaces` of package.json: a list, or an object with the list.
fn workspaces(value: &Value) -> Vec<String> {
    let patterns = value.as_array().or_else(|| value["packages"].as_array());
    let patterns = patterns.into_iter().flatten().filter_map(Value::as_str);
    patterns.map(str::to_owned).collect()
}

/// Whether a path, relative to the root of a workspace, is that of a member. As for a shell, `*` stays within a part of
/// the path and `**` does not, and braces have alternatives.
pub(crate) fn is_member(patterns: &[String], path: &Path) -> bool {
    let parts: Vec<&str> = path.iter().filter_map(|part| part.to_str()).collect();
    let path = parts.join("/");
    let matches = |pattern: &str| {
        let pattern = pattern.trim_start_matches("./").trim_end_matches('/');
        fast_glob::glob_match(pattern, &path)
    };
    let (out, within): (Vec<&String>, Vec<&String>) = patterns
        .iter()
        .partition(|pattern| pattern.starts_with('!'));
    within.iter().any(|pattern| matches(pattern))
        && !out.iter().any(|pattern| matches(&pattern[1..]))
}

fn names(directory: &Path) -> Result<BTreeSet<String>, InstallError> {
    let failed = |source: io::Error| InstallError::Tree {
        path: directory.to_owned(),
        source,
    };
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.path().is_file() {
            names.extend(entry.file_name().into_string());
        }
    }
    Ok(names)
}

/// `pnpm@10.1.0+sha512.…` → (`pnpm`, `10.1.0`).
fn parse_package_manager(text: &str) -> Option<(String, Option<String>)> {
    let (name, version) = match text.trim().split_once('@') {
        Some((name, version)) => (name, Some(version)),
        None => (text.trim(), None),
    };
    // A version may also be the address of an archive.
    let version = version
        .map(|version| version.split('+').next().unwrap_or_default())
        .filter(|version| version.starts_with(|first: char| first.is_ascii_digit()))
        .map(str::to_owned);
    (!name.is_empty()).then(|| (name.to_owned(), version))
}

/// Yarn 2 and later write YAML with this key; Yarn 1 a format of its own.
fn is_berry(lock: &str) -> bool {
    lock.lines().any(|line| line.starts_with("__metadata:"))
}

/// A plain value at the top of a YAML file.
fn setting(text: &str, key: &str) -> Option<String> {
    let value = text.lines().find_map(|line| {
        line.strip_prefix(key)?
            .strip_prefix(':')
            .map(|value| value.trim().trim_matches(['"', '\'']))
    });
    value.filter(|value| !value.is_empty()).map(str::to_owned)
}

/// A list of plain values at the top of a YAML file, each on a line of its own or all in brackets.
fn list(text: &str, key: &str) -> Vec<String> {
    let plain = |value: &str| value.trim().trim_matches(['"', '\'']).to_owned();
    let mut lines = text.lines();
    let first = lines.by_ref().find_map(|line| {
        let value = line.strip_prefix(key)?.strip_prefix(':')?;
        Some(value.split(" #").next().unwrap_or_default().trim())
    });
    match first {
        None => Vec::new(),
        Some("") => lines
            .map(|line| line.split(" #").next().unwrap_or_default().trim())
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map_while(|line| line.strip_prefix("- ").map(plain))
            .collect(),
        Some(values) => values
            .trim_start_matches('[')
            .trim_end_matches(']')
            .split(',')
            .map(plain)
            .filter(|value| !value.is_empty())
            .collect(),
    }
}

/// The names of a TOML file's tables, and of those that they lie in: `[tool.poetry.dependencies]` is also `tool.poetry`.
fn tables(text: &str) -> BTreeSet<String> {
    let mut tables = BTreeSet::new();
    for line in text.lines() {
        let Some(rest) = line.trim().strip_prefix('[') else {
            continue;
        };
        let name = rest.trim_start_matches('[');
        let Some((name, _)) = name.split_once(']') else {
            continue;
        };
        let parts: Vec<&str> = name
            .split('.')
            .map(|part| part.trim().trim_matches('"'))
            .collect();
        for count in 1..=parts.len() {
            tables.insert(parts[..count].join("."));
        }
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_json_names_its_manager() {
        for (text, expected) in [
            (
                r#"{"packageManager": "pnpm@10.1.0+sha512.abc"}"#,
                Some(("pnpm", Some("10.1.0"))),
            ),
            (
                r#"{"packageManager": "yarn@4.5.0"}"#,
                Some(("yarn", Some("4.5.0"))),
            ),
            (r#"{"packageManager": "npm"}"#, Some(("npm", None))),
            (
                r#"{"packageManager": "yarn@https://example.com/yarn.js"}"#,
                Some(("yarn", None)),
            ),
            (r#"{"packageManager": ""}"#, None),
            (r#"{"packageManager": 3}"#, None),
            ("{", None),
            ("", None),
        ] {
            let facts = Facts::of_package(text);
            let expected = expected.map(|(name, version): (&str, Option<&str>)| {
                (name.to_owned(), version.map(str::to_owned))
            });
            assert_eq!(facts.package_manager, expected, "{text}");
        }
    }

    #[test]
    fn package_json_tells_workspaces_and_what_runs_by_itself() {
        for (text, workspaces, lifecycle) in [
            (
                r#"{"workspaces": ["packages/*"]}"#,
                &["packages/*"][..],
                &[][..],
            ),
            (r#"{"workspaces": {"packages": ["a"]}}"#, &["a"], &[]),
            (r#"{"workspaces": []}"#, &[], &[]),
            (
                r#"{"scripts": {"postinstall": "node make.js", "test": "x"}}"#,
                &[],
                &["postinstall"],
            ),
        ] {
            let facts = Facts::of_package(text);
            assert_eq!(facts.node_workspaces, workspaces, "{text}");
            assert_eq!(facts.lifecycle, lifecycle, "{text}");
        }
    }

    #[test]
    fn pnpm_lists_its_packages_in_yaml() {
        for (text, expected) in [
            (
                "# here\npackages:\n  # all\n  - 'packages/*' # of them\n  - \"!packages/old\"\n\nallowBuilds:\n  - x\n",
                &["packages/*", "!packages/old"][..],
            ),
            ("packages:\n- web\n", &["web"]),
            ("packages: [web, 'api/*']\n", &["web", "api/*"]),
            ("packages: []\n", &[]),
            ("onlyBuiltDependencies:\n  - esbuild\n", &[]),
            ("", &[]),
        ] {
            assert_eq!(list(text, "packages"), expected, "{text}");
        }
    }

    #[test]
    fn members_are_told_by_patterns() {
        for (patterns, path, expected) in [
            (&["packages/*"][..], "packages/a", true),
            (&["packages/*"], "packages/a/b", false),
            (&["packages/**"], "packages/a/b", true),
            (&["**"], "web", true),
            (&["./web/"], "web", true),
            (&["web"], "website", false),
            (&["app-*", "!app-old"], "app-new", true),
            (&["app-*", "!app-old"], "app-old", false),
            (&["packages/?"], "packages/a", true),
            (&["{apps,packages}/*"], "apps/web", true),
            (&["{apps,packages}/*"], "libs/web", false),
            (&["packages/[ab]"], "packages/c", false),
            (&["packages/**", "!**/test/**"], "packages/a/test/b", false),
            (&[], "web", false),
        ] {
            let patterns: Vec<String> = patterns.iter().map(|text| (*text).to_owned()).collect();
            assert_eq!(
                is_member(&patterns, Path::new(path)),
                expected,
                "{patterns:?} {path}"
            );
        }
    }

    #[test]
    fn a_lock_file_of_yarn_tells_its_generation() {
        for (text, expected) in [
            ("# yarn lockfile v1\n\n\nsix@1:\n  version \"1\"\n", false),
            ("# generated\n\n__metadata:\n  version: 8\n", true),
            ("", false),
        ] {
            assert_eq!(is_berry(text), expected, "{text}");
        }
    }

    #[test]
    fn settings_and_tables_are_found() {
        let text = "nodeLinker: node-modules\nyarnPath: \".yarn/releases/yarn-4.5.0.cjs\"\n";
        assert_eq!(
            setting(text, "yarnPath").as_deref(),
            Some(".yarn/releases/yarn-4.5.0.cjs")
        );
        assert_eq!(setting(text, "yarn"), None);
        let tables = tables(
            "[project]\nname = \"[no]\"\n[tool.poetry.group.dev.dependencies]\n[[tool.uv.index]]\n# [x]\n",
        );
        let tables: Vec<&str> = tables.iter().map(String::as_str).collect();
        assert_eq!(
            tables,
            [
                "project",
                "tool",
                "tool.poetry",
                "tool.poetry.group",
                "tool.poetry.group.dev",
                "tool.poetry.group.dev.dependencies",
                "tool.uv",
                "tool.uv.index"
            ]
        );
    }
}
