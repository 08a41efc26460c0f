//! No bus, no service or no answer: a typed error, each of its own kind, at once or at the deadline.

use std::collections::HashMap;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokenkeep::{
    ErrorKind,
    storage::{Keystore, SecretServiceItem},
};
use zbus::wire::{OwnedObjectPath, OwnedVariant, Variant};

use crate::keyring::{Bus, Daemon, Hand, Keyring};
use crate::{assert_kind, failure, item, user};

/// The upper limit of "at once", far below every deadline. How fast it is, `cargo xtask bench` measures.
const AT_ONCE: Duration = Duration::from_millis(500);

fn item_at(address: &str) -> SecretServiceItem {
    SecretServiceItem::new("s", "a").unwrap().on_bus(address)
}

#[test]
fn a_socket_that_does_not_exist_is_unavailable_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let item = item_at(&format!("unix:path={}/none", folder.path().display()));
    for (error, time) in
        [failure(|| item.load()), failure(|| item.save(&b"x".into())), failure(|| item.verify())]
    {
        assert_kind(&error, ErrorKind::StoreUnavailable, "nobody listens");
        assert!(time.naps < AT_ONCE, "{time:?}");
    }
}

#[test]
fn a_dead_socket_is_unavailable_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("bus");
    drop(UnixListener::bind(&socket).unwrap());
    let item = item_at(&format!("unix:path={}", socket.display()));
    let (error, time) = failure(|| item.load());
    assert_kind(&error, ErrorKind::StoreUnavailable, "Connection refused");
    assert!(time.naps < AT_ONCE, "{time:?}");
}

#[test]
fn an_address_that_is_no_socket_is_unavailable_at_once() {
    for address in ["", "autolaunch:", "tcp:host=localhost,port=1", "unixexec:path=/bin/true", "rubbish"] {
        let (error, time) = failure(|| item_at(address).load());
        assert_kind(&error, ErrorKind::StoreUnavailable, "address");
        assert!(time.naps < AT_ONCE, "{time:?}");
    }
}

#[test]
fn a_bus_without_a_secret_service_is_unavailable_at_once() {
    let bus = Bus::start();
    let (error, time) = failure(|| item(&bus).load());
    assert_kind(&error, ErrorKind::StoreUnavailable, "no Secret Service");
    assert_kind(&error, ErrorKind::StoreUnavailable, "Install");
    assert!(time.naps < AT_ONCE, "{time:?}");
}

#[test]
fn a_keyring_without_a_default_collection_is_unavailable_with_a_remedy_of_its_own() {
    let keyring = Keyring::start_without_collections();
    let item = item(&keyring.bus);
    for error in [item.load().unwrap_err(), item.save(&b"x".into()).unwrap_err(), item.verify().unwrap_err()]
    {
        assert_kind(&error, ErrorKind::StoreUnavailable, "no default collection");
        assert_kind(&error, ErrorKind::StoreUnavailable, "Create a keyring");
    }
}

#[test]
fn a_bus_that_accepts_and_never_speaks_meets_the_deadline() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("bus");
    let _listener = UnixListener::bind(&socket).unwrap();
    meets_its_deadline(item_at(&format!("unix:path={}", socket.display())));
}

#[test]
fn a_bus_that_accepts_nobody_meets_the_deadline() {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("bus");
    let address = SocketAddrUnix::new(&socket).unwrap();
    let open = || {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap()
    };
    let listener = open();
    rustix::net::bind(&listener, &address).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    // Fill the queue of those that wait to be accepted.
    let crowd: Vec<_> =
        (0..10).map(|_| open()).take_while(|client| rustix::net::connect(client, &address).is_ok()).collect();
    assert!(crowd.len() < 10, "the queue has no end");
    meets_its_deadline(item_at(&format!("unix:path={}", socket.display())));
}

