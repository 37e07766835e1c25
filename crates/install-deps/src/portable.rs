//! What was installed, freed of what holds on this machine, in this directory or at this time only: so that it works
//! wherever it is laid over the source, and so that two installations of one lock file come to the same bytes.
//!
//! What a manager keeps for its own next run (times, places of caches) is taken out. A link that names its target by
//! the tree's path is made relative. The tree's path in a file is replaced by a word that consumers replace by theirs
//! ([`towpath_tool::installed`]). Of a virtual environment, the links to the interpreter are taken out for consumers to
//! make; what was compiled for it is taken out, since it holds times.

mod python;

use std::{
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use towpath_tool::{
    installed::{
        CARGO_HOME, GO_MODULES, MAVEN_REPOSITORY, Provided, ROOT, Record, VIRTUAL_ENVIRONMENT,
        replaced, rewrite,
    },
    task::PYTHON_PACKAGES,
};

use crate::{InstallError, Manager, Plan};

/// Stands for the job's own directory, which is gone when somebody reads of it: HOME and caches, as tools note them.
const JOB: &str = "/towpath.job";

/// Makes what `plan` added to `source`, and is in `added` now, work elsewhere. `job` is the directory of the job.
pub(crate) fn make(
    plan: &Plan,
    source: &Path,
    job: &Path,
    added: &Path,
) -> Result<(), InstallError> {
    let directory = added.join(&plan.directory);
    take_out(plan.manager(), &directory)?;
    let provides = match plan.manager() {
        Manager::Pip => {
            python::make_packages(&directory.join(PYTHON_PACKAGES))?;
            None
        }
        Manager::Uv | Manager::Poetry => {
            let at = source.join(&plan.directory).join(VIRTUAL_ENVIRONMENT);
            python::make_environment(&directory.join(VIRTUAL_ENVIRONMENT), &at)?
                .map(|python| Provided::VirtualEnvironment { python })
        }
        Manager::Cargo => Some(Provided::CargoHome).filter(|_| directory.join(CARGO_HOME).is_dir()),
        Manager::Go => Some(Provided::GoModules).filter(|_| directory.join(GO_MODULES).is_dir()),
        Manager::Maven => {
            Some(Provided::MavenRepository).filter(|_| directory.join(MAVEN_REPOSITORY).is_dir())
        }
        Manager::Npm | Manager::Yarn | Manager::YarnClassic | Manager::Pnpm => None,
    };
    let files = without_root(&directory, source, job, added)?;
    if matches!(plan.manager(), Manager::Pip | Manager::Uv | Manager::Poetry) {
        python::mend_records(&directory)?;
    }
    if provides.is_none() && files.is_empty() {
        return Ok(());
    }
    let record = Record {
        version: Record::VERSION,
        directory: plan.directory.clone(),
        provides,
        files,
    };
    record
        .write(added, plan.manager().name())
        .map_err(failed(added))
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> InstallError + use<> {
    let path = path.to_owned();
    move |source| InstallError::Tree { path, source }
}

/// All entries of a tree that is there, or none; directories before what is in them.
fn walk(root: &Path) -> Result<Vec<walkdir::DirEntry>, InstallError> {
    if !root.is_dir() {
        return Ok(Vec::new());
    }
    walkdir::WalkDir::new(root)
        .min_depth(1)
        .sort_by_file_name()
        .into_iter()
        .map(|entry| entry.map_err(|error| InstallError::walk(root, error)))
        .collect()
}

/// Removes a file, a link or a directory. Whether there was one.
pub(crate) fn remove(path: &Path) -> Result<bool, InstallError> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed(path)(error)),
    }
}

