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
pub(crate) fn proxy(bus: &Bus, allowed: &[&str]) -> (Daemon, String) {
    let socket = bus.folder().join("proxy");
    // An earlier one may have been there.
    let _ = std::fs::remove_file(&socket);
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

/// In the environment of a copy of this program: the address of the bus to try.
const INSIDE: &str = "TOKENKEEP_TEST_BUS_INSIDE";

/// In a Flatpak, without permission and with the permission that the error names. The copy of this program that runs inside
/// prints its result.
#[test]
fn a_flatpak_that_may_not_talk_to_the_keyring_is_told_how_and_then_may() {
    if let Ok(address) = std::env::var(INSIDE) {
        let outcome = item(&address).verify();
        println!(
            "{}",
            outcome.map_or_else(|error| format!("{}: {error}", error.kind().code()), |()| "works".to_owned())
        );
        return;
    }
    let keyring = Keyring::start();
    let refused = inside_flatpak(&keyring.bus, &[]);
    let allow = "--talk-name=org.freedesktop.secrets";
    assert!(refused.contains("store_unavailable") && refused.contains("this sandbox"), "{refused}");
    assert!(refused.contains(&format!("flatpak override --user {allow} org.example.App")), "{refused}");
    // The option of Flatpak is this one of the proxy that it starts.
    let works = inside_flatpak(&keyring.bus, &[&allow.replace("--talk-name", "--talk")]);
    assert!(works.contains("works"), "{works}");
}

/// Runs the copy in a root folder of its own that has the file of Flatpak.
fn inside_flatpak(bus: &Bus, allowed: &[&str]) -> String {
    let (_proxy, address) = proxy(bus, allowed);
    let information = bus.folder().join("flatpak-info");
    std::fs::write(&information, "[Application]\nname=org.example.App\n").unwrap();
    let program = std::env::current_exe().unwrap();
    let mut sandbox = Command::new("bwrap");
    sandbox.args(["--unshare-user", "--die-with-parent", "--tmpfs", "/", "--proc", "/proc", "--dev", "/dev"]);
    for folder in ["/usr", "/lib", "/lib64", "/etc"] {
        sandbox.args(["--ro-bind-try", folder, folder]);
    }
    sandbox.arg("--bind").args([bus.folder(), bus.folder()]);
    sandbox.arg("--ro-bind").arg(&information).arg("/.flatpak-info");
    sandbox.arg("--ro-bind").arg(&program).arg("/program").arg("/program");
    sandbox.args(["--exact", "proxy::a_flatpak_that_may_not_talk_to_the_keyring_is_told_how_and_then_may"]);
    let output =
        sandbox.arg("--nocapture").env(INSIDE, address).output().expect("bwrap: apt-get install bubblewrap");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
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
