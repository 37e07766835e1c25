//! Who else packs and unpacks: the programs that are installed.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::meter::is_installed;
use super::worker::WORKER;
use crate::programs::{run, workshop};

/// Something that unpacks or packs.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// What it does: from the first path to the second.
    command: Shape,
}

#[derive(Debug, Clone)]
enum Shape {
    /// Arguments, of which `{from}` and `{to}` stand for the paths.
    Program(&'static str, &'static [&'static str]),
    /// The same, started in the directory that is packed.
    Within(&'static str, &'static [&'static str]),
    /// A script for Node.js, in a directory with what it needs.
    Node(PathBuf),
    /// A worker of this program.
    Worker(&'static str, &'static [&'static str]),
}

impl Peer {
    pub(crate) fn command(&self, from: &Path, to: &Path) -> Command {
        let filled = |command: &mut Command, arguments: &[&str]| {
            for argument in arguments {
                match *argument {
                    "{from}" => command.arg(from),
                    "{to}" => command.arg(to),
                    "-o{to}" => command.arg(format!("-o{}", to.display())),
                    other => command.arg(other),
                };
            }
        };
        match &self.command {
            Shape::Program(program, arguments) => {
                let mut command = Command::new(program);
                filled(&mut command, arguments);
                command
            }
            Shape::Within(program, arguments) => {
                let mut command = Command::new(program);
                command.current_dir(from);
                filled(&mut command, arguments);
                command
            }
            Shape::Node(script) => {
                let mut command = Command::new("node");
                command.arg(script).arg(from).arg(to);
                command
            }
            Shape::Worker(work, rest) => {
                let mut command = own(&[work]);
                command.arg(from).arg(to).args(*rest);
                command
            }
        }
    }

    fn is_here(&self) -> bool {
        match &self.command {
            Shape::Program(program, _) | Shape::Within(program, _) => is_installed(program),
            Shape::Node(_) | Shape::Worker(..) => true,
        }
    }
}

/// This program, as a worker.
pub(crate) fn own(arguments: &[&str]) -> Command {
    let program = std::env::current_exe().unwrap_or_else(|_| "towpath-bench".into());
    let mut command = Command::new(program);
    command.arg(WORKER).args(arguments);
    command
}

pub(crate) const OURS: &str = "Towpath";

/// Ours first, then those who are installed.
pub(crate) fn unpackers(threads: &'static str) -> Vec<Peer> {
    let mut all = vec![Peer {
        name: OURS,
        command: if threads == "1" {
            Shape::Worker("unpack", &["1"])
        } else {
            Shape::Worker("unpack", &["2"])
        },
    }];
    let programs = [
        (
            "ripunzip",
            "ripunzip",
            &["unzip-file", "{from}", "-d", "{to}"] as &[_],
        ),
        ("unzip", "unzip", &["-q", "{from}", "-d", "{to}"]),
        ("7z", "7z", &["x", "-bd", "-y", "-snld", "{from}", "-o{to}"]),
        ("bsdtar", "bsdtar", &["-x", "-f", "{from}", "-C", "{to}"]),
        (
            "Python zipfile",
            "python3",
            &["-m", "zipfile", "-e", "{from}", "{to}"],
        ),
    ];
    all.extend(programs.map(|(name, program, arguments)| Peer {
        name,
        command: Shape::Program(program, arguments),
    }));
    all.push(Peer {
        name: "zip crate",
        command: Shape::Worker("zip-unpack", &[]),
    });
    all.extend(node("unpack.js").map(|script| Peer {
        name: "Node adm-zip",
        command: Shape::Node(script),
    }));
    all.retain(Peer::is_here);
    all
}

/// Ours first, then those who are installed, each as it packs if nothing else is said; 7z at the level at which it
/// is about as thorough as the others.
pub(crate) fn packers(threads: &'static str) -> Vec<Peer> {
    let mut all = vec![Peer {
        name: OURS,
        command: if threads == "1" {
            Shape::Worker("pack", &["1"])
        } else {
            Shape::Worker("pack", &["2"])
        },
    }];
    let programs = [
        ("zip", "zip", &["-q", "-r", "-y", "{to}", "."] as &[_]),
        ("7z", "7z", &["a", "-bd", "-tzip", "-mx1", "{to}", "."]),
        (
            "bsdtar",
            "bsdtar",
            &["-c", "--format", "zip", "-f", "{to}", "."],
        ),
        (
            "Python zipfile",
            "python3",
            &["-m", "zipfile", "-c", "{to}", "."],
        ),
    ];
    all.extend(programs.map(|(name, program, arguments)| Peer {
        name,
        command: Shape::Within(program, arguments),
    }));
    all.push(Peer {
        name: "zip crate",
        command: Shape::Worker("zip-pack", &[]),
    });
    all.extend(node("pack.js").map(|script| Peer {
        name: "Node adm-zip",
        command: Shape::Node(script),
    }));
    all.retain(Peer::is_here);
    all
}

/// A script with the package that it needs; nothing without Node.js, or when npm gives nothing.
fn node(script: &str) -> Option<PathBuf> {
    let directory = workshop("node-zip").ok()?;
    if !is_installed("node") || !is_installed("npm") {
        return None;
    }
    for (name, text) in [
        (
            "unpack.js",
            "const Zip = require('adm-zip');\nnew Zip(process.argv[2]).extractAllTo(process.argv[3], true, true);\n",
        ),
        (
            "pack.js",
            "const Zip = require('adm-zip');\nconst zip = new Zip();\nzip.addLocalFolder(process.argv[2]);\nzip.writeZip(process.argv[3]);\n",
        ),
    ] {
        std::fs::write(directory.join(name), text).ok()?;
    }
    if !directory.join("node_modules/adm-zip").is_dir() {
        run(Command::new("npm")
            .args(["install", "--no-audit", "--no-fund", "adm-zip@0.5"])
            .current_dir(&directory))
        .ok()?;
    }
    Some(directory.join(script))
}
