//! Kills a move at every system call: every account is in one of the stores, and a second run finishes the move.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::{Read, Seek};
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use tokenkeep::key_source::KeyFile;
use tokenkeep::{
    Protector, Secret,
    storage::{Keystore, Sealed, SecretServiceItem},
};

use crate::keyring::Keyring;
use crate::stores::{APP, Home, Opened, answer, cache_of, contains, people_in, program, set, succeed};
use crate::support::scale;
use crate::support::strace::{self, Call};

/// A move that is killed many times.
struct Case<'a> {
    home: &'a Home,
    keyring: Option<&'a Keyring>,
    /// The arguments of the program.
    words: Vec<String>,
    /// Restores the state before the move.
    prepare: Box<dyn Fn() + 'a>,
    /// Returns the accounts in all stores, read without the library.
    found: Box<dyn Fn() -> BTreeSet<String> + 'a>,
    /// Returns the accounts in the target, read without the library.
    arrived: Box<dyn Fn() -> BTreeSet<String> + 'a>,
}

impl Case<'_> {
    fn words(&self) -> Vec<&str> {
        self.words.iter().map(String::as_str).collect()
    }

    fn traced(&self, options: &[&str]) -> Command {
        let plain = program(self.home, self.keyring, &self.words());
        let mut command = Command::new("strace");
        command.args(["-qq", "-f"]).args(options).arg("--").arg(plain.get_program()).args(plain.get_args());
        command.env_clear().envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command
    }

    /// Returns the calls of one run from the first one on the cache, without calls at which the same kill would
    /// happen twice.
    fn calls(&self) -> Vec<Call> {
        (self.prepare)();
        let elsewhere = tempfile::tempdir().unwrap();
        let trace = strace::trace_file(&elsewhere);
        let output = strace::run(self.traced(&["-s", "256", "-o", trace.to_str().unwrap()]));
        assert!(output.status.success() && output.stdout.starts_with(b"ok"), "{output:?}");
        // Most calls name the file in its open directory.
        let path = self.home.cache();
        let name = path.file_name().unwrap().to_str().unwrap();
        let mentions = |call: &Call| call.name != "execve" && call.mentions(name);
        let mut most: HashMap<String, usize> = HashMap::new();
        let calls = strace::parse(&fs::read_to_string(trace).unwrap());
        let first = calls.iter().position(mentions).unwrap();
        let calls = calls.into_iter().enumerate().filter_map(|(at, call)| {
            // strace counts the calls of each thread and kills the first thread that reaches the number.
            let most = most.entry(call.name.clone()).or_insert(0);
            let new = call.nth > *most;
            *most = call.nth.max(*most);
            (new && at >= first && call.name != "exit_group").then_some(call)
        });
        calls.collect()
    }

    /// `every`: in the short form, the fraction of the calls that change no file.
    fn kill_at_every_call(&self, every: usize, everybody: &BTreeSet<String>) {
        let calls = self.calls();
        assert!(calls.iter().any(|call| call.name.starts_with("rename")), "{calls:?}");
        let (mut killed, mut early, mut late) = (0, 0, 0);
        for (at, call) in calls.iter().enumerate() {
            let changes = ["rename", "link", "unlink", "pwrite64", "fsync"];
            if scale() == 1 && at % every != 0 && !changes.contains(&&*call.name) {
                continue;
            }
            (self.prepare)();
            // An open descriptor shows the content of the old file.
            let mut old = File::open(self.home.cache()).unwrap();
            let inject = format!("inject={}:signal=KILL:when={}", call.name, call.nth);
            let output = strace::run(self.traced(&["-o/dev/null", "-e", &inject]));
            // The number of waits for another process varies.
            if !output.status.success() {
                assert_eq!(output.status.signal(), Some(9), "{call:?}: {output:?}");
                killed += 1;
            }
            assert_eq!((self.found)(), *everybody, "killed at {call:?}");
            match (self.arrived)() == *everybody {
                true => late += 1,
                false => early += 1,
            }
            succeed(self.home, self.keyring, &self.words());
            assert_eq!((self.arrived)(), *everybody, "resumed after {call:?}");
            let mut left = Vec::new();
            old.rewind().unwrap();
            old.read_to_end(&mut left).unwrap();
            assert!(!contains(&left, b"hush-"), "{call:?} left the old copy in free blocks");
            assert!(!self.home.shows("hush-"), "{call:?} left an old copy: {:?}", self.home.names());
            let odd: Vec<_> = self.home.names().into_iter().filter(|name| !is_expected(name)).collect();
            assert!(odd.is_empty(), "{call:?} left {odd:?}");
        }
        println!("killed at {killed} of {} calls, {early} before it had arrived, {late} after", calls.len());
        assert!(killed > 25 && early > 0 && late > 0, "{killed} {early} {late}");
    }
}

fn is_expected(name: &str) -> bool {
    ["cache.json", "cache.json.tk-moved", "other-cache"].contains(&name)
}

fn raw(home: &Home, name: &str) -> Vec<u8> {
    fs::read(home.path().join(name)).unwrap_or_default()
}

/// Returns the accounts in an encrypted file; none for another file.
fn unsealed(home: &Home, key: &str, bytes: Vec<u8>) -> BTreeSet<String> {
    let sealed = Sealed::new(KeyFile::at(home.path().join(key)), format!("{key}/token_cache"));
    sealed.unprotect(Secret::new(bytes)).map(|content| people_in(content.expose())).unwrap_or_default()
}

fn item_of(keyring: &Keyring) -> SecretServiceItem {
    SecretServiceItem::new(APP, "token_cache").unwrap().on_bus(keyring.bus.address())
}

