//! A value to YAML, so that reading it gives the value back.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::{FUNCTIONS, long_form, scalar};

/// YAML limits a key written on one line to this many characters.
const LONGEST_SIMPLE_KEY: usize = 1_000;

pub(super) fn write(value: &Value) -> String {
    let mut writer = Writer { out: String::new() };
    writer.node(value, 0, Lead::Root);
    writer.out
}

/// What stands on the line before a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lead {
    /// Nothing: the value is the document.
    Root,
    /// `key:`, so that a collection starts on the next line.
    Key,
    /// `-`, so that a collection may start on the same line.
    Dash,
}

struct Writer {
    out: String,
}

impl Writer {
    fn node(&mut self, value: &Value, indent: usize, lead: Lead) {
        match value {
            Value::Null => self.inline("null", lead),
            Value::Bool(value) => self.inline(&value.to_string(), lead),
            Value::Number(value) => self.inline(&value.to_string(), lead),
            Value::String(text) => self.text(text, indent, lead),
            Value::Array(items) if items.is_empty() => self.inline("[]", lead),
            Value::Array(items) => self.sequence(items, indent, lead),
            Value::Object(map) if map.is_empty() => self.inline("{}", lead),
            Value::Object(map) => {
                if let Some((function, argument)) = short_form(map) {
                    self.function(function, argument, indent, lead);
                } else {
                    self.mapping(map, indent, lead);
                }
            }
        }
    }

    fn inline(&mut self, text: &str, lead: Lead) {
        if lead != Lead::Root {
            self.out.push(' ');
        }
        self.out.push_str(text);
        self.out.push('\n');
    }

    fn pad(&mut self, indent: usize) {
        self.out.extend(std::iter::repeat_n(' ', indent));
    }

    /// Starts the line of the `index`-th part of a collection.
    fn line(&mut self, index: usize, indent: usize, lead: Lead) {
        match (lead, index) {
            (Lead::Dash, 0) => self.out.push(' '),
            (Lead::Key, 0) => {
                self.out.push('\n');
                self.pad(indent);
            }
            _ => self.pad(indent),
        }
    }

    fn sequence(&mut self, items: &[Value], indent: usize, lead: Lead) {
        for (index, item) in items.iter().enumerate() {
            self.line(index, indent, lead);
            self.out.push('-');
            self.node(item, indent + 2, Lead::Dash);
        }
    }

    fn mapping(&mut self, map: &Map<String, Value>, indent: usize, lead: Lead) {
        for (index, (key, value)) in map.iter().enumerate() {
            self.line(index, indent, lead);
            let key = flow_text(key);
            if key.chars().count() > LONGEST_SIMPLE_KEY {
                let _ = writeln!(self.out, "? {key}");
                self.pad(indent);
                self.out.push(':');
            } else {
                let _ = write!(self.out, "{key}:");
            }
            self.node(value, indent + 2, Lead::Key);
        }
    }

    fn function(&mut self, name: &str, argument: &Value, indent: usize, lead: Lead) {
        if lead != Lead::Root {
            self.out.push(' ');
        }
        let _ = write!(self.out, "!{name}");
        match argument {
            Value::Array(parts) if name == "GetAtt" && dotted(parts).is_some() => {
                self.inline(&flow_text(&dotted(parts).unwrap_or_default()), Lead::Key);
            }
            _ => self.node(argument, indent, Lead::Key),
        }
    }

    fn text(&mut self, text: &str, indent: usize, lead: Lead) {
        if lead == Lead::Root || !fits_block(text) {
            return self.inline(&flow_text(text), lead);
        }
        self.out.push_str(if text.ends_with('\n') {
            " |\n"
        } else {
            " |-\n"
        });
        for line in text.lines() {
            if !line.is_empty() {
                // The content of a block must be deeper than its parent; two more is deeper in every position.
                self.pad(indent.max(2));
                self.out.push_str(line);
            }
            self.out.push('\n');
        }
    }
}

/// The short form of `{"Fn::Name": argument}`, if YAML can say it. A mapping as argument stays in long form, because
/// its own first key might be a function, and one value takes one tag.
fn short_form(map: &Map<String, Value>) -> Option<(&'static str, &Value)> {
    let (key, argument) = map.iter().next().filter(|_| map.len() == 1)?;
    let name = FUNCTIONS.iter().find(|name| long_form(name) == *key)?;
    let fits = match (*name, argument) {
        ("Ref" | "Condition", argument) => argument.is_string(),
        // As a string it would be read back as a list.
        ("GetAtt", argument) => argument.is_array(),
        (_, argument) => argument.is_string() || argument.is_array(),
    };
    fits.then_some((*name, argument))
}

fn dotted(parts: &[Value]) -> Option<String> {
    match parts {
        [Value::String(resource), Value::String(attribute)] if !resource.contains('.') => {
            Some(format!("{resource}.{attribute}"))
        }
        _ => None,
    }
}

/// Whether a literal block can hold the text without loss.
fn fits_block(text: &str) -> bool {
    text.trim_end_matches('\n').contains('\n')
        && !text.ends_with("\n\n")
        && !text.starts_with([' ', '\n'])
        && text
            .chars()
            .all(|character| character == '\n' || is_printable(character))
        && text
            .split('\n')
            .all(|line| line.is_empty() || !line.trim_matches(' ').is_empty())
}

/// A text on one line: plain, in single quotes, or in double quotes with escapes.
fn flow_text(text: &str) -> String {
    if is_plain(text) {
        text.to_owned()
    } else if text.chars().all(is_printable) {
        format!("'{}'", text.replace('\'', "''"))
    } else {
        double_quoted(text)
    }
}

fn is_plain(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic() || matches!(first, '_' | '/' | '$'))
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
        && text.chars().all(is_printable)
        && !scalar::is_ambiguous(text)
}

fn is_printable(character: char) -> bool {
    match character {
        ' '..='~' => true,
        // Separators, byte order marks and unassigned characters are escaped.
        _ => character.is_alphanumeric(),
    }
}

fn double_quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            _ if is_printable(character) => quoted.push(character),
            _ => {
                let code = u32::from(character);
                let _ = if code <= 0xffff {
                    write!(quoted, "\\u{code:04X}")
                } else {
                    write!(quoted, "\\U{code:08X}")
                };
            }
        }
    }
    quoted.push('"');
    quoted
}
