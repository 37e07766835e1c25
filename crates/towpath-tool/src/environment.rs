//! The environment of a build tool: built from nothing, so that what is not named here is not there.
//!
//! A tool sees
//! 1. what is passed on from the function: [`PASSED`] and `LC_*`: where programs lie, language and time zone, proxies,
//!    certificates, registries. Never a variable that starts with `AWS_`;
//! 2. where programs that live in a home directory are found ([`LOCATORS`]), as HOME itself changes;
//! 3. HOME, TMPDIR and every cache, inside the job's [`Workspace`];
//! 4. `CI=true` and what keeps tools from asking questions or calling home;
//! 5. `TOWPATH_TOOL_RUN`, the mark by which processes that a tool leaves behind are found;
//! 6. last, and over all of these, what the [`Command`] asks for.
//!
//! `TOWPATH_TOOL_CACHE` (an absolute path), set in the *function's* environment, moves the caches there, so that
//! they outlive the job. A laptop sets it; in AWS it stays unset, since a build could leave something in the cache for
//! the next one.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};

use crate::{Command, Workspace};

/// Names the directory of caches that outlive jobs.
pub const TOOL_CACHE: &str = "TOWPATH_TOOL_CACHE";

/// Marks every process of one run of a tool.
pub(crate) const RUN: &str = "TOWPATH_TOOL_RUN";

/// What is passed on as it is, where the function has it. Beside these: every `LC_*`.
pub const PASSED: &[&str] = &[
    // Where programs and their libraries lie; Lambda's images keep libraries in /var/lang/lib.
    "PATH",
    "LD_LIBRARY_PATH",
    "JAVA_HOME",
    "GOROOT",
    "DOTNET_ROOT",
    "PLAYWRIGHT_BROWSERS_PATH",
    "PUPPETEER_EXECUTABLE_PATH",
    "CHROME_BIN",
    // Language and time.
    "LANG",
    "LANGUAGE",
    "TZ",
    // Proxies.
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    // Certificates.
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NIX_SSL_CERT_FILE",
    "NODE_EXTRA_CA_CERTS",
    "PIP_CERT",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "CARGO_HTTP_CAINFO",
    // Registries. A token in one of these is given to the tool on purpose.
    "npm_config_registry",
    "NPM_CONFIG_REGISTRY",
    "npm_config_userconfig",
    "NPM_CONFIG_USERCONFIG",
    "npm_config_globalconfig",
    "NPM_CONFIG_GLOBALCONFIG",
    "npm_config_cafile",
    "NPM_CONFIG_CAFILE",
    "YARN_REGISTRY",
    "YARN_NPM_REGISTRY_SERVER",
    "COREPACK_NPM_REGISTRY",
    "npm_config_nodedir",
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_FIND_LINKS",
    "PIP_NO_INDEX",
    "PIP_TRUSTED_HOST",
    "PIP_DEFAULT_TIMEOUT",
    "PIP_CONFIG_FILE",
    "UV_INDEX_URL",
    "UV_DEFAULT_INDEX",
    "UV_FIND_LINKS",
    "UV_NO_INDEX",
    "GOPROXY",
    "GOPRIVATE",
    "GONOPROXY",
    "GOSUMDB",
    "GONOSUMDB",
];

/// Version managers that look below HOME: the variable, and where it points when it is not set.
pub const LOCATORS: &[(&str, Option<&str>)] = &[
    ("PYENV_ROOT", Some(".pyenv")),
    ("NVM_DIR", Some(".nvm")),
    ("VOLTA_HOME", Some(".volta")),
    ("FNM_DIR", None),
    ("N_PREFIX", None),
    ("ASDF_DIR", Some(".asdf")),
    ("ASDF_DATA_DIR", Some(".asdf")),
    ("MISE_DATA_DIR", Some(".local/share/mise")),
    ("RBENV_ROOT", Some(".rbenv")),
    ("RUSTUP_HOME", Some(".rustup")),
    ("SDKMAN_DIR", Some(".sdkman")),
];

