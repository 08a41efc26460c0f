//! Private message buses and keyrings for tests.
//!
//! Each [`Bus`] is a dbus-daemon whose configuration starts no services. Each [`Keyring`] is a gnome-keyring-daemon
//! on its own bus, with its own directories. Dropping one kills its process; a failing test prints its output
//! ([`daemon`]).
#![allow(dead_code, reason = "each test binary uses a part of it")]

mod daemon;

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use zbus::Connection;
use zbus::wire::{OwnedObjectPath, OwnedVariant, Variant};

pub(crate) use self::daemon::Daemon;
use self::daemon::spawn;

/// The longest time for a daemon to become ready. Several test suites may share two cores.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) const SCHEMA: &str = "org.freedesktop.Secret.Generic";

/// A private message bus with its own directories.
#[derive(Debug)]
pub(crate) struct Bus {
    daemon: Daemon,
    address: String,
    folders: TempDir,
}

impl Bus {
    pub(crate) fn start() -> Self {
        Self::start_in(new_folders())
    }

    fn start_in(folders: TempDir) -> Self {
        let (daemon, address) = start_bus(folders.path());
        Self { daemon, address, folders }
    }

    /// Kills the bus, like a crash, and starts it again at the same address.
    pub(crate) fn restart(&mut self) {
        self.daemon.kill();
        let (daemon, address) = start_bus(self.folders.path());
        assert_eq!(address, self.address, "the bus has moved");
        self.daemon = daemon;
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folders.path()
    }

    /// Returns a command in the environment of this bus's session.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let folder = self.folders.path();
        command.env("DBUS_SESSION_BUS_ADDRESS", &self.address).env("HOME", folder.join("home"));
        command.env("XDG_DATA_HOME", folder.join("data")).env("XDG_RUNTIME_DIR", folder.join("run"));
        for inherited in ["XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "DISPLAY", "WAYLAND_DISPLAY"]
        {
            command.env_remove(inherited);
        }
        command
    }

    /// Kills the bus, like a crash.
    pub(crate) fn kill(&mut self) {
        self.daemon.kill();
    }

    /// From now on the bus delivers no call to the service `name`.
    pub(crate) fn deny(&self, name: &str) {
        let path = self.folders.path().join("bus.conf");
        let text = fs::read_to_string(&path).expect("a bus configuration");
        let policy =
            format!("<policy context=\"mandatory\"><deny send_destination=\"{name}\"/></policy></busconfig>");
        fs::write(&path, text.replace("</busconfig>", &policy)).expect("a bus configuration");
        // The bus answers when it has read its configuration anew.
        zbus::block_on(async {
            let (bus, path) = ("org.freedesktop.DBus", "/org/freedesktop/DBus");
            let connection = self.connect().await;
            connection
                .call_method(Some(bus), path, Some(bus), "ReloadConfig", &())
                .await
                .expect("a new configuration");
        });
    }

    /// Opens a separate connection for the test.
    pub(crate) async fn connect(&self) -> Connection {
        let builder = zbus::connection::Builder::address(self.address.as_str());
        builder.build().await.expect("a connection to the bus")
    }
}

fn new_folders() -> TempDir {
    // A short name, because the path of a socket has at most 107 bytes.
    let folders = tempfile::Builder::new().prefix("tk-").tempdir_in("/tmp").expect("a temporary folder");
    for name in ["data", "run", "home"] {
        let folder = folders.path().join(name);
        fs::create_dir(&folder).expect("a folder");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).expect("a private folder");
    }
    folders
}

fn start_bus(folder: &Path) -> (Daemon, String) {
    let configuration = folder.join("bus.conf");
    fs::write(&configuration, configuration_text(folder)).expect("a bus configuration");
    let mut command = Command::new("dbus-daemon");
    command.arg(format!("--config-file={}", configuration.display()));
    command.args(["--nofork", "--nopidfile", "--print-address=1"]).stdout(Stdio::piped());
    let mut daemon = Daemon::start(&mut command, "dbus");
    let mut address = String::new();
    let output = daemon.child.stdout.take().expect("the daemon's output");
    BufReader::new(output).read_line(&mut address).expect("the bus's address");
    // Without the identity, which changes at a restart.
    let address = address.trim().split(',').next().expect("an address").to_owned();
    (daemon, address)
}

/// An unlocked gnome-keyring on its own bus.
#[derive(Debug)]
pub(crate) struct Keyring {
    daemon: Mutex<Daemon>,
    pub(crate) bus: Bus,
}

impl Keyring {
    pub(crate) fn start() -> Self {
        let bus = Bus::start();
        let daemon = Mutex::new(start_keyring(&bus, Collections::Login));
        Self { daemon, bus }
    }

    /// Starts an unlocked keyring beside another one, which is unencrypted and in the text form that gnome-keyring
    /// also reads.
    pub(crate) fn start_beside(keyring_file: &str) -> Self {
        let folders = new_folders();
        let keyrings = folders.path().join("data/keyrings");
        fs::create_dir(&keyrings).expect("a folder");
        fs::write(keyrings.join("beside.keyring"), keyring_file).expect("a keyring");
        let bus = Bus::start_in(folders);
        let daemon = Mutex::new(start_keyring(&bus, Collections::Login));
        Self { daemon, bus }
    }

