//! The part of a failed stage's log that is shown: its end, and each failed test with its message.
//!
//! A log of six hundred tests ends with the last test, not with the failed one, which a reader of the last lines of a
//! CI run needs.

use std::fmt::Write;

/// The number of lines printed; the rest is in the file. More if no failed test was found.
const SHOWN_LINES: usize = 60;
const SHOWN_WITHOUT_FAILURES: usize = 300;
/// The number of failed tests shown, and of lines of each message.
const FAILURES: usize = 12;
const MESSAGE_LINES: usize = 12;

/// Returns the end of the log, each line after a margin with the stage's name, because two stages can print at the
/// same time.
pub(crate) fn tail(stage: &str, log: &str, is_all: bool) -> String {
    let shown = if is_all { SHOWN_WITHOUT_FAILURES } else { SHOWN_LINES };
    let lines: Vec<&str> = log.lines().collect();
    let mut text = String::from("\n");
    for line in lines.iter().skip(lines.len().saturating_sub(shown)) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "    {stage} | {line}");
    }
    text
}

/// Returns the failed tests of every runner in use, each with the lines that say why. Empty if none is found.
pub(crate) fn failures(log: &str) -> Vec<String> {
    let lines: Vec<&str> = log.lines().collect();
    let mut found: Vec<String> = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let ends: fn(&str) -> bool = if is_cargo_panic(line) {
            |line| line.is_empty() || line.starts_with("note: ") || line.starts_with("stack backtrace:")
        } else if is_node_failure(line) {
            |line| line.is_empty() || is_node_failure(line) || line.trim_start().starts_with("✔ ")
        } else {
            continue;
        };
        let message = lines[at..].iter().skip(1).take(MESSAGE_LINES).take_while(|line| !ends(line));
        let text = std::iter::once(line).chain(message).copied().collect::<Vec<_>>().join("\n    ");
        // A runner names a failure when it happens and again in its summary.
        if !found.contains(&text) {
            found.push(text);
        }
    }
    // Some tests end without a message; then only the runner's line is left.
    let named = lines.iter().filter(|line| line.starts_with("test ") && line.ends_with("... FAILED"));
    for line in named {
        let name = line.trim_start_matches("test ").trim_end_matches(" ... FAILED");
        if !found.iter().any(|text| text.contains(name)) {
            found.push((*line).to_owned());
        }
    }
    let more = found.len().saturating_sub(FAILURES);
    found.truncate(FAILURES);
    if more > 0 {
        found.push(format!("and {more} more"));
    }
    found
}

/// "thread 'content::a_test' (123) panicked at tests/content.rs:3:5:"
fn is_cargo_panic(line: &str) -> bool {
    line.starts_with("thread '") && line.contains(" panicked at ")
}

/// "✖ a test (12.3ms)", indented within a suite, or "not ok 3 - a test"; not the headline of the summary.
fn is_node_failure(line: &str) -> bool {
    let line = line.trim_start();
    (line.starts_with("✖ ") && line != "✖ failing tests:") || line.starts_with("not ok ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CARGO: &str = "running 3 tests\ntest a::one ... ok\ntest a::two ... FAILED\ntest three ... FAILED\n\n\
        failures:\n\n---- a::two stdout ----\n\nthread 'a::two' (7) panicked at tests/a.rs:3:5:\n\
        assertion `left == right` failed\n  left: 1\n right: 2\nnote: run with `RUST_BACKTRACE=1`\n\n\
        test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.04s\n";

    #[test]
    fn a_failed_rust_test_is_named_with_its_message_and_nothing_after() {
        let found = failures(CARGO);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("thread 'a::two'") && found[0].ends_with(" right: 2"), "{}", found[0]);
        assert_eq!(found[1], "test three ... FAILED");
    }

    #[test]
    fn a_failed_node_test_is_named_once() {
        let found = failures(
            "✔ fine (1ms)\n✖ wrong (2ms)\n  AssertionError: 1 is not 2\n\nℹ fail 1\n\n✖ failing tests:\n\n\
             ✖ wrong (2ms)\n  AssertionError: 1 is not 2\n\n",
        );
        assert_eq!(found, ["✖ wrong (2ms)\n      AssertionError: 1 is not 2"]);
    }

    #[test]
    fn many_failures_are_counted_and_a_log_without_any_says_nothing() {
        let mut log = String::new();
        for number in 0..20 {
            let _ = writeln!(log, "thread 't{number}' (1) panicked at x.rs:1:1:\nmessage\n");
        }
        let found = failures(&log);
        assert_eq!((found.len(), found.last().map(String::as_str)), (FAILURES + 1, Some("and 8 more")));
        assert_eq!(failures("test a ... ok\nerror: could not compile\n"), Vec::<String>::new());
    }

    #[test]
    fn the_end_of_a_log_bears_the_name_of_its_stage() {
        let log: String = (0..400).map(|number| format!("line {number}\n")).collect();
        let text = tail("rust", &log, false);
        assert_eq!(text.lines().count(), SHOWN_LINES + 1);
        assert!(text.ends_with("    rust | line 399\n"), "{text}");
        assert_eq!(tail("rust", &log, true).lines().count(), SHOWN_WITHOUT_FAILURES + 1);
    }
}
