//! Counts tests in the output of the test runners.

use std::ops::Add;

/// The numbers of tests that passed, failed, or did not run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Tally {
    /// The result of a check that is not a test runner.
    pub(crate) fn one(passed: bool) -> Self {
        if passed { Self { passed: 1, ..Self::default() } } else { Self { failed: 1, ..Self::default() } }
    }

    /// Returns the fault of the count itself. A runner that finds no tests, or skips some, would otherwise look like
    /// a success.
    pub(crate) fn complaint(self) -> Option<String> {
        match self {
            Self { skipped: 0, passed: 0, failed: 0 } => Some("no test ran".to_owned()),
            Self { skipped: 0, .. } => None,
            Self { skipped, .. } => {
                Some(format!("{skipped} tests were skipped; a test runs here or does not exist"))
            }
        }
    }
}

impl Add for Tally {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            skipped: self.skipped + other.skipped,
        }
    }
}

/// Adds up every summary in a log: of `cargo test`, and of `node --test` in either format.
pub(crate) fn read(log: &str) -> Tally {
    log.lines().map(line).fold(Tally::default(), Add::add)
}

fn line(line: &str) -> Tally {
    if let Some(rest) = line.strip_prefix("test result: ") {
        return cargo(rest);
    }
    // "ℹ pass 12" (spec) or "# pass 12" (TAP). Subtests repeat neither: the summary comes once, at the left margin.
    let Some(rest) = line.strip_prefix("ℹ ").or_else(|| line.strip_prefix("# ")) else {
        return Tally::default();
    };
    let Some((what, number)) = rest.split_once(' ') else { return Tally::default() };
    let Ok(number) = number.parse() else { return Tally::default() };
    match what {
        "pass" => Tally { passed: number, ..Tally::default() },
        "fail" | "cancelled" => Tally { failed: number, ..Tally::default() },
        "skipped" | "todo" => Tally { skipped: number, ..Tally::default() },
        _ => Tally::default(),
    }
}

/// "ok. 5 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s"
fn cargo(rest: &str) -> Tally {
    let mut tally = Tally::default();
    for part in rest.split(['.', ';']) {
        let mut words = part.split_whitespace();
        let (Some(number), Some(what)) =
            (words.next().and_then(|word| word.parse::<u64>().ok()), words.next())
        else {
            continue;
        };
        match what {
            "passed" => tally.passed += number,
            "failed" => tally.failed += number,
            "ignored" => tally.skipped += number,
            _ => {}
        }
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_summaries_are_added_up() {
        let log = "running 3 tests\ntest a ... ok\n\
            test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 2 filtered out; finished in 0.04s\n\
            test result: FAILED. 1 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 1.20s\n";
        assert_eq!(read(log), Tally { passed: 4, failed: 2, skipped: 1 });
    }

    #[test]
    fn both_formats_of_node_are_read() {
        let spec = "✔ a (1ms)\nℹ tests 6\nℹ suites 0\nℹ pass 3\nℹ fail 1\nℹ cancelled 1\nℹ skipped 1\nℹ todo 0\nℹ duration_ms 9.5\n";
        assert_eq!(read(spec), Tally { passed: 3, failed: 2, skipped: 1 });
        let tap = "# Subtest: a\nok 1 - a\n# tests 2\n# suites 0\n# pass 2\n# fail 0\n# cancelled 0\n# skipped 0\n# todo 0\n";
        assert_eq!(read(tap), Tally { passed: 2, failed: 0, skipped: 0 });
    }

    #[test]
    fn nothing_run_and_anything_skipped_are_complaints() {
        assert!(Tally::default().complaint().is_some());
        assert!(Tally { passed: 5, failed: 0, skipped: 1 }.complaint().is_some());
        assert!(Tally { passed: 5, failed: 1, skipped: 0 }.complaint().is_none());
    }
}