    /// Starts a keyring that was never used: it has no default collection.
    pub(crate) fn start_without_collections() -> Self {
        let bus = Bus::start();
        let daemon = Mutex::new(start_keyring(&bus, Collections::None));
        Self { daemon, bus }
    }

    /// Kills the keyring, like a crash; the bus stays.
    pub(crate) fn kill(&self) {
        self.daemon.lock().expect("the daemon").kill();
    }

    /// How the daemon ended, if by itself; `None` while it runs.
    pub(crate) fn crash(&self) -> Option<String> {
        let mut daemon = self.daemon.lock().expect("the daemon");
        let ended = daemon.child.try_wait().expect("the process's state").is_some();
        ended.then(|| daemon.account())
    }

    /// Ends the keyring and starts it again with the same files.
    pub(crate) fn restart(&self) {
        let mut daemon = self.daemon.lock().expect("the daemon");
        daemon.kill();
        *daemon = start_keyring(&self.bus, Collections::Login);
    }

    /// Runs secret-tool with `input` and returns its output.
    pub(crate) fn secret_tool(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = self.bus.command("secret-tool");
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = spawn(&mut command, "libsecret-tools");
        let mut stdin = child.stdin.take().expect("secret-tool's input");
        stdin.write_all(input.as_bytes()).expect("secret-tool reads");
        drop(stdin);
        child.wait_with_output().expect("secret-tool's output")
    }

    /// Changes the keyring without the library under test.
    pub(crate) fn by_hand<T>(&self, work: impl AsyncFnOnce(Hand) -> T) -> T {
        zbus::block_on(async { work(Hand::on(&self.bus).await).await })
    }
}

/// Access to the Secret Service without the library under test.
#[derive(Debug)]
pub(crate) struct Hand(Connection);

const NAME: &str = "org.freedesktop.secrets";
const PATH: &str = "/org/freedesktop/secrets";
const SERVICE: &str = "org.freedesktop.Secret.Service";

impl Hand {
    /// Introduces itself before anything else: as its first message OpenSession can abort gnome-keyring-daemon, and
    /// ReadAlias of a real collection can answer that there is none.
    pub(crate) async fn on(bus: &Bus) -> Self {
        Self::over(bus.connect().await).await
    }

    async fn over(connection: Connection) -> Self {
        // Fails on a bus without a service, which some tests look at.
        let _ = connection
            .call_method(Some(NAME), PATH, Some(SERVICE), "ReadAlias", &("tokenkeep-introduction",))
            .await;
        Self(connection)
    }

    /// Returns the paths of all items with these attributes, locked or not.
    pub(crate) async fn search(&self, attributes: &[(&str, &str)]) -> Vec<OwnedObjectPath> {
        let attributes: HashMap<_, _> = attributes.iter().copied().collect();
        let body = (attributes,);
        let answer = self.0.call_method(Some(NAME), PATH, Some(SERVICE), "SearchItems", &body).await;
        let (mut unlocked, locked): (Vec<OwnedObjectPath>, Vec<OwnedObjectPath>) =
            answer.expect("a search").body().deserialize().expect("what was found");
        unlocked.extend(locked);
        unlocked
    }

    /// Creates an item with exactly these attributes, in addition to the existing ones.
    pub(crate) async fn create(
        &self,
        collection: &str,
        attributes: &[(&str, &str)],
        content: &[u8],
    ) -> OwnedObjectPath {
        let plain = ("plain", Variant::from(""));
        let answer = self.0.call_method(Some(NAME), PATH, Some(SERVICE), "OpenSession", &plain).await;
        let (_, session): (OwnedVariant, OwnedObjectPath) =
            answer.expect("a session").body().deserialize().expect("its path");
        let attributes: HashMap<_, _> = attributes.iter().copied().collect();
        let properties = HashMap::from([
            ("org.freedesktop.Secret.Item.Label", Variant::from("by hand")),
            ("org.freedesktop.Secret.Item.Attributes", Variant::from(attributes)),
        ]);
        let body = (properties, (session, &[0_u8; 0][..], content, "text/plain"), false);
        let interface = Some("org.freedesktop.Secret.Collection");
        let answer = self.0.call_method(Some(NAME), collection, interface, "CreateItem", &body).await;
        let (item, _): (OwnedObjectPath, OwnedObjectPath) =
            answer.expect("an item").body().deserialize().expect("its path");
        item
    }

    pub(crate) async fn attributes(&self, item: &OwnedObjectPath) -> HashMap<String, String> {
        self.property(item, "Attributes").await.try_into().expect("a dictionary")
    }

    pub(crate) async fn label(&self, item: &OwnedObjectPath) -> String {
        self.property(item, "Label").await.try_into().expect("a string")
    }

