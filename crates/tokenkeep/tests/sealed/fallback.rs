//! The fallbacks of a machine without a keystore: in the configured order, verified, reported, and never without a
//! configuration.

use std::sync::{Arc, Mutex};

use tokenkeep::key_source::{KeyFile, Passphrase};
use tokenkeep::{Backend, Config, ErrorKind, Protection, event::Event, options::Store};

use crate::content::cheap;
use crate::support::{CONTENT, Place};

/// Returns a configuration, and its events.
fn without_keystore(place: &Place) -> (Config, Arc<Mutex<Vec<Event>>>) {
    let events = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&events);
    let config = Config::new("app")
        .path(place.cache())
        .on_event(move |event| told.lock().unwrap().push(event.clone()));
    (config, events)
}

/// Runs the test in a child whose bus address leads nowhere, because all tests of a process share its environment.
fn in_a_child_without_a_bus(name: &str, test: impl FnOnce()) {
    const INSIDE: &str = "TOKENKEEP_TEST_WITHOUT_BUS";
    if std::env::var_os(INSIDE).is_some() {
        return test();
    }
    let place = Place::new();
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, "1")
        .env("HOME", place.path())
        .env("XDG_RUNTIME_DIR", place.path())
        .env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn no_fallback_is_chosen_without_a_configuration() {
    in_a_child_without_a_bus("fallback::no_fallback_is_chosen_without_a_configuration", || {
        let place = Place::new();
        let error = without_keystore(&place).0.open().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StoreUnavailable, "{error}");
    });
}

#[test]
fn the_first_fallback_that_works_is_chosen_and_reported() {
    in_a_child_without_a_bus("fallback::the_first_fallback_that_works_is_chosen_and_reported", || {
        let place = Place::new();
        let (config, events) = without_keystore(&place);
        let cache = config
            .fallback([
                Store::encrypted_file(KeyFile::at(place.path().join("nowhere"))),
                Store::encrypted_file(Passphrase::new(b"words".as_slice()).cost(cheap())),
                Store::PlaintextFile,
            ])
            .open()
            .unwrap();
        let info = cache.info();
        assert_eq!((info.backend, info.protection), (Backend::EncryptedFile, Protection::Passphrase));
        let events = std::mem::take(&mut *events.lock().unwrap());
        let [event @ Event::FellBack { to: Store::EncryptedFile(_), because, .. }] = &events[..] else {
            panic!("{events:?}")
        };
        let kinds: Vec<_> = because.iter().map(|attempt| attempt.error.kind()).collect();
        assert_eq!(kinds, [ErrorKind::StoreUnavailable, ErrorKind::MissingKey]);
        let text = event.to_string();
        assert!(text.contains("encrypted file, with the passphrase") && text.contains("nowhere"), "{text}");
        cache.begin_write().unwrap().commit(CONTENT).unwrap();
        assert!(std::fs::read(place.cache()).unwrap().starts_with(b"\x89TKS"));
    });
}

#[test]
fn plaintext_of_an_earlier_fallback_is_encrypted_if_there_is_a_key() {
    in_a_child_without_a_bus(
        "fallback::plaintext_of_an_earlier_fallback_is_encrypted_if_there_is_a_key",
        || {
            let place = Place::new();
            let plain = without_keystore(&place).0.fallback([Store::PlaintextFile]).open().unwrap();
            plain.begin_write().unwrap().commit(CONTENT).unwrap();
            let key = place.key("key");
            let config = without_keystore(&place)
                .0
                .fallback([Store::encrypted_file(KeyFile::at(key))])
                .import_from([Store::PlaintextFile]);
            let sealed = config.open().unwrap();
            assert!(std::fs::read(place.cache()).unwrap().starts_with(b"\x89TKS"));
            assert_eq!(sealed.read().unwrap().unwrap().expose(), CONTENT.as_bytes());
            // The way back is refused: no fallback overwrites encrypted content with plaintext.
            let error = without_keystore(&place).0.fallback([Store::PlaintextFile]).open().unwrap_err();
            assert!(error.to_string().contains("opened as plaintext"), "{error}");
        },
    );
}

#[test]
fn when_all_fail_one_error_lists_each_attempt_its_cause_and_its_remedy() {
    in_a_child_without_a_bus(
        "fallback::when_all_fail_one_error_lists_each_attempt_its_cause_and_its_remedy",
        || {
            let place = Place::new();
            let error = without_keystore(&place)
                .0
                .fallback([
                    Store::encrypted_file(KeyFile::at(place.path().join("nowhere"))),
                    Store::encrypted_file(Passphrase::from_environment("TOKENKEEP_TEST_UNSET")),
                ])
                .open()
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::StoreUnavailable);
            let text = error.to_string();
            for words in [
                "the Secret Service",
                "nowhere",
                "Put the key there",
                "TOKENKEEP_TEST_UNSET",
                "Give the passphrase",
            ] {
                assert!(text.contains(words), "{words}: {text}");
            }
        },
    );
}
