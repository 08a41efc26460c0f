//! The examples run and print the expected text. Cargo builds them beside the tests.

use std::path::Path;
use std::process::Command;

use crate::support::Place;

/// Returns the output of an example, which must succeed.
fn run(name: &str, arguments: &[&Path]) -> String {
    let tests = std::env::current_exe().unwrap();
    let program = tests.parent().and_then(Path::parent).unwrap().join("examples").join(name);
    let mut command = Command::new(&program);
    // Without the keyring of the user who runs the tests.
    command.args(arguments).env_remove("DBUS_SESSION_BUS_ADDRESS").env("XDG_RUNTIME_DIR", "/nonexistent");
    let output = command.output().unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{name}: {said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

#[test]
fn quickstart_adds_a_line_each_time() {
    let place = Place::new();
    let plaintext = Path::new("--allow-plaintext");
    for number in 1..=2 {
        let said = run("quickstart", &[&place.cache(), plaintext]);
        assert!(said.contains("warning: ") && said.contains(&format!("{number} in ")), "{said}");
        assert!(said.contains("(plaintext-file, plaintext)"), "{said}");
    }
}

#[test]
fn two_processes_lose_nothing() {
    let place = Place::new();
    assert_eq!(run("two_processes", &[&place.cache()]), "200 of 200 writes are there\n");
}

#[test]
fn a_custom_protector_notices_damage() {
    let place = Place::new();
    let said = run("custom_protector", &[&place.cache()]);
    assert!(said.starts_with("noticed: ") && said.contains("checksum"), "{said}");
}

#[test]
fn a_custom_persistence_keeps_its_versions() {
    let place = Place::new();
    let directory = place.directory().join("versions");
    let said = run("custom_persistence", &[&directory]);
    assert!(said.starts_with("xxxxx in "), "{said}");
    let versions: Vec<_> =
        (1..=5).filter(|version| directory.join(format!("{version}.version")).exists()).collect();
    assert_eq!(versions, [3, 4, 5]);
}

#[test]
fn the_next_run_finds_the_token_of_the_oauth2_crate() {
    let place = Place::new();
    let first = run("oauth2_device_code", &[&place.cache()]);
    assert!(first.contains("enter ABCD-EFGH") && first.ends_with("signed in\n"), "{first}");
    assert_eq!(run("oauth2_device_code", &[&place.cache()]), "signed in already; the token has 7 bytes\n");
}

#[test]
fn every_example_is_run_by_a_test() {
    // The tests of the encrypted file start `sealed`, because they need another process to read and write a file. The
    // tests with other languages start `watch`.
    let elsewhere = ["sealed", "watch"];
    let here = include_str!("examples.rs");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let programs = names.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let programs: Vec<_> =
        programs.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect();
    assert!(programs.len() > 5, "{programs:?}");
    let forgotten: Vec<_> = programs
        .iter()
        .filter(|name| !here.contains(&format!("run(\"{name}\"")) && !elsewhere.contains(&name.as_str()))
        .collect();
    assert!(forgotten.is_empty(), "no test runs {forgotten:?}");
}
