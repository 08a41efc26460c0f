//! The command as on macOS, over the stand-in for the Keychain: it is another program than the one whose sign-ins it
//! shows.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "common/caches.rs"]
mod caches;

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use caches::{SECRETS, cache};
use tokenkeep::keychain::KeychainItem;
use tokenkeep::storage::Keystore;
use tokenkeep_stand_in_keychain::{FILE, Keychain, PROGRAM, Program};

/// A user's home with a keychain, in which node has an item.
struct Mac {
    home: tempfile::TempDir,
    keychain: Keychain,
}

impl Mac {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let keychain = Keychain::in_file(home.path().join("keychain.json"));
        Self { home, keychain }
    }

    fn with_an_item_of_node() -> Self {
        let mac = Self::new();
        mac.node().save(&cache(true).into()).unwrap();
        std::fs::write(mac.marker(), "{}").unwrap();
        mac
    }

    fn node(&self) -> KeychainItem {
        let node = Program::of(&self.keychain, "node", "teamid:node");
        KeychainItem::over(Arc::new(node), "app", "token_cache").unwrap()
    }

    fn marker(&self) -> PathBuf {
        self.home.path().join("marker.json")
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tokenkeep"));
        command.args(arguments).env_clear().env("HOME", self.home.path()).stdin(Stdio::null());
        command.env(FILE, self.home.path().join("keychain.json")).env(PROGRAM, "tokenkeep");
        command.output().unwrap()
    }

    /// Runs a command on node's item.
    fn on_item(&self, command: &str, more: &[&str]) -> (Option<i32>, String) {
        let marker = self.marker();
        let names = ["--service-name", "app", "--account-name", "token_cache", "--store", "keystore"];
        let place = ["--cache-path", marker.to_str().unwrap()];
        let arguments = [&[command], &names[..], &place, more].concat();
        let output = self.run(&arguments);
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8(text).unwrap();
        assert!(!SECRETS.iter().any(|secret| text.contains(secret)), "{text}");
        (output.status.code(), text)
    }

    fn owners(&self) -> Vec<String> {
        self.keychain.with(|world| world.items.iter().map(|item| item.owner.clone()).collect())
    }

    /// Whether node can still read its item without a question.
    fn node_reads(&self) -> bool {
        self.node().load().is_ok_and(|content| content.is_some())
    }
}

#[test]
fn the_sign_ins_of_another_program_cannot_be_listed_and_the_error_says_why() {
    let mac = Mac::with_an_item_of_node();
    let (code, text) = mac.on_item("list", &[]);
    assert_eq!(code, Some(6), "{text}");
    assert!(text.contains("not yet allowed"), "{text}");
    assert!(mac.node_reads());
    assert_eq!(mac.keychain.dialogues(), [""; 0]);
}

#[test]
fn no_sign_out_takes_the_item_from_its_program() {
    let mac = Mac::with_an_item_of_node();
    let (code, text) = mac.on_item("sign-out", &["anna@example.org", "--yes"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("tokenkeep clear"), "{text}");
    assert!(mac.node_reads());
}

#[test]
fn nothing_is_moved_into_an_item_that_the_program_could_not_read() {
    let mac = Mac::new();
    let plain = mac.home.path().join("plain.json");
    std::fs::write(&plain, cache(true)).unwrap();
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&plain, std::fs::Permissions::from_mode(0o600)).unwrap();
    let from = format!("cache-path={}", plain.display());
    let to = format!(
        "store=keystore,service-name=app,account-name=token_cache,cache-path={}",
        mac.marker().display()
    );
    let output = mac.run(&["migrate", "--from", &from, "--to", &to, "--yes"]);
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("Let the program do it"), "{text}");
    assert_eq!(mac.owners(), [""; 0]);
    let left = std::fs::read_to_string(&plain).unwrap();
    assert!(left.contains(SECRETS[1]), "the plaintext is still there");
}

#[test]
fn an_item_of_another_program_can_be_cleared_without_a_question() {
    let mac = Mac::with_an_item_of_node();
    let (code, text) = mac.on_item("clear", &["--yes"]);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(mac.owners(), [""; 0]);
    assert_eq!(mac.keychain.dialogues(), [""; 0]);
}
