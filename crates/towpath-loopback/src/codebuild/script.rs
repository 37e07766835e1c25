//! One shell for all of a build's commands, and what it tells of where it is.
//!
//! In version 0.2 of the buildspec a variable that one command sets is there for the next, also in
//! a later phase, so all of them are one script. Between them it prints marks, lines that begin
//! with a word that nobody else knows.

use std::fmt::Write as _;

use super::specification::{PHASES, Specification};

/// Where a script is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mark {
    /// This phase begins.
    Phase(usize),
    /// This command of a phase begins: those of `finally` are counted after the others.
    Command(usize, usize),
    /// This command has failed, with this exit code.
    Failed(usize, usize, i32),
    /// This phase has ended.
    Ended(usize),
}

/// The commands of a phase, those of `finally` last.
pub(crate) fn commands(specification: &Specification, phase: usize) -> Vec<&str> {
    let phase = &specification.phases[phase];
    let all = phase.commands.iter().chain(&phase.finally);
    all.map(String::as_str).collect()
}

/// The script. `word` begins its marks.
pub(crate) fn script(specification: &Specification, word: &str) -> String {
    let mut text = String::from(
        "exec < /dev/null 2>&1\nCODEBUILD_BUILD_SUCCEEDING=1\nexport CODEBUILD_BUILD_SUCCEEDING\ntowpath_skip=\n",
    );
    for index in 0..PHASES.len() {
        let phase = &specification.phases[index];
        // After `build` comes `post_build`, whether it succeeded or not; else a failure is the end.
        let ends = phase.aborts || index != 2;
        text.push_str("if [ -z \"$towpath_skip\" ]; then\n");
        let _ = write!(
            text,
            "printf '%s\\n' '{word} phase {index}'\ntowpath_failed=\n"
        );
        for (number, command) in commands(specification, index).iter().enumerate() {
            let finally = number >= phase.commands.len();
            if !finally {
                text.push_str("if [ -z \"$towpath_failed\" ]; then\n");
            }
            let _ = write!(
                text,
                "printf '%s\\n' '{word} command {index} {number}'\neval {}\ntowpath_code=$?\n",
                quoted(command)
            );
            let _ = writeln!(
                text,
                "if [ $towpath_code -ne 0 ]; then towpath_failed=1; printf '%s\\n' \"{word} failed {index} {number} $towpath_code\"; fi"
            );
            if !finally {
                text.push_str("fi\n");
            }
        }
        let _ = writeln!(
            text,
            "if [ -n \"$towpath_failed\" ]; then CODEBUILD_BUILD_SUCCEEDING=0; {}; fi",
            if ends { "towpath_skip=1" } else { ":" }
        );
        let _ = write!(text, "printf '%s\\n' '{word} ended {index}'\nfi\n");
    }
    text.push_str("exit 0\n");
    text
}

/// The command with its absolute paths into an image led to where the image lies on this machine: `folders` are those at
/// the image's root that this machine does not have.
pub(crate) fn inside(command: &str, root: &str, folders: &[String]) -> String {
    folders.iter().fold(command.to_owned(), |command, folder| {
        let path = format!("/{folder}/");
        let mut led = String::with_capacity(command.len());
        let mut rest = command.as_str();
        while let Some(at) = rest.find(&path) {
            let begins = rest[..at]
                .chars()
                .next_back()
                .or_else(|| led.chars().next_back())
                .is_none_or(|before| before.is_whitespace() || "\"'=:;&|(<>`".contains(before));
            led.push_str(&rest[..at]);
            if begins {
                led.push_str(root);
            }
            led.push_str(&path);
            rest = &rest[at + path.len()..];
        }
        led + rest
    })
}

fn quoted(command: &str) -> String {
    format!("'{}'", command.replace('\'', r"'\''"))
}

/// Parts a line of output into what a command printed and the mark behind it, if there is one: the
/// last line of a command need not have an end.
pub(crate) fn read<'a>(line: &'a str, word: &str) -> (&'a str, Option<Mark>) {
    let Some((printed, mark)) = line.split_once(word) else {
        return (line, None);
    };
    match parse(mark) {
        Some(mark) => (printed, Some(mark)),
        None => (line, None),
    }
}

