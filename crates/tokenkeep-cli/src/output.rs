//! Prints to standard output: text with or without colour, or one JSON object.
//!
//! Colour repeats information that the words have. A reader that closes the pipe (`tokenkeep list | head -1`) is not
//! a failure.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

use anstream::{AutoStream, ColorChoice};
use clap::builder::styling::{AnsiColor, Style};
use serde_json::{Map, Value};
use tokenkeep::inspect::printable;

/// The version of the JSON objects. It grows when a field changes its meaning or goes away, not when one is added.
const SCHEMA_VERSION: u32 = 1;

const TITLE: Style = Style::new().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const ODD: Style = AnsiColor::Yellow.on_default().bold();
const GOOD: Style = AnsiColor::Green.on_default();

/// The destination of a command's result.
#[derive(Debug)]
pub(crate) struct Output {
    color: ColorChoice,
    json: bool,
}

impl Output {
    pub(crate) fn new(color: ColorChoice, json: bool) -> Self {
        Self { color, json }
    }

    /// Returns whether the result is JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Prints one object, with the schema version first.
    pub(crate) fn json(&self, result: &Value) -> io::Result<()> {
        let mut object = Map::new();
        object.insert("schemaVersion".to_owned(), SCHEMA_VERSION.into());
        if let Value::Object(fields) = result {
            object.extend(fields.clone());
        }
        self.raw(escaped(&format!("{:#}\n", Value::Object(object))).as_bytes())
    }

    /// Prints text, without colours that the terminal does not have.
    pub(crate) fn text(&self, text: &str) -> io::Result<()> {
        let mut stream = AutoStream::new(io::stdout().lock(), self.color);
        unless_closed(stream.write_all(text.as_bytes()).and_then(|()| stream.flush()))
    }

    /// Prints bytes unchanged.
    pub(crate) fn raw(&self, bytes: &[u8]) -> io::Result<()> {
        let mut stream = io::stdout().lock();
        unless_closed(stream.write_all(bytes).and_then(|()| stream.flush()))
    }
}

/// Escapes the characters in the texts of JSON that are not safe to show: a terminal may be the reader.
fn escaped(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for c in json.chars() {
        // A line feed in a text is escaped already.
        if c == '\n' || printable(c.encode_utf8(&mut [0; 4])).starts_with(c) {
            shown.push(c);
        } else {
            shown.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    shown
}

fn unless_closed(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Formats a heading.
pub(crate) fn title(text: impl Display) -> String {
    styled(TITLE, text)
}

/// Formats a fault.
pub(crate) fn bad(text: impl Display) -> String {
    styled(BAD, text)
}

/// Formats a weakness.
pub(crate) fn odd(text: impl Display) -> String {
    styled(ODD, text)
}

/// Formats a good state.
pub(crate) fn good(text: impl Display) -> String {
    styled(GOOD, text)
}

fn styled(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}