/// Removes what managers keep for themselves.
fn take_out(manager: Manager, directory: &Path) -> Result<(), InstallError> {
    match manager {
        Manager::Npm | Manager::YarnClassic | Manager::Pip | Manager::Uv | Manager::Poetry => {}
        Manager::Cargo => {}
        Manager::Yarn => {
            remove(&directory.join(".yarn/install-state.gz"))?;
            // Packages are run out of the cache, or were unpacked from it.
            if !directory.join(".pnp.cjs").exists() {
                remove(&directory.join(".yarn/cache"))?;
                remove_if_empty(&directory.join(".yarn"))?;
            }
        }
        Manager::Pnpm => {
            for entry in walk(directory)? {
                let name = entry.file_name().to_string_lossy();
                if name.starts_with(".pnpm-workspace-state") {
                    remove(entry.path())?;
                }
            }
            let state = directory.join("node_modules/.modules.yaml");
            if let Ok(text) = fs::read_to_string(&state) {
                let metadata = fs::metadata(&state).map_err(failed(&state))?;
                rewrite(
                    &state,
                    without_time(&text).as_bytes(),
                    &metadata.permissions(),
                )
                .map_err(failed(&state))?;
            }
        }
        Manager::Go => {
            let modules = directory.join(GO_MODULES);
            let cache = modules.join("cache");
            // What was unpacked is unpacked again from the cache, which go.sum vouches for.
            for entry in fs::read_dir(&modules).into_iter().flatten().flatten() {
                if entry.path() != cache {
                    remove(&entry.path())?;
                }
            }
            for entry in fs::read_dir(&cache).into_iter().flatten().flatten() {
                if entry.file_name() != "download" {
                    remove(&entry.path())?;
                }
            }
            remove(&cache.join("download/sumdb"))?;
            for entry in walk(&cache)? {
                let name = entry.file_name().to_string_lossy();
                if entry.file_type().is_file() && (name.ends_with(".lock") || name == "list") {
                    remove(entry.path())?;
                }
            }
        }
        Manager::Maven => {
            for entry in walk(&directory.join(MAVEN_REPOSITORY))? {
                let name = entry.file_name().to_string_lossy();
                // Times, and which repository each came from: without them Maven takes all as its own.
                let is_kept = !(name == "_remote.repositories"
                    || name == "resolver-status.properties"
                    || name == "maven-metadata-local.xml"
                    || name.ends_with(".lastUpdated")
                    || name.ends_with(".lock"));
                if entry.file_type().is_file() && !is_kept {
                    remove(entry.path())?;
                }
            }
        }
    }
    Ok(())
}

fn remove_if_empty(directory: &Path) -> Result<(), InstallError> {
    match fs::remove_dir(directory) {
        Err(error)
            if !matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty
            ) =>
        {
            Err(failed(directory)(error))
        }
        _ => Ok(()),
    }
}

/// pnpm's account of a `node_modules` without when it was made, and by which store. It is JSON, one member a line, or
/// YAML; neither member is the last one.
fn without_time(text: &str) -> String {
    let is_kept = |line: &&str| {
        let name = line.trim_start().trim_start_matches('"');
        !(name.starts_with("prunedAt") || name.starts_with("storeDir"))
    };
    text.split_inclusive('\n').filter(is_kept).collect()
}

/// Frees links and files below `directory` of the paths of the source and of the job. Gives the files that held the
/// source's, relative to `added`.
fn without_root(
    directory: &Path,
    source: &Path,
    job: &Path,
    added: &Path,
) -> Result<Vec<PathBuf>, InstallError> {
    /// What people or tools write for people to read; nothing that is longer holds a path to be followed.
    const LARGEST: u64 = 1 << 20;
    let mut files = Vec::new();
    let root = source.as_os_str().as_encoded_bytes();
    let own = job.as_os_str().as_encoded_bytes();
    for entry in walk(directory)? {
        let path = entry.path();
        if entry.file_type().is_symlink() {
            make_relative(path, source, added)?;
            continue;
        }
        if !entry.file_type().is_file() {
            continue;
        }
        let metadata = entry
            .metadata()
            .map_err(|error| failed(path)(error.into()))?;
        if metadata.len() > LARGEST {
            continue;
        }
        let bytes = fs::read(path).map_err(failed(path))?;
        let of_source = replaced(&bytes, root, ROOT.as_bytes());
        let is_recorded = of_source.is_some();
        let of_job = replaced(of_source.as_ref().unwrap_or(&bytes), own, JOB.as_bytes());
        let Some(freed) = of_job.or(of_source) else {
            continue;
        };
        // A binary file has its lengths and offsets.
        if bytes.contains(&0) {
            tracing::warn!(
                "{} holds the path of this job's directory, and cannot be freed of it",
                entry.path().strip_prefix(added).unwrap_or(path).display()
            );
            continue;
        }
        rewrite(path, &freed, &metadata.permissions()).map_err(failed(path))?;
        if is_recorded {
            files.push(path.strip_prefix(added).unwrap_or(path).to_owned());
        }
    }
    Ok(files)
}

