//! `tokenkeep sign-out` and `tokenkeep clear`.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokenkeep::schema::{self, Contents, Ids, Record};

use crate::keyring::{Keyring, SCHEMA};
use crate::support::{ANNA, BERT, Holder, Place, SECRETS, cache, said};

#[test]
fn sign_out_removes_an_account_with_all_its_tokens_and_no_others() {
    let place = Place::new();
    let path = place.file("cache.json", &cache(true));
    place.file("empty.json", b"{}");
    place.transcript(
        "sign-out",
        &[
            "sign-out anna@example.org --cache-path [HOME]/cache.json --dry-run",
            "sign-out anna@example.org --cache-path [HOME]/cache.json",
            "sign-out ANNA@example.org --cache-path [HOME]/cache.json --yes",
            "sign-out anna@example.org --cache-path [HOME]/cache.json --yes",
            "sign-out --all --cache-path [HOME]/cache.json --yes",
            "sign-out --all --cache-path [HOME]/cache.json --yes",
            "sign-out --all --cache-path [HOME]/missing.json --yes",
            "sign-out --cache-path [HOME]/cache.json",
            "sign-out anna@example.org",
        ],
        &[],
    );
    let left = fs::read(&path).unwrap();
    let left = Contents::parse(&left).unwrap();
    assert_eq!(
        (left.accounts().count(), left.access_tokens().count(), left.refresh_tokens().count()),
        (0, 0, 0)
    );
}

