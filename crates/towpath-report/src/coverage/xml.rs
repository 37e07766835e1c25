//! Coverage in XML: Cobertura's `class` and `line number= hits=`, Clover's `file` and `line num= count=`, JaCoCo's
//! `sourcefile` and `line nr= ci=`.

use super::{Into, Share};
use crate::xml::{Document, Element, Piece};

/// What is open around the piece that is read.
enum Open {
    /// A source file of any of the formats, by name.
    File(String),
    /// JaCoCo names files within their package.
    Package(String),
    /// Cobertura repeats the lines of a class in its methods.
    Method,
    Other,
}

/// Adds what a report tells.
pub(super) fn read(text: &str, into: &mut Into<'_>) -> Result<(), String> {
    let mut document = Document::new(text);
    let mut open: Vec<Open> = Vec::new();
    while let Some(piece) = document.next()? {
        match piece {
            Piece::Text(_) => {}
            Piece::Close => {
                open.pop();
            }
            Piece::Open(element) => {
                let name = element.name();
                if open.is_empty() && !matches!(&*name, "coverage" | "report") {
                    let known = match &*name {
                        "testsuites" | "testsuite" => ", a report of tests",
                        "html" => ", a web page",
                        _ => "",
                    };
                    let name: String = name.chars().take(40).collect();
                    return Err(format!(
                        "its first element is `{name}`{known}, neither `coverage` nor JaCoCo's `report`"
                    ));
                }
                let next = match &*name {
                    "class" => match element.get("filename") {
                        Some(file) => Open::File(into.named(&file)),
                        None => Open::Other, // Clover's, in a file
                    },
                    "file" => {
                        let path = element.get("path").or_else(|| element.get("name"));
                        path.map_or(Open::Other, |path| Open::File(into.named(&path)))
                    }
                    "package" => Open::Package(element.get("name").unwrap_or_default()),
                    // No telling below which directory of sources: a class is there once.
                    "sourcefile" => match (element.get("name"), open.last()) {
                        (Some(name), Some(Open::Package(package))) if !package.is_empty() => {
                            Open::File(into.named(&format!("{package}/{name}")))
                        }
                        (Some(name), _) => Open::File(into.named(&name)),
                        (None, _) => Open::Other,
                    },
                    "method" => Open::Method,
                    "line" => {
                        line(&element, &open, into)?;
                        Open::Other
                    }
                    "metrics" => {
                        metrics(&element, &open, into)?;
                        Open::Other
                    }
                    _ => Open::Other,
                };
                open.push(next);
            }
        }
    }
    Ok(())
}

fn line(element: &Element<'_>, open: &[Open], into: &mut Into<'_>) -> Result<(), String> {
    if open.iter().any(|it| matches!(it, Open::Method)) {
        return Ok(());
    }
    let file = open.iter().rev().find_map(|it| match it {
        Open::File(name) => Some(name.as_str()),
        Open::Package(_) | Open::Method | Open::Other => None,
    });
    let Some(file) = file else { return Ok(()) };
    if let Some(number) = element.number("nr") {
        return instructions(element, file, number as u32, into);
    }
    let number = element.number("number").or_else(|| element.number("num"));
    let hits = element.number("hits").or_else(|| element.number("count"));
    let (Some(number), Some(hits)) = (number, hits) else {
        return Err(format!(
            "a line of `{file}` has no number, or does not say how often it ran"
        ));
    };
    // PHPUnit's Clover has the beginning of a method as a line beside its statements.
    if element.get("type").as_deref() == Some("method") {
        return Ok(());
    }
    let number = number as u32;
    into.line(file, number, hits > 0.0)?;
    match element.get("condition-coverage").as_deref().map(conditions) {
        Some(Some(share)) => into.branches(file, number, share),
        Some(None) | None => Ok(()),
    }
}

/// A line as JaCoCo has it: of its instructions and branches, those that were missed and those that were covered.
fn instructions(
    element: &Element<'_>,
    file: &str,
    number: u32,
    into: &mut Into<'_>,
) -> Result<(), String> {
    let count = |name| element.number(name).map(|count| count as u64);
    let Some(covered) = count("ci") else {
        return Err(format!(
            "line {number} of `{file}` does not say how much of it ran"
        ));
    };
    into.line(file, number, covered > 0)?;
    let (missed, covered) = (
        count("mb").unwrap_or_default(),
        count("cb").unwrap_or_default(),
    );
    let total = missed.saturating_add(covered);
    into.branches(file, number, Share { covered, total })
}

/// `50% (1/2)`
fn conditions(text: &str) -> Option<Share> {
    let (_, rest) = text.split_once('(')?;
    let (covered, total) = rest.strip_suffix(')')?.split_once('/')?;
    let (covered, total) = (covered.trim().parse().ok()?, total.trim().parse().ok()?);
    Some(Share { covered, total })
}

/// Clover's branches are told by their number for each file: what it writes at a line differs from tool to tool.
fn metrics(element: &Element<'_>, open: &[Open], into: &mut Into<'_>) -> Result<(), String> {
    let Some(Open::File(file)) = open.last() else {
        return Ok(());
    };
    let total = element.number("conditionals");
    let covered = element.number("coveredconditionals");
    match (covered, total) {
        // Another report may have told of them one by one.
        (Some(covered), Some(total)) if !into.has_branches(file) => {
            let share = Share {
                covered: covered as u64,
                total: total as u64,
            };
            into.branches(file, 0, share)
        }
        _ => Ok(()),
    }
}
