//! The paths that a Rust file names, read from its text without a compiler.

use std::collections::{BTreeMap, BTreeSet};

/// What a file imports and passes on.
#[derive(Debug, Default)]
pub(super) struct File {
    /// Every path into the crate, beginning with `crate`.
    pub(super) paths: BTreeSet<String>,
    /// The names that its `pub use` passes on, and where each comes from.
    pub(super) passed_on: BTreeMap<String, String>,
}

impl File {
    /// Reads the text of a module; inline modules count as part of it.
    pub(super) fn parse(module: &str, text: &str) -> Self {
        let words = without_tests(words(text));
        let children: BTreeSet<&str> = words
            .windows(3)
            .filter(|words| words[0] == "mod" && words[2] == ";")
            .map(|words| words[1].as_str())
            .collect();
        let mut file = Self::default();
        let mut reader = Reader { words: &words, at: 0, module, children: &children };
        let mut passes_on = false;
        while let Some(word) = reader.peek() {
            match word {
                "pub" => passes_on = true,
                "use" => {
                    reader.at += 1;
                    for (path, name) in reader.tree("") {
                        if passes_on {
                            file.passed_on.insert(name, path.clone());
                        }
                        file.paths.insert(path);
                    }
                    passes_on = false;
                    continue;
                }
                // The end of `pub(crate)`, between `pub` and `use`.
                "(" | ")" | "crate" | "super" | "in" if passes_on && reader.word(1) != Some("::") => {}
                _ => {
                    passes_on = false;
                    let follows_a_path = reader.at > 0 && reader.words[reader.at - 1] == "::";
                    if !follows_a_path && reader.word(1) == Some("::") {
                        if let Some(path) = reader.path() {
                            file.paths.insert(path);
                        }
                        continue;
                    }
                }
            }
            reader.at += 1;
        }
        file
    }
}

/// Walks over the words of a file.
struct Reader<'w> {
    words: &'w [String],
    at: usize,
    module: &'w str,
    children: &'w BTreeSet<&'w str>,
}

impl<'w> Reader<'w> {
    fn peek(&self) -> Option<&'w str> {
        self.word(0)
    }

    fn word(&self, ahead: usize) -> Option<&'w str> {
        self.words.get(self.at + ahead).map(String::as_str)
    }

    /// The path at this place, if it leads into this crate.
    fn path(&mut self) -> Option<String> {
        let mut path = self.word(0).and_then(|first| self.begin(first));
        self.at += 1;
        while self.peek() == Some("::") && self.word(1).is_some_and(is_name) {
            if let (Some(path), Some(name)) = (&mut path, self.word(1)) {
                *path = join(path, name);
            }
            self.at += 2;
        }
        path
    }

    /// What the first word of a path stands for.
    fn begin(&self, first: &str) -> Option<String> {
        match first {
            "crate" | "self" | "super" => Some(join(self.module, first)),
            child if self.children.contains(child) => Some(join(self.module, child)),
            _ => None,
        }
    }

    /// The paths of what follows `use`, each with the name by which it is known; an empty `before` begins a path.
    fn tree(&mut self, before: &str) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let mut path = before.to_owned();
        let mut is_known = !before.is_empty();
        let mut name = String::new();
        while let Some(word) = self.peek() {
            match word {
                ";" | "," | "}" => break,
                "{" => {
                    self.at += 1;
                    while self.peek().is_some_and(|word| word != "}" && word != ";") {
                        found.extend(self.tree(if is_known { &path } else { "" }));
                        if self.peek() == Some(",") {
                            self.at += 1;
                        }
                    }
                    self.at += 1;
                    return found;
                }
                "as" => {
                    name = self.word(1).unwrap_or_default().to_owned();
                    self.at += 1;
                }
                "::" | "*" => {}
                part => {
                    if path.is_empty() {
                        match self.begin(part) {
                            Some(beginning) => (path, is_known) = (beginning, true),
                            // Of another crate: all of it is read and none of it kept.
                            None => path = "?".to_owned(),
                        }
                    } else {
                        path = join(&path, part);
                    }
                    name = part.to_owned();
                }
            }
            self.at += 1;
        }
        if is_known {
            found.push((path, name));
        }
        found
    }
}

/// A path one step on.
fn join(path: &str, name: &str) -> String {
    match name {
        "crate" => "crate".to_owned(),
        "self" => path.to_owned(),
        "super" => path.rsplit_once("::").map_or(path, |(parent, _)| parent).to_owned(),
        name => format!("{path}::{name}"),
    }
}

fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

/// Names, `::` and single signs, without comments, texts, characters and lifetimes.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            comment(rest)
        } else if let Some(length) = raw_text(rest) {
            length
        } else if first == '"' {
            quoted(rest)
        } else if first == '\'' {
            character(rest)
        } else if is_name(rest) {
            let length = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            words.push(rest[..length].to_owned());
            length
        } else if rest.starts_with("::") {
            words.push("::".to_owned());
            2
        } else {
            if !first.is_whitespace() {
                words.push(first.to_string());
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    words
}

/// The length of a comment that may hold others.
fn comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        let step = match &text.as_bytes()[at..] {
            [b'/', b'*', ..] => {
                depth += 1;
                2
            }
            [b'*', b'/', ..] => {
                depth -= 1;
                2
            }
            _ => 1,
        };
        at += step;
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of `r"..."` or `r#"..."#`, if it is one; a `b` before it is a name of its own.
fn raw_text(text: &str) -> Option<usize> {
    let signs = text.strip_prefix('r').or_else(|| text.strip_prefix("br"))?;
    let hashes = signs.bytes().take_while(|byte| *byte == b'#').count();
    let begin = text.len() - signs.len() + hashes;
    text[begin..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    text[begin + 1..].find(&end).map(|at| begin + 1 + at + end.len())
}

/// The length of a text in quotation marks.
fn quoted(text: &str) -> usize {
    let mut is_escaped = false;
    let end = text.bytes().skip(1).position(|byte| {
        let ends = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        ends
    });
    end.map_or(text.len(), |at| at + 2)
}

/// The length of a character, or of the quotation mark of a lifetime.
fn character(text: &str) -> usize {
    let mut signs = text.char_indices().skip(1);
    match (signs.next(), signs.next()) {
        (Some((_, '\\')), Some(_)) => text[3..].find('\'').map_or(1, |at| at + 4),
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 1,
    }
}

/// Takes out each module that exists in tests alone.
fn without_tests(words: Vec<String>) -> Vec<String> {
    const TEST: [&str; 8] = ["#", "[", "cfg", "(", "test", ")", "]", "mod"];
    let mut kept = Vec::new();
    let mut rest = words.as_slice();
    while let Some(first) = rest.first() {
        if rest.len() >= TEST.len() && rest.iter().zip(TEST).all(|(word, wanted)| word == wanted) {
            rest = &rest[end_of_module(rest)..];
        } else {
            kept.push(first.clone());
            rest = &rest[1..];
        }
    }
    kept
}

/// Behind the closing bracket, or behind the semicolon of a module in a file of its own.
fn end_of_module(words: &[String]) -> usize {
    let mut depth = 0_usize;
    for (at, word) in words.iter().enumerate() {
        match word.as_str() {
            ";" if depth == 0 => return at + 1,
            "{" => depth += 1,
            "}" if depth == 1 => return at + 1,
            "}" => depth -= 1,
            _ => {}
        }
    }
    words.len()
}
