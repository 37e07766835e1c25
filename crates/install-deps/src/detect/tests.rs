//! Tables: what is found, and what is made of it.

use super::*;

fn facts(names: &[&str]) -> Facts {
    Facts {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        ..Facts::default()
    }
}

fn pinned(names: &[&str], name: &str, version: &str) -> Facts {
    Facts {
        package_manager: Some((name.to_owned(), Some(version.to_owned()))),
        yarn_is_berry: version.starts_with('4'),
        ..facts(names)
    }
}

fn pyproject(names: &[&str], tables: &[&str]) -> Facts {
    Facts {
        pyproject: tables.iter().map(|table| (*table).to_owned()).collect(),
        ..facts(names)
    }
}

#[test]
fn the_manager_is_told_by_the_files() {
    use Manager::{Cargo, Go, Maven, Npm, Pip, Pnpm, Poetry, Uv, Yarn, YarnClassic};
    let berry = |names| Facts {
        yarn_is_berry: true,
        ..facts(names)
    };
    for (given, wanted, manager, lock) in [
        (
            facts(&["package.json", "package-lock.json"]),
            None,
            Npm,
            Some("package-lock.json"),
        ),
        (
            facts(&["package.json", "package-lock.json", "npm-shrinkwrap.json"]),
            None,
            Npm,
            Some("npm-shrinkwrap.json"),
        ),
        (facts(&["package.json", "index.js"]), None, Npm, None),
        (
            facts(&["package.json", "yarn.lock"]),
            None,
            YarnClassic,
            Some("yarn.lock"),
        ),
        (
            berry(&["package.json", "yarn.lock"]),
            None,
            Yarn,
            Some("yarn.lock"),
        ),
        (
            facts(&["package.json", "pnpm-lock.yaml"]),
            None,
            Pnpm,
            Some("pnpm-lock.yaml"),
        ),
        (
            pinned(&["package.json"], "pnpm", "10.1.0"),
            None,
            Pnpm,
            None,
        ),
        (pinned(&["package.json"], "yarn", "4.1.0"), None, Yarn, None),
        (
            pinned(&["package.json"], "yarn", "1.22.0"),
            None,
            YarnClassic,
            None,
        ),
        (pinned(&["package.json"], "bun", "1.0.0"), None, Npm, None),
        (
            pinned(
                &["package.json", "package-lock.json", "pnpm-lock.yaml"],
                "pnpm",
                "10.1.0",
            ),
            None,
            Pnpm,
            Some("pnpm-lock.yaml"),
        ),
        (
            facts(&["package.json", "requirements.txt"]),
            Some(Npm),
            Npm,
            None,
        ),
        (
            facts(&["package.json", "requirements.txt"]),
            Some(Pip),
            Pip,
            None,
        ),
        (facts(&["package.json", "yarn.lock"]), Some(Npm), Npm, None),
        (
            facts(&["package.json", "yarn.lock"]),
            Some(Yarn),
            YarnClassic,
            Some("yarn.lock"),
        ),
        (facts(&["package.json"]), Some(Yarn), Yarn, None),
        (
            facts(&["package.json", "package-lock.json", "yarn.lock"]),
            Some(Npm),
            Npm,
            Some("package-lock.json"),
        ),
        (
            facts(&["package.json", "package-lock.json", "bun.lock"]),
            Some(Npm),
            Npm,
            Some("package-lock.json"),
        ),
        (facts(&["requirements.txt"]), None, Pip, None),
        (
            facts(&["requirements.txt", "pyproject.toml"]),
            None,
            Pip,
            None,
        ),
        (
            facts(&["uv.lock", "pyproject.toml"]),
            None,
            Uv,
            Some("uv.lock"),
        ),
        (
            facts(&["uv.lock", "pyproject.toml", "requirements.txt"]),
            None,
            Uv,
            Some("uv.lock"),
        ),
        (
            facts(&["poetry.lock", "pyproject.toml"]),
            None,
            Poetry,
            Some("poetry.lock"),
        ),
        (
            facts(&["poetry.lock", "uv.lock", "pyproject.toml"]),
            Some(Poetry),
            Poetry,
            Some("poetry.lock"),
        ),
        (
            pyproject(&["pyproject.toml"], &["tool.poetry"]),
            None,
            Poetry,
            None,
        ),
        (
            pyproject(&["pyproject.toml"], &["project", "tool.uv"]),
            None,
            Uv,
            None,
        ),
        (
            pyproject(&["pyproject.toml"], &["project"]),
            Some(Uv),
            Uv,
            None,
        ),
        // Settings of a linter make no Python project.
        (
            pyproject(&["pyproject.toml", "package.json"], &["tool.ruff"]),
            None,
            Npm,
            None,
        ),
        (
            facts(&["Cargo.toml", "Cargo.lock"]),
            None,
            Cargo,
            Some("Cargo.lock"),
        ),
        (facts(&["Cargo.toml"]), None, Cargo, None),
        (facts(&["go.mod"]), None, Go, None),
        (facts(&["go.mod", "go.sum"]), None, Go, Some("go.sum")),
        (facts(&["pom.xml"]), None, Maven, None),
        (
            facts(&["pom.xml", "package.json"]),
            Some(Maven),
            Maven,
            None,
        ),
    ] {
        let found = recipe(&given, wanted, "`app`").unwrap();
        assert_eq!(
            (found.manager, found.lock.as_deref()),
            (manager, lock),
            "{given:?} {wanted:?}"
        );
    }
}

