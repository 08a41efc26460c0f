//! Behaviour of every command: usage errors, colour, generated files, a closed pipe.

use std::io::Read;
use std::process::Stdio;

use crate::support::{Place, cache};

#[test]
fn invalid_arguments_end_with_usage() {
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
fn failures_are_objects_with_json() {
    let said = Place::new().run(&["list", "--json"]);
    assert_eq!(said.code, Some(4));
    let value: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!((&value["schemaVersion"], &value["error"]["kind"]), (&1.into(), &"nothing_found".into()));
}

#[test]
fn colour_is_for_terminals_or_on_request() {
    let place = Place::new();
    place.file(".azure/msal_token_cache.json", &cache(true));
    assert!(!place.run(&["list"]).stdout.contains('\u{1b}'));
    let coloured = place.run(&["list", "--color", "always"]).stdout;
    assert!(coloured.contains('\u{1b}'));
    let plain = place.run(&["list", "--color", "never"]).stdout;
    // Colour never adds information to the words.
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
fn a_closed_pipe_is_no_failure() {
    let place = Place::new();
    let mut child = place.command(&["completions", "zsh"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 1];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
