//! What every command has in common: usage, colour, generated files, a reader that goes away.

use std::io::Read;
use std::process::Stdio;

use crate::support::{Place, cache};

#[test]
fn arguments_that_cannot_be_used() {
    Place::new().transcript(
        "usage",
        &[
            "",
            "frobnicate",
            "list --service-name only",
            "list --cache-path /nonexistent --store encrypted-file",
            "list --timeout soon",
            "list --application ../elsewhere",
            "list --key kernel",
        ],
        &[],
    );
}

#[test]
fn failures_are_objects_too_where_programs_read() {
    let said = Place::new().run(&["list", "--json"]);
    assert_eq!(said.code, Some(4));
    let value: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!((&value["schemaVersion"], &value["error"]["kind"]), (&1.into(), &"nothing_found".into()));
}

#[test]
fn colour_is_for_terminals_or_those_who_ask() {
    let place = Place::new();
    place.file(".azure/msal_token_cache.json", &cache(true));
    assert!(!place.run(&["list"]).stdout.contains('\u{1b}'));
    let coloured = place.run(&["list", "--color", "always"]).stdout;
    assert!(coloured.contains('\u{1b}'));
    let plain = place.run(&["list", "--color", "never"]).stdout;
    // Colour never says anything that the words do not.
    let mut stripped = String::new();
    for part in coloured.split('\u{1b}') {
        stripped
            .push_str(part.split_once('m').filter(|_| part.starts_with('[')).map_or(part, |(_, rest)| rest));
    }
    assert_eq!(stripped, plain);
}

#[test]
fn completions_and_the_man_page_know_every_command() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let said = place.run(&["completions", shell]);
        assert_eq!(said.code, Some(0), "{shell}");
        assert!(said.stdout.contains("doctor") && said.stdout.contains("cache-path"), "{shell}");
    }
    let page = place.run(&["man"]).stdout;
    assert!(
        page.starts_with(".ie") && page.contains("tokenkeep\\-doctor") && page.contains("130"),
        "{page:.300}"
    );
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let place = Place::new();
    let mut child = place.command(&["completions", "zsh"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 1];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
