//! Whether what decides an installation holds every version, and what those files are like.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

use sha2::{Digest, Sha256};

use super::requirements;
use crate::deciding::is_source;

/// Why an output is not to be kept: the same source may come out differently tomorrow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Uncacheable {
    /// Nothing holds the versions.
    #[error("there is no lock file")]
    NoLock,
    /// Something leaves a version open.
    #[error("{file} leaves the version of `{requirement}` open")]
    Open {
        /// The file.
        file: String,
        /// The line.
        requirement: String,
    },
}

/// The requirements files that pip is told of, relative to `directory`, and those that they include.
pub(crate) fn requirements(
    source: &Path,
    directory: &Path,
    listed: &[String],
) -> Result<BTreeSet<PathBuf>, Uncacheable> {
    let mut named = BTreeSet::new();
    let mut waiting: Vec<PathBuf> = listed.iter().map(|file| directory.join(file)).collect();
    let mut pinned = BTreeSet::new();
    let mut open = Vec::new();
    while let Some(file) = waiting.pop() {
        // pip will say that it is not there.
        let text = fs::read_to_string(source.join(&file)).unwrap_or_default();
        let read = requirements::read(&text);
        pinned.extend(read.pinned);
        open.extend(read.open.into_iter().map(|line| (file.clone(), line)));
        let folder = file.parent().unwrap_or(Path::new("")).to_owned();
        if source.join(&file).is_file() && named.insert(file) {
            waiting.extend(read.includes.iter().map(|path| plain(&folder.join(path))));
        }
    }
    let left = open
        .into_iter()
        .find(|(_, line)| !pinned.contains(&requirements::name(line)));
    match left {
        Some((file, requirement)) => Err(Uncacheable::Open {
            file: file.display().to_string(),
            requirement,
        }),
        None => Ok(named),
    }
}

/// Maven has no lock file: a version is what `pom.xml` says, unless that is a range, or a word for the latest.
pub(crate) fn fixed_versions(source: &Path, directory: &Path) -> Result<(), Uncacheable> {
    let file = directory.join("pom.xml");
    let text = fs::read_to_string(source.join(&file)).unwrap_or_default();
    let versions = text
        .split("<version>")
        .skip(1)
        .filter_map(|rest| rest.split("</version>").next())
        .map(str::trim);
    // The project's own version, or its parent's, comes first, and is usually a snapshot.
    for (number, version) in versions.enumerate() {
        let open = version.starts_with(['[', '(']) || matches!(version, "LATEST" | "RELEASE");
        if open || (number > 0 && version.ends_with("-SNAPSHOT")) {
            return Err(Uncacheable::Open {
                file: file.display().to_string(),
                requirement: version.to_owned(),
            });
        }
    }
    Ok(())
}

/// Without `.` and `..`. What leads out of the source is not found there.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir if plain.file_name().is_some() => {
                plain.pop();
            }
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain
}

/// Files that arguments name; an error if one names a folder, for then all of it has a part in what comes out.
pub(crate) fn of_arguments(
    source: &Path,
    directory: &Path,
    arguments: &[String],
) -> Result<BTreeSet<PathBuf>, String> {
    let mut named = BTreeSet::new();
    for argument in arguments {
        let value = argument
            .split_once('=')
            .map_or(&**argument, |(_, value)| value);
        if value.is_empty() || value.starts_with('-') {
            continue;
        }
        let path = plain(&directory.join(value));
        let there = source.join(&path);
        if there.is_dir() {
            return Err(format!("`{argument}` names a folder of the source"));
        }
        if there.is_file() {
            named.insert(path);
        }
    }
    Ok(named)
}

/// Every file and link of a source, by its path in it, sorted.
pub(crate) fn files(source: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in walkdir::WalkDir::new(source)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(is_source)
    {
        let entry = entry?;
        if !entry.file_type().is_dir()
            && let Ok(path) = entry.path().strip_prefix(source)
        {
            files.push(path.to_owned());
        }
    }
    Ok(files)
}

/// The SHA-256 of each file, by its path.
pub(crate) fn digests(
    source: &Path,
    files: &[PathBuf],
) -> std::io::Result<BTreeMap<String, String>> {
    files
        .iter()
        .map(|file| Ok((file.display().to_string(), digest(&source.join(file))?)))
        .collect()
}