    /// Returns the stored content of an unlocked item.
    pub(crate) async fn secret(&self, item: &OwnedObjectPath) -> Vec<u8> {
        let plain = ("plain", Variant::from(""));
        let answer = self.0.call_method(Some(NAME), PATH, Some(SERVICE), "OpenSession", &plain).await;
        let (_, session): (OwnedVariant, OwnedObjectPath) =
            answer.expect("a session").body().deserialize().expect("its path");
        let interface = Some("org.freedesktop.Secret.Item");
        let answer = self.0.call_method(Some(NAME), item, interface, "GetSecret", &(session,)).await;
        let ((_, _, content, _),): ((OwnedObjectPath, Vec<u8>, Vec<u8>, String),) =
            answer.expect("a secret").body().deserialize().expect("its content");
        content
    }

    async fn property(&self, item: &OwnedObjectPath, name: &str) -> OwnedVariant {
        self.property_of(item, "org.freedesktop.Secret.Item", name).await
    }

    /// Returns a property of an item or a collection.
    pub(crate) async fn property_of(
        &self,
        object: &OwnedObjectPath,
        interface: &str,
        name: &str,
    ) -> OwnedVariant {
        let properties = Some("org.freedesktop.DBus.Properties");
        let answer = self.0.call_method(Some(NAME), object, properties, "Get", &(interface, name)).await;
        answer.expect("a property").body().deserialize().expect("its value")
    }

    /// Returns the number of connections of the bus, ours included.
    pub(crate) async fn connections(&self) -> usize {
        let bus = Some("org.freedesktop.DBus");
        let answer = self.0.call_method(bus, "/org/freedesktop/DBus", bus, "ListNames", &()).await;
        let names: Vec<String> = answer.expect("the names").body().deserialize().expect("a list");
        names.iter().filter(|name| name.starts_with(':')).count()
    }

    pub(crate) async fn default_collection(&self) -> OwnedObjectPath {
        self.alias("default").await.expect("an alias")
    }

    /// Returns the collection with an alias, `/` if there is none; `None` without a service.
    pub(crate) async fn alias(&self, name: &str) -> Option<OwnedObjectPath> {
        let answer = self.0.call_method(Some(NAME), PATH, Some(SERVICE), "ReadAlias", &(name,)).await;
        Some(answer.ok()?.body().deserialize().expect("its path"))
    }

    /// Makes `collection` the default one; `/` for none.
    pub(crate) async fn set_default_collection(&self, collection: &str) {
        let collection = OwnedObjectPath::try_from(collection).expect("a path");
        let body = ("default", collection);
        let answer = self.0.call_method(Some(NAME), PATH, Some(SERVICE), "SetAlias", &body).await;
        answer.expect("the alias is set");
    }

    /// Unlocks a collection that has no password.
    pub(crate) async fn unlock(&self, collection: &str) {
        let body = (vec![OwnedObjectPath::try_from(collection).expect("a path")],);
        let answer = self.0.call_method(Some(NAME), PATH, Some(SERVICE), "Unlock", &body).await;
        let (unlocked, _): (Vec<OwnedObjectPath>, OwnedObjectPath) =
            answer.expect("an answer").body().deserialize().expect("what was unlocked");
        assert_eq!(unlocked, body.0);
    }

    /// Deletes an item that needs no prompt.
    pub(crate) async fn delete(&self, item: &OwnedObjectPath) {
        let interface = Some("org.freedesktop.Secret.Item");
        let answer = self.0.call_method(Some(NAME), item, interface, "Delete", &()).await;
        answer.expect("the item is removed");
    }

    pub(crate) async fn lock(&self, collection: &OwnedObjectPath) {
        let body = (vec![collection],);
        let answer = self.0.call_method(Some(NAME), PATH, Some(SERVICE), "Lock", &body).await;
        answer.expect("the collection is locked");
    }
}

/// The collections with which a keyring starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Collections {
    /// The keyring "login", unlocked, as the default collection.
    Login,
    None,
}

fn start_keyring(bus: &Bus, collections: Collections) -> Daemon {
    let mut command = bus.command("gnome-keyring-daemon");
    command.args(["--foreground", "--components=secrets"]);
    if collections == Collections::Login {
        command.arg("--unlock");
    }
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    let mut daemon = Daemon::start(&mut command, "gnome-keyring");
    // Unlocking with a first password creates the keyring.
    daemon.child.stdin.take().expect("the daemon's input").write_all(b"password").expect("the daemon reads");
    zbus::block_on(async {
        let connection = bus.connect().await;
        let start = Instant::now();
        while !is_ready(&connection, collections).await {
            assert!(start.elapsed() < PATIENCE, "gnome-keyring-daemon did not become ready");
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    daemon
}

async fn is_ready(connection: &Connection, collections: Collections) -> bool {
    let name = ("org.freedesktop.secrets",);
    let bus = Some("org.freedesktop.DBus");
    let owned = connection.call_method(bus, "/org/freedesktop/DBus", bus, "NameHasOwner", &name).await;
    let owned = owned.expect("the bus answers").body().deserialize::<bool>().expect("a boolean");
    owned
        && (collections == Collections::None
            || Hand::over(connection.clone()).await.default_collection().await.as_str() != "/")
}

fn configuration_text(folder: &Path) -> String {
    format!(
        r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
  "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={}/bus</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"#,
        folder.display()
    )
}
