//! `tokenkeep list`.

use crate::keyring::{Keyring, SCHEMA};
use crate::support::{Place, SECRETS, cache};

#[test]
fn list_shows_the_accounts_and_tokens_of_a_file() {
    let place = Place::new();
    place.file("cache.json", &cache(true));
    place.file("empty.json", b"{}");
    place.transcript(
        "list-file",
        &[
            "list --cache-path [HOME]/cache.json",
            "list --cache-path [HOME]/empty.json",
            "list --cache-path [HOME]/missing.json",
        ],
        &[],
    );
}

#[test]
fn no_secret_is_printed_in_any_form() {
    let place = Place::new();
    let content = cache(true);
    let text = String::from_utf8(content.clone()).unwrap();
    for secret in SECRETS {
        assert!(text.contains(secret), "the cache was to hold {secret}");
    }
    place.file(".azure/msal_token_cache.json", &content);
    place.file("cut.json", &content[..content.len() - 9]);
    for arguments in [
        &["list"][..],
        &["list", "--json"],
        &["list", "--cache-path", &place.home().join("cut.json").display().to_string()],
        &["doctor"],
        &["doctor", "--json"],
        &["doctor", "--cache-path", &place.home().join("cut.json").display().to_string()],
    ] {
        let said = place.run(arguments);
        for secret in SECRETS {
            assert!(!said.stdout.contains(secret) && !said.stderr.contains(secret), "{arguments:?}");
        }
    }
}

#[test]
fn list_without_a_cache_shows_all_known_caches() {
    let place = Place::new();
    let empty = place.run(&["list"]);
    assert_eq!((empty.code, empty.stdout.as_str()), (Some(4), ""), "{}", empty.stderr);
    place.file(".azure/msal_token_cache.json", &cache(false));
    place.file(".IdentityService/msal.cache.nocae", &cache(false));
    place.file(".IdentityService/msal.cache.nocae.lockfile", b"1");
    place.file(".local/share/my-app/token_cache.json", &cache(false));
    let said = place.run(&["list", "--json"]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    let value: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(value["schemaVersion"], 1);
    let caches = value["caches"].as_array().unwrap();
    let owners: Vec<_> = caches.iter().map(|cache| cache["owner"].as_str().unwrap()).collect();
    assert_eq!(owners, ["azure-identity for Python", "the Azure CLI", "my-app"]);
    let anna = &caches[0]["content"]["accounts"][0];
    assert_eq!(anna["username"], "anna@example.org");
    assert_eq!(anna["tokens"][0]["expired"], false);
    assert_eq!(anna["tokens"][0]["scopes"], serde_json::json!(["openid", "User.Read"]));
    assert_eq!(anna["tokens"][1]["familyId"], "1");
}

#[test]
fn list_shows_an_item_of_the_keyring() {
    let keyring = Keyring::start();
    let place = Place::on(&keyring.bus);
    let service = "Microsoft.Developer.IdentityService";
    let store = ["store", "--label=x", "xdg:schema", SCHEMA, "service", service, "account", "MSALCache"];
    let content = String::from_utf8(cache(false)).unwrap();
    assert!(keyring.secret_tool(&store, &content).status.success());
    place.transcript(
        "list-keyring",
        &[
            "list",
            "list --service-name Microsoft.Developer.IdentityService --account-name MSALCache",
            "list --service-name nobody --account-name nothing",
        ],
        &[],
    );
    keyring.by_hand(async |hand| {
        let collection = hand.default_collection().await;
        hand.lock(&collection).await;
    });
    let said = place.run(&["list", "--service-name", service, "--account-name", "MSALCache"]);
    assert_eq!(said.code, Some(6), "{}", said.stderr);
    assert!(said.stderr.contains("locked") && said.stderr.contains("Unlock"), "{}", said.stderr);
}

#[test]
fn a_hostile_name_cannot_move_the_cursor() {
    let place = Place::new();
    let text = String::from_utf8(cache(false)).unwrap();
    let path = place.file("cache.json", text.replace("Anna Muster", "A\\u001b[2J\\nroot").as_bytes());
    let said = place.run(&["list", "--cache-path", path.to_str().unwrap(), "--color", "never"]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    assert!(!said.stdout.contains('\u{1b}') && !said.stdout.contains("\nroot"), "{}", said.stdout);
}
