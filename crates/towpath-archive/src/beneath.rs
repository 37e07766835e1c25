//! Creating and opening what lies beneath a directory, and nothing else.
//!
//! Linux has one call for it, `openat2`: the kernel refuses to leave the directory and to follow
//! any link. Elsewhere, and in sandboxes that do not let that call through, every directory on
//! the way is opened without following links, one after the other, and the last one kept.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

/// A directory beneath which things are created and opened.
#[derive(Debug)]
pub(crate) struct Beneath {
    root: OwnedFd,
    /// The permissions that the process takes away from what it creates, where that is known.
    umask: Option<u16>,
    /// Whether the kernel resolves paths beneath a directory.
    resolves: AtomicBool,
}

/// Where one thread is: the directory that it opened last, when it has to open each.
#[derive(Debug, Default)]
pub(crate) struct Place {
    path: Vec<u8>,
    directory: Option<OwnedFd>,
}

const DIRECTORY: OFlags = OFlags::DIRECTORY
    .union(OFlags::RDONLY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

impl Beneath {
    /// Of a directory that is there.
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        Ok(Self {
            root: rustix::fs::openat(
                CWD,
                root,
                DIRECTORY.difference(OFlags::NOFOLLOW),
                Mode::empty(),
            )?,
            umask: umask(),
            resolves: AtomicBool::new(cfg!(target_os = "linux")),
        })
    }

    /// Creates a file that is not there yet, with exactly these permissions.
    pub(crate) fn create(&self, place: &mut Place, path: &[u8], mode: u16) -> io::Result<File> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = self.openat(place, path, flags, mode)?;
        if self.umask.is_none_or(|umask| umask & mode != 0) {
            rustix::fs::fchmod(&file, permissions(mode))?;
        }
        Ok(file.into())
    }

    /// Opens a file for reading. A link is an error, and so is one on the way; a pipe is opened
    /// without waiting for who writes to it.
    pub(crate) fn read(&self, place: &mut Place, path: &[u8]) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        Ok(self.openat(place, path, flags, 0)?.into())
    }

    /// Creates a directory that is not there yet. What it lies in was created here.
    pub(crate) fn make_directory(&self, path: &[u8], mode: u16) -> io::Result<()> {
        rustix::fs::mkdirat(&self.root, path, permissions(mode))?;
        if self.umask.is_none_or(|umask| umask & mode != 0) {
            rustix::fs::chmodat(
                &self.root,
                path,
                permissions(mode),
                rustix::fs::AtFlags::empty(),
            )?;
        }
        Ok(())
    }

    /// Creates a link.
    pub(crate) fn link(&self, path: &[u8], target: &str) -> io::Result<()> {
        Ok(rustix::fs::symlinkat(target, &self.root, path)?)
    }

    /// What a directory gets that nobody states permissions for.
    pub(crate) fn usual_mode(&self) -> u16 {
        0o777 & !self.umask.unwrap_or(0o022)
    }

    /// Sets the permissions of the directory itself.
    pub(crate) fn set_mode(&self, mode: u16) -> io::Result<()> {
        Ok(rustix::fs::fchmod(&self.root, permissions(mode))?)
    }

    fn openat(
        &self,
        place: &mut Place,
        path: &[u8],
        flags: OFlags,
        mode: u16,
    ) -> io::Result<OwnedFd> {
        if self.resolves.load(Ordering::Relaxed) {
            match resolve(&self.root, path, flags, permissions(mode)) {
                // Before Linux 5.6, or forbidden by a sandbox that does not know the call.
                Err(Errno::NOSYS | Errno::PERM) => self.resolves.store(false, Ordering::Relaxed),
                // A rename somewhere in the system, in the same moment.
                Err(Errno::AGAIN) => {}
                done => return Ok(done?),
            }
        }
        let (directory, name) = match path.iter().rposition(|byte| *byte == b'/') {
            Some(at) => (&path[..at], &path[at + 1..]),
            None => (&path[..0], path),
        };
        let directory = self.walk(place, directory)?;
        Ok(rustix::fs::openat(
            directory,
            name,
            flags,
            permissions(mode),
        )?)
    }

    /// Opens a directory by opening every one on the way.
    fn walk<'a>(&'a self, place: &'a mut Place, path: &[u8]) -> io::Result<&'a OwnedFd> {
        if path.is_empty() {
            return Ok(&self.root);
        }
        if place.directory.is_none() || place.path != path {
            let mut opened: Option<OwnedFd> = None;
            for part in path.split(|byte| *byte == b'/') {
                let from = opened.as_ref().unwrap_or(&self.root).as_fd();
                opened = Some(rustix::fs::openat(from, part, DIRECTORY, Mode::empty())?);
            }
            place.directory = opened;
            place.path.clear();
            place.path.extend(path);
        }
        Ok(place.directory.as_ref().unwrap_or(&self.root))
    }
}

