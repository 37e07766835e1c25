//! The package managers that are known, and what they are run on.

use std::fmt;

/// A package manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Manager {
    /// npm, for Node.
    Npm,
    /// Yarn 2 and later ("berry"), for Node. As what a person asks for: any Yarn.
    Yarn,
    /// Yarn 1 ("classic"), for Node.
    YarnClassic,
    /// pnpm, for Node.
    Pnpm,
    /// pip, for Python.
    Pip,
    /// uv, for Python.
    Uv,
    /// Poetry, for Python.
    Poetry,
    /// cargo, for Rust.
    Cargo,
    /// The `go` command.
    Go,
    /// Maven, for Java.
    Maven,
}

/// What runs a manager's packages, and usually the manager too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Runtime {
    /// Node.js.
    Node,
    /// Python.
    Python,
    /// Rust.
    Rust,
    /// Go.
    Go,
    /// Java.
    Java,
}

impl Manager {
    /// What `manager=` takes.
    pub const NAMED: [(&'static str, Self); 9] = [
        ("npm", Self::Npm),
        ("yarn", Self::Yarn),
        ("pnpm", Self::Pnpm),
        ("pip", Self::Pip),
        ("uv", Self::Uv),
        ("poetry", Self::Poetry),
        ("cargo", Self::Cargo),
        ("go", Self::Go),
        ("maven", Self::Maven),
    ];

    /// As `manager=` and people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Npm => "npm",
            Self::Yarn | Self::YarnClassic => "yarn",
            Self::Pnpm => "pnpm",
            Self::Pip => "pip",
            Self::Uv => "uv",
            Self::Poetry => "poetry",
            Self::Cargo => "cargo",
            Self::Go => "go",
            Self::Maven => "maven",
        }
    }

    /// What its packages run on.
    pub fn runtime(self) -> Runtime {
        match self {
            Self::Npm | Self::Yarn | Self::YarnClassic | Self::Pnpm => Runtime::Node,
            Self::Pip | Self::Uv | Self::Poetry => Runtime::Python,
            Self::Cargo => Runtime::Rust,
            Self::Go => Runtime::Go,
            Self::Maven => Runtime::Java,
        }
    }

    /// Whether this is what `wanted` asks for: `yarn` is any Yarn.
    pub(crate) fn is(self, wanted: Self) -> bool {
        self.name() == wanted.name()
    }
}

impl fmt::Display for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Runtime {
    /// The program to ask for its version, and how. Node also says where it lies.
    pub(crate) fn question(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::Node => (
                "node",
                &["--print", "`${process.version} ${process.execPath}`"],
            ),
            Self::Python => ("python3", &["--version"]),
            Self::Rust => ("rustc", &["--version"]),
            Self::Go => ("go", &["version"]),
            Self::Java => ("java", &["-version"]),
        }
    }
}