#[test]
fn the_reason_and_the_warning_are_told() {
    for (given, wanted, name, reason, warning) in [
        (
            facts(&["package.json", "package-lock.json"]),
            None,
            "npm ci",
            "there is a package-lock.json",
            None,
        ),
        (
            facts(&["package.json"]),
            None,
            "npm install",
            "there is a package.json and no lock file",
            Some("no lock file: other versions may come tomorrow; commit package-lock.json"),
        ),
        (
            pinned(&["package.json", "yarn.lock"], "yarn", "4.1.0"),
            None,
            "yarn install",
            "package.json has it as packageManager and there is a yarn.lock",
            None,
        ),
        (
            facts(&["package.json", "package-lock.json", "yarn.lock"]),
            Some(Manager::Npm),
            "npm ci",
            "there is a package-lock.json",
            Some("yarn.lock is left aside"),
        ),
        (
            facts(&[
                "requirements.txt",
                "requirements-dev.txt",
                "requirements.md",
                "my-requirements.txt",
            ]),
            None,
            "pip install",
            "there is requirements-dev.txt, requirements.txt",
            None,
        ),
        (
            facts(&["uv.lock", "pyproject.toml", "requirements.txt"]),
            None,
            "uv sync",
            "there is a uv.lock",
            Some("requirements.txt is left aside"),
        ),
        (
            facts(&["go.mod"]),
            None,
            "go mod download",
            "there is a go.mod",
            None,
        ),
    ] {
        let found = recipe(&given, wanted, "`app`").unwrap();
        assert_eq!(
            (
                found.name(),
                found.reason.as_str(),
                found.warning.as_deref()
            ),
            (name, reason, warning)
        );
    }
}