#[test]
fn sign_out_keeps_all_other_entries_byte_for_byte() {
    let place = Place::new();
    let path = place.file("cache.json", &cache(true));
    let expected = schema::remove_account(&fs::read(&path).unwrap(), BERT.home_account_id).unwrap();
    let said = place.run(&[
        "sign-out",
        BERT.home_account_id,
        "--yes",
        "--json",
        "--cache-path",
        path.to_str().unwrap(),
    ]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    let value: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!((&value["schemaVersion"], &value["removedEntries"]), (&1.into(), &2.into()));
    assert_eq!(value["accounts"][0]["username"], "bert@example.org");
    assert_eq!(fs::read(path).unwrap(), expected.content.expose());
}

#[test]
fn a_user_name_of_two_accounts_is_a_usage_error() {
    let place = Place::new();
    let namesake = Ids { home_account_id: "55555555-0000.66666666-0000", ..ANNA };
    let content =
        schema::put(Some(&cache(false)), &[Record::account(namesake, "local", "Anna@Example.org")]).unwrap();
    let path = place.file("cache.json", content.expose());
    let path = path.to_str().unwrap();
    let said = place.run(&["sign-out", "anna@example.org", "--yes", "--cache-path", path]);
    assert_eq!(said.code, Some(2), "{}", said.stderr);
    assert!(said.stderr.contains(namesake.home_account_id) && said.stderr.contains(ANNA.home_account_id));
    assert_eq!(fs::read(path).unwrap(), content.expose());
    let said = place.run(&["sign-out", namesake.home_account_id, "--yes", "--cache-path", path]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    let left = fs::read_to_string(path).unwrap();
    assert!(left.contains(ANNA.home_account_id) && !left.contains(namesake.home_account_id));
}

#[test]
fn a_question_about_many_accounts_names_ten() {
    let place = Place::new();
    let account = |number| {
        format!(
            r#""{number}":{{"home_account_id":"{number}.1","environment":"login.windows.net","realm":"1","username":"anna@example.org"}}"#
        )
    };
    let accounts: Vec<String> = (0..20_000).map(account).collect();
    let content = format!(r#"{{"Account":{{{}}}}}"#, accounts.join(","));
    let path = place.file("cache.json", content.as_bytes());
    let path = path.to_str().unwrap();
    for (arguments, words) in [
        (&["sign-out", "--all"][..], " and 19990 more of "),
        (&["sign-out", "anna@example.org"], "; see all with: tokenkeep list"),
    ] {
        let said = place.run(&[arguments, &["--cache-path", path]].concat());
        assert_eq!(said.code, Some(2), "{}", said.stderr);
        assert!(said.stderr.contains(words) && said.stderr.len() < 1_000, "{}", said.stderr);
    }
}

/// Accounts without a home account id, as some libraries write those of AD FS; tokens of theirs, and an application's own.
const WITHOUT_IDS: &str = r#"{
  "Account": {
    "-adfs.contoso.com-": {"environment":"adfs.contoso.com","username":"carl@contoso.com","local_account_id":"c-1"},
    "-other.contoso.com-": {"environment":"other.contoso.com","home_account_id":"","username":"dora@contoso.com"},
    "-nameless-": {"environment":"third.contoso.com"}
  },
  "RefreshToken": {
    "-adfs.contoso.com-r": {"environment":"adfs.contoso.com","secret":"CARL-1"},
    "by local id": {"environment":"adfs.contoso.com","home_account_id":"C-1","secret":"CARL-2"},
    "-other.contoso.com-r": {"environment":"other.contoso.com","home_account_id":"","secret":"DORA"},
    "bare": {"secret":"BARE"}
  },
  "AccessToken": {"app": {"environment":"login.microsoftonline.com","client_id":"app","secret":"APP"}},
  "AppMetadata": {"m": {"client_id":"app"}}
}"#;

#[test]
fn every_account_that_list_shows_can_be_signed_out_by_its_name_and_by_its_id() {
    let place = Place::new();
    let path = place.file("cache.json", WITHOUT_IDS.as_bytes());
    let path = path.to_str().unwrap();
    let listed = place.run(&["list", "--json", "--cache-path", path]);
    let value: Value = serde_json::from_str(&listed.stdout).unwrap();
    let accounts = value["caches"][0]["content"]["accounts"].as_array().unwrap();
    assert_eq!(accounts.len(), 3);
    for account in accounts {
        for name in [&account["id"], &account["username"]] {
            let Some(name) = name.as_str() else { continue };
            fs::write(path, WITHOUT_IDS).unwrap();
            let said = place.run(&["sign-out", name, "--yes", "--cache-path", path]);
            assert_eq!(said.code, Some(0), "{name}: {}", said.stderr);
            let left = fs::read_to_string(path).unwrap();
            assert_eq!(Contents::parse(left.as_bytes()).unwrap().accounts().count(), 2, "{name}");
        }
    }
}

#[test]
fn signing_out_an_account_without_an_id_removes_its_tokens_and_those_of_no_other_account() {
    let place = Place::new();
    let path = place.file("cache.json", WITHOUT_IDS.as_bytes());
    let path = path.to_str().unwrap();
    let said = place.run(&["sign-out", "carl@contoso.com", "--yes", "--cache-path", path]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    let left = fs::read_to_string(path).unwrap();
    assert!(!left.contains("CARL") && !left.contains("carl@"), "{left}");
    assert!(left.contains("DORA") && left.contains("APP") && left.contains("AppMetadata"), "{left}");
}

#[test]
fn sign_out_of_all_leaves_no_token() {
    let place = Place::new();
    for content in [WITHOUT_IDS, r#"{"RefreshToken":{"bare":{"secret":"BARE"}}}"#] {
        let path = place.file("cache.json", content.as_bytes());
        let path = path.to_str().unwrap();
        let said = place.run(&["sign-out", "--all", "--yes", "--cache-path", path]);
        assert_eq!(said.code, Some(0), "{}", said.stderr);
        let left = fs::read_to_string(path).unwrap();
        assert!(!left.contains("secret") && !left.contains("username"), "{left}");
        assert_eq!(place.run(&["sign-out", "--all", "--yes", "--cache-path", path]).code, Some(4));
    }
}

#[test]
fn clear_removes_the_file() {
    let place = Place::new();
    let path = place.file("cache.json", &cache(true));
    let odd = place.file("odd.json", b"{\"not a token cache");
    place.transcript(
        "clear",
        &[
            "clear --cache-path [HOME]/cache.json --dry-run",
            "clear --cache-path [HOME]/cache.json",
            "clear --cache-path [HOME]/cache.json --yes",
            "clear --cache-path [HOME]/cache.json --yes",
            "clear --cache-path [HOME]/odd.json --yes",
            "clear --yes",
        ],
        &[],
    );
    assert!(!path.exists() && !odd.exists());
}

#[test]
fn sign_out_and_clear_work_on_an_item_of_the_keyring() {
    let keyring = Keyring::start();
    let place = Place::on(&keyring.bus);
    let attributes = ["xdg:schema", SCHEMA, "service", "contoso", "account", "tokens"];
    let store = [&["store", "--label=x"][..], &attributes].concat();
    assert!(keyring.secret_tool(&store, &String::from_utf8(cache(true)).unwrap()).status.success());
    let marker = place.home().join("contoso/cache.json");
    let store = ["--service-name", "contoso", "--account-name", "tokens"];
    let with_marker = [&store[..], &["--cache-path", marker.to_str().unwrap()]].concat();
    let without = place.run(&[&["sign-out", "anna@example.org", "--yes"][..], &store].concat());
    assert_eq!(without.code, Some(2), "{}", without.stderr);
    let done = place.run(&[&["sign-out", "anna@example.org", "--yes"][..], &with_marker].concat());
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let item = keyring.secret_tool(&[&["lookup"][..], &attributes].concat(), "");
    let item = String::from_utf8(item.stdout).unwrap();
    assert!(
        item.contains("bert@example.org") && !item.contains("anna@example.org") && !item.contains(SECRETS[1])
    );
    let done = place.run(&[&["clear", "--yes", "--json"][..], &with_marker].concat());
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let value: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(
        (&value["cleared"], &value["accounts"], &value["tokens"]),
        (&true.into(), &1.into(), &1.into())
    );
    assert!(!keyring.secret_tool(&[&["lookup"][..], &attributes].concat(), "").status.success());
}

#[test]
fn a_command_waits_for_the_lock_of_another_process_up_to_the_timeout() {
    let place = Place::new();
    let path = place.file("cache.json", &cache(true));
    let holder = Holder::of(&path);
    let path = path.to_str().unwrap();
    for command in [&["clear"][..], &["sign-out", "--all"]] {
        let began = Instant::now();
        let said =
            place.run(&[command, &["--yes", "--timeout", "1", "--json", "--cache-path", path]].concat());
        assert_eq!(said.code, Some(5), "{}", said.stdout);
        assert!(began.elapsed() >= Duration::from_secs(1), "it did not wait");
        let value: Value = serde_json::from_str(&said.stdout).unwrap();
        assert_eq!(value["error"]["kind"], "busy");
        assert!(value["error"]["message"].as_str().unwrap().contains(&holder.pid().to_string()));
    }
    assert_eq!(place.run(&["list", "--cache-path", path]).code, Some(0));
}

#[test]
fn an_interrupt_ends_the_wait_and_changes_nothing() {
    let place = Place::new();
    let path = place.file("cache.json", &cache(true));
    let before = fs::read(&path).unwrap();
    let holder = Holder::of(&path);
    for command in [&["clear"][..], &["sign-out", "--all"]] {
        let arguments =
            [command, &["--yes", "--timeout", "60", "--cache-path", path.to_str().unwrap()]].concat();
        let said = place.interrupted(&arguments, &path);
        assert_eq!(said.code, Some(130), "{}", said.stderr);
        assert_eq!(fs::read(&path).unwrap(), before);
    }
    holder.kill();
    let said = place.run(&["sign-out", "--all", "--yes", "--cache-path", path.to_str().unwrap()]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
}

/// Runs the command on its own terminal, created by script(1) of the package bsdutils, with `answer` typed in.
fn on_a_terminal(place: &Place, arguments: &str, answer: &str) -> (Option<i32>, String) {
    let line = format!("{} {arguments}", env!("CARGO_BIN_EXE_tokenkeep"));
    let mut command = Command::new("script");
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]).env_clear();
    command.env("HOME", place.home()).env("PATH", "/usr/bin:/bin").env("SHELL", "/bin/sh");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("script: apt-get install bsdutils");
    child.stdin.take().unwrap().write_all(answer.as_bytes()).unwrap();
    let said = said(child.wait_with_output().unwrap());
    (said.code, said.stdout)
}

#[test]
fn on_a_terminal_the_command_asks_and_no_changes_nothing() {
    let place = Place::new();
    let path = place.file("cache.json", &cache(true));
    let before = fs::read(&path).unwrap();
    let command = format!("clear --cache-path {}", path.display());
    for no in ["n\n", "\n", "yesterday\n"] {
        let (code, text) = on_a_terminal(&place, &command, no);
        assert_eq!((code, fs::read(&path).unwrap()), (Some(1), before.clone()), "{text}");
        assert!(text.contains("Remove everything") && text.contains("Nothing was changed"), "{text}");
    }
    let (code, text) = on_a_terminal(&place, &command, "y\n");
    assert_eq!((code, path.exists()), (Some(0), false), "{text}");
}

#[test]
fn a_wait_shows_a_line_on_a_terminal_that_disappears() {
    let place = Place::new();
    let path = place.file("cache.json", &cache(true));
    let _holder = Holder::of(&path);
    let command = format!("clear --cache-path {} --yes --timeout 3", path.display());
    let (code, text) = on_a_terminal(&place, &command, "");
    assert_eq!(code, Some(5), "{text}");
    for line in ["\rWaiting for the lock, for 0 s (Ctrl-C gives up", "\rWaiting for the lock, for 1 s"] {
        assert!(text.contains(line), "{line:?} is not in {text:?}");
    }
    let (told, after) = text.rsplit_once("\r\x1b[K").expect("the line is taken away");
    assert!(told.contains("Waiting") && !after.contains("Waiting") && after.contains("lock"), "{text:?}");

    // Elsewhere the line would end up in a log.
    let arguments: Vec<_> = command.split(' ').collect();
    let said = place.run(&arguments);
    assert!(said.code == Some(5) && !said.stderr.contains("Waiting"), "{}", said.stderr);
}

#[test]
fn copies_of_earlier_content_are_mentioned_and_wiped_on_request() {
    let place = Place::new();
    let path = place.file("cache.json", &cache(true)).display().to_string();
    let copies = ["cache.json.corrupt-0123456789abcdef", "cache.json.lapsed"];
    let leave = || copies.iter().for_each(|name| drop(place.file(name, SECRETS[1].as_bytes())));
    let there = || copies.iter().filter(|name| place.home().join(name).exists()).count();
    leave();
    let said = place.run(&["sign-out", "anna@example.org", "--cache-path", &path, "--yes"]);
    assert!(
        said.stdout.contains("2 copies of earlier content") && said.stdout.contains("--copies"),
        "{said:?}"
    );
    let said = place.run(&["sign-out", "bert@example.org", "--cache-path", &path, "--dry-run", "--copies"]);
    assert_eq!((said.code, there()), (Some(0), 2), "{said:?}");
    let said = place.run(&["sign-out", "bert@example.org", "--cache-path", &path, "--yes", "--copies"]);
    assert!(said.stdout.contains("2 copies of earlier content: overwritten and removed"), "{said:?}");
    assert_eq!(there(), 0);
    leave();
    let said = place.run(&["clear", "--cache-path", &path, "--yes", "--copies", "--json"]);
    let value: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!((&value["copiesWiped"], there()), (&Value::from(2), 0), "{said:?}");
    // Also where only copies are left.
    leave();
    let said = place.run(&["clear", "--cache-path", &path, "--yes", "--copies"]);
    assert_eq!((said.code, there()), (Some(0), 0), "{said:?}");
    let said = place.run(&["clear", "--cache-path", &path, "--yes", "--copies"]);
    assert_eq!(said.code, Some(4), "{said:?}");
}
