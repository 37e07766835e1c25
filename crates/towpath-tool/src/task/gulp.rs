//! Tasks of a gulpfile. Gulp itself would run the file to know them, so its text is read instead.

use std::path::Path;

use super::{Candidate, Task, TaskError, first, scripts};

const FILES: [&str; 7] = [
    "gulpfile.js",
    "gulpfile.mjs",
    "gulpfile.cjs",
    "gulpfile.ts",
    "gulpfile.mts",
    "gulpfile.cts",
    "gulpfile.babel.js",
];

pub(super) fn find(directory: &Path) -> Result<Option<Candidate>, TaskError> {
    let Some((file, text)) = first(directory, &FILES)? else {
        return Ok(None);
    };
    // The project's own gulp, and never one that is fetched for the occasion.
    let program: &[&str] = match scripts::manager_of(directory)? {
        "yarn" => &["yarn", "run", "gulp"],
        "pnpm" => &["pnpm", "exec", "gulp"],
        _ => &["npx", "--no-install", "gulp"],
    };
    let tasks = parse(&text).into_iter().map(Task::named).collect();
    Ok(Some(Candidate {
        is_incomplete: true,
        ..Candidate::new(file, program, tasks)
    }))
}

/// What the file exports, and what it hands to `gulp.task`, as far as the names stand there.
fn parse(text: &str) -> Vec<String> {
    let mut tasks: Vec<String> = Vec::new();
    let mut add = |name: &str| {
        if !name.is_empty() && !tasks.iter().any(|known| known == name) {
            tasks.push(name.to_owned());
        }
    };
    let text = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n");
    for (after, how) in places(&text) {
        match how {
            How::Property => {
                let name = word(after);
                let rest = after[name.len()..].trim_start();
                if rest.starts_with('=') && !rest.starts_with("==") {
                    add(name);
                }
            }
            How::Call => {
                let mut parts = after.trim_start().splitn(3, ['"', '\'', '`']);
                if let (Some(""), Some(name), Some(_)) = (parts.next(), parts.next(), parts.next())
                {
                    add(name);
                }
            }
            How::List => {
                let list = after.split('}').next().unwrap_or_default();
                for part in list.split(',') {
                    // `a`, `a: b`, `b as a`
                    let part = part.split(':').next().unwrap_or_default();
                    add(word(part.split(" as ").last().unwrap_or_default().trim()));
                }
            }
            How::Declaration => {
                let mut words = after.split_whitespace();
                let name = match words.next() {
                    Some("default") => "default",
                    Some("async") => words.nth(1).unwrap_or_default(),
                    Some("const" | "let" | "var" | "function" | "function*") => {
                        words.next().unwrap_or_default()
                    }
                    _ => "",
                };
                add(word(name));
            }
        }
    }
    tasks
}

/// How a name follows.
#[derive(Clone, Copy)]
enum How {
    Property,
    Call,
    List,
    Declaration,
}

/// What follows each word that tells of tasks, in the text's order.
fn places(text: &str) -> Vec<(&str, How)> {
    let mut found: Vec<(usize, &str, How)> = [
        ("exports.", How::Property),
        ("gulp.task(", How::Call),
        ("exports = {", How::List),
        ("export {", How::List),
        ("export ", How::Declaration),
    ]
    .into_iter()
    .flat_map(|(mark, how)| {
        text.match_indices(mark)
            .map(move |(at, _)| (at, &text[at + mark.len()..], how))
    })
    .collect();
    found.sort_by_key(|(at, ..)| *at);
    found
        .into_iter()
        .map(|(_, after, how)| (after, how))
        .collect()
}

fn word(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_alphanumeric() || "_$".contains(c)));
    &text[..end.unwrap_or(text.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gulpfiles_by_table() {
        for (text, expected) in [
            ("", &[][..]),
            (
                "exports.build = series(a, b);\nexports.default = exports.build;\n// exports.old = 1\n\
                 if (exports.x == 1) {}",
                &["build", "default"],
            ),
            (
                "gulp.task('css', () => {});\ngulp.task(\"js:min\", gulp.series('css'));\ngulp.task(named);",
                &["css", "js:min"],
            ),
            (
                "module.exports = { build, test: check };",
                &["build", "test"],
            ),
            (
                "export const build = series(clean);\nexport async function test() {}\nexport { lint, a as b };\n\
                 export default build;\nexport function pack(cb) {}",
                &["build", "test", "lint", "b", "default", "pack"],
            ),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}