#[test]
fn a_bus_of_another_user_gets_no_secret() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let socket = folder.path().join("bus");
    let mut stranger = user::as_root("setpriv");
    stranger.args(["--reuid=1", "--regid=1", "--clear-groups", "--", "dbus-daemon", "--session", "--nofork"]);
    stranger.arg(format!("--address=unix:path={}", socket.display()));
    let _stranger = Daemon::start(&mut stranger, "dbus");
    let start = Instant::now();
    while !socket.exists() {
        assert!(start.elapsed() < Duration::from_secs(60), "there is no bus");
        std::thread::sleep(Duration::from_millis(10));
    }
    let item = item_at(&format!("unix:path={}", socket.display()));
    for error in [item.load().unwrap_err(), item.save(&b"x".into()).unwrap_err()] {
        assert_kind(&error, ErrorKind::StoreUnavailable, "belongs to user 1");
    }
}

#[test]
fn a_bus_at_an_address_with_an_identity_must_have_it() {
    let bus = Bus::start();
    let (address, guid) = (bus.address(), "0123456789abcdef0123456789abcdef");
    let (error, _) = failure(|| item_at(&format!("{address},guid={guid}")).load());
    assert_kind(&error, ErrorKind::StoreUnavailable, "another bus");
}

#[test]
fn a_bus_that_drops_the_line_while_signing_in_is_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("bus");
    let listener = UnixListener::bind(&socket).unwrap();
    let item = item_at(&format!("unix:path={}", socket.display()));
    std::thread::scope(|scope| {
        scope.spawn(|| drop(listener.accept().unwrap()));
        let (error, _) = failure(|| item.load());
        assert_eq!(error.kind(), ErrorKind::StoreUnavailable, "{error}");
    });
}

/// The fuzzer found the first of them, at which zbus panics.
#[test]
fn a_bus_that_answers_the_sign_in_with_anything_else_is_an_error() {
    let long = [b'A'; 1 << 20];
    let answers: [&[u8]; 9] =
        [b"\n", b"\r\n", b"x\n", b"\0\n", b"OK\r\n", b"REJECTED\r\n", b"OK zz\r\n", b"\xff\xfe\r\n", &long];
    for answer in answers {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("bus");
        let listener = UnixListener::bind(&socket).unwrap();
        let item = item_at(&format!("unix:path={}", socket.display())).deadline(DEADLINE);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // The second is the attempt line by line.
                for _ in 0..2 {
                    let (mut client, _) = listener.accept().unwrap();
                    let _ = std::io::Read::read(&mut client, &mut [0; 64]);
                    let _ = std::io::Write::write_all(&mut client, answer);
                    let _ = std::io::Read::read(&mut client, &mut [0; 64]);
                }
            });
            let (error, time) = failure(|| item.load());
            let kinds = [ErrorKind::StoreUnavailable, ErrorKind::StoreFailed, ErrorKind::StoreTimeout];
            assert!(kinds.contains(&error.kind()), "{error}");
            assert!(time.naps < 3 * DEADLINE + AT_ONCE, "{time:?}");
            // Ends the wait of the thread above.
            let _ = std::os::unix::net::UnixStream::connect(&socket);
            let _ = std::os::unix::net::UnixStream::connect(&socket);
        });
    }
}

#[test]
fn a_service_that_never_answers_meets_the_deadline() {
    let bus = Bus::start();
    zbus::block_on(async {
        // Owns the name and serves nothing: calls pile up unread.
        let mute = bus.connect().await;
        mute.request_name("org.freedesktop.secrets").await.unwrap();
        let (error, time) = failure(|| item(&bus).deadline(DEADLINE).load());
        assert_kind(&error, ErrorKind::StoreTimeout, "did not answer");
        assert!(time.clock >= DEADLINE && time.naps < DEADLINE + AT_ONCE, "{time:?}");
    });
}

#[test]
fn a_process_that_opens_stores_one_after_another_waits_for_a_silent_bus_once() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("bus");
    let _listener = UnixListener::bind(&socket).unwrap();
    let address = format!("unix:path={}", socket.display());
    let verify = |deadline| failure(|| item_at(&address).deadline(deadline).verify());
    let (error, time) = verify(DEADLINE);
    assert_kind(&error, ErrorKind::StoreTimeout, "did not answer");
    assert!(time.clock >= DEADLINE);
    for _ in 0..3 {
        let (error, time) = verify(DEADLINE);
        assert_kind(&error, ErrorKind::StoreTimeout, "did not answer");
        assert!(time.naps < DEADLINE, "{time:?}");
    }
    // With more time than the silence has taken, it is tried.
    assert!(verify(DEADLINE * 2).1.clock >= DEADLINE * 2);
}

