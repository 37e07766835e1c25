//! YAML events to a value in long form.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};
use serde_json::{Map, Value};

use super::{FUNCTIONS, long_form, scalar};
use crate::SyntaxError;
use crate::suggest::nearest;

/// Deeper than any template; keeps the recursion of reader, writer and evaluator far from the end of the stack.
const DEPTH: usize = 100;
/// How many values aliases may add. A template of 1 MB, CloudFormation's limit, has fewer in all.
const ALIASED: usize = 100_000;

type Result<T> = std::result::Result<T, SyntaxError>;

pub(super) fn read(text: &str) -> Result<Value> {
    let mut reader = Reader {
        parser: Parser::new_from_str(text),
        text,
        anchors: HashMap::new(),
        aliased: 0,
        path: Vec::new(),
    };
    reader.document()
}

/// The two halves of the message about a key that is given twice.
pub(super) fn repeated(key: &str, path: &[String], first: Option<usize>) -> (String, String) {
    let place = if path.is_empty() {
        "the template".to_owned()
    } else {
        format!("`{}`", path.join("."))
    };
    let first = first
        .map(|line| format!(", first on line {line}"))
        .unwrap_or_default();
    (
        format!("the key `{key}` is given twice in {place}{first}"),
        "only one of the two could take effect: rename or remove one".to_owned(),
    )
}

struct Reader<'t> {
    parser: Parser<'t, StrInput<'t>>,
    text: &'t str,
    /// Finished anchored values with the number of values in them.
    anchors: HashMap<usize, (Value, usize)>,
    aliased: usize,
    path: Vec<String>,
}

/// A key of a mapping as it stands in the text.
struct Key {
    text: String,
    is_merge: bool,
    at: Marker,
}

impl<'t> Reader<'t> {
    fn document(&mut self) -> Result<Value> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamStart | Event::DocumentEnd | Event::Nothing => {}
                Event::StreamEnd => break,
                Event::DocumentStart(_) if root.is_some() => {
                    return Err(fail(
                        span.start,
                        "a second YAML document starts here",
                        "a template is one document: remove the `---` or what follows it",
                    ));
                }
                Event::DocumentStart(_) => {
                    let (event, span) = self.next()?;
                    root = Some(self.node(event, span, 0)?.0);
                }
                _ => {
                    return Err(fail(
                        span.start,
                        "this stands outside any document",
                        "remove it",
                    ));
                }
            }
        }
        root.ok_or_else(|| {
            fail(
                Marker::new(0, 1, 0),
                "the text is empty",
                "write at least a `Resources` section",
            )
        })
    }

    fn next(&mut self) -> Result<(Event<'t>, Span)> {
        match self.parser.next_event() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => Err(explain(&error, self.text)),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    /// The value that `event` starts, and the number of values in it.
    fn node(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<(Value, usize)> {
        if depth > DEPTH {
            return Err(fail(
                span.start,
                format!("more than {DEPTH} levels of nesting"),
                "make the template flatter",
            ));
        }
        let (anchor, made) = match event {
            Event::Alias(anchor) => return self.alias(anchor, span),
            Event::Scalar(text, style, anchor, tag) => {
                (anchor, scalar_value(&text, style, tag.as_deref(), span)?)
            }
            Event::SequenceStart(anchor, tag) => {
                let (items, size) = self.sequence(depth)?;
                (
                    anchor,
                    tagged(Value::Array(items), size, tag.as_deref(), "seq", span)?,
                )
            }
            Event::MappingStart(anchor, tag) => {
                let (map, size) = self.mapping(depth)?;
                (
                    anchor,
                    tagged(Value::Object(map), size, tag.as_deref(), "map", span)?,
                )
            }
            _ => return Err(fail(span.start, "a value is missing here", "write one")),
        };
        if anchor > 0 {
            self.anchors.insert(anchor, made.clone());
        }
        Ok(made)
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<(Value, usize)> {
        let Some((value, size)) = self.anchors.get(&anchor) else {
            return Err(fail(
                span.start,
                "the alias stands inside the value that it stands for",
                "a template cannot contain itself: write the value out",
            ));
        };
        self.aliased += size;
        if self.aliased > ALIASED {
            return Err(fail(
                span.start,
                format!("aliases expand to more than {ALIASED} values"),
                "write the values out, or use a mapping or a nested stack",
            ));
        }
        Ok((value.clone(), *size))
    }

    fn sequence(&mut self, depth: usize) -> Result<(Vec<Value>, usize)> {
        let (mut items, mut size) = (Vec::new(), 1);
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok((items, size));
            }
            self.path.push(items.len().to_string());
            let (item, item_size) = self.node(event, span, depth + 1)?;
            self.path.pop();
            items.push(item);
            size += item_size;
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<(Map<String, Value>, usize)> {
        let (mut map, mut size) = (Map::new(), 1);
        let mut lines: HashMap<String, usize> = HashMap::new();
        let mut merges = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                break;
            }
            let key = self.key(event, span)?;
            let (event, span) = self.next()?;
            self.path.push(key.text.clone());
            let (value, value_size) = self.node(event, span, depth + 1)?;
            self.path.pop();
            size += value_size;
            if key.is_merge {
                merges.push((value, key.at));
                continue;
            }
            if let Some(first) = lines.insert(key.text.clone(), key.at.line()) {
                let (what, fix) = repeated(&key.text, &self.path, Some(first));
                return Err(fail(key.at, what, fix));
            }
            map.insert(key.text, value);
        }
        for (value, at) in merges {
            merge(&mut map, value, at)?;
        }
        Ok((map, size))
    }

    fn key(&mut self, event: Event<'t>, span: Span) -> Result<Key> {
        let at = span.start;
        let (text, is_merge) = match event {
            Event::Scalar(text, style, anchor, None) => {
                let text = text.into_owned();
                if anchor > 0 {
                    self.anchors
                        .insert(anchor, (Value::String(text.clone()), 1));
                }
                let is_merge = text == "<<" && style == ScalarStyle::Plain;
                (text, is_merge)
            }
            Event::Alias(anchor) => match self.alias(anchor, span)? {
                (Value::String(text), _) => (text, false),
                _ => {
                    return Err(fail(
                        at,
                        "a key is an alias of something that is no text",
                        "write the key out",
                    ));
                }
            },
            Event::Scalar(_, _, _, Some(tag)) => {
                return Err(fail(
                    at,
                    format!("a key carries the tag `{tag}`"),
                    "a key is plain text: remove the tag",
                ));
            }
            _ => {
                return Err(fail(
                    at,
                    "a key is a list or a mapping",
                    "a key is plain text; quote it if it is meant so",
                ));
            }
        };
        Ok(Key { text, is_merge, at })
    }
}

