//! An XML document piece by piece, bounded: what a build has written is anybody's text.
//!
//! No entity is expanded but the five of XML and characters by their number, so there is nothing that a document could
//! blow up. A document that declares its own is refused.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};

/// Elements in elements. Nested suites come to a dozen.
const DEPTH: usize = 200;

/// A piece of a document.
#[derive(Debug)]
pub(crate) enum Piece<'a> {
    /// An element begins. An empty one ends right after it.
    Open(Element<'a>),
    /// Text, in as many pieces as there are.
    Text(Cow<'a, str>),
    /// The innermost element ends.
    Close,
}

/// The beginning of an element.
#[derive(Debug)]
pub(crate) struct Element<'a>(BytesStart<'a>);

impl Element<'_> {
    /// Without the prefix of its namespace.
    pub(crate) fn name(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.0.local_name().into_inner())
    }

    /// An attribute's value. One that is not written rightly is taken as it stands: it is for people.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        let mut attributes = self.0.attributes();
        // The check for repeated ones takes time by the square of their number.
        attributes.with_checks(false);
        let found = attributes
            .flatten()
            .find(|attribute| attribute.key.as_ref() == name.as_bytes())?;
        Some(match found.unescape_value() {
            Ok(value) => value.into_owned(),
            Err(_) => String::from_utf8_lossy(&found.value).into_owned(),
        })
    }

    /// A number in an attribute.
    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        self.get(name)?.trim().parse().ok()
    }
}

/// The pieces of a document, from its root's beginning to its root's end.
pub(crate) struct Document<'a> {
    reader: Reader<&'a [u8]>,
    depth: usize,
    is_over: bool,
}

impl<'a> Document<'a> {
    /// Begins to read.
    pub(crate) fn new(text: &'a str) -> Self {
        let mut reader = Reader::from_str(text);
        reader.config_mut().expand_empty_elements = true;
        // Test runners put what a program printed into their reports, with its ampersands.
        reader.config_mut().allow_dangling_amp = true;
        Self {
            reader,
            depth: 0,
            is_over: false,
        }
    }

    /// The next piece; nothing after the end. The error says what is wrong, as in "is not a report: …".
    pub(crate) fn next(&mut self) -> Result<Option<Piece<'a>>, String> {
        loop {
            let event = self.reader.read_event().map_err(|error| {
                let place = self.reader.error_position();
                format!("it is not XML at byte {place}: {error}")
            })?;
            match event {
                Event::Start(start) => {
                    if self.depth == 0 && self.is_over {
                        return Err("it has more than one document in it".to_owned());
                    }
                    self.depth += 1;
                    if self.depth > DEPTH {
                        return Err(format!("its elements lie more than {DEPTH} deep"));
                    }
                    return Ok(Some(Piece::Open(Element(start))));
                }
                Event::End(_) => {
                    self.depth -= 1;
                    self.is_over = self.depth == 0;
                    return Ok(Some(Piece::Close));
                }
                Event::Text(text) => {
                    let text = text.decode().map_err(|error| error.to_string())?;
                    if self.depth > 0 {
                        return Ok(Some(Piece::Text(text)));
                    }
                    if !text.trim().is_empty() {
                        let start: String = text.trim().chars().take(40).collect();
                        let what = if self.is_over { "follows" } else { "precedes" };
                        return Err(format!("text {what} the document: `{start}`"));
                    }
                }
                Event::CData(text) => {
                    let text = text.decode().map_err(|error| error.to_string())?;
                    return Ok(Some(Piece::Text(text)));
                }
                Event::GeneralRef(reference) => {
                    return Ok(Some(Piece::Text(Cow::Owned(character(&reference)?))));
                }
                Event::DocType(declaration) => {
                    if declaration.windows(8).any(|it| it == b"<!ENTITY") {
                        return Err("it declares entities of its own".to_owned());
                    }
                }
                Event::Eof if self.depth > 0 => {
                    return Err("it is cut off: not every element has its end".to_owned());
                }
                Event::Eof if !self.is_over => return Err("it is empty".to_owned()),
                Event::Eof => return Ok(None),
                Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            }
        }
    }
}

/// What `&name;` and `&#number;` stand for. A number that is no character stands for one that cannot be shown.
fn character(reference: &BytesRef<'_>) -> Result<String, String> {
    if reference.is_char_ref() {
        let found = reference.resolve_char_ref().ok().flatten();
        return Ok(found.unwrap_or(char::REPLACEMENT_CHARACTER).to_string());
    }
    let name = reference.decode().map_err(|error| error.to_string())?;
    match resolve_predefined_entity(&name) {
        Some(text) => Ok(text.to_owned()),
        None => Err(format!(
            "it refers to an entity `&{name};`, which XML does not have"
        )),
    }
}

/// Node escapes quotes and line ends in attributes twice.
pub(crate) fn unescaped_again(text: &str) -> String {
    text.replace("&quot;", "\"").replace("&#10;", "\n")
}

/// The document as text: by its byte order mark, else by what it says of itself, else UTF-8.
pub(crate) fn decoded(bytes: &[u8]) -> Result<Cow<'_, str>, String> {
    let wide = |bytes: &[u8], of: fn([u8; 2]) -> u16| {
        let units = bytes.chunks_exact(2).map(|pair| of([pair[0], pair[1]]));
        let text: Result<String, _> = char::decode_utf16(units).collect();
        text.map(Cow::Owned)
            .map_err(|_| "it is not the UTF-16 that it begins as".to_owned())
    };
    match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => utf8(rest),
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
        _ => match declared(bytes).as_deref() {
            None | Some("utf-8" | "utf8" | "us-ascii" | "ascii") => utf8(bytes),
            Some("iso-8859-1" | "latin1" | "latin-1" | "windows-1252" | "iso-8859-15") => Ok(
                Cow::Owned(bytes.iter().map(|byte| char::from(*byte)).collect()),
            ),
            Some(other) => Err(format!(
                "it is written in `{other}`; UTF-8, UTF-16 with a byte order mark and ISO-8859-1 are read"
            )),
        },
    }
}

fn utf8(bytes: &[u8]) -> Result<Cow<'_, str>, String> {
    std::str::from_utf8(bytes)
        .map(Cow::Borrowed)
        .map_err(|error| format!("it is not UTF-8 at byte {}", error.valid_up_to()))
}

/// The encoding in the XML declaration, in lower case.
fn declared(bytes: &[u8]) -> Option<String> {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).to_lowercase();
    let declaration = head.strip_prefix("<?xml")?.split("?>").next()?.to_owned();
    let (_, after) = declaration.split_once("encoding")?;
    let value = after.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|it| matches!(it, '"' | '\''))?;
    value[1..].split(quote).next().map(str::to_owned)
}