fn in_item(item: &SecretServiceItem) -> BTreeSet<String> {
    item.load().unwrap().map(|content| people_in(content.expose())).unwrap_or_default()
}

#[test]
fn a_killed_move_from_a_plaintext_file_to_an_encrypted_file_loses_no_account() {
    let home = Home::new();
    let other = home.path().join("other-cache");
    let to = format!("sealed:{}:{}", home.key().display(), other.display());
    let everybody = set(&["ada", "bob", "eve"]);
    let prepare = || {
        let _ = fs::remove_file(home.path().join("cache.json.tk-moved"));
        fs::write(home.cache(), cache_of(&["ada", "bob"])).unwrap();
        let sealed = Opened::sealed(&other, &home.key());
        sealed.write(&cache_of(&["eve"]));
    };
    let arrived = || unsealed(&home, APP, raw(&home, "other-cache"));
    let case = Case {
        home: &home,
        keyring: None,
        words: vec!["migrate".into(), format!("plain:{}", home.cache().display()), to],
        prepare: Box::new(prepare),
        found: Box::new(|| &arrived() | &people_in(&raw(&home, "cache.json"))),
        arrived: Box::new(arrived),
    };
    case.kill_at_every_call(6, &everybody);
}

#[test]
fn a_killed_move_to_another_kind_of_file_at_the_same_path_loses_no_account() {
    let home = Home::new();
    let path = home.cache();
    let to = format!("sealed:{}:{}", home.key().display(), path.display());
    let arrived = || unsealed(&home, APP, raw(&home, "cache.json"));
    let case = Case {
        home: &home,
        keyring: None,
        words: vec!["migrate".into(), format!("plain:{}", path.display()), to],
        prepare: Box::new(|| fs::write(&path, cache_of(&["ada"])).unwrap()),
        found: Box::new(|| &arrived() | &people_in(&raw(&home, "cache.json"))),
        arrived: Box::new(arrived),
    };
    case.kill_at_every_call(4, &set(&["ada"]));
}

#[test]
fn a_killed_import_into_the_keyring_at_opening_loses_no_account() {
    let (home, keyring) = (Home::new(), Keyring::start());
    let item = item_of(&keyring);
    let path = home.cache();
    let prepare = || {
        let _ = fs::remove_file(home.path().join("cache.json.tk-moved"));
        fs::write(&path, cache_of(&["ada", "bob"])).unwrap();
        item.save(&cache_of(&["eve"]).into()).unwrap();
    };
    let arrived = || in_item(&item);
    let case = Case {
        home: &home,
        keyring: Some(&keyring),
        words: ["open", path.to_str().unwrap(), APP, "none", "read"].map(str::to_owned).into(),
        prepare: Box::new(prepare),
        found: Box::new(|| &in_item(&item) | &people_in(&raw(&home, "cache.json"))),
        arrived: Box::new(arrived),
    };
    case.kill_at_every_call(12, &set(&["ada", "bob", "eve"]));
}

#[test]
fn a_killed_move_from_the_keyring_to_a_file_at_the_marker_loses_no_account() {
    let (home, keyring) = (Home::new(), Keyring::start());
    let item = item_of(&keyring);
    let path = home.cache();
    let prepare = || {
        let _ = fs::remove_file(home.path().join("cache.json.tk-moved"));
        fs::write(&path, "{}").unwrap();
        item.save(&cache_of(&["ada", "bob"]).into()).unwrap();
    };
    let arrived = || unsealed(&home, APP, raw(&home, "cache.json"));
    let case = Case {
        home: &home,
        keyring: Some(&keyring),
        words: vec![
            "migrate".into(),
            format!("item:{APP}:{}", path.display()),
            format!("sealed:{}:{}", home.key().display(), path.display()),
        ],
        prepare: Box::new(prepare),
        found: Box::new(|| &in_item(&item) | &arrived()),
        arrived: Box::new(arrived),
    };
    case.kill_at_every_call(8, &set(&["ada", "bob"]));
    assert_eq!(item.load().unwrap().unwrap().expose(), b"{}");
}

#[test]
fn after_a_kill_of_the_keyring_the_source_stays_and_the_next_opening_moves_it() {
    let keyring = Keyring::start();
    let item = item_of(&keyring);
    let (mut failed, mut moved) = (0, 0);
    for delay in [0_u64, 8, 16, 32, 64, 128, 512] {
        let home = Home::new();
        let path = home.cache();
        fs::write(&path, cache_of(&["ada"])).unwrap();
        item.save(&cache_of(&["eve"]).into()).unwrap();
        let said = std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(std::time::Duration::from_millis(delay));
                keyring.kill();
            });
            answer(&home, Some(&keyring), &["open", path.to_str().unwrap(), APP, "none", "read"])
        });
        // The kill may come too late, or the moved item may not have been read yet.
        let left = people_in(&raw(&home, "cache.json"));
        match said.starts_with("ok") {
            true => moved += 1,
            false => {
                assert!(said.starts_with("err store_"), "{delay}: {said}");
                failed += 1;
            }
        }
        keyring.restart();
        assert_eq!(&in_item(&item) | &left, set(&["ada", "eve"]), "{delay}: {said}");
        succeed(&home, Some(&keyring), &["open", path.to_str().unwrap(), APP, "none", "read"]);
        assert_eq!(in_item(&item), set(&["ada", "eve"]), "{delay}");
        assert!(!home.shows("hush-"), "{delay}");
        item.delete().unwrap();
    }
    println!("{failed} times in the middle, {moved} times too late");
    assert!(failed > 0, "it never came in the middle");
}