/// The value of a scalar, and the number of values in it.
fn scalar_value(
    text: &str,
    style: ScalarStyle,
    tag: Option<&Tag>,
    span: Span,
) -> Result<(Value, usize)> {
    let string = || Value::String(text.to_owned());
    let Some(tag) = tag else {
        let value = if style == ScalarStyle::Plain {
            scalar::plain(text)
        } else {
            string()
        };
        return Ok((value, 1));
    };
    let wrong = |kind: &str| {
        fail(
            span.start,
            format!("`{text}` is tagged as {kind}, which it is not"),
            "correct the value or the tag",
        )
    };
    let value = match core(tag).as_deref() {
        Some("str" | "") => string(),
        Some("null") => Value::Null,
        Some("bool") => Value::Bool(scalar::boolean(text).ok_or_else(|| wrong("a boolean"))?),
        Some("int" | "float") => {
            Value::Number(scalar::number(text).ok_or_else(|| wrong("a number"))?)
        }
        Some(other) => return Err(unsupported(other, span)),
        None => {
            let argument = match (tag.suffix.as_str(), text.split_once('.')) {
                ("GetAtt", Some((resource, attribute))) => Value::from(vec![resource, attribute]),
                ("GetAtt", None) => {
                    return Err(fail(
                        span.start,
                        format!("`!GetAtt {text}` names no attribute"),
                        format!("write `!GetAtt {text}.Attribute`"),
                    ));
                }
                _ => string(),
            };
            return Ok((function(tag, argument, span)?, 2));
        }
    };
    Ok((value, 1))
}

/// A collection under its tag, and the number of values in it.
fn tagged(
    value: Value,
    size: usize,
    tag: Option<&Tag>,
    kind: &str,
    span: Span,
) -> Result<(Value, usize)> {
    let Some(tag) = tag else {
        return Ok((value, size));
    };
    match core(tag).as_deref() {
        Some(core) if core == kind || core.is_empty() => Ok((value, size)),
        Some(other) => Err(unsupported(other, span)),
        None => Ok((function(tag, value, span)?, size + 1)),
    }
}

/// The name of a tag of YAML's own (`!!str` is `str`; a bare `!` is empty), `None` for an application's tag.
fn core(tag: &Tag) -> Option<String> {
    if tag.is_yaml_core_schema() {
        return Some(tag.suffix.clone());
    }
    let whole = format!("{}{}", tag.handle, tag.suffix);
    (whole == "!").then(String::new)
}

fn unsupported(tag: &str, span: Span) -> SyntaxError {
    fail(
        span.start,
        format!("CloudFormation does not support the YAML tag `!!{tag}`"),
        "write the value as plain text, a list or a mapping",
    )
}

