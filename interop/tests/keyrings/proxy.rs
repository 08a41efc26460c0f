//! Behind the proxy that a sandbox puts before the session bus. Debian 12 has xdg-dbus-proxy 0.1.4, which hangs up on a
//! greeting in one message.

use std::process::Command;

use tokenkeep::ErrorKind;
use tokenkeep::inspect::SecretServiceSurvey;
use tokenkeep::storage::{Keystore, SecretServiceItem};

use crate::assert_kind;
use crate::daemons::{LIMIT, wait_until};
use crate::keyring::{Bus, Daemon, Keyring};

/// A proxy before a bus, and its address.
fn proxy(bus: &Bus, allowed: &[&str]) -> (Daemon, String) {
    let socket = bus.folder().join("proxy");
    let mut command = Command::new("xdg-dbus-proxy");
    command.arg(bus.address()).arg(&socket).arg("--filter").args(allowed);
    let proxy = Daemon::start(&mut command, "xdg-dbus-proxy");
    wait_until("the proxy listens", || socket.exists());
    (proxy, format!("unix:path={}", socket.display()))
}

fn item(address: &str) -> SecretServiceItem {
    SecretServiceItem::new("Some Service", "an account").unwrap().on_bus(address)
}

#[test]
fn a_sandbox_that_may_talk_to_the_keyring_uses_it() {
    let keyring = Keyring::start();
    let (_proxy, address) = proxy(&keyring.bus, &["--talk=org.freedesktop.secrets"]);
    let item = item(&address);
    item.verify().unwrap();
    // More than one message, and more than a socket holds.
    for content in [b"content".to_vec(), vec![7; 3 << 20]] {
        item.save(&content[..].into()).unwrap();
        assert_eq!(item.load().unwrap().unwrap().expose(), content);
    }
    let survey = SecretServiceSurvey::on_bus(&address, LIMIT);
    assert!(
        survey.failure.is_none() && survey.default_collection.is_some_and(|found| !found.locked),
        "{address}"
    );
    assert!(item.delete().unwrap());
}

#[test]
fn a_sandbox_that_may_not_talk_to_the_keyring_is_told_how_it_may() {
    let keyring = Keyring::start();
    let (_proxy, address) = proxy(&keyring.bus, &[]);
    assert_kind(&item(&address).load().unwrap_err(), ErrorKind::StoreUnavailable, "no Secret Service");
}

#[test]
fn the_end_of_the_proxy_is_the_end_of_the_connection() {
    let keyring = Keyring::start();
    let (mut proxy, address) = proxy(&keyring.bus, &["--talk=org.freedesktop.secrets"]);
    let item = item(&address);
    item.save(&b"content".into()).unwrap();
    proxy.kill();
    assert_kind(&item.load().unwrap_err(), ErrorKind::StoreUnavailable, "nobody listens");
}
