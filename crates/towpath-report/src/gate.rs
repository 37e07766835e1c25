//! The gate that a build has to pass: its reports, as the parameters name them.

use std::path::Path;

use crate::coverage::{Coverage, Minimum, Share};
use crate::error::ReportError;
use crate::files::{Files, Pattern, read, survey};
use crate::tested::Tests;

/// Files that one pattern may match.
const REPORTS: usize = 10_000;
/// Names that a message lists.
const LISTED: usize = 6;

/// What is asked of a build beside its exit code.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gate {
    /// `report`: where the test reports will be. Each pattern has to match one.
    pub reports: Vec<Pattern>,
    /// `coverage`: where the coverage will be. Each pattern has to match one.
    pub coverage: Vec<Pattern>,
    /// `min-coverage`: the least share of the lines.
    pub minimum: Option<Minimum>,
}

/// What there was before the tasks ran.
#[derive(Debug, Clone, Default)]
pub struct Before(Files);

/// What the reports say of a build that passed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// None of them failed, and one at least passed.
    pub tests: Option<Tests>,
    /// Enough, where a minimum was given.
    pub coverage: Option<Covered>,
}

/// How much of the code ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Covered {
    /// Of the lines.
    pub lines: Share,
    /// Of the branches, where the reports tell.
    pub branches: Option<Share>,
    /// What was asked for.
    pub minimum: Option<Minimum>,
}

impl Gate {
    /// Whether nothing is asked.
    pub fn is_absent(&self) -> bool {
        self.reports.is_empty() && self.coverage.is_empty()
    }

    /// Looks at what is there before the tasks run: a report that they do not write says nothing of them.
    pub fn before(&self, project: &Path) -> Before {
        Before(self.survey(project))
    }

    fn survey(&self, project: &Path) -> Files {
        if self.is_absent() {
            return Files::new();
        }
        let patterns: Vec<&Pattern> = self.reports.iter().chain(&self.coverage).collect();
        survey(project, &patterns)
    }

    /// Reads what the tasks have written, and judges. `project` lies in `tree`, and no report lies out of it.
    pub fn judge(
        &self,
        tree: &Path,
        project: &Path,
        before: &Before,
    ) -> Result<Verdict, ReportError> {
        let reading = Reading::new(tree, project, before, self.survey(project));
        // Which tests failed is told before how much they covered.
        let tests = match self.reports.as_slice() {
            [] => None,
            patterns => {
                let files = reading.files("report", patterns)?;
                Some(reading.tests(&files)?.judge(&phrase(&files))?)
            }
        };
        let coverage = match self.coverage.as_slice() {
            [] => None,
            patterns => {
                let files = reading.files("coverage", patterns)?;
                let coverage = reading.coverage(&files)?;
                Some(Covered {
                    lines: coverage.judge(self.minimum, &phrase(&files))?,
                    branches: coverage.branches(),
                    minimum: self.minimum,
                })
            }
        };
        Ok(Verdict { tests, coverage })
    }

    /// What the test reports say after a task has failed: nothing, if it did not come so far. Reports that cannot be
    /// read are left out, since the task's failure is what counts.
    pub fn after_failure(&self, tree: &Path, project: &Path, before: &Before) -> Option<Tests> {
        let reading = Reading::new(tree, project, before, self.survey(project));
        let mut tests = Tests::default();
        for file in reading.fresh(&self.reports) {
            let Ok(report) = read(tree, project, file) else {
                continue;
            };
            let _ = tests.read(&report, &reading.root);
        }
        (tests.total() > 0).then_some(tests)
    }
}

/// The reports that are there after the tasks.
struct Reading<'a> {
    tree: &'a Path,
    project: &'a Path,
    /// The project's directory as the tools see it.
    root: String,
    written: Vec<String>,
    stale: Vec<String>,
}

impl<'a> Reading<'a> {
    fn new(tree: &'a Path, project: &'a Path, before: &Before, after: Files) -> Self {
        let (stale, written) = after
            .into_iter()
            .partition::<Vec<_>, _>(|(path, stamp)| before.0.get(path) == Some(stamp));
        let names = |files: Vec<(String, _)>| files.into_iter().map(|(path, _)| path).collect();
        let root = project
            .canonicalize()
            .unwrap_or_else(|_| project.to_owned());
        Self {
            tree,
            project,
            root: root.to_string_lossy().into_owned(),
            written: names(written),
            stale: names(stale),
        }
    }