fn function(tag: &Tag, argument: Value, span: Span) -> Result<Value> {
    let name = tag.suffix.as_str();
    if tag.handle != "!" || !FUNCTIONS.contains(&name) {
        let whole = format!("{}{name}", tag.handle);
        let fix = match nearest(name, FUNCTIONS.iter().copied()) {
            Some(near) => format!(
                "write `!{near}` if that is meant, or quote the value if it only starts with `!`"
            ),
            None => "correct the name, or quote the value if it only happens to start with `!`"
                .to_owned(),
        };
        return Err(fail(
            span.start,
            format!("`{whole}` is not a function of CloudFormation"),
            fix,
        ));
    }
    if matches!(name, "Ref" | "Condition") && !argument.is_string() {
        return Err(fail(
            span.start,
            format!("`!{name}` takes one name"),
            format!("write `!{name} Name`"),
        ));
    }
    Ok(Value::Object(Map::from_iter([(long_form(name), argument)])))
}

/// What `<<: value` adds: the keys that the mapping does not have itself.
fn merge(map: &mut Map<String, Value>, value: Value, at: Marker) -> Result<()> {
    match value {
        Value::Object(other) => {
            for (key, value) in other {
                map.entry(key).or_insert(value);
            }
            Ok(())
        }
        Value::Array(items) => items.into_iter().try_for_each(|item| match item {
            Value::Object(_) => merge(map, item, at),
            _ => Err(merge_error(at)),
        }),
        _ => Err(merge_error(at)),
    }
}

fn merge_error(at: Marker) -> SyntaxError {
    fail(
        at,
        "`<<` merges something that is no mapping",
        "give it an alias of a mapping, or quote the key if it is meant literally",
    )
}

fn fail(at: Marker, what: impl Into<String>, fix: impl Into<String>) -> SyntaxError {
    SyntaxError {
        line: at.line().max(1),
        column: at.col() + 1,
        what: what.into(),
        fix: fix.into(),
    }
}

/// The scanner's terse words, in the words of someone who edits a template.
fn explain(error: &ScanError, text: &str) -> SyntaxError {
    let at = *error.marker();
    let info = error.info();
    let line = text
        .lines()
        .nth(at.line().saturating_sub(1))
        .unwrap_or_default();
    let tags = line
        .split_whitespace()
        .filter(|word| word.starts_with('!') && word.len() > 1)
        .count();
    let has = |parts: &[&str]| parts.iter().any(|part| info.contains(part));
    let (what, fix) = if tags > 1 && !has(&["flow", "bracket"]) {
        (
            "two short-form functions follow each other".to_owned(),
            "YAML allows one tag for a value: write the outer one in full, as `Fn::Base64: !Sub …`",
        )
    } else if line.trim_start_matches(' ').starts_with('\t') || has(&["tab"]) {
        (
            "a tab indents this line".to_owned(),
            "YAML is indented with spaces only",
        )
    } else if has(&[
        "found unexpected end of stream",
        "found unexpected document",
        "indentation in quoted scalar",
    ]) {
        (
            "a quoted text is not closed".to_owned(),
            "add the closing quote, or indent the lines that it goes on in",
        )
    } else if has(&["trailing content after double-quoted", "quoted scalar"]) {
        (
            format!("a quoted text is malformed ({info})"),
            "write `\\\\` for a backslash, or use single quotes",
        )
    } else if has(&["flow", "bracket", "recursion limit"]) {
        (
            "a `[` or `{` is not closed where it should be, or its parts are not separated"
                .to_owned(),
            "check the brackets and commas, and quote texts that hold any of `[]{},`",
        )
    } else if has(&["unknown anchor"]) {
        (
            "the alias names an anchor that is not defined before it".to_owned(),
            "define it with `&name`, or quote a `*`",
        )
    } else if has(&["mapping values are not allowed", "illegal placement of ':'"]) {
        (
            "a `: ` stands where none can".to_owned(),
            "check that the line before is complete, and quote a text that holds `: `",
        )
    } else if has(&[
        "simple key",
        "did not find expected key",
        "indentation",
        "'-' indicator",
        "block sequence",
    ]) {
        (
            "the indentation or a missing `:` breaks the structure".to_owned(),
            "align this line with its neighbours and check that every key ends with `:`",
        )
    } else if has(&["unexpected character", "plain scalar"]) {
        (
            "a text starts with a character that means something else in YAML".to_owned(),
            "put the text in quotes",
        )
    } else {
        (info.to_owned(), "correct the YAML there, or just before")
    };
    fail(at, what, fix)
}
