//! How much of the code ran: lines and branches, over any number of reports.
//!
//! Files and lines are kept by name and number, so that a line which one run covers and another does not is covered, and
//! one that two reports speak of is counted once.

mod lcov;
mod xml;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::error::ReportError;
use crate::xml::decoded;

/// Lines and branches that are read, in all reports together.
const READ: u64 = 5_000_000;

/// How much of the code ran.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    files: BTreeMap<String, File>,
    read: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct File {
    lines: BTreeMap<u32, bool>,
    /// By line, and by what tells a line's branches apart.
    branches: BTreeMap<(u32, u64), bool>,
}

/// A part of a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// At most `total`.
    pub covered: u64,
    /// The whole.
    pub total: u64,
}

/// The least share of the lines that is enough: a percentage, kept in ten-thousandths of a percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Minimum(u64);

impl Coverage {
    /// Adds a report: lcov, Cobertura, Clover or JaCoCo, told by what is in it. `root` is the project's directory.
    pub fn read(&mut self, report: &[u8], root: &str) -> Result<(), String> {
        let text = decoded(report)?;
        let mut into = Into {
            root: match root {
                "" | "/" => String::new(),
                root => format!("{}/", root.trim_end_matches('/')),
            },
            coverage: self,
        };
        match text.trim_start() {
            "" => Err("it is empty".to_owned()),
            xml if xml.starts_with('<') => xml::read(xml, &mut into),
            lines => lcov::read(lines, &mut into),
        }
    }

    /// Of the lines, those that ran.
    pub fn lines(&self) -> Share {
        share(self.files.values().flat_map(|file| file.lines.values()))
    }

    /// Of the branches, those that were taken; nothing if no report tells of any.
    pub fn branches(&self) -> Option<Share> {
        let share = share(self.files.values().flat_map(|file| file.branches.values()));
        (share.total > 0).then_some(share)
    }

    /// Fails if nothing was measured, or not enough was covered. `files` says where the reports are.
    pub fn judge(&self, minimum: Option<Minimum>, files: &str) -> Result<Share, ReportError> {
        let measured = self.lines();
        if measured.total == 0 {
            return Err(ReportError::NoLine {
                files: files.to_owned(),
            });
        }
        match minimum {
            Some(minimum) if !minimum.is_met_by(measured) => {
                Err(ReportError::Uncovered { measured, minimum })
            }
            _ => Ok(measured),
        }
    }
}

fn share<'a>(each: impl Iterator<Item = &'a bool>) -> Share {
    let mut share = Share {
        covered: 0,
        total: 0,
    };
    for is_covered in each {
        share.total += 1;
        share.covered += u64::from(*is_covered);
    }
    share
}

/// Where the readers of the formats put what they find.
struct Into<'a> {
    /// With a slash at its end; empty if paths stay as they are.
    root: String,
    coverage: &'a mut Coverage,
}

impl Into<'_> {
    /// The name of a file as it is kept: two formats may write it differently.
    fn named(&self, path: &str) -> String {
        let path = path.strip_prefix(&self.root).unwrap_or(path);
        path.trim_start_matches("./").to_owned()
    }

    fn line(&mut self, file: &str, line: u32, is_covered: bool) -> Result<(), String> {
        self.room()?;
        *self.file(file).lines.entry(line).or_default() |= is_covered;
        Ok(())
    }

    fn branch(&mut self, file: &str, line: u32, which: u64, taken: bool) -> Result<(), String> {
        self.room()?;
        *self.file(file).branches.entry((line, which)).or_default() |= taken;
        Ok(())
    }

    /// Branches of which only the numbers are told.
    fn branches(&mut self, file: &str, line: u32, share: Share) -> Result<(), String> {
        if share.total > READ {
            return Err(too_many());
        }
        (0..share.total).try_for_each(|which| self.branch(file, line, which, which < share.covered))
    }

    fn has_branches(&self, file: &str) -> bool {
        self.coverage
            .files
            .get(file)
            .is_some_and(|file| !file.branches.is_empty())
    }

    fn file(&mut self, name: &str) -> &mut File {
        if !self.coverage.files.contains_key(name) {
            self.coverage.files.insert(name.to_owned(), File::default());
        }
        self.coverage.files.get_mut(name).expect("it was put there")
    }

    /// Counts what is read, not what is kept: the same line again costs time.
    fn room(&mut self) -> Result<(), String> {
        self.coverage.read += 1;
        if self.coverage.read <= READ {
            Ok(())
        } else {
            Err(too_many())
        }
    }
}

fn too_many() -> String {
    format!("with it, the reports tell of more than {READ} lines and branches")
}

impl Minimum {
    const SCALE: u64 = 10_000;

    fn is_met_by(self, share: Share) -> bool {
        u128::from(share.covered) * 100 * u128::from(Self::SCALE)
            >= u128::from(share.total) * u128::from(self.0)
    }
}

/// From 0 to 100, with up to four decimals.
impl FromStr for Minimum {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let text = text.trim();
        let text = text.strip_suffix('%').map_or(text, str::trim_end);
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
        if !digits(whole) || !digits(decimals) || whole.len() > 3 || decimals.len() > 4 {
            return Err(());
        }
        let whole: u64 = whole.parse().map_err(|_| ())?;
        let decimals: u64 = format!("{decimals:0<4}").parse().map_err(|_| ())?;
        let value = whole * Self::SCALE + decimals;
        (value <= 100 * Self::SCALE)
            .then_some(Self(value))
            .ok_or(())
    }
}

/// `80 %`, `87.5 %`.
impl fmt::Display for Minimum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = format!("{:04}", self.0 % Self::SCALE);
        let decimals = decimals.trim_end_matches('0');
        let point = if decimals.is_empty() { "" } else { "." };
        write!(f, "{}{point}{decimals} %", self.0 / Self::SCALE)
    }
}

impl Share {
    /// `87.3`: a percentage, rounded down, so that what is not enough does not look as if it were.
    pub fn percent(self) -> String {
        let thousandths = u128::from(self.covered) * 1000 / u128::from(self.total.max(1));
        format!("{}.{}", thousandths / 10, thousandths % 10)
    }
}

/// `87.3 %`
impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", self.percent())
    }
}

#[cfg(test)]
mod tests;