#[test]
fn a_service_that_answers_again_is_used_at_once() {
    use crate::scripted::{Habits, Scripted};
    let bus = Bus::start();
    let (error, _) = zbus::block_on(async {
        let mute = bus.connect().await;
        mute.request_name("org.freedesktop.secrets").await.unwrap();
        let outcome = failure(|| item(&bus).deadline(DEADLINE).verify());
        mute.close().await.unwrap();
        outcome
    });
    assert_kind(&error, ErrorKind::StoreTimeout, "did not answer");
    let (_service, _connection) = Scripted::serve(&bus, Habits::default());
    assert_eq!(item(&bus).deadline(DEADLINE).load().unwrap(), None);
    item(&bus).deadline(DEADLINE).verify().unwrap();
}

/// A service that answers everything but a write.
struct Mute;

#[zbus::interface(name = "org.freedesktop.Secret.Service")]
impl Mute {
    fn open_session(&self, _algorithm: &str, _input: OwnedVariant) -> (OwnedVariant, OwnedObjectPath) {
        // Some element of the group: this service looks at no secret.
        let mut public = [0_u8; 128];
        public[127] = 4;
        (Variant::from(&public[..]).try_into().unwrap(), path("/session"))
    }

    fn search_items(
        &self,
        _attributes: HashMap<String, String>,
    ) -> (Vec<OwnedObjectPath>, Vec<OwnedObjectPath>) {
        (vec![path("/item")], Vec::new())
    }
}

struct MuteItem(Arc<AtomicUsize>);

#[zbus::interface(name = "org.freedesktop.Secret.Item")]
impl MuteItem {
    async fn set_secret(&self, _secret: (OwnedObjectPath, Vec<u8>, Vec<u8>, String)) {
        self.0.fetch_add(1, Ordering::SeqCst);
        std::future::pending::<()>().await;
    }
}

fn path(text: &str) -> OwnedObjectPath {
    OwnedObjectPath::try_from(text).unwrap()
}

#[test]
fn a_write_that_is_never_answered_is_not_repeated_and_its_connection_not_used_again() {
    let bus = Bus::start();
    let writes = Arc::new(AtomicUsize::new(0));
    let _connection = zbus::block_on(async {
        let connection = bus.connect().await;
        let server = connection.object_server();
        server.at("/org/freedesktop/secrets", Mute).await.unwrap();
        server.at("/item", MuteItem(Arc::clone(&writes))).await.unwrap();
        connection.request_name("org.freedesktop.secrets").await.unwrap();
        connection
    });
    let connections = || zbus::block_on(async { Hand::on(&bus).await.connections().await });
    let before = connections();
    let item = item(&bus).deadline(DEADLINE);
    let (error, time) = failure(|| item.save(&b"x".into()));
    assert_kind(&error, ErrorKind::StoreTimeout, "whether a write arrived is unknown");
    assert!(time.clock >= DEADLINE && time.naps < DEADLINE + AT_ONCE, "{time:?}");
    assert_eq!(writes.load(Ordering::SeqCst), 1);
    // The bus may take a moment to notice.
    let start = Instant::now();
    while connections() > before {
        assert!(start.elapsed() < Duration::from_secs(60), "the connection is still there");
        std::thread::sleep(Duration::from_millis(10));
    }
}

const DEADLINE: Duration = Duration::from_millis(300);

fn meets_its_deadline(item: SecretServiceItem) {
    let item = item.deadline(DEADLINE);
    for (error, time) in [failure(|| item.load()), failure(|| item.save(&b"x".into()))] {
        assert_kind(&error, ErrorKind::StoreTimeout, "did not answer");
        assert!(time.clock >= DEADLINE && time.naps < DEADLINE + AT_ONCE, "{time:?}");
    }
}
