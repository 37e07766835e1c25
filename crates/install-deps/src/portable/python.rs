//! What is special about installed Python packages: scripts that name their interpreter, and records of each file.

use std::{
    fs,
    path::{Path, PathBuf},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use towpath_tool::installed::{rewrite, without_places};

use super::{failed, remove, walk};
use crate::InstallError;

/// A directory of packages (`pip install --target`): its programs take whatever Python runs them.
pub(super) fn make_packages(packages: &Path) -> Result<(), InstallError> {
    take_out(packages)?;
    for script in files_in(&packages.join("bin")) {
        change(&script, |bytes| {
            let (line, rest) = split_line(bytes);
            let interpreter = python_of(line)?;
            Some([b"#!/usr/bin/env ", interpreter.as_bytes(), b"\n", rest].concat())
        })?;
    }
    Ok(())
}

/// A virtual environment that was made at `made_at`. Gives the version of its Python, `3.12`; nothing if there is no
/// environment.
pub(super) fn make_environment(
    environment: &Path,
    made_at: &Path,
) -> Result<Option<String>, InstallError> {
    let settings = environment.join("pyvenv.cfg");
    if !settings.is_file() {
        return Ok(None);
    }
    take_out(environment)?;
    let mut python = None;
    change(&settings, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        python = version(&text);
        Some(without_places(&text).into_bytes())
    })?;
    let programs = environment.join("bin");
    for path in files_in(&programs) {
        change(&path, |bytes| relocatable(bytes, &made_at.join("bin")))?;
    }
    for link in links_in(&programs) {
        let name = link.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("python") || name.starts_with("pypy") {
            remove(&link)?;
        }
    }
    Ok(python)
}

/// Removes byte code, which holds times, and what installers keep for themselves.
fn take_out(root: &Path) -> Result<(), InstallError> {
    for entry in walk(root)? {
        let name = entry.file_name().to_string_lossy();
        let is_own = match name.as_ref() {
            "__pycache__" => entry.file_type().is_dir(),
            // uv's: the times of what a package was built from.
            "uv_cache.json" => true,
            ".lock" => entry.depth() == 1,
            _ => false,
        };
        if is_own {
            remove(entry.path())?;
        }
    }
    Ok(())
}

fn entries_in(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

fn files_in(directory: &Path) -> Vec<PathBuf> {
    let is_file = |path: &PathBuf| path.symlink_metadata().is_ok_and(|it| it.is_file());
    entries_in(directory).into_iter().filter(is_file).collect()
}

fn links_in(directory: &Path) -> Vec<PathBuf> {
    let is_link = |path: &PathBuf| path.symlink_metadata().is_ok_and(|it| it.is_symlink());
    entries_in(directory).into_iter().filter(is_link).collect()
}

/// Puts what `changed` makes of a file in its place.
fn change(path: &Path, changed: impl FnOnce(&[u8]) -> Option<Vec<u8>>) -> Result<(), InstallError> {
    let bytes = fs::read(path).map_err(failed(path))?;
    let Some(new) = changed(&bytes).filter(|new| *new != bytes) else {
        return Ok(());
    };
    let metadata = fs::metadata(path).map_err(failed(path))?;
    rewrite(path, &new, &metadata.permissions()).map_err(failed(path))
}

fn split_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    match bytes.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&bytes[..end], &bytes[end + 1..]),
        None => (bytes, b""),
    }
}

/// The name of the interpreter that a `#!` line names, if it is a Python at some absolute path.
fn python_of(line: &[u8]) -> Option<String> {
    let path = std::str::from_utf8(line.strip_prefix(b"#!")?).ok()?.trim();
    let name = path.rsplit('/').next()?;
    (path.starts_with('/') && !path.contains(' ') && name.starts_with("python")).then(|| {
        // `python3.12` is the one that they were installed for, `python` may be another one.
        if name == "python" {
            "python3".to_owned()
        } else {
            name.to_owned()
        }
    })
}

/// A script of the environment whose programs lay in `programs`, such that it finds its interpreter beside itself: for
/// a shell, it is a line that starts Python with the script; for Python, that line is a text. Also how installers write
/// it where the path is too long for a `#!`.
fn relocatable(script: &[u8], programs: &Path) -> Option<Vec<u8>> {
    const LINE: &str = "'''exec' \"$(dirname -- \"$(realpath -- \"$0\")\")\"/'";
    let programs = programs.to_str()?;
    let (first, rest) = split_line(script);
    let first = std::str::from_utf8(first).ok()?.trim_end();
    let (name, rest) = if first == "#!/bin/sh" {
        let (second, rest) = split_line(rest);
        let second = std::str::from_utf8(second).ok()?;
        let path = second.strip_prefix("'''exec' ")?.trim_start_matches('"');
        let name = path.strip_prefix(programs)?.strip_prefix('/')?;
        let name = name.split(['"', ' ']).next()?.to_owned();
        let (third, rest) = split_line(rest);
        (third == b"' '''").then_some((name, rest))?
    } else {
        let path = first.strip_prefix("#!")?.trim();
        let name = path.strip_prefix(programs)?.strip_prefix('/')?;
        (name.to_owned(), rest)
    };
    name.starts_with("python").then(|| {
        let start = format!("#!/bin/sh\n{LINE}{name}' \"$0\" \"$@\"\n' '''\n");
        [start.as_bytes(), rest].concat()
    })
}