/// Where programs are looked for when the function has no `PATH`.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// The whole environment of `command`, given the function's own (`host`).
pub(crate) fn build(
    host: &BTreeMap<OsString, OsString>,
    workspace: &Workspace,
    command: &Command,
    run: &str,
) -> BTreeMap<OsString, OsString> {
    let mut environment: BTreeMap<OsString, OsString> = host
        .iter()
        .filter(|(name, _)| is_passed(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    environment
        .entry("PATH".into())
        .or_insert_with(|| DEFAULT_PATH.into());
    environment.extend(locators(host));
    environment.extend(
        places(workspace, &caches(host, workspace)).map(|(name, path)| (name.into(), path.into())),
    );
    environment.extend(
        HABITS
            .iter()
            .map(|(name, value)| (name.into(), value.into())),
    );
    // A second copy of every package that Yarn fetches is of use only where there is a next time.
    let is_lasting = host.contains_key(OsStr::new(TOOL_CACHE));
    environment.insert("YARN_ENABLE_MIRROR".into(), is_lasting.to_string().into());
    environment.insert(RUN.into(), run.into());
    environment.extend(command.environment.clone());
    environment.extend(
        command
            .secrets
            .iter()
            .map(|(name, value)| (name.clone(), value.expose().into())),
    );
    if !command.search.is_empty()
        && let Some(path) = environment.get_mut(OsStr::new("PATH"))
    {
        *path = in_front(&command.search, path);
    }
    environment
}

/// What a program of the machine itself needs to start, outside of any job.
pub(crate) fn outside_of_jobs(host: &BTreeMap<OsString, OsString>) -> BTreeMap<OsString, OsString> {
    let mut environment: BTreeMap<OsString, OsString> = ["PATH", "LD_LIBRARY_PATH"]
        .iter()
        .filter_map(|name| Some(((*name).into(), host.get(OsStr::new(name))?.clone())))
        .collect();
    environment
        .entry("PATH".into())
        .or_insert_with(|| DEFAULT_PATH.into());
    environment.extend(locators(host));
    environment
}

fn is_passed(name: &OsStr) -> bool {
    name.to_str()
        .is_some_and(|name| PASSED.contains(&name) || name.starts_with("LC_"))
}

fn locators(host: &BTreeMap<OsString, OsString>) -> impl Iterator<Item = (OsString, OsString)> {
    let home = host.get(OsStr::new("HOME")).map(PathBuf::from);
    LOCATORS.iter().filter_map(move |(name, below_home)| {
        let set = host.get(OsStr::new(name)).cloned();
        let usual = || {
            Some(home.as_ref()?.join((*below_home)?))
                .filter(|path| path.is_dir())
                .map(Into::into)
        };
        Some((name.into(), set.or_else(usual)?))
    })
}

fn caches(host: &BTreeMap<OsString, OsString>, workspace: &Workspace) -> PathBuf {
    host.get(OsStr::new(TOOL_CACHE))
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .unwrap_or_else(|| workspace.caches())
}

/// Everything a tool would otherwise keep in the real home directory.
fn places(workspace: &Workspace, caches: &Path) -> impl Iterator<Item = (&'static str, PathBuf)> {
    let home = workspace.home();
    [
        ("TMPDIR", workspace.temporary()),
        ("XDG_CONFIG_HOME", home.join(".config")),
        ("XDG_DATA_HOME", home.join(".local/share")),
        ("XDG_STATE_HOME", home.join(".local/state")),
        ("XDG_CACHE_HOME", caches.join("xdg")),
        ("npm_config_cache", caches.join("npm")),
        ("PNPM_HOME", home.join(".local/share/pnpm")),
        ("YARN_CACHE_FOLDER", caches.join("yarn")),
        ("YARN_GLOBAL_FOLDER", caches.join("yarn-berry")),
        ("COREPACK_HOME", caches.join("corepack")),
        ("CYPRESS_CACHE_FOLDER", caches.join("cypress")),
        ("PIP_CACHE_DIR", caches.join("pip")),
        ("UV_CACHE_DIR", caches.join("uv")),
        ("POETRY_CACHE_DIR", caches.join("poetry")),
        ("PYTHONUSERBASE", home.join(".local")),
        ("CARGO_HOME", caches.join("cargo")),
        ("GOPATH", home.join("go")),
        ("GOCACHE", caches.join("go-build")),
        ("GOMODCACHE", caches.join("go-mod")),
        ("GIT_CONFIG_GLOBAL", home.join(".gitconfig")),
        ("HOME", home),
    ]
    .into_iter()
}

const HABITS: &[(&str, &str)] = &[
    ("CI", "true"),
    ("GIT_TERMINAL_PROMPT", "0"),
    // npm's audit is a call to the registry for each install; who wants it writes `args=--audit`.
    ("npm_config_audit", "false"),
    ("npm_config_fund", "false"),
    ("npm_config_update_notifier", "false"),
    ("COREPACK_ENABLE_DOWNLOAD_PROMPT", "0"),
    // Since pnpm 11 a script is preceded by another installation, unless this says that there has been one.
    ("pnpm_config_verify_deps_before_run", "false"),
    ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
    ("PIP_NO_INPUT", "1"),
    ("PIP_ROOT_USER_ACTION", "ignore"),
];

fn in_front(search: &[PathBuf], path: &OsStr) -> OsString {
    let mut joined = OsString::new();
    for directory in search {
        joined.push(directory);
        joined.push(":");
    }
    joined.push(path);
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(variables: &[(&str, &str)]) -> BTreeMap<OsString, OsString> {
        variables
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect()
    }

    #[test]
    fn what_is_not_named_is_not_there() {
        let directory = tempfile::tempdir().unwrap();
        let workspace = Workspace::create_in(directory.path()).unwrap();
        let host = host(&[
            ("PATH", "/bin"),
            ("LC_ALL", "C"),
            ("https_proxy", "http://127.0.0.1:1"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_SESSION_TOKEN", "secret"),
            ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001"),
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "secret"),
            ("GITHUB_TOKEN", "secret"),
            ("LD_PRELOAD", "/tmp/evil.so"),
            ("NODE_OPTIONS", "--require /tmp/evil.js"),
            ("HOME", "/nowhere"),
            ("TMPDIR", "/elsewhere"),
        ]);
        let command = Command::new("true", ".")
            .env("STAGE", "test")
            .env("CI", "1");
        let environment = build(&host, &workspace, &command, "run-1");
        for (name, expected) in [
            ("PATH", Some("/bin")),
            ("LC_ALL", Some("C")),
            ("https_proxy", Some("http://127.0.0.1:1")),
            ("STAGE", Some("test")),
            ("CI", Some("1")),
            ("TOWPATH_TOOL_RUN", Some("run-1")),
            ("GITHUB_TOKEN", None),
            ("LD_PRELOAD", None),
            ("NODE_OPTIONS", None),
            ("PYENV_ROOT", None),
        ] {
            assert_eq!(
                environment
                    .get(OsStr::new(name))
                    .and_then(|value| value.to_str()),
                expected,
                "{name}"
            );
        }
        let names: Vec<_> = environment
            .keys()
            .filter_map(|name| name.to_str())
            .collect();
        assert!(
            !names.iter().any(|name| name.starts_with("AWS_")),
            "{names:?}"
        );
        for name in [
            "HOME",
            "TMPDIR",
            "npm_config_cache",
            "PIP_CACHE_DIR",
            "CARGO_HOME",
            "XDG_CACHE_HOME",
        ] {
            let place = Path::new(&environment[OsStr::new(name)]);
            assert!(
                place.starts_with(workspace.root()),
                "{name}={}",
                place.display()
            );
        }
    }

    #[test]
    fn caches_move_only_to_an_absolute_path() {
        let directory = tempfile::tempdir().unwrap();
        let workspace = Workspace::create_in(directory.path()).unwrap();
        for (given, expected) in [
            (None, workspace.caches()),
            (Some("/var/cache/towpath"), "/var/cache/towpath".into()),
            (Some("cache"), workspace.caches()),
            (Some(""), workspace.caches()),
        ] {
            let host = host(
                &given
                    .map(|path| (TOOL_CACHE, path))
                    .into_iter()
                    .collect::<Vec<_>>(),
            );
            let environment = build(&host, &workspace, &Command::new("true", "."), "run-1");
            assert_eq!(
                Path::new(&environment[OsStr::new("npm_config_cache")]),
                expected.join("npm"),
                "{given:?}"
            );
            assert!(!environment.contains_key(OsStr::new(TOOL_CACHE)));
        }
    }

    #[test]
    fn a_version_manager_is_found_below_the_real_home() {
        let directory = tempfile::tempdir().unwrap();
        let workspace = Workspace::create_in(directory.path()).unwrap();
        let home = directory.path().join("me");
        std::fs::create_dir_all(home.join(".pyenv")).unwrap();
        let host = host(&[
            ("HOME", home.to_str().unwrap()),
            ("RUSTUP_HOME", "/opt/rustup"),
        ]);
        let environment = build(&host, &workspace, &Command::new("true", "."), "run-1");
        assert_eq!(
            Path::new(&environment[OsStr::new("PYENV_ROOT")]),
            home.join(".pyenv")
        );
        assert_eq!(environment[OsStr::new("RUSTUP_HOME")], "/opt/rustup");
        assert!(!environment.contains_key(OsStr::new("VOLTA_HOME")));
    }

    #[test]
    fn search_directories_come_first_also_before_a_path_of_the_command() {
        let directory = tempfile::tempdir().unwrap();
        let workspace = Workspace::create_in(directory.path()).unwrap();
        for (given, expected) in [(None, "/a:/b:/usr/bin"), (Some("/own"), "/a:/b:/own")] {
            let mut command = Command::new("true", ".");
            command.search = vec!["/a".into(), "/b".into()];
            if let Some(path) = given {
                command = command.env("PATH", path);
            }
            let environment = build(
                &host(&[("PATH", "/usr/bin")]),
                &workspace,
                &command,
                "run-1",
            );
            assert_eq!(environment[OsStr::new("PATH")], expected);
        }
    }
}
