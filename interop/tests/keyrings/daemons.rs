//! KeePassXC and KWallet, each on a private bus, started as people have them.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use crate::keyring::{Bus, Daemon, Hand};

/// The longest time for a daemon to become ready. Several test suites may share two cores.
const PATIENCE: Duration = Duration::from_secs(60);

/// The time for an answer of a daemon that works.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

const PASSWORD: &str = "password";

/// A daemon of the Secret Service that is no gnome-keyring.
#[derive(Debug)]
pub(crate) struct Other {
    daemon: Mutex<Daemon>,
    pub(crate) bus: Bus,
}

/// Whether a database or wallet is open at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Open,
    Locked,
}

/// The questions that KeePassXC asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Questions {
    /// Whether a connection may read an item, as it comes.
    Access,
    /// Whether an entry may be deleted for ever, as without a recycle bin.
    Removal,
    None,
}

impl Other {
    /// KeePassXC with a database that exposes a group.
    pub(crate) fn keepassxc(state: State, questions: Questions) -> Self {
        let bus = Bus::start();
        let (home, database) = (bus.folder().join("home"), bus.folder().join("passwords.kdbx"));
        fs::write(&database, database_of_keepassxc(questions != Questions::Removal)).expect("a database");
        let configuration = home.join(".config/keepassxc");
        fs::create_dir_all(&configuration).expect("a folder");
        let asks = questions == Questions::Access;
        let text = format!(
            "[General]\nConfigVersion=2\nUpdateCheckMessageShown=true\nSingleInstance=false\n\n\
             [Security]\nLockDatabaseIdle=false\n\n\
             [FdoSecrets]\nEnabled=true\nShowNotification=false\nConfirmAccessItem={asks}\n",
        );
        fs::write(configuration.join("keepassxc.ini"), text).expect("a configuration");
        let mut command = bus.command("keepassxc");
        if state == State::Open {
            command.arg("--pw-stdin");
        }
        command.arg(&database).stdin(Stdio::piped());
        let mut daemon = start(&mut command, "keepassxc");
        let mut input = daemon.child.stdin.take().expect("its input");
        input.write_all(format!("{PASSWORD}\n").as_bytes()).expect("it reads");
        wait_for_collection(&bus);
        let keepassxc = Self { daemon: Mutex::new(daemon), bus };
        if state == State::Open {
            wait_until("the database is open", || !keepassxc.is_locked());
        }
        keepassxc
    }

    /// A KWallet that the log-in has opened, with its wallet as default collection.
    pub(crate) fn kwallet() -> Self {
        let bus = Bus::start();
        let home = bus.folder().join("home");
        let configuration = home.join(".config");
        fs::create_dir_all(&configuration).expect("a folder");
        let text = "[Wallet]\nFirst Use=false\nEnabled=true\nDefault Wallet=kdewallet\nClose When Idle=false\n\
                    Prompt on Open=false\n\n[org.freedesktop.secrets]\napiEnabled=true\n";
        fs::write(configuration.join("kwalletrc"), text).expect("a configuration");
        // The first log-in of a user creates the wallet, and the second makes it the default.
        let mut first = start_kwallet(&bus);
        let wallet = bus.folder().join("data/kwalletd/kdewallet.kwl");
        // It makes an empty file first, which no later start opens.
        wait_until("the wallet is created", || wallet.metadata().is_ok_and(|status| status.len() > 0));
        first.kill();
        let daemon = start_kwallet(&bus);
        wait_for_collection(&bus);
        Self { daemon: Mutex::new(daemon), bus }
    }

    /// Ends KWallet like a log-out, and starts it like a log-in.
    pub(crate) fn log_in_again(&self) {
        let mut daemon = self.daemon.lock().expect("the daemon");
        // It writes its wallet at its end, or seconds after a change.
        zbus::block_on(async {
            let (name, path) = ("org.kde.kwalletd5", "/MainApplication");
            let interface = "org.qtproject.Qt.QCoreApplication";
            let connection = self.bus.connect().await;
            connection.call_method(Some(name), path, Some(interface), "quit", &()).await.expect("it ends");
        });
        daemon.child.wait().expect("its end");
        *daemon = start_kwallet(&self.bus);
        wait_for_collection(&self.bus);
    }

    /// Returns whether the default collection calls itself locked.
    pub(crate) fn is_locked(&self) -> bool {
        self.by_hand(async |hand| {
            let collection = hand.default_collection().await;
            let locked = hand.property_of(&collection, "org.freedesktop.Secret.Collection", "Locked").await;
            bool::try_from(locked).expect("a boolean")
        })
    }

    pub(crate) fn by_hand<T>(&self, work: impl AsyncFnOnce(Hand) -> T) -> T {
        zbus::block_on(async { work(Hand::on(&self.bus).await).await })
    }
}

fn start(command: &mut Command, package: &str) -> Daemon {
    command.env("QT_QPA_PLATFORM", "offscreen").env("LC_ALL", "C.UTF-8").stdout(Stdio::null());
    Daemon::start(command, package)
}

fn start_kwallet(bus: &Bus) -> Daemon {
    let mut command = bus.command("/usr/bin/python3");
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/keyrings/kwallet.py"));
    start(&mut command, "libkf5wallet-bin libqca-qt5-2-plugins")
}

/// A new database with the group that the Secret Service shows. Made once: its key is slow to derive by intent.
fn database_of_keepassxc(recycle_bin: bool) -> &'static [u8] {
    static DATABASES: [OnceLock<Vec<u8>>; 2] = [OnceLock::new(), OnceLock::new()];
    DATABASES[usize::from(recycle_bin)].get_or_init(|| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = |name: &str| folder.path().join(name);
        let text =
            include_str!("keepassxc.xml").replace("RECYCLE-BIN", if recycle_bin { "True" } else { "False" });
        fs::write(file("passwords.xml"), text).expect("a database");
        let mut import = Command::new("keepassxc-cli");
        import.arg("import").arg("-p").arg(file("passwords.xml")).arg(file("passwords.kdbx"));
        answer(import.env("HOME", folder.path()), &format!("{PASSWORD}\n{PASSWORD}\n"));
        fs::read(file("passwords.kdbx")).expect("the database")
    })
}

fn answer(command: &mut Command, input: &str) {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("keepassxc-cli");
    child.stdin.take().expect("its input").write_all(input.as_bytes()).expect("it reads");
    assert!(child.wait().expect("its end").success());
}

fn wait_for_collection(bus: &Bus) {
    wait_until("there is a default collection", || {
        zbus::block_on(async {
            let hand = Hand::on(bus).await;
            hand.alias("default").await.is_some_and(|path| path.as_str() != "/")
        })
    });
}

pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
