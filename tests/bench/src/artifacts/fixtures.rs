//! Trees to pack and unpack, made from a seed: the same on every machine, without a network.
//!
//! The one that counts is like an npm tree of typescript, the AWS SDK, webpack, eslint, jest and the like: its
//! number of files and directories, their sizes and what deflate makes of them.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::Context;

/// A tree.
#[derive(Debug, Clone)]
pub(crate) struct Fixture {
    pub(crate) name: &'static str,
    pub(crate) tree: PathBuf,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
}

/// What there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// 36,000 files, 471 MB.
    Npm,
    /// A seventh of that.
    Small,
    /// A thirty-sixth: what is counted takes fifty times as long.
    Few,
    /// More entries than the old format counts.
    Many,
    /// One file of 450 MB.
    Large,
    /// Sixty files of 4 MB that do not compress.
    Media,
    /// A dozen files.
    Tiny,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Npm => "npm",
            Self::Small => "small",
            Self::Few => "few",
            Self::Many => "many",
            Self::Large => "large",
            Self::Media => "media",
            Self::Tiny => "tiny",
        }
    }
}

/// Makes a tree beneath a directory.
pub(crate) fn make(kind: Kind, beneath: &Path) -> anyhow::Result<Fixture> {
    let tree = beneath.join(kind.name());
    fs::create_dir(&tree).with_context(|| format!("failed to make {}", tree.display()))?;
    let mut grower = Grower {
        text: Text::new(kind as u64 + 1),
        tree: tree.clone(),
        files: 0,
        bytes: 0,
    };
    match kind {
        Kind::Npm => grower.packages(730, 36_000)?,
        Kind::Small => grower.packages(104, 5_129)?,
        Kind::Few => grower.packages(20, 1_000)?,
        Kind::Many => grower.many(70_000)?,
        Kind::Large => grower.file("dump.sql", 450_000_000)?,
        Kind::Media => grower.media(60, 4_000_000)?,
        Kind::Tiny => grower.packages(2, 12)?,
    }
    Ok(Fixture {
        name: kind.name(),
        tree,
        files: grower.files,
        bytes: grower.bytes,
    })
}

struct Grower {
    text: Text,
    tree: PathBuf,
    files: u64,
    bytes: u64,
}

/// Sizes of files by their share: as many are smaller. Measured on an npm tree.
const SIZES: [(f64, f64); 11] = [
    (0.0, 20.0),
    (0.10, 130.0),
    (0.25, 380.0),
    (0.50, 1_130.0),
    (0.75, 3_900.0),
    (0.90, 14_700.0),
    (0.97, 45_000.0),
    (0.99, 162_000.0),
    (0.998, 560_000.0),
    (0.9997, 3_500_000.0),
    (1.0, 24_000_000.0),
];

impl Grower {
    /// A tree of packages in `node_modules`, each with directories and files.
    fn packages(&mut self, packages: u64, files: u64) -> anyhow::Result<()> {
        let mut directories = Vec::new();
        for package in 0..packages {
            let root = format!("node_modules/{}-{package}", self.text.word());
            let first = directories.len();
            directories.push(root);
            for _ in 0..3 + self.text.random.below(8) {
                let among = (directories.len() - first) as u64;
                let parent = &directories[first + self.text.random.below(among) as usize];
                let depth = parent.matches('/').count();
                let child = format!("{parent}/{}", self.text.word());
                if depth < 6 && !directories[first..].contains(&child) {
                    directories.push(child);
                }
            }
        }
        for directory in &directories {
            fs::create_dir_all(self.tree.join(directory))?;
        }
        for file in 0..files {
            let count = directories.len() as u64;
            // Each directory has something in it; beyond that some have much.
            let place = if file < count {
                file
            } else {
                let share = self.text.random.share();
                (share * share * count as f64) as u64
            };
            let kind = ["js", "js", "js", "d.ts", "d.ts", "json", "md", "map"]
                [self.text.random.below(8) as usize];
            let name = format!(
                "{}/{}-{file}.{kind}",
                directories[place as usize],
                self.text.word()
            );
            let size = self.text.random.size();
            self.file(&name, size)?;
            if file % 97 == 0 {
                fs::set_permissions(self.tree.join(&name), fs::Permissions::from_mode(0o755))?;
            }
            if file % 840 == 0 {
                let bin = self.tree.join("node_modules/.bin");
                fs::create_dir_all(&bin)?;
                let target = name.strip_prefix("node_modules/").unwrap_or(&name);
                symlink(format!("../{target}"), bin.join(format!("tool-{file}")))?;
            }
        }
        Ok(())
    }

    fn many(&mut self, files: u64) -> anyhow::Result<()> {
        for file in 0..files {
            let directory = format!("d{}", file / 100);
            if file % 100 == 0 {
                fs::create_dir(self.tree.join(&directory))?;
            }
            let size = 1 + self.text.random.below(120);
            self.file(&format!("{directory}/{file}"), size)?;
        }
        Ok(())
    }

