//! The page `docs/states.md`, which is written from what happened.

use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// A table of the page.
pub(crate) struct Table {
    head: String,
    rows: Vec<String>,
}

impl Table {
    pub(crate) fn new(title: &str, columns: &[&str]) -> Self {
        let (names, line) = (columns.join(" | "), " --- |".repeat(columns.len() + 1));
        Self { head: format!("### {title}\n| | {names} |\n|{line}\n"), rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, name: &str, cells: &[String]) {
        self.rows.push(format!("| {name} | {} |\n", cells.join(" | ")));
    }
}

/// Whether every row is made: for the page, and in the long form.
pub(crate) fn is_whole() -> bool {
    is_written() || std::env::var_os("TOKENKEEP_TORTURE").is_some()
}

fn is_written() -> bool {
    std::env::var_os("TOKENKEEP_BLESS").is_some()
}

/// Compares the part of the page between the marks of `part` with these tables, or writes it.
pub(crate) fn compare(part: &str, tables: &[Table]) {
    static PAGE: Mutex<()> = Mutex::new(());
    let _one_at_a_time = PAGE.lock().unwrap_or_else(PoisonError::into_inner);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/states.md");
    let page = fs::read_to_string(&path).unwrap();
    let (begin, end) = (format!("<!-- {part} -->\n"), format!("<!-- end of {part} -->\n"));
    let from = page.find(&begin).unwrap() + begin.len();
    let to = page.find(&end).unwrap();
    if is_written() {
        let text: String =
            tables.iter().map(|table| format!("{}{}\n", table.head, table.rows.concat())).collect();
        fs::write(&path, format!("{}{text}{}", &page[..from], &page[to..])).unwrap();
        return;
    }
    for Table { head, rows } in tables {
        let (_, rest) =
            page[from..to].split_once(head).unwrap_or_else(|| panic!("docs/states.md has no {head}"));
        let written = rest.split("\n\n").next().unwrap();
        for row in rows {
            assert!(
                written.lines().any(|line| line == row.trim_end()),
                "docs/states.md differs below {head}; if it should: TOKENKEEP_BLESS=1\n{row}in place of\n{written}"
            );
        }
    }
}