    fn fresh<'b>(&'b self, patterns: &'b [Pattern]) -> impl Iterator<Item = &'b str> {
        self.written
            .iter()
            .map(String::as_str)
            .filter(|path| patterns.iter().any(|pattern| pattern.matches(path)))
            .take(REPORTS)
    }

    /// The files of all patterns, each once; every pattern has to match one.
    fn files(&self, key: &'static str, patterns: &[Pattern]) -> Result<Vec<String>, ReportError> {
        for pattern in patterns {
            match self.written.iter().filter(|it| pattern.matches(it)).count() {
                0 => return Err(self.absent(key, pattern)),
                1..=REPORTS => {}
                _ => {
                    return Err(ReportError::TooMany {
                        key,
                        pattern: pattern.to_string(),
                        limit: REPORTS,
                    });
                }
            }
        }
        let is_asked = |path: &&String| patterns.iter().any(|pattern| pattern.matches(path));
        Ok(self.written.iter().filter(is_asked).cloned().collect())
    }

    fn absent(&self, key: &'static str, pattern: &Pattern) -> ReportError {
        if let Some(file) = self.stale.iter().find(|it| pattern.matches(it)) {
            return ReportError::Stale { file: file.clone() };
        }
        let present = if pattern.is_folder_of(self.project) {
            format!("it is a folder: `{key}={pattern}/*.xml` names the files in it")
        } else if self.written.is_empty() {
            "they wrote no *.xml, *.info or *.lcov at all".to_owned()
        } else {
            format!(
                "what they wrote that could be it is {}",
                phrase(&self.written)
            )
        };
        ReportError::Absent {
            key,
            pattern: pattern.to_string(),
            present,
        }
    }

    fn tests(&self, files: &[String]) -> Result<Tests, ReportError> {
        let mut tests = Tests::default();
        self.each(files, "a test report in JUnit's XML", |bytes, root| {
            tests.read(bytes, root)
        })?;
        Ok(tests)
    }

    fn coverage(&self, files: &[String]) -> Result<Coverage, ReportError> {
        let mut coverage = Coverage::default();
        let expected = "a coverage report of lcov, Cobertura, Clover or JaCoCo";
        self.each(files, expected, |bytes, root| coverage.read(bytes, root))?;
        Ok(coverage)
    }

    fn each(
        &self,
        files: &[String],
        expected: &'static str,
        mut take: impl FnMut(&[u8], &str) -> Result<(), String>,
    ) -> Result<(), ReportError> {
        for file in files {
            let bytes = read(self.tree, self.project, file)?;
            take(&bytes, &self.root).map_err(|reason| ReportError::Unreadable {
                file: file.clone(),
                expected,
                reason,
            })?;
        }
        Ok(())
    }
}

/// `a.xml`, `b.xml` and 3 more
fn phrase(files: &[String]) -> String {
    let listed: Vec<String> = files
        .iter()
        .take(LISTED)
        .map(|it| format!("`{it}`"))
        .collect();
    let listed = listed.join(", ");
    match files.len().saturating_sub(LISTED) {
        0 => listed,
        more => format!("{listed} and {more} more"),
    }
}

impl Verdict {
    /// `412 tests, 3 skipped, slowest x 4.1 s; coverage 87.3 % (min 80)`, as far as there is something to say.
    pub fn summary(&self) -> Vec<String> {
        let tests = self.tests.as_ref().map(Tests::summary);
        let coverage = self.coverage.as_ref().map(|it| {
            let minimum = it.minimum.map(|minimum| format!(" (min {minimum})"));
            format!("coverage {}{}", it.lines, minimum.unwrap_or_default())
        });
        tests.into_iter().chain(coverage).collect()
    }

    /// The figures by name, for those who go on with them.
    pub fn figures(&self) -> Vec<(&'static str, String)> {
        let mut figures = Vec::new();
        if let Some(tests) = &self.tests {
            figures.push(("TestsPassed", tests.passed.to_string()));
            figures.push(("TestsSkipped", tests.skipped.to_string()));
            figures.push(("TestsFlaky", tests.flaky.to_string()));
        }
        if let Some(coverage) = &self.coverage {
            figures.push(("Coverage", coverage.lines.percent()));
            if let Some(branches) = coverage.branches {
                figures.push(("BranchCoverage", branches.percent()));
            }
        }
        figures
    }
}

#[cfg(test)]
mod tests;