/// Of a file its content and whether it is a program, of a link its target.
fn digest(path: &Path) -> std::io::Result<String> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut hasher = Sha256::new();
    let metadata = fs::symlink_metadata(path)?;
    if metadata.is_symlink() {
        hasher.update(b"link\0");
        hasher.update(fs::read_link(path)?.as_os_str().as_encoded_bytes());
        return Ok(hex::encode(hasher.finalize()));
    }
    let program = metadata.permissions().mode() & 0o111 != 0;
    hasher.update(if program {
        b"program\0"
    } else {
        b"file\0\0\0\0"
    });
    let mut file = fs::File::open(path)?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex::encode(hasher.finalize())),
            read => hasher.update(&buffer[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(content: &[(&str, &str)]) -> tempfile::TempDir {
        let here = tempfile::tempdir().unwrap();
        for (name, text) in content {
            let path = here.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        here
    }

    fn shown(files: &BTreeSet<PathBuf>) -> String {
        let names: Vec<_> = files.iter().map(|it| it.display().to_string()).collect();
        names.join(" ")
    }

    #[test]
    fn a_python_project_is_kept_if_its_requirements_hold_the_versions() {
        for (content, expected) in [
            (
                &[
                    ("api/requirements.txt", "-r more/base.txt\nflask==3.0\n"),
                    ("api/more/base.txt", "-c ../limits.txt\nclick\n"),
                    ("api/limits.txt", "click==8.1\n"),
                ][..],
                "api/limits.txt api/more/base.txt api/requirements.txt",
            ),
            (
                &[("api/requirements.txt", "flask>=3\n")],
                "api/requirements.txt leaves the version of `flask>=3` open",
            ),
            (
                &[("api/requirements.txt", "-r ../gone.txt\na==1\n")],
                "api/requirements.txt",
            ),
            // A file that includes itself is read once.
            (
                &[("api/requirements.txt", "-r requirements.txt\na==1\n")],
                "api/requirements.txt",
            ),
        ] {
            let here = tree(content);
            let listed = ["requirements.txt".to_owned()];
            let read = requirements(here.path(), Path::new("api"), &listed);
            let shown = read.map_or_else(|reason| reason.to_string(), |files| shown(&files));
            assert_eq!(shown, expected, "{content:?}");
        }
    }

    #[test]
    fn a_maven_project_is_kept_if_no_version_is_open() {
        let pom = |version: &str| {
            format!(
                "<project><version>1.0-SNAPSHOT</version><dependencies><dependency>\
                 <version>{version}</version></dependency></dependencies></project>"
            )
        };
        for (version, expected) in [
            ("1.2.3", None),
            ("${junit.version}", None),
            (
                "[1.0,2.0)",
                Some("pom.xml leaves the version of `[1.0,2.0)` open"),
            ),
            (
                "LATEST",
                Some("pom.xml leaves the version of `LATEST` open"),
            ),
            (
                "2.0-SNAPSHOT",
                Some("pom.xml leaves the version of `2.0-SNAPSHOT` open"),
            ),
        ] {
            let here = tree(&[("pom.xml", &pom(version))]);
            let found = fixed_versions(here.path(), Path::new(""));
            let found = found.err().map(|reason| reason.to_string());
            assert_eq!(found.as_deref(), expected, "{version}");
        }
    }

    #[test]
    fn what_an_argument_names_decides_too() {
        let here = tree(&[("api/wheels/a.whl", ""), ("api/base.txt", "")]);
        for (arguments, expected) in [
            (&["--omit=dev"][..], ""),
            (&["-r", "base.txt"], "api/base.txt"),
            (&["--requirement=./base.txt"], "api/base.txt"),
            (
                &["--find-links", "wheels"],
                "`wheels` names a folder of the source",
            ),
        ] {
            let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
            let found = of_arguments(here.path(), Path::new("api"), &arguments);
            let shown = found.map_or_else(|reason| reason, |files| shown(&files));
            assert_eq!(shown, expected, "{arguments:?}");
        }
    }

    #[test]
    fn a_digest_is_of_content_mode_and_target() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let here = tree(&[("a", "x"), ("b", "x"), ("c", "y")]);
        let path = |name: &str| here.path().join(name);
        fs::copy(path("a"), path("program")).unwrap();
        fs::set_permissions(path("program"), fs::Permissions::from_mode(0o755)).unwrap();
        symlink("a", path("link")).unwrap();
        let of = |name: &str| digest(&path(name)).unwrap();
        assert_eq!(of("a"), of("b"));
        let all = BTreeSet::from([of("a"), of("c"), of("program"), of("link")]);
        assert_eq!(all.len(), 4);
    }
}
