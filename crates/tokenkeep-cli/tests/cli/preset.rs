//! `--preset`: caches of other libraries and programs, by name.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::keyring::Keyring;
use crate::support::{Holder, Place, cache};

#[test]
fn the_file_of_the_azure_cli_is_listed_signed_out_of_and_cleared() {
    let place = Place::new();
    let path = place.file(".azure/msal_token_cache.json", &cache(true));
    place.transcript(
        "preset",
        &[
            "list --preset azure-cli",
            "lock --preset azure-cli",
            "sign-out bert@example.org --preset azure-cli --yes",
            "migrate --from preset=azure-cli --to [HOME]/new.json --yes",
            "clear --preset azure-cli --yes",
            "clear --preset azure-cli --yes",
            "list --preset frobnicate",
            "list --preset js --cache-path [HOME]/a",
            "list --cache-name x",
        ],
        &[],
    );
    assert!(!path.exists());
    let holder = Holder::of(&path);
    let said = place.run(&["lock", "--preset", "azure-cli", "--json"]);
    let value: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!((said.code, &value["holder"]["pid"]), (Some(5), &holder.pid().into()));
}

#[test]
fn an_item_of_another_library_is_found_by_its_own_attributes() {
    let keyring = Keyring::start();
    let place = Place::on(&keyring.bus);
    // The attributes of azure-identity for Python.
    let attributes =
        ["xdg:schema", "msal.cache.nocae", "MsalClientID", "Microsoft.Developer.IdentityService"];
    let store = [&["store", "--label=MSALCache"][..], &attributes].concat();
    assert!(keyring.secret_tool(&store, &String::from_utf8(cache(true)).unwrap()).status.success());
    let known = place.run(&["list", "--json"]);
    let value: Value = serde_json::from_str(&known.stdout).unwrap();
    let caches = value["caches"].as_array().unwrap();
    assert_eq!(caches.len(), 1, "{}", known.stdout);
    assert_eq!(caches[0]["preset"], "azure-identity");
    let done = place.run(&["sign-out", "anna@example.org", "--preset", "azure-identity", "--yes"]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let item = keyring.secret_tool(&[&["lookup"][..], &attributes].concat(), "");
    let item = String::from_utf8(item.stdout).unwrap();
    assert!(item.contains("bert@example.org") && !item.contains("anna@example.org"), "{item}");
    let to = place.home().join("own.json");
    let ends = ["--from", "preset=azure-identity", "--to", to.to_str().unwrap()];
    let moved = place.run(&[&["migrate", "--yes"][..], &ends].concat());
    assert_eq!(moved.code, Some(0), "{}", moved.stderr);
    assert!(std::fs::read_to_string(to).unwrap().contains("bert@example.org"));
    let done = place.run(&["clear", "--preset", "azure-identity", "--yes"]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(!keyring.secret_tool(&[&["lookup"][..], &attributes].concat(), "").status.success());
}

#[test]
fn a_plaintext_fallback_of_another_library_is_found_in_its_file() {
    let place = Place::new();
    place.file(".IdentityService/msal.cache.nocae", &cache(false));
    let said = place.run(&["list", "--preset", "azure-identity", "--json"]);
    let value: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!((said.code, &value["caches"][0]["backend"]), (Some(0), &"plaintext-file".into()));
    let item = place.run(&["list", "--preset", "azure-identity", "--store", "keystore"]);
    assert_eq!(item.code, Some(6), "{}", item.stderr);
}

#[test]
fn items_of_each_library_are_listed_and_written_in_its_own_form() {
    let keyring = Keyring::start();
    let place = Place::on(&keyring.bus);
    let names: [(&str, &[&str], &[&str], bool); 6] = [
        (
            "js",
            &["--service-name", "contoso", "--account-name", "js"],
            &["service", "contoso", "account", "js"],
            false,
        ),
        (
            "keyring-rs",
            &["--service-name", "contoso", "--account-name", "rs"],
            &["service", "contoso", "username", "rs"],
            false,
        ),
        (
            "python",
            &["--schema", "contoso.py", "--attribute", "app=py"],
            &["xdg:schema", "contoso.py", "app", "py"],
            false,
        ),
        (
            "dotnet",
            &["--schema", "contoso.net", "--attribute", "app=net", "--attribute", "kind=cache"],
            &["xdg:schema", "contoso.net", "app", "net", "kind", "cache"],
            true,
        ),
        (
            "java",
            &["--schema", "contoso.java", "--attribute", "app=java"],
            &["xdg:schema", "contoso.java", "app", "java"],
            true,
        ),
        (
            "go",
            &["--schema", "contoso-go", "--attribute", "app=go"],
            &["xdg:schema", "contoso-go", "app", "go"],
            true,
        ),
    ];
    for (preset, flags, attributes, in_base64) in names {
        let kept = String::from_utf8(cache(true)).unwrap();
        let kept = if in_base64 { base64(&["-w0"], &kept) } else { kept };
        let store = [&["store", "--label=theirs"][..], attributes].concat();
        assert!(keyring.secret_tool(&store, &kept).status.success(), "{preset}");

        let path = place.home().join(preset);
        let flags = [&["--preset", preset, "--cache-path", path.to_str().unwrap()][..], flags].concat();
        let listed = place.run(&[&["list", "--json"][..], &flags].concat());
        assert_eq!(listed.code, Some(0), "{preset}: {}", listed.stderr);
        for person in ["anna@example.org", "bert@example.org"] {
            assert!(listed.stdout.contains(person), "{preset}: {}", listed.stdout);
        }
        let done = place.run(&[&["sign-out", "anna@example.org", "--yes"][..], &flags].concat());
        assert_eq!(done.code, Some(0), "{preset}: {}", done.stderr);

        let item = keyring.secret_tool(&[&["lookup"][..], attributes].concat(), "").stdout;
        let item = String::from_utf8(item).unwrap();
        assert_eq!(item.starts_with('{'), !in_base64, "{preset}: {item}");
        let item = if in_base64 { base64(&["-d"], &item) } else { item };
        assert!(item.contains("bert@example.org") && !item.contains("anna@example.org"), "{preset}: {item}");
        let cleared = place.run(&[&["clear", "--yes"][..], &flags].concat());
        assert_eq!(cleared.code, Some(0), "{preset}: {}", cleared.stderr);
        assert!(!keyring.secret_tool(&[&["lookup"][..], attributes].concat(), "").status.success());
    }
}

/// Runs the system's own base64 on a text.
fn base64(options: &[&str], text: &str) -> String {
    let mut child =
        Command::new("base64").args(options).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}