fn parse(text: &str) -> Option<Mark> {
    let mut parts = text.split_whitespace();
    let kind = parts.next()?;
    let mut number = || parts.next()?.parse::<usize>().ok();
    let phase = number().filter(|phase| *phase < PHASES.len())?;
    match kind {
        "phase" => Some(Mark::Phase(phase)),
        "ended" => Some(Mark::Ended(phase)),
        "command" => Some(Mark::Command(phase, number()?)),
        "failed" => Some(Mark::Failed(
            phase,
            number()?,
            i32::try_from(number()?).ok()?,
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// What the shell prints, with marks in brackets.
    fn run(buildspec: &str) -> Vec<String> {
        let specification = Specification::read(buildspec).unwrap();
        let output = Command::new("sh")
            .arg("-c")
            .arg(script(&specification, "=MARK="))
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let mut told = Vec::new();
        for line in text.lines() {
            let (printed, mark) = read(line, "=MARK=");
            if !printed.is_empty() {
                told.push(printed.to_owned());
            }
            if let Some(Mark::Failed(phase, number, code)) = mark {
                told.push(format!("[{} {number}: {code}]", PHASES[phase]));
            }
        }
        told
    }

    #[test]
    fn phases_follow_each_other_as_the_buildspec_reference_says() {
        for (phases, expected) in [
            (
                "{install: {commands: ['A=1', 'printf no-end']}, build: {commands: ['echo \"$A it''s\"']}}",
                &["no-end", "1 it's"][..],
            ),
            (
                "{pre_build: {commands: ['exit_with() { return 3; }', exit_with, echo never], finally: [echo finally]}, build: {commands: [echo never]}}",
                &["[pre_build 1: 3]", "finally"],
            ),
            (
                "{build: {commands: ['false']}, post_build: {commands: ['echo $CODEBUILD_BUILD_SUCCEEDING']}}",
                &["[build 0: 1]", "0"],
            ),
            (
                "{build: {on-failure: ABORT, commands: ['false']}, post_build: {commands: [echo never]}}",
                &["[build 0: 1]"],
            ),
            (
                "{build: {commands: ['echo a >&2', 'cat', 'echo $CODEBUILD_BUILD_SUCCEEDING']}}",
                &["a", "1"],
            ),
        ] {
            let told = run(&format!("version: 0.2\nphases: {phases}"));
            assert_eq!(told, expected, "{phases}");
        }
    }

    #[test]
    fn paths_into_an_image_lead_there() {
        let folders = ["functions".to_owned(), "opt2".to_owned()];
        for (command, expected) in [
            ("\"/functions/$A\"", "\"/root/functions/$A\""),
            (
                "/functions/a && P=/opt2/bin:/functions/b /usr/bin/c",
                "/root/functions/a && P=/root/opt2/bin:/root/functions/b /usr/bin/c",
            ),
            (
                "cat src/functions/a /functionsx/b",
                "cat src/functions/a /functionsx/b",
            ),
            (
                "ls /functions/functions/x",
                "ls /root/functions/functions/x",
            ),
            ("curl http://x/functions/y", "curl http://x/functions/y"),
        ] {
            assert_eq!(inside(command, "/root", &folders), expected, "{command}");
        }
    }

    #[test]
    fn marks_by_table() {
        for (line, expected) in [
            ("plain", ("plain", None)),
            ("=M= phase 2", ("", Some(Mark::Phase(2)))),
            ("tail=M= ended 0", ("tail", Some(Mark::Ended(0)))),
            ("=M= failed 1 2 127", ("", Some(Mark::Failed(1, 2, 127)))),
            ("=M= command 9 0", ("=M= command 9 0", None)),
            ("=M= nonsense", ("=M= nonsense", None)),
        ] {
            assert_eq!(read(line, "=M="), expected, "{line}");
        }
    }
}