/// A link by the tree's own path becomes one by the way to there.
fn make_relative(link: &Path, source: &Path, added: &Path) -> Result<(), InstallError> {
    let target = fs::read_link(link).map_err(failed(link))?;
    let (Ok(target), Ok(place)) = (target.strip_prefix(source), link.strip_prefix(added)) else {
        return Ok(());
    };
    let mut relative = PathBuf::new();
    for _ in place.components().skip(1) {
        relative.push("..");
    }
    relative.push(target);
    fs::remove_file(link).map_err(failed(link))?;
    symlink(relative, link).map_err(failed(link))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Facts, detect};

    fn plan(manifest: &str, directory: &str) -> Plan {
        let facts = Facts {
            names: [manifest.to_owned()].into(),
            ..Facts::default()
        };
        Plan {
            directory: directory.into(),
            recipe: detect::recipe(&facts, None, "`app`").unwrap(),
        }
    }

    fn write(root: &Path, files: &[(&str, &str)]) {
        for (name, text) in files {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    #[test]
    fn the_source_s_path_is_taken_out_and_recorded() {
        let added = tempfile::tempdir().unwrap();
        let root = added.path();
        let (source, job) = (Path::new("/job/source"), Path::new("/job"));
        write(
            root,
            &[
                (
                    "web/node_modules/a/build/config.gypi",
                    "{'dir': '/job/source/web'}",
                ),
                ("web/node_modules/a/build/notes", "/job/home/.npmrc"),
                ("web/node_modules/a/a.js", "'/jo/sour'"),
                ("web/node_modules/a/a.node", "\0/job/source"),
            ],
        );
        let modules = root.join("web/node_modules");
        symlink("/job/source/packages/b", modules.join("b")).unwrap();
        symlink("a", modules.join("c")).unwrap();
        make(&plan("package.json", "web"), source, job, root).unwrap();
        let notes = fs::read_to_string(modules.join("a/build/notes")).unwrap();
        assert_eq!(notes, "/towpath.job/home/.npmrc");
        let gypi = modules.join("a/build/config.gypi");
        assert_eq!(
            fs::read_to_string(gypi).unwrap(),
            format!("{{'dir': '{ROOT}/web'}}")
        );
        assert_eq!(
            fs::read(modules.join("a/a.node")).unwrap(),
            b"\0/job/source"
        );
        assert_eq!(
            fs::read_link(modules.join("b")).unwrap(),
            Path::new("../../packages/b")
        );
        assert_eq!(fs::read_link(modules.join("c")).unwrap(), Path::new("a"));
        let record = fs::read_to_string(root.join(".towpath-installed/web.npm.json")).unwrap();
        let record: serde_json::Value = serde_json::from_str(&record).unwrap();
        assert_eq!(
            record["files"],
            serde_json::json!(["web/node_modules/a/build/config.gypi"])
        );
    }

    #[test]
    fn what_is_portable_already_has_no_record() {
        let added = tempfile::tempdir().unwrap();
        write(added.path(), &[("node_modules/a/a.js", "")]);
        make(
            &plan("package.json", ""),
            Path::new("/job/source"),
            Path::new("/job"),
            added.path(),
        )
        .unwrap();
        assert!(!added.path().join(".towpath-installed").exists());
    }

    #[test]
    fn pnpm_s_times_and_places_are_taken_out() {
        for (given, expected) in [
            (
                "{\n  \"a\": 1,\n  \"prunedAt\": \"Wed\",\n  \"storeDir\": \"/x\",\n  \"b\": 2\n}",
                "{\n  \"a\": 1,\n  \"b\": 2\n}",
            ),
            ("a: 1\nprunedAt: Wed\nstoreDir: /x\nb: 2\n", "a: 1\nb: 2\n"),
        ] {
            assert_eq!(without_time(given), expected);
        }
    }
}
