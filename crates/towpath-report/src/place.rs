//! Where in the source a test failed, as its stack trace says.

/// A host with its port looks like a file with its line, but for what it ends in.
const SOURCES: [&str; 17] = [
    "cjs", "cs", "cts", "go", "java", "js", "jsx", "kt", "mjs", "mts", "php", "py", "rb", "rs",
    "sh", "ts", "tsx",
];

/// The first `file:line` of the project in a text. Frames of libraries and of the runtime are passed over, by their
/// paths; Java's frames name no paths, so there the one in the test's own class counts.
pub(crate) fn find(text: &str, class: &str) -> Option<String> {
    let own = format!("{class}.");
    text.lines()
        .flat_map(|line| {
            let is_own = !class.is_empty() && line.contains(&own);
            tokens(line).map(move |token| (token, is_own))
        })
        .find_map(|(token, is_own)| file_and_line(token, is_own))
}

fn tokens(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| c.is_whitespace() || "()<>[]\"'`,".contains(c))
}

/// `src/a.js:6:39` is `src/a.js:6`.
fn file_and_line(token: &str, is_own: bool) -> Option<String> {
    let token = token.strip_prefix("file://").unwrap_or(token);
    let (path, rest) = token.split_once(':')?;
    let line = rest.split(':').next()?;
    let (name, extension) = path.rsplit_once('.')?;
    let is_source = !name.is_empty() && SOURCES.contains(&extension);
    let is_line = (1..=7).contains(&line.len()) && line.bytes().all(|b| b.is_ascii_digit());
    let is_foreign = path.starts_with('/')
        || [
            "node_modules/",
            "site-packages/",
            ".python-packages/",
            ".cargo/",
        ]
        .iter()
        .any(|it| path.contains(it));
    let is_java = matches!(extension, "java" | "kt");
    (is_source && is_line && !is_foreign && (is_own || !is_java))
        .then(|| format!("{}:{line}", path.trim_start_matches("./")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_of_the_project_is_found() {
        for (text, class, expected) in [
            (
                "at Promise (node:internal/a.js:7)\n at Test.<anonymous> (test/greet.test.js:6:39)",
                "",
                Some("test/greet.test.js:6"),
            ),
            ("at file://src/a.mjs:3:1", "", Some("src/a.mjs:3")),
            ("❯ ./test/greet.mjs:11:32", "", Some("test/greet.mjs:11")),
            ("at x (node_modules/jest/a.js:1:1)", "", None),
            ("at x (/usr/lib/node/a.js:1:1)", "", None),
            ("panicked at src/lib.rs:8:19:", "", Some("src/lib.rs:8")),
            (
                "test_greet.py:16: AssertionError",
                "",
                Some("test_greet.py:16"),
            ),
            (
                "at org.junit.Assert.fail(Assert.java:89)\n\tat greet.GreetTest.german(GreetTest.java:7)",
                "greet.GreetTest",
                Some("GreetTest.java:7"),
            ),
            ("at org.junit.Assert.fail(Assert.java:89)", "", None),
            ("db.example.com:5432 refused; 12.30:15", "", None),
            ("expected 3.5:1 and a:b", "", None),
        ] {
            assert_eq!(find(text, class).as_deref(), expected, "{text}");
        }
    }
}
