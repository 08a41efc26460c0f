//! Directories, keys and other processes for the tests of the encrypted file.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex, OnceLock};

use tempfile::TempDir;
use tokenkeep::key_source::{KeyFile, KeySource};
use tokenkeep::{
    Result, Secret, TokenCache,
    event::Event,
    options::{Durability, OnDamage, WaitOptions},
    storage::{FilePersistence, Keystore, Sealed},
};

/// The content of the caches in these tests: a small token cache.
pub(crate) const CONTENT: &str =
    r#"{"Account":{"uid.utid-login.example-utid":{"username":"somebody@example.org"}}}"#;
pub(crate) const OTHER: &str = r#"{"Account":{}}"#;

/// The home directory of programs that a test starts, and the directory of key locks. It is beside the cache, so that
/// the tests leave nothing in the home directory of the user who runs them.
const HOME: &str = "home";
const LOCKS: &str = "locks";

/// A directory for one test.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn cache(&self) -> PathBuf {
        self.path().join("cache.bin")
    }

    /// Returns the directory of this process's key locks.
    pub(crate) fn locks(&self) -> PathBuf {
        self.path().join(LOCKS)
    }

    /// Creates a key file `name` with a new key.
    pub(crate) fn key(&self, name: &str) -> PathBuf {
        let path = self.path().join(name);
        let mut key = [0; 32];
        getrandom::fill(&mut key).unwrap();
        fs::write(&path, key).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// Creates a cache under a new key, with [`CONTENT`].
    pub(crate) fn written(&self) -> Opened {
        let opened = Opened::new(&self.cache(), KeyFile::at(self.key("key")), "app/cache");
        opened.write(CONTENT);
        opened
    }

    /// Returns the sorted names in the directory, without locks.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !name.ends_with("lock") && !name.ends_with("lockfile"))
            .filter(|name| ![HOME, LOCKS].contains(&name.as_str()))
            .collect();
        names.sort();
        names
    }
}

/// An open cache and its events.
pub(crate) struct Opened {
    pub(crate) file: FilePersistence,
    pub(crate) cache: TokenCache,
    events: Arc<Mutex<Vec<Event>>>,
}

impl Opened {
    pub(crate) fn new(path: &Path, source: impl KeySource + 'static, partition: &str) -> Self {
        Self::with(path, source, partition, OnDamage::SetAside)
    }

    pub(crate) fn with(
        path: &Path,
        source: impl KeySource + 'static,
        partition: &str,
        damage: OnDamage,
    ) -> Self {
        let events = Arc::new(Mutex::new(Vec::new()));
        let listener =
            |events: Arc<Mutex<Vec<Event>>>| move |event: &Event| events.lock().unwrap().push(event.clone());
        let file = FilePersistence::with_protector(path, Sealed::new(source, partition))
            .unwrap()
            .durability(Durability::Cached)
            .taking_over_plaintext(true)
            .on_event(listener(Arc::clone(&events)));
        let wait = WaitOptions::default();
        let cache = TokenCache::with_options(file.clone(), wait, damage, listener(Arc::clone(&events)));
        Self { file, cache, events }
    }

    pub(crate) fn read(&self) -> Result<Option<String>> {
        Ok(self.cache.read()?.map(|content| String::from_utf8(content.expose().to_vec()).unwrap()))
    }

    pub(crate) fn write(&self, content: &str) {
        self.cache.begin_write().unwrap().commit(content).unwrap();
    }

    /// Returns the events since the last time.
    pub(crate) fn events(&self) -> Vec<Event> {
        std::mem::take(&mut *self.events.lock().unwrap())
    }
}

/// A keystore in a file: shared by all that open it, like a real one, and slow enough for a race.
#[derive(Clone, Debug)]
pub(crate) struct FileKeystore(pub(crate) PathBuf);

impl Keystore for FileKeystore {
    fn load(&self) -> Result<Option<Secret>> {
        let found = fs::read(&self.0).ok().map(Secret::new);
        std::thread::sleep(std::time::Duration::from_millis(3));
        Ok(found)
    }

    fn save(&self, content: &Secret) -> Result<()> {
        // Written atomically, like an item of a keystore.
        let new = self.0.with_extension(format!("{:?}", std::thread::current().id()));
        fs::write(&new, content.expose()).unwrap();
        fs::rename(&new, &self.0).unwrap();
        Ok(())
    }

    fn delete(&self) -> Result<bool> {
        Ok(fs::remove_file(&self.0).is_ok())
    }

    fn verify(&self) -> Result<()> {
        Ok(())
    }

    fn location(&self) -> String {
        self.0.display().to_string()
    }
}

/// Returns the example program `sealed`, built for the profile of this test.
pub(crate) fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        // .../<target>/<profile>/deps/sealed-0123456789abcdef
        let me = std::env::current_exe().unwrap();
        let profile = me.ancestors().nth(2).unwrap();
        let mut cargo = Command::new(env!("CARGO"));
        // The same words as in support/worker.rs: with other packages cargo compiles the dependencies again.
        cargo.args(["build", "--quiet", "--package", "tokenkeep", "--example", "sealed"]);
        cargo.args(["--package", "torture", "--bin", "torture", "--manifest-path"]);
        cargo.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
        cargo.arg("--target-dir").arg(profile.parent().unwrap());
        if profile.file_name().unwrap() == "release" {
            cargo.arg("--release");
        }
        assert!(cargo.status().unwrap().success(), "the example program does not build");
        profile.join("examples/sealed")
    })
}

/// Runs the example program; `words` are its arguments, the first of them the cache.
pub(crate) fn example(words: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.args(words).env("HOME", Path::new(words[0]).with_file_name(HOME)).env_remove("XDG_DATA_HOME");
    command
}

/// Runs a command to its end, with `input` on its standard input.
pub(crate) fn run(command: &mut Command, input: &[u8]) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut pipe = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        // A child that fails early does not read its input.
        scope.spawn(move || drop(pipe.write_all(input)));
        child.wait_with_output().unwrap()
    })
}

/// Like [`run`], for a command that must succeed; returns its output.
pub(crate) fn succeed(command: &mut Command, input: &[u8]) -> String {
    let output = run(command, input);
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Like [`run`], for a command that must fail; returns its error output.
pub(crate) fn fail(command: &mut Command, input: &[u8]) -> String {
    let output = run(command, input);
    assert!(!output.status.success(), "{command:?} succeeded");
    String::from_utf8(output.stderr).unwrap()
}

/// Returns a `setpriv` command for a user without rights and without a home directory.
pub(crate) fn unprivileged(user: u32) -> Command {
    assert!(
        rustix::process::geteuid().is_root(),
        "this test runs programs as other users: run it as root, as in a container"
    );
    let mut command = Command::new("setpriv");
    command.arg(format!("--reuid={user}")).arg(format!("--regid={user}"));
    command.args(["--clear-groups", "--inh-caps=-all", "--"]);
    command
        .env_remove("HOME")
        .env_remove("XDG_RUNTIME_DIR")
        .env_remove("XDG_DATA_HOME")
        .env("USER", "nobody-at-all");
    command
}

/// Creates a directory owned by `user`, with a copy of the example program that `user` may run.
pub(crate) fn home_of(user: u32) -> (Place, PathBuf) {
    let place = Place::new();
    let copy = place.path().join("sealed");
    fs::copy(program(), &copy).unwrap();
    fs::set_permissions(&copy, Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::chown(place.path(), Some(user), Some(user)).unwrap();
    (place, copy)
}
