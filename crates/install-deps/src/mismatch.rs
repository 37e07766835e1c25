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
        Manager::Npm => &["package.json and package-lock.json or npm-shrinkwrap.json are in sync"],
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
