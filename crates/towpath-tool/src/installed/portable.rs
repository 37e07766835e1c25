//! What [`restore`](super::restore) put into a tree, taken out again: a tree that is published works at another path,
//! and comes to the same bytes wherever it was made.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{InstalledError, Provided, ROOT, VIRTUAL_ENVIRONMENT, records, replaced, rewrite};

/// Takes out of what the records of the tree at `root` name whatever holds on this machine and at this path only. Safe
/// to repeat, and without effect on a tree without records.
///
/// A task may have put links in the place of directories: what lies outside of the tree is left alone.
pub fn make_portable(root: &Path) -> Result<(), InstalledError> {
    for record in records(root)? {
        for file in &record.files {
            unroot(root, &root.join(file))?;
        }
        if let Some(Provided::VirtualEnvironment { .. }) = record.provides {
            let environment = root.join(&record.directory).join(VIRTUAL_ENVIRONMENT);
            unlink_interpreter(root, &environment)?;
        }
    }
    Ok(())
}

/// Writes [`ROOT`] for the tree's path into a file.
fn unroot(root: &Path, path: &Path) -> Result<(), InstalledError> {
    let Some(metadata) = own(root, path).filter(fs::Metadata::is_file) else {
        return Ok(());
    };
    let bytes = fs::read(path).map_err(failed(path))?;
    match replaced(&bytes, root.as_os_str().as_encoded_bytes(), ROOT.as_bytes()) {
        Some(portable) => rewrite(path, &portable, &metadata.permissions()).map_err(failed(path)),
        None => Ok(()),
    }
}

/// Removes the links to an interpreter, and what `pyvenv.cfg` says of it. Where `python` is no link out of the tree but a
/// file, as a tool makes it that copies, it stays.
fn unlink_interpreter(root: &Path, environment: &Path) -> Result<(), InstalledError> {
    let programs = environment.join("bin");
    let settings = environment.join("pyvenv.cfg");
    let is_link_out = |path: &Path| fs::read_link(path).is_ok_and(|to| to.is_absolute());
    if own(root, &programs.join("python")).is_some() && is_link_out(&programs.join("python")) {
        let entries = fs::read_dir(&programs).map_err(failed(&programs))?;
        let pythons = entries.flatten().map(|entry| entry.path()).filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let is_link = path.symlink_metadata().is_ok_and(|it| it.is_symlink());
            name.starts_with("python") && is_link
        });
        for link in pythons.collect::<Vec<PathBuf>>() {
            fs::remove_file(&link).map_err(failed(&link))?;
        }
    }
    let Some(metadata) = own(root, &settings).filter(fs::Metadata::is_file) else {
        return Ok(());
    };
    let text = fs::read(&settings).map_err(failed(&settings))?;
    let text = String::from_utf8_lossy(&text);
    let kept = without_places(&text);
    if kept != text {
        rewrite(&settings, kept.as_bytes(), &metadata.permissions()).map_err(failed(&settings))?;
    }
    Ok(())
}

/// What lies at the path itself, if that is inside the tree when the links on the way are followed.
fn own(root: &Path, path: &Path) -> Option<fs::Metadata> {
    let parent = path.parent()?.canonicalize().ok()?;
    let root = root.canonicalize().ok()?;
    let metadata = path.symlink_metadata().ok()?;
    parent.starts_with(root).then_some(metadata)
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> InstalledError {
    let path = path.to_owned();
    move |source| InstalledError::Portable { path, source }
}

/// The settings of a virtual environment (`pyvenv.cfg`), but for where on this machine its interpreter lies.
pub fn without_places(settings: &str) -> String {
    let is_kept = |line: &&str| {
        let key = line.split('=').next().unwrap_or_default().trim();
        !matches!(
            key,
            "home"
                | "executable"
                | "command"
                | "base-prefix"
                | "base-exec-prefix"
                | "base-executable"
        )
    };
    settings.split_inclusive('\n').filter(is_kept).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::super::{Record, restore};
    use super::*;
    use crate::{Command, Workspace};

    /// Names, links and contents.
    fn seen(root: &Path) -> Vec<String> {
        let mut all = Vec::new();
        let mut open = vec![root.to_owned()];
        while let Some(directory) = open.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                let metadata = path.symlink_metadata().unwrap();
                let what = if metadata.is_symlink() {
                    fs::read_link(&path).unwrap().display().to_string()
                } else if metadata.is_dir() {
                    open.push(path.clone());
                    "a directory".to_owned()
                } else {
                    fs::read_to_string(&path).unwrap()
                };
                let name = path.strip_prefix(root).unwrap().display();
                all.push(format!("{name}: {what}"));
            }
        }
        all.sort();
        all
    }

    fn environment(directory: &str, python: &str, file: &str) -> Record {
        Record {
            version: Record::VERSION,
            directory: directory.into(),
            provides: Some(Provided::VirtualEnvironment {
                python: python.to_owned(),
            }),
            files: vec![file.into()],
        }
    }

    #[test]
    fn what_was_restored_is_taken_out_again() {
        let version = std::process::Command::new("python3")
            .args(["-c", "import sys; print('%d.%d' % sys.version_info[:2])"])
            .output();
        let Ok(version) = version else {
            println!("skipped: `python3` is not on this machine");
            return;
        };
        let version = String::from_utf8(version.stdout).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let workspace = Workspace::create_in(directory.path()).unwrap();
        let root = workspace.path("source");
        fs::create_dir_all(root.join("api/.venv/bin")).unwrap();
        fs::write(root.join("api/.venv/pyvenv.cfg"), "prompt = api\n").unwrap();
        fs::write(root.join("api/.venv/bin/pip"), "#!/bin/sh\n").unwrap();
        symlink("pip", root.join("api/.venv/bin/pip3")).unwrap();
        fs::write(root.join("api/editable.pth"), format!("{ROOT}/api/src\n")).unwrap();
        environment("api", version.trim(), "api/editable.pth")
            .write(&root, "uv")
            .unwrap();
        let before = seen(&root);

        restore(Command::new("true", root.join("api"))).unwrap();
        let restored = seen(&root).join("\n");
        assert!(restored.contains("api/.venv/bin/python: /"), "{restored}");
        assert!(restored.contains("pyvenv.cfg: home = /"), "{restored}");
        assert!(!restored.contains(ROOT), "{restored}");

        for _ in 0..2 {
            make_portable(&root).unwrap();
            assert_eq!(seen(&root), before);
        }
    }

    #[test]
    fn what_lies_outside_of_the_tree_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("source");
        let outside = directory.path().join("outside");
        for path in [&root, &outside.join("bin")] {
            fs::create_dir_all(path).unwrap();
        }
        fs::write(outside.join("pyvenv.cfg"), "home = /usr/bin\n").unwrap();
        fs::write(outside.join("file"), root.as_os_str().as_encoded_bytes()).unwrap();
        symlink("/usr/bin/python3", outside.join("bin/python")).unwrap();
        symlink(&outside, root.join(".venv")).unwrap();
        environment("", "3.12", ".venv/file")
            .write(&root, "uv")
            .unwrap();
        let before = seen(&outside);
        make_portable(&root).unwrap();
        assert_eq!(seen(&outside), before);
    }
}