#[test]
fn what_is_missing_or_ambiguous_is_named() {
    use Manager::{Npm, Pip, Uv};
    for (given, wanted, expected, hint) in [
        (
            facts(&["README.md"]),
            None,
            "found nothing to install in `app`: no package-lock.json, npm-shrinkwrap.json, yarn.lock, pnpm-lock.yaml \
             or package.json (Node), no uv.lock, poetry.lock or requirements*.txt (Python)",
            "commit a manifest",
        ),
        (
            facts(&["requirements.txt"]),
            Some(Npm),
            "found nothing to install in `app`: no package-lock.json, npm-shrinkwrap.json or package.json",
            "commit a manifest",
        ),
        (
            facts(&["package.json"]),
            Some(Pip),
            "found nothing to install in `app`: no requirements*.txt",
            "commit",
        ),
        (
            facts(&["package.json"]),
            Some(Uv),
            "found nothing to install in `app`: no uv.lock or pyproject.toml",
            "commit",
        ),
        (
            pyproject(&["pyproject.toml"], &["project"]),
            None,
            "found nothing to install in `app`",
            "commit uv.lock or poetry.lock, or set `manager=`",
        ),
        (
            facts(&["package.json", "package-lock.json", "requirements.txt"]),
            None,
            "`app` has both package-lock.json and requirements.txt, so it could be npm or pip",
            "`manager=npm` or `manager=pip`",
        ),
        (
            facts(&["package.json", "Cargo.toml", "Cargo.lock"]),
            None,
            "`app` has both package.json and Cargo.lock, so it could be npm or cargo",
            "`manager=cargo`",
        ),
        (
            facts(&["package.json", "package-lock.json", "yarn.lock"]),
            None,
            "`app` has two lock files, package-lock.json and yarn.lock",
            "`manager=npm` or `manager=yarn`",
        ),
        (
            facts(&["package.json", "yarn.lock", "bun.lock"]),
            None,
            "`app` has two lock files, yarn.lock and bun.lock",
            "`manager=yarn`",
        ),
        (
            facts(&["pyproject.toml", "uv.lock", "poetry.lock"]),
            None,
            "`app` has two lock files, uv.lock and poetry.lock",
            "`manager=uv` or `manager=poetry`",
        ),
        (
            pinned(&["package.json", "package-lock.json"], "pnpm", "10.1.0"),
            None,
            "package.json in `app` has `packageManager` pnpm, but the lock file is package-lock.json",
            "run `pnpm install`",
        ),
        (
            facts(&["package.json", "bun.lockb"]),
            None,
            "`app` has bun.lockb, which Bun reads and install-deps does not",
            "`manager=npm`",
        ),
        (
            facts(&["Pipfile.lock", "Pipfile"]),
            None,
            "`app` has Pipfile.lock, which Pipenv reads",
            "requirements.txt",
        ),
        (
            facts(&["package-lock.json"]),
            None,
            "`app` has package-lock.json, but no package.json",
            "commit the package.json",
        ),
        (
            facts(&["uv.lock"]),
            None,
            "`app` has uv.lock, but no pyproject.toml",
            "commit the pyproject.toml",
        ),
        (
            facts(&["Cargo.lock"]),
            None,
            "`app` has Cargo.lock, but no Cargo.toml",
            "commit the Cargo.toml",
        ),
    ] {
        let error = recipe(&given, wanted, "`app`").unwrap_err();
        assert!(
            error.to_string().starts_with(expected),
            "{given:?}: {error}"
        );
        assert!(error.hint().contains(hint), "{given:?}: {}", error.hint());
    }
}

#[test]
fn a_member_of_a_workspace_is_installed_from_its_root() {
    let node = |names: &[&str]| Facts {
        node_workspaces: vec!["packages/*".to_owned()],
        ..facts(names)
    };
    let package = facts(&["package.json"]);
    let lock = &["package.json", "package-lock.json"];
    for (member, directory, root, expected) in [
        (&package, "packages/a", node(lock), Some(Manager::Npm)),
        (
            &package,
            "packages/a",
            node(&["package.json", "yarn.lock"]),
            Some(Manager::YarnClassic),
        ),
        (
            &package,
            "packages/a",
            node(&["package.json", "pnpm-lock.yaml", "pnpm-workspace.yaml"]),
            Some(Manager::Pnpm),
        ),
        // Not a member, not a workspace, or without a lock file, or with one of its own.
        (&package, "sites/a", node(lock), None),
        (&package, "packages/a", facts(lock), None),
        (&package, "packages/a", node(&["package.json"]), None),
        (&facts(lock), "packages/a", node(lock), None),
        (
            &facts(&["Cargo.toml"]),
            "crates/a",
            Facts {
                cargo_workspace: true,
                ..facts(&["Cargo.toml", "Cargo.lock"])
            },
            Some(Manager::Cargo),
        ),
        (
            &pyproject(&["pyproject.toml"], &["project", "tool.uv"]),
            "packages/a",
            pyproject(&["pyproject.toml", "uv.lock"], &["tool.uv.workspace"]),
            Some(Manager::Uv),
        ),
    ] {
        let own = recipe(member, None, "`a`").unwrap();
        let above = [
            ("between".to_owned(), facts(&[])),
            ("the root".to_owned(), root),
        ];
        let found = workspace_above(&own, Path::new(directory), &above);
        let found = found.map(|(at, recipe)| (at, recipe.manager));
        assert_eq!(
            found,
            expected.map(|manager| (1, manager)),
            "{member:?} {directory} {above:?}"
        );
    }
}