fn permissions(mode: u16) -> Mode {
    Mode::from_raw_mode(mode.into())
}

#[cfg(target_os = "linux")]
fn resolve(root: &OwnedFd, path: &[u8], flags: OFlags, mode: Mode) -> rustix::io::Result<OwnedFd> {
    use rustix::fs::ResolveFlags;
    let how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(root, path, flags, mode, how)
}

#[cfg(not(target_os = "linux"))]
fn resolve(_: &OwnedFd, _: &[u8], _: OFlags, _: Mode) -> rustix::io::Result<OwnedFd> {
    Err(Errno::NOSYS)
}

/// The process's umask, without the two calls that would change it for a moment. Linux tells it;
/// elsewhere permissions are set once more after creating.
fn umask() -> Option<u16> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("Umask:"))?;
    u16::from_str_radix(line.trim(), 8).ok()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{Read, Write};
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    /// Both ways to resolve a path.
    fn both(root: &Path) -> [Beneath; 2] {
        let (one, two) = (Beneath::open(root).unwrap(), Beneath::open(root).unwrap());
        two.resolves.store(false, Ordering::Relaxed);
        [one, two]
    }

    #[test]
    fn a_file_is_created_with_its_permissions_and_only_once() {
        let here = tempfile::tempdir().unwrap();
        for (n, beneath) in both(here.path()).iter().enumerate() {
            let mut place = Place::default();
            beneath
                .make_directory(format!("d{n}").as_bytes(), 0o777)
                .unwrap();
            beneath
                .make_directory(format!("d{n}/e").as_bytes(), 0o750)
                .unwrap();
            for (name, mode) in [
                ("a", 0o644),
                ("d/b", 0o777),
                ("d/e/c", 0o400),
                ("d/e/d", 0o622),
            ] {
                let path = name
                    .replace('d', &format!("d{n}"))
                    .replace('a', &format!("a{n}"));
                let mut file = beneath.create(&mut place, path.as_bytes(), mode).unwrap();
                file.write_all(b"x").unwrap();
                let found = fs::metadata(here.path().join(&path)).unwrap();
                assert_eq!(found.permissions().mode() & 0o7777, mode.into(), "{path}");
                let again = beneath
                    .create(&mut place, path.as_bytes(), mode)
                    .unwrap_err();
                assert_eq!(again.kind(), io::ErrorKind::AlreadyExists, "{path}");
                let mut read = String::new();
                beneath
                    .read(&mut place, path.as_bytes())
                    .unwrap()
                    .read_to_string(&mut read)
                    .unwrap();
                assert_eq!(read, "x");
            }
            let mode = |path: String| {
                fs::metadata(here.path().join(path))
                    .unwrap()
                    .permissions()
                    .mode()
                    & 0o777
            };
            assert_eq!(mode(format!("d{n}")), 0o777);
            assert_eq!(mode(format!("d{n}/e")), 0o750);
        }
    }

    #[test]
    fn no_link_is_followed_on_the_way() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "s").unwrap();
        let here = tempfile::tempdir().unwrap();
        fs::create_dir(here.path().join("d")).unwrap();
        symlink(outside.path(), here.path().join("out")).unwrap();
        symlink("d", here.path().join("in")).unwrap();
        symlink(outside.path().join("secret"), here.path().join("d/secret")).unwrap();
        for beneath in both(here.path()) {
            let mut place = Place::default();
            for path in ["out/a", "in/a", "d/secret"] {
                beneath
                    .create(&mut place, path.as_bytes(), 0o644)
                    .unwrap_err();
            }
            for path in ["out/secret", "d/secret"] {
                beneath.read(&mut place, path.as_bytes()).unwrap_err();
            }
        }
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
        assert_eq!(fs::read_dir(here.path().join("d")).unwrap().count(), 1);
    }
}
