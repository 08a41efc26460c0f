//! `cargo xtask screenshots`: the pictures of the command in README, drawn as SVG from its transcripts.
//!
//! A transcript in `crates/tokenkeep-cli/tests/transcripts` is the real command's output; its test compares every
//! word in every run. A picture shows one command of a transcript on a terminal with a hundred columns, with example
//! values for the parts that differ between machines. It depends only on files of the checkout, and the stage
//! `screenshots` finds an outdated one by drawing it again.

use std::fmt::Write as _;
use std::fs;

use crate::job::{Failure, Job, Outcome, at};
use crate::workspace::Workspace;

/// A picture: its file in `docs`, the transcript, and the command in it.
const PICTURES: &[(&str, &str, &str)] = &[
    ("doctor.svg", "doctor-no-bus.txt", "tokenkeep doctor"),
    ("list.svg", "list-file.txt", "tokenkeep list --cache-path [HOME]/cache.json"),
];

/// The placeholders in a transcript, with the example values of the pictures.
const FILLED_IN: &[(&str, &str)] = &[
    ("[HOME]/cache.json", "/home/anna/.my-app/cache.json"),
    ("[HOME]", "/home/anna"),
    ("[FILE SYSTEM]", "ext4, local"),
];

/// Columns of the terminal; in pixels, the size of a character and the margin.
const COLUMNS: usize = 100;
const CHARACTER: (f64, usize) = (8.4, 19);
const MARGIN: usize = 18;

/// Draws the pictures.
pub(crate) fn command(workspace: &Workspace, (): ()) -> Outcome<()> {
    for (file, picture) in all(workspace)? {
        let path = workspace.path("docs").join(file);
        fs::write(&path, picture).map_err(at(&path))?;
    }
    Ok(())
}

/// Refuses pictures that differ from the command's present output.
pub(crate) fn stage(job: &mut Job<'_>) -> Outcome<()> {
    let mut old = Vec::new();
    for (file, picture) in all(job.workspace)? {
        let path = job.workspace.path("docs").join(file);
        // On Windows git may have changed the line ends of a checkout.
        if fs::read_to_string(&path).map_err(at(&path))?.replace("\r\n", "\n") != picture {
            old.push(file);
        }
    }
    match old.is_empty() {
        true => job.note(&format!("{} pictures, up to date", PICTURES.len())),
        false => Err(Failure::new(format!(
            "docs: {} shows what the command no longer says; draw it with: cargo xtask screenshots",
            old.join(", ")
        ))),
    }
}

fn all(workspace: &Workspace) -> Outcome<Vec<(&'static str, String)>> {
    let folder = workspace.path("crates/tokenkeep-cli/tests/transcripts");
    let draw_one = |&(file, transcript, command): &(&'static str, &str, &str)| {
        let path = folder.join(transcript);
        let text = fs::read_to_string(&path).map_err(at(&path))?.replace("\r\n", "\n");
        let said = said(&text, command)
            .ok_or_else(|| Failure::new(format!("{} has no command {command:?}", path.display())))?;
        let words = command.split(" --").next().unwrap_or(command);
        Ok((file, draw(&said, words)))
    };
    PICTURES.iter().map(draw_one).collect()
}

/// Returns the command line and its output, with example values.
fn said(transcript: &str, command: &str) -> Option<String> {
    let prompt = format!("$ {command}\n");
    let begin = transcript.find(&prompt)?;
    let end = transcript[begin..].find("\n? ")?;
    let mut text = transcript[begin..begin + end].trim_end().to_owned();
    for (word, instead) in FILLED_IN {
        text = text.replace(word, instead);
    }
    Some(text)
}

fn draw(text: &str, title: &str) -> String {
    let lines: Vec<(&str, String)> = text.lines().flat_map(rows).collect();
    let (width, line) = CHARACTER;
    let wide = COLUMNS as f64 * width + 2.0 * MARGIN as f64;
    let high = lines.len() * line + 2 * MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {wide:.0} {high}\" width=\"{wide:.0}\" height=\"{high}\" \
         font-family=\"ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace\" font-size=\"14\" role=\"img\" aria-labelledby=\"title\">\n<title id=\"title\">{title}</title>\n\
         <style>text{{fill:#d0d7de;white-space:pre}}.title{{font-weight:bold;fill:#fff}}.prompt{{fill:#79c0ff}}\
         .bad{{font-weight:bold;fill:#ff7b72}}.odd{{font-weight:bold;fill:#e3b341}}.good{{fill:#7ee787}}</style>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#161b22\"/>\n"
    );
    for (at, (class, row)) in lines.iter().enumerate() {
        let y = MARGIN + (at + 1) * line - 5;
        // A wider or narrower font still keeps the columns.
        let length = row.chars().count() as f64 * width;
        let body = styled(class, row);
        if !row.is_empty() {
            // Writing to a string cannot fail.
            let _ = writeln!(
                svg,
                "<text x=\"{MARGIN}\" y=\"{y}\" textLength=\"{length:.1}\" xml:space=\"preserve\"{body}</text>"
            );
        }
    }
    svg.push_str("</svg>\n");
    svg
}

/// Returns a line as rows of a terminal, with the style that the command's `output.rs` gives it: headings are not
/// indented.
fn rows(line: &str) -> Vec<(&'static str, String)> {
    let class = match line {
        _ if line.starts_with("$ ") => "prompt",
        _ if line.starts_with("No findings") => "good",
        _ if line.starts_with(' ') => "",
        _ => "title",
    };
    let characters: Vec<char> = line.chars().collect();
    if characters.is_empty() {
        return vec![(class, String::new())];
    }
    characters.chunks(COLUMNS).map(|row| (class, row.iter().collect())).collect()
}

/// Returns the rest of the element: its class, and the text with the command's coloured words.
fn styled(class: &str, row: &str) -> String {
    let text = row.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    for (word, color) in [("  problem [", "bad"), ("  warning [", "odd")] {
        if let Some(rest) = text.strip_prefix(word) {
            let word = word.trim_start().trim_end_matches(" [");
            return format!(">  <tspan class=\"{color}\">{word}</tspan> [{rest}");
        }
    }
    if class.is_empty() { format!(">{text}") } else { format!(" class=\"{class}\">{text}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRANSCRIPT: &str =
        "$ tokenkeep a\nfirst\n? 0\n\n$ tokenkeep b\n[HOME] <x>\n  problem [y] z\n? 3\n\n";

    #[test]
    fn one_command_is_cut_out_and_filled_in() {
        assert_eq!(said(TRANSCRIPT, "tokenkeep a").unwrap(), "$ tokenkeep a\nfirst");
        assert_eq!(
            said(TRANSCRIPT, "tokenkeep b").unwrap(),
            "$ tokenkeep b\n/home/anna <x>\n  problem [y] z"
        );
        assert_eq!(said(TRANSCRIPT, "tokenkeep c"), None);
    }

    #[test]
    fn text_is_drawn_as_text() {
        let svg = draw(&said(TRANSCRIPT, "tokenkeep b").unwrap(), "tokenkeep b");
        assert!(svg.contains(" class=\"title\">/home/anna &lt;x&gt;</text>"), "{svg}");
        assert!(svg.contains(">  <tspan class=\"bad\">problem</tspan> [y] z</text>"), "{svg}");
    }

    #[test]
    fn a_long_line_takes_rows() {
        let lengths: Vec<usize> = rows(&"x".repeat(250)).iter().map(|(_, row)| row.len()).collect();
        assert_eq!(lengths, [100, 100, 50]);
    }
}
