//! pip's requirements files, as far as it matters whether they hold every version.
//! <https://pip.pypa.io/en/stable/reference/requirements-file-format/>

/// What a requirements or constraints file says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Requirements {
    /// Names whose version it holds, normalised.
    pub(crate) pinned: Vec<String>,
    /// Lines that leave the version open.
    pub(crate) open: Vec<String>,
    /// Files that it includes, relative to it.
    pub(crate) includes: Vec<String>,
}

/// Reads a file. What is not understood counts as open.
pub(crate) fn read(text: &str) -> Requirements {
    let mut read = Requirements::default();
    let text = text.replace("\\\r\n", " ").replace("\\\n", " ");
    for line in text
        .lines()
        .map(without_comment)
        .filter(|line| !line.is_empty())
    {
        if let Some(included) = option(line, &["-r", "--requirement", "-c", "--constraint"]) {
            read.includes.push(included.to_owned());
        } else if line.starts_with('-') || is_local(line) {
            // Indexes and switches: the line itself is part of what the key is made from. So is all of the source, if
            // a part of it is installed.
        } else if is_pinned(line) {
            read.pinned.push(name(line));
        } else {
            read.open.push(line.to_owned());
        }
    }
    read
}

/// The project's name at the beginning of a requirement, as names are compared.
/// <https://packaging.python.org/en/latest/specifications/name-normalization/>
pub(crate) fn name(requirement: &str) -> String {
    let end = requirement
        .find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c)))
        .unwrap_or(requirement.len());
    requirement[..end]
        .to_ascii_lowercase()
        .replace(['_', '.'], "-")
}

/// `#` begins a comment at the beginning of a line or after white space.
fn without_comment(line: &str) -> &str {
    if line.trim_start().starts_with('#') {
        return "";
    }
    let end = line
        .match_indices('#')
        .find(|(at, _)| line[..*at].ends_with(char::is_whitespace))
        .map_or(line.len(), |(at, _)| at);
    line[..end].trim()
}

/// The value of an option, in any of the forms that there are.
fn option<'a>(line: &'a str, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| {
        let rest = line.strip_prefix(name)?;
        let long = name.starts_with("--");
        let value = match rest.strip_prefix('=') {
            Some(value) if long => value,
            _ if long && !rest.starts_with(char::is_whitespace) => return None,
            _ => rest,
        };
        Some(value.trim())
    })
}

fn is_local(line: &str) -> bool {
    let names_archive = |path: &str| {
        [".whl", ".tar.gz", ".zip"]
            .iter()
            .any(|end| path.ends_with(end))
            && !path.contains("://")
    };
    let first = line.split_whitespace().next().unwrap_or_default();
    first.starts_with(['.', '/']) || line.contains("file:") || names_archive(first)
}

/// `==` with one version, or an address that names what it is.
fn is_pinned(line: &str) -> bool {
    let requirement = line.split(';').next().unwrap_or_default();
    if let Some((_, address)) = requirement.split_once(" @ ") {
        // A branch moves; an archive's address is taken to stay what it is.
        return !address.trim().starts_with("git+");
    }
    if line.contains("--hash=") {
        return true;
    }
    requirement
        .split_once("==")
        .is_some_and(|(_, version)| !version.contains('*') && !version.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_line_is_told_apart() {
        let text = "
# a comment
flask==3.0.2  # why
Zope.Interface===5.0 ; python_version > '3'
requests[socks] == 2.31.0 \\
    --hash=sha256:abc
click>=8
jinja2
six==1.*
wheel @ https://example.org/wheel-0.42-py3-none-any.whl#sha256=1
tool @ git+https://example.org/tool@main
-r base.txt
--constraint=limits.txt
-rother.txt
--index-url https://example.org/simple
--pre
-f https://example.org/wheels
-e .
./lib[extra]
wheels/greet-1.0-py3-none-any.whl
greet @ file:///lib/greet
";
        let read = read(text);
        assert_eq!(
            read.pinned,
            ["flask", "zope-interface", "requests", "wheel"]
        );
        assert_eq!(
            read.open,
            [
                "click>=8",
                "jinja2",
                "six==1.*",
                "tool @ git+https://example.org/tool@main"
            ]
        );
        assert_eq!(read.includes, ["base.txt", "limits.txt", "other.txt"]);
    }
}