/// Python's version without its last part, out of `pyvenv.cfg`.
fn version(settings: &str) -> Option<String> {
    let value = settings.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        matches!(key.trim(), "version" | "version_info").then(|| value.trim())
    })?;
    let mut parts = value.split('.');
    Some(format!("{}.{}", parts.next()?, parts.next()?))
}

/// Brings each package's list of files up to date: without the files that were taken out, with the digests of those
/// that were changed, in order.
pub(super) fn mend_records(directory: &Path) -> Result<(), InstallError> {
    for entry in walk(directory)? {
        let path = entry.path();
        let package = path.parent().unwrap_or(path);
        let is_record = entry.file_name() == "RECORD"
            && package
                .extension()
                .is_some_and(|extension| extension == "dist-info");
        if !is_record {
            continue;
        }
        let site = package.parent().unwrap_or(package);
        change(path, |bytes| {
            let text = String::from_utf8_lossy(bytes);
            let lines = text.lines().filter_map(|line| mended(line, site));
            let mut lines: Vec<String> = lines.collect();
            // virtualenv writes them in another order each time.
            lines.sort();
            Some((lines.join("\n") + "\n").into_bytes())
        })?;
    }
    Ok(())
}

/// One line of a RECORD: `path,sha256=digest,size`. Lines that do not look like that stay.
fn mended(line: &str, site: &Path) -> Option<String> {
    let mut fields = line.rsplitn(3, ',').skip(1);
    let (Some(digest), Some(name)) = (fields.next(), fields.next()) else {
        return Some(line.to_owned());
    };
    if name.contains('"') {
        return Some(line.to_owned());
    }
    let Ok(bytes) = fs::read(site.join(name)) else {
        return None; // taken out
    };
    if !digest.starts_with("sha256=") {
        return Some(line.to_owned());
    }
    let digest = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(&bytes));
    Some(format!("{name},sha256={digest},{}", bytes.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_find_their_interpreter_beside_themselves() {
        let portable = "#!/bin/sh\n'''exec' \"$(dirname -- \"$(realpath -- \"$0\")\")\"/'python' \"$0\" \"$@\"\n' '''\n";
        let uv = portable.replace("'python'", "'python3'");
        for (given, expected) in [
            (
                "#!/job/.venv/bin/python\nimport sys\n",
                Some(format!("{portable}import sys\n")),
            ),
            (
                "#!/job/.venv/bin/python3\r\nimport sys\n",
                Some(format!("{uv}import sys\n")),
            ),
            (
                "#!/bin/sh\n'''exec' /job/.venv/bin/python \"$0\" \"$@\"\n' '''\nimport sys\n",
                Some(format!("{portable}import sys\n")),
            ),
            (
                "#!/bin/sh\n'''exec' \"/job/.venv/bin/python\" \"$0\" \"$@\"\n' '''\nimport sys\n",
                Some(format!("{portable}import sys\n")),
            ),
            ("#!/usr/bin/env python\n", None),
            ("#!/job/.venv/bin/node\n", None),
            ("#!/bin/sh\necho\n", None),
            ("\u{7f}ELF", None),
            ("", None),
        ] {
            let made = relocatable(given.as_bytes(), Path::new("/job/.venv/bin"));
            let made = made.map(|bytes| String::from_utf8(bytes).unwrap());
            assert_eq!(made, expected, "{given}");
        }
    }

    #[test]
    fn programs_of_a_directory_of_packages_take_the_python_that_is_there() {
        for (given, expected) in [
            ("#!/usr/local/bin/python3.12", Some("python3.12")),
            ("#!/usr/bin/python", Some("python3")),
            ("#!/usr/bin/env python3", None),
            ("#!/bin/sh", None),
            ("import sys", None),
        ] {
            assert_eq!(python_of(given.as_bytes()).as_deref(), expected, "{given}");
        }
    }

    #[test]
    fn an_environment_s_settings_keep_no_places() {
        let uv = "home = /usr/bin\nimplementation = CPython\nuv = 0.13.9\nversion_info = 3.11.7\nprompt = app\n";
        let poetry = "home = /usr/bin\nversion = 3.12.1.final.0\nbase-prefix = /usr\ncommand = python -m venv /x\n";
        for (given, kept, expected) in [
            (
                uv,
                "implementation = CPython\nuv = 0.13.9\nversion_info = 3.11.7\nprompt = app\n",
                Some("3.11"),
            ),
            (poetry, "version = 3.12.1.final.0\n", Some("3.12")),
            ("", "", None),
        ] {
            assert_eq!(without_places(given), kept);
            assert_eq!(version(given).as_deref(), expected);
        }
    }

    #[test]
    fn a_list_of_files_says_what_is_there() {
        let site = tempfile::tempdir().unwrap();
        fs::write(site.path().join("a.py"), "").unwrap();
        let empty = "a.py,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0";
        for (given, expected) in [
            ("a.py,sha256=other,12", Some(empty)),
            (empty, Some(empty)),
            ("gone.py,sha256=other,12", None),
            ("a.py,,", Some("a.py,,")),
            ("no fields", Some("no fields")),
        ] {
            assert_eq!(mended(given, site.path()).as_deref(), expected, "{given}");
        }
    }
}