    fn media(&mut self, files: u64, size: u64) -> anyhow::Result<()> {
        for file in 0..files {
            let mut content = Vec::with_capacity(size as usize + 8);
            while (content.len() as u64) < size {
                content.extend(self.text.random.next().to_le_bytes());
            }
            self.keep(&format!("{file}.jpg"), &content)?;
        }
        Ok(())
    }

    fn file(&mut self, name: &str, size: u64) -> anyhow::Result<()> {
        let content = self.text.of(size as usize);
        self.keep(name, &content)
    }

    fn keep(&mut self, name: &str, content: &[u8]) -> anyhow::Result<()> {
        fs::write(self.tree.join(name), content)
            .with_context(|| format!("failed to write {name}"))?;
        self.files += 1;
        self.bytes += content.len() as u64;
        Ok(())
    }
}

/// Something like what packages hold: words and signs, of which some are frequent, and every now and then what was
/// said shortly before; in large files also pieces that are no text. How much of each was tuned until deflate made as
/// much of it as of an npm tree, and took as long.
struct Text {
    random: Random,
    words: Vec<String>,
}

/// What stands between words.
const SIGNS: [&str; 9] = [
    " ", "(", ", ", ".", ");\n  ", " = ", "\n    ", "{ ", "\": \"",
];
/// From here on a file may hold something else than text.
const LARGE: usize = 1_000_000;

impl Text {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let syllables = [
            "re", "con", "tex", "val", "ue", "get", "set", "node", "par", "ser", "in", "dex",
            "map", "list", "er", "tor", "al", "fig", "op", "tion", "path", "file", "str", "obj",
            "key", "type", "def", "ault", "ex", "port",
        ];
        let words = (0..4_000)
            .map(|_| {
                let count = 1 + random.below(4);
                (0..count)
                    .map(|_| syllables[random.below(syllables.len() as u64) as usize])
                    .collect()
            })
            .collect();
        Self { random, words }
    }

    /// Frequent words come often.
    fn word(&mut self) -> &str {
        let share = self.random.share();
        &self.words[(share * share * self.words.len() as f64) as usize]
    }

    fn of(&mut self, size: usize) -> Vec<u8> {
        let mut text: Vec<u8> = Vec::with_capacity(size + 1_000);
        while text.len() < size {
            if size > LARGE && self.random.below(100) < 15 {
                self.something_else(&mut text);
            } else if text.len() > 200 && self.random.below(100) < 50 {
                let long = if self.random.below(8) == 0 { 300 } else { 0 };
                let length = 20 + self.random.below(50) + self.random.below(long);
                self.again(&mut text, length, 30_000);
            } else {
                for _ in 0..=self.random.below(4) {
                    if self.random.below(100) < 15 {
                        let shift = 8 + self.random.below(40);
                        let number = self.random.next() >> shift;
                        text.extend_from_slice(format!("{number:x}").as_bytes());
                    } else {
                        let word = self.word();
                        text.extend_from_slice(word.as_bytes());
                    }
                    let sign = SIGNS[self.random.below(SIGNS.len() as u64) as usize];
                    text.extend_from_slice(sign.as_bytes());
                }
            }
        }
        text.truncate(size);
        text
    }

    /// A piece of what came before.
    fn again(&mut self, text: &mut Vec<u8>, length: u64, reach: u64) {
        let reach = (text.len() as u64).min(reach) - 1;
        let back = 1 + self.random.below(reach) as usize;
        let from = text.len() - back;
        let end = (from + length as usize).min(text.len());
        text.extend_from_within(from..end);
    }

    /// Like a program or a picture: nearly noise, with some short repetitions.
    fn something_else(&mut self, text: &mut Vec<u8>) {
        for _ in 0..8 + self.random.below(60) {
            if self.random.below(10) < 3 && text.len() > 1_000 {
                let length = 4 + self.random.below(12);
                self.again(text, length, 20_000);
            } else {
                let noise = self.random.next().to_le_bytes();
                text.extend(noise[..5].iter().map(|byte| byte & 0x7f));
            }
        }
    }
}

/// `SplitMix64`: small, and for ever the same.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        value ^ (value >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    /// From 0 up to 1.
    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A size as files of packages have them.
    fn size(&mut self) -> u64 {
        let share = self.share();
        let above = SIZES
            .iter()
            .position(|(least, _)| *least > share)
            .unwrap_or(SIZES.len() - 1);
        let ((from, low), (to, high)) = (SIZES[above - 1], SIZES[above]);
        let part = (share - from) / (to - from);
        // Powers and logarithms differ in their last bit from library to library; sizes must not.
        (low + (high - low) * part * part) as u64
    }
}
