//! A lock file that its manifest has left behind: told by what each manager says of it.

use crate::Manager;

/// Whether a manager says, in the end of its output, that lock file and manifest disagree. `is_success`: its exit code
/// was 0; only `go list`, which is asked to go on, says it then.
pub(crate) fn is_told(manager: Manager, output: &str, is_success: bool) -> bool {
    if is_success && manager != Manager::Go {
        return false;
    }
    signs(manager).iter().any(|sign| output.contains(sign))
}

fn signs(manager: Manager) -> &'static [&'static str] {
    match manager {
        Manager::Npm => &["are in sync. Please update your lock file"],
        Manager::YarnClassic => {
            &["Your lockfile needs to be updated, but yarn was run with `--frozen-lockfile`"]
        }
        Manager::Yarn => &[
            "The lockfile would have been modified by this install",
            "The lockfile would have been created by this install",
        ],
        Manager::Pnpm => &[
            "ERR_PNPM_OUTDATED_LOCKFILE",
            "ERR_PNPM_LOCKFILE_CONFIG_MISMATCH",
        ],
        Manager::Uv => &["needs to be updated, but `--locked` was provided"],
        Manager::Poetry => &["changed significantly since poetry.lock was last generated"],
        Manager::Cargo => &[
            "--locked was passed to prevent this",
            "needs to be updated but --locked",
        ],
        Manager::Go => &[
            "missing go.sum entry",
            "updates to go.mod needed",
            "updates to go.sum needed",
        ],
        Manager::Pip | Manager::Maven => &[],
    }
}

/// The command that makes a lock file fit its manifest again.
pub(crate) fn mend(manager: Manager) -> &'static str {
    match manager {
        Manager::Npm => "npm install",
        Manager::Yarn | Manager::YarnClassic => "yarn install",
        Manager::Pnpm => "pnpm install",
        Manager::Uv => "uv lock",
        Manager::Poetry => "poetry lock",
        Manager::Cargo => "cargo update --workspace",
        Manager::Go => "go mod tidy",
        Manager::Pip => "pip-compile",
        Manager::Maven => "mvn dependency:resolve",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each manager really said, with the version that said it.
    const SAID: &[(Manager, &str, &str)] = &[
        (
            Manager::Npm,
            "11.19.1",
            "npm error code EUSAGE
npm error
npm error `npm ci` can only install packages when your package.json and package-lock.json or npm-shrinkwrap.json are in \
             sync. Please update your lock file with `npm install` before continuing.
npm error
npm error Invalid: lock file's is-odd@3.0.1 does not satisfy is-odd@2.0.0
npm error Invalid: lock file's is-number@6.0.0 does not satisfy is-number@4.0.0",
        ),
        (
            Manager::YarnClassic,
            "1.22.22",
            "yarn install v1.22.22
[1/4] Resolving packages...
error Your lockfile needs to be updated, but yarn was run with `--frozen-lockfile`.
info Visit https://yarnpkg.com/en/docs/cli/install for documentation about this command.",
        ),
        (
            Manager::Yarn,
            "4.18.1",
            "➤ YN0028: │ -    is-odd: \"npm:3.0.1\"
➤ YN0028: │ +    is-odd: \"npm:2.0.0\"
➤ YN0028: │ The lockfile would have been modified by this install, which is explicitly forbidden.
➤ YN0000: └ Completed
➤ YN0000: · Failed with errors in 0s 67ms",
        ),
        (
            Manager::Pnpm,
            "10.34.9",
            " ERR_PNPM_OUTDATED_LOCKFILE  Cannot install with \"frozen-lockfile\" because pnpm-lock.yaml is not up to date \
             with <ROOT>/package.json",
        ),
        (
            Manager::Pnpm,
            "12.21.0",
            "Error: ERR_PNPM_OUTDATED_LOCKFILE

  × installing dependencies
  ╰─▶ Cannot install with \"frozen-lockfile\" because pnpm-lock.yaml is not up
      to date with package.json.",
        ),
        (
            Manager::Uv,
            "0.13.9",
            "Resolved 3 packages in 99ms
error: The lockfile at `uv.lock` needs to be updated, but `--locked` was provided.

hint: To update the lockfile, run `uv lock`.",
        ),
        (
            Manager::Poetry,
            "2.5.1",
            "Error: pyproject.toml changed significantly since poetry.lock was last generated. Run `poetry lock` to fix the \
             lock file.",
        ),
        (
            Manager::Cargo,
            "1.95.0",
            "  failed to load lockfile for /tmp/app

Caused by:
  cannot update the lock file /tmp/app/Cargo.lock because --locked was passed to prevent this
  help: to generate the lock file without accessing the network, remove the --locked flag and use --offline instead.",
        ),
        (
            Manager::Go,
            "1.19.8",
            "main.go:3:8: missing go.sum entry for module providing package example.com/greet (imported by example.com/app); \
             to add:
\tgo get example.com/app",
        ),
    ];

    #[test]
    fn what_managers_say_is_understood_and_what_they_say_otherwise_is_not_taken_for_it() {
        for (manager, version, said) in SAID {
            assert!(is_told(*manager, said, false), "{manager} {version}");
            // Only `go list` says it and succeeds.
            assert_eq!(
                is_told(*manager, said, true),
                *manager == Manager::Go,
                "{manager} {version}"
            );
            for (other, ..) in SAID.iter().filter(|(other, ..)| other != manager) {
                assert!(
                    !is_told(*other, said, false),
                    "{manager} is taken for {other}"
                );
            }
        }
        for manager in Manager::NAMED.map(|(_, manager)| manager) {
            assert!(
                !is_told(manager, "error: network is unreachable", false),
                "{manager}"
            );
        }
    }
}
