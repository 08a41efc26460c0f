//! Foreign text, made safe to show to a person: names, paths, and texts of other programs.
//!
//! Left out are the characters that move the cursor, forge a line, change the reading direction or cannot be seen: the
//! classes Cc, Cf, Zl and Zp of Unicode, and what is assigned to no character. The standard library escapes the same
//! classes in its `Debug` of a text, from the tables of its Unicode version.

use std::borrow::Cow;
use std::path::Path;

/// Stands for a character that is not shown.
const REPLACEMENT: char = '\u{fffd}';

/// Longer text is cut. As long as the longest path, so that a sentence with a path is whole.
const LONGEST: usize = 4096;

/// Makes foreign text safe to show to a person: of at most 4,096 characters, in one line, and with U+FFFD for each character
/// that could move the cursor, change the reading direction, or not be seen.
///
/// The joiners U+200C and U+200D stay between two characters that are not ASCII: names in Persian and in the scripts of
/// India, and emoji, are written with them. Text in ASCII, such as most user names, is what it looks like.
///
/// ```
/// use tokenkeep::inspect::printable;
///
/// assert_eq!(printable("ada\u{202e}@example.com\n"), "ada\u{fffd}@example.com\u{fffd}");
/// assert_eq!(printable("Žofie 山田　太郎"), "Žofie 山田　太郎");
/// ```
pub fn printable(text: &str) -> String {
    let end = text.char_indices().nth(LONGEST).map_or(text.len(), |(at, _)| at);
    whole(&text[..end]).into_owned()
}

/// Like [`printable`], for a text of any length.
pub(crate) fn whole(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Cow::Borrowed(text);
    }
    let mut before = None;
    let mut rest = text.chars();
    let mut shown = String::with_capacity(text.len());
    while let Some(c) = rest.next() {
        let after = rest.clone().next();
        shown.push(if is_shown(before, c, after) { c } else { REPLACEMENT });
        before = Some(c);
    }
    Cow::Owned(shown)
}

fn is_shown(before: Option<char>, c: char, after: Option<char>) -> bool {
    if !is_joiner(c) {
        return is_visible(c);
    }
    let joined = |beside: Option<char>| beside.is_some_and(|c| !c.is_ascii() && is_visible(c));
    joined(before) && joined(after)
}

fn is_visible(c: char) -> bool {
    match c {
        ' '..='~' => true,
        '\u{2028}' | '\u{2029}' => false,
        // Debug escapes the wide spaces, too, which are part of names.
        c => !c.is_control() && (c.is_whitespace() || is_in_debug(c)),
    }
}

fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

/// Returns whether `Debug` shows the character as it is. After another one, because it escapes an accent at the beginning.
fn is_in_debug(c: char) -> bool {
    let mut bytes = [b'a'; 5];
    let length = 1 + c.encode_utf8(&mut bytes[1..]).len();
    std::str::from_utf8(&bytes[..length]).is_ok_and(|text| text.escape_debug().eq(text.chars()))
}

/// Returns a path as one word of a command that a person may copy, in quotes.
///
/// ```
/// # #[cfg(unix)] {
/// use tokenkeep::inspect::quoted;
///
/// assert_eq!(quoted("/home/ada/it's mine; $HOME".as_ref()), r"'/home/ada/it'\''s mine; $HOME'");
/// # }
/// ```
pub fn quoted(path: &Path) -> String {
    // PowerShell doubles a quote; a shell of Unix cannot have one between quotes.
    let quote = if cfg!(windows) { "''" } else { r"'\''" };
    format!("'{}'", whole(&path.to_string_lossy()).replace('\'', quote))
}

/// Returns the command that moves a file away.
pub(crate) fn move_away(path: &Path, suffix: &str) -> String {
    let mut aside = path.as_os_str().to_owned();
    aside.push(suffix);
    format!("mv {} {}", quoted(path), quoted(Path::new(&aside)))
}

#[cfg(test)]
mod tests {
    use regex_syntax::hir::{Class, HirKind};

    use super::*;

    /// The characters of some classes, from tables of another maker.
    fn of_classes(pattern: &str) -> impl Iterator<Item = char> {
        let parsed = regex_syntax::Parser::new().parse(pattern).unwrap();
        let HirKind::Class(Class::Unicode(class)) = parsed.into_kind() else { panic!("no class: {pattern}") };
        class.ranges().to_vec().into_iter().flat_map(|range| range.start()..=range.end())
    }

    #[test]
    fn no_character_of_control_format_line_and_paragraph_is_shown() {
        let mut count = 0;
        for c in of_classes(r"[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]") {
            count += 1;
            for text in
                [format!("{c}"), format!("ada{c}b"), format!("ж{c}b"), format!("a{c}ж"), format!("ж{c}")]
            {
                assert!(!printable(&text).contains(c), "{:x}", u32::from(c));
            }
            assert_eq!(printable(&format!("ж{c}ж")).contains(c), is_joiner(c), "{:x}", u32::from(c));
        }
        assert!(count > 230, "{count} characters");
    }

    #[test]
    fn each_letter_mark_number_sign_and_space_is_shown() {
        for c in of_classes(r"[\p{L}\p{M}\p{N}\p{P}\p{S}\p{Zs}]") {
            let text = format!("a{c}b");
            assert_eq!(printable(&text), text, "{:x}", u32::from(c));
        }
    }

    #[test]
    fn names_and_emoji_that_are_written_with_joiners_stay_whole() {
        for text in ["علی\u{200c}رضا", "क्\u{200d}ष", "👩\u{200d}🚀", "e\u{301}milie"] {
            assert_eq!(printable(text), text);
        }
        assert_eq!(
            printable("ж\u{200d}\u{200d}ж"),
            "ж\u{fffd}\u{fffd}ж",
            "a row of them hides in any script"
        );
    }

    #[test]
    fn a_long_text_is_cut_and_a_whole_one_is_not() {
        assert_eq!(printable(&"ж".repeat(5000)).chars().count(), LONGEST);
        assert_eq!(whole(&"ж\n".repeat(5000)).chars().count(), 10_000);
    }

    #[cfg(unix)]
    #[test]
    fn a_shell_takes_a_quoted_path_for_one_word() {
        for path in ["/a b", "/it's", "/$(id)", "/a;id", "/`id`", "/a\\b", "/\"", "/*", "/plain.json"] {
            let script = format!("printf %s {}", quoted(Path::new(path)));
            let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8_lossy(&output.stdout), path);
        }
    }
}
