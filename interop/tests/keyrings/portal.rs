//! Keys from the portal of a desktop: the real one over gnome-keyring, one with other habits, and through the proxy of a
//! sandbox, which passes the descriptor on.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokenkeep::key_source::{KeySource, Portal};
use tokenkeep::options::{Prompting, Store};
use tokenkeep::{Config, ErrorKind};
use zbus::wire::{OwnedFd, OwnedObjectPath, OwnedVariant};
use zbus::{Connection, interface};

use crate::assert_kind;
use crate::daemons::{LIMIT, wait_until};
use crate::keyring::{Bus, Daemon, Keyring};
use crate::proxy::proxy;

const NAME: &str = "org.freedesktop.portal.Desktop";
const PATH: &str = "/org/freedesktop/portal/desktop";

/// How a portal answers a request.
#[derive(Clone, Debug)]
enum Answer {
    Secret(Vec<u8>),
    /// A person has refused.
    Refusal,
    Nothing,
}

#[derive(Clone)]
struct Scripted {
    answer: Arc<Mutex<Answer>>,
    asked: Arc<AtomicUsize>,
}

impl Scripted {
    fn serve(bus: &Bus, answer: Answer) -> (Self, Connection) {
        let portal = Self { answer: Arc::new(Mutex::new(answer)), asked: Arc::default() };
        let connection = zbus::block_on(async {
            let connection = bus.connect().await;
            connection.object_server().at(PATH, portal.clone()).await.unwrap();
            connection.request_name(NAME).await.unwrap();
            connection
        });
        (portal, connection)
    }

    fn set(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }
}

#[interface(name = "org.freedesktop.portal.Secret")]
impl Scripted {
    async fn retrieve_secret(
        &self,
        pipe: OwnedFd,
        options: HashMap<String, OwnedVariant>,
        #[zbus(header)] header: zbus::message::Header<'_>,
        #[zbus(connection)] connection: &Connection,
    ) -> OwnedObjectPath {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let sender = header.sender().unwrap().to_string();
        let token = String::try_from(options["handle_token"].clone()).unwrap();
        let caller = sender.trim_start_matches(':').replace('.', "_");
        let request = OwnedObjectPath::try_from(format!("{PATH}/request/{caller}/{token}")).unwrap();
        let answer = self.answer.lock().unwrap().clone();
        let code = match answer {
            Answer::Secret(secret) => {
                File::from(std::os::fd::OwnedFd::from(pipe)).write_all(&secret).unwrap();
                0_u32
            }
            Answer::Refusal => 1,
            Answer::Nothing => return request,
        };
        let body = (code, HashMap::<String, OwnedVariant>::new());
        let interface = "org.freedesktop.portal.Request";
        connection.emit_signal(Some(&*sender), &request, interface, "Response", &body).await.unwrap();
        request
    }
}

fn key(address: &str) -> tokenkeep::Result<[u8; 32]> {
    Portal::new().on_bus(address).deadline(LIMIT).fresh().map(|(key, _)| *key.expose())
}

#[test]
fn the_key_is_that_of_the_portals_secret_and_kept_in_memory() {
    let bus = Bus::start();
    let (portal, _connection) = Scripted::serve(&bus, Answer::Secret(vec![7; 64]));
    let first = key(bus.address()).unwrap();
    assert_eq!(key(bus.address()).unwrap(), first);
    portal.set(Answer::Secret(vec![8; 64]));
    assert_ne!(key(bus.address()).unwrap(), first);

    let home = bus.folder().join("home");
    let source = Portal::new().on_bus(bus.address()).deadline(LIMIT);
    let config = Config::new("my-app").path(home.join("cache")).store(Store::encrypted_file(source));
    let before = portal.asked.load(Ordering::SeqCst);
    let cache = config.open().unwrap();
    for _ in 0..3 {
        cache.begin_write().unwrap().commit(&b"{}"[..]).unwrap();
    }
    assert!(cache.read().unwrap().is_some());
    assert!(portal.asked.load(Ordering::SeqCst) <= before + 2, "not once an access");
}

#[test]
fn a_portal_behind_an_old_proxy_gets_the_pipe() {
    let bus = Bus::start();
    let (_portal, _connection) = Scripted::serve(&bus, Answer::Secret(vec![7; 64]));
    let (_proxy, address) = proxy(&bus, &[&format!("--talk={NAME}")]);
    assert_eq!(key(&address).unwrap(), key(bus.address()).unwrap());
}

#[test]
fn a_portal_that_is_missing_refuses_or_is_silent_is_a_typed_error() {
    let bus = Bus::start();
    assert_kind(
        &key(bus.address()).unwrap_err(),
        ErrorKind::StoreUnavailable,
        "no portal that keeps secrets",
    );
    let (portal, _connection) = Scripted::serve(&bus, Answer::Refusal);
    assert_kind(&key(bus.address()).unwrap_err(), ErrorKind::StoreLocked, "did not give the secret");
    portal.set(Answer::Secret(Vec::new()));
    assert_kind(&key(bus.address()).unwrap_err(), ErrorKind::StoreFailed, "breaks its protocol");
    portal.set(Answer::Nothing);
    let source = Portal::new().on_bus(bus.address()).deadline(Duration::from_millis(300));
    assert_kind(&source.fresh().unwrap_err(), ErrorKind::StoreLocked, "did not answer within 300ms");
    let limit = Duration::from_millis(600);
    let patient = source.prompting(Prompting::Allowed { limit });
    assert_kind(&patient.fresh().unwrap_err(), ErrorKind::StoreLocked, "did not answer within 600ms");
}

/// The portal of Debian, with gnome-keyring behind it.
#[test]
fn the_real_portal_gives_each_process_the_same_secret() {
    let keyring = Keyring::start();
    let start = |program: &str| {
        let mut command = keyring.bus.command(program);
        command.env("XDG_CURRENT_DESKTOP", "gnome").stdout(Stdio::null());
        Daemon::start(&mut command, "xdg-desktop-portal")
    };
    let _store = start("/usr/libexec/xdg-permission-store");
    let _portal = start("/usr/libexec/xdg-desktop-portal");
    wait_until("the portal has its name", || {
        zbus::block_on(async {
            let (bus, path) = (Some("org.freedesktop.DBus"), "/org/freedesktop/DBus");
            let connection = keyring.bus.connect().await;
            let owned = connection.call_method(bus, path, bus, "NameHasOwner", &(NAME,)).await.unwrap();
            owned.body().deserialize::<bool>().unwrap()
        })
    });
    let first = key(keyring.bus.address()).unwrap();
    assert_eq!(key(keyring.bus.address()).unwrap(), first);
    // The secret is in the keyring, and comes from there after a log-in.
    keyring.restart();
    assert_eq!(key(keyring.bus.address()).unwrap(), first);
}
