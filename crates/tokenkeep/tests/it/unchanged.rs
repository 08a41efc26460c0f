//! A change is never taken for none: on file systems with coarse times, on those of other machines, in a program's own
//! store, in a keystore item that is being removed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use tokenkeep::storage::{Keystore, KeystorePersistence, Loaded};
use tokenkeep::{Backend, Info, LockGuard, Persistence, Protection, Result, Secret, Stamp, TokenCache};

use crate::support::worker::{self, Worker};
use crate::support::{Place, read, strace, user, write};

/// Starts a worker on a file system of its own, made by `mounts`, and returns it with the path of the cache.
fn on(mounts: &str, place: &Place) -> (Worker, PathBuf) {
    let coarse = place.directory().join("coarse");
    fs::create_dir(&coarse).unwrap();
    let cache = coarse.join("cache.json");
    let mut command = user::as_root("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-ec"]);
    command.arg(format!("{mounts}; exec \"$1\" serve \"$2\"")).arg("sh");
    command.arg(worker::program()).arg(&cache).current_dir(place.directory());
    let worker = Worker::start(command);
    assert_eq!(worker.line(), "ready");
    (worker, cache)
}

/// Runs a shell command where the worker sees its files.
fn beside(worker: &Worker, words: &str) {
    let mut command = user::as_root("nsenter");
    command.args(["--mount", "--target", &worker.pid().to_string(), "sh", "-ec", words]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{words}: {output:?}");
}

/// ext4 with inodes of 128 bytes, which have no room for parts of a second; as ext3 and HFS+.
const WHOLE_SECONDS: &str =
    "truncate -s 8M image; mkfs.ext4 -q -F -I 128 image >/dev/null 2>&1; mount -o loop image coarse";

#[test]
fn a_reader_notices_a_change_within_the_second_that_the_file_system_keeps() {
    let place = Place::new();
    let (mut worker, cache) = on(WHOLE_SECONDS, &place);
    for round in 0..30 {
        let text = format!("\"{round:02}\"");
        // As siblings write: the inode and the size stay.
        beside(&worker, &format!("printf '%s' '{text}' > {cache:?}"));
        assert_eq!(worker.does("read"), text.escape_default().to_string());
    }
}

#[test]
fn a_writer_never_overwrites_a_change_within_the_second_that_the_file_system_keeps() {
    let place = Place::new();
    let (mut worker, cache) = on(WHOLE_SECONDS, &place);
    for round in 0..30 {
        worker.does("write 1111");
        worker.does("read");
        beside(&worker, &format!("printf 22%02d {round} > {cache:?}"));
        assert_eq!(worker.does("begin"), format!("22{round:02}"));
        worker.does("drop");
    }
}

#[test]
fn a_file_system_that_is_not_known_is_read_every_time() {
    let place = Place::new();
    write(&place.open(), "content");
    // The number of no file system, in the first eight bytes of the answer.
    let poke = "inject=statfs,fstatfs:poke_exit=@arg2=7777777700000000";
    let elsewhere = tempfile::tempdir().unwrap();
    for (inject, opened) in [(Some(poke), 3), (None, 1)] {
        let trace = strace::trace_file(&elsewhere);
        let mut options = vec!["-o", trace.to_str().unwrap(), "-e", "trace=openat,statfs,fstatfs"];
        options.extend(inject.iter().flat_map(|inject| ["-e", inject]));
        let command = worker::command("serve", &place.cache());
        let mut worker = Worker::start(strace::wrap(&command, &options));
        assert_eq!(worker.line(), "ready");
        for _ in 0..3 {
            assert_eq!(worker.does("read"), "content");
        }
        assert!(worker.finish().success());
        let calls = strace::parse(&fs::read_to_string(&trace).unwrap());
        let opens = calls.iter().filter(|call| call.name == "openat" && call.mentions("cache.json\""));
        assert_eq!(opens.count(), opened, "{inject:?}");
    }
}

#[test]
fn a_file_that_another_machine_replaced_during_a_read_is_read_again() {
    let place = Place::new();
    write(&place.open(), "content");
    for call in ["read", "statx", "fstat", "newfstatat"] {
        for nth in 1..=2 {
            let inject = format!("inject={call}:error=ESTALE:when={nth}");
            let cache = place.cache();
            let options = ["-o/dev/null", "-P", cache.to_str().unwrap(), "-e", &inject];
            let command = worker::command("serve", &place.cache());
            let mut worker = Worker::start(strace::wrap(&command, &options));
            assert_eq!(worker.line(), "ready");
            assert_eq!(worker.does("read"), "content", "{call} {nth}");
            worker.does("write content");
        }
    }
}

/// A store in memory that several caches share. Its clock moves once in sixteen looks, and its version is a time.
#[derive(Clone, Debug)]
struct Clocked {
    path: PathBuf,
    stored: Arc<Mutex<(Option<Secret>, u64)>>,
    looks: Arc<AtomicU64>,
}

impl Clocked {
    fn new(place: &Place) -> Self {
        Self { path: place.cache(), stored: Arc::default(), looks: Arc::default() }
    }

    fn now(&self) -> u64 {
        self.looks.fetch_add(1, Ordering::Relaxed) / 16
    }
}

impl Persistence for Clocked {
    fn path(&self) -> &Path {
        &self.path
    }

    fn stamp(&self) -> Result<Stamp> {
        self.now();
        Ok(Stamp::version(self.stored.lock().unwrap().1))
    }

    fn load(&self, _guard: Option<&LockGuard>) -> Result<Loaded> {
        let stored = self.stored.lock().unwrap();
        Ok(Loaded { content: stored.0.clone(), stamp: Stamp::version(stored.1) })
    }

    fn save(&self, _guard: &LockGuard, content: &[u8]) -> Result<Stamp> {
        let now = self.now();
        *self.stored.lock().unwrap() = (Some(content.into()), now);
        Ok(Stamp::version(now))
    }

    fn delete(&self, _guard: &LockGuard) -> Result<bool> {
        let now = self.now();
        let old = std::mem::replace(&mut *self.stored.lock().unwrap(), (None, now));
        Ok(old.0.is_some())
    }

    fn verify(&self) -> Result<()> {
        Ok(())
    }

    fn info(&self) -> Info {
        Info::new(Backend::Custom, Protection::Unknown, "the test's memory")
    }
}

#[test]
fn caches_over_a_store_whose_version_is_a_time_lose_none_of_two_thousand_changes() {
    for many in [2_usize, 3, 8] {
        let place = Place::in_memory();
        let store = Clocked::new(&place);
        std::thread::scope(|scope| {
            for number in 0..many {
                let cache = TokenCache::new(store.clone());
                scope.spawn(move || {
                    for round in 0..2000 / many {
                        let line = format!("{number}:{round}\n");
                        cache.update(|old| [old.unwrap_or_default(), line.as_bytes()].concat()).unwrap();
                        let seen = cache.read().unwrap().unwrap();
                        assert!(seen.expose().windows(line.len()).any(|part| part == line.as_bytes()));
                    }
                });
            }
        });
        let stored = read(&TokenCache::new(store)).unwrap();
        assert_eq!(stored.lines().count(), 2000 / many * many, "{many} caches");
    }
}

#[test]
fn a_reader_of_a_store_whose_version_is_a_time_sees_each_change_at_once() {
    let place = Place::in_memory();
    let store = Clocked::new(&place);
    let (reader, writer) = (TokenCache::new(store.clone()), TokenCache::new(store));
    for round in 0..500 {
        write(&writer, &round.to_string());
        assert_eq!(read(&reader), Some(round.to_string()));
    }
}

/// An item that runs a check after it was removed, before its `delete` returns.
#[derive(Clone, Debug, Default)]
struct Watched {
    content: Arc<Mutex<Option<Secret>>>,
    reader: Arc<OnceLock<TokenCache>>,
}

impl Keystore for Watched {
    fn load(&self) -> Result<Option<Secret>> {
        Ok(self.content.lock().unwrap().clone())
    }

    fn save(&self, content: &Secret) -> Result<()> {
        *self.content.lock().unwrap() = Some(content.clone());
        Ok(())
    }

    fn delete(&self) -> Result<bool> {
        let removed = self.content.lock().unwrap().take().is_some();
        if let Some(reader) = self.reader.get() {
            // As after a kill at this moment: another process must not go on with the removed tokens. It may wait for the
            // lock, in vain here.
            assert!(!matches!(reader.read(), Ok(Some(_))));
        }
        Ok(removed)
    }

    fn verify(&self) -> Result<()> {
        Ok(())
    }

    fn location(&self) -> String {
        "watched/item".to_owned()
    }
}

#[test]
fn a_process_killed_after_it_removed_the_item_leaves_no_other_one_with_the_removed_content() {
    let place = Place::new();
    let item = Watched::default();
    let open = || {
        let store = KeystorePersistence::new(place.cache(), item.clone()).unwrap();
        TokenCache::new(store.lock_directory(place.directory()))
    };
    let (reader, writer) = (open(), open());
    write(&writer, "content");
    // A stamp is believed only when it is older than the clock's step.
    std::thread::sleep(std::time::Duration::from_millis(50));
    assert_eq!(read(&reader).as_deref(), Some("content"));
    item.reader.set(reader).unwrap();
    assert!(writer.clear().unwrap());
    assert!(!writer.clear().unwrap(), "there is nothing any more");
}

#[test]
fn a_link_to_another_file_system_is_judged_by_the_file_it_leads_to() {
    let place = Place::new();
    let (mut worker, cache) =
        on(&format!("{WHOLE_SECONDS}; touch coarse/real; ln -s coarse/real link"), &place);
    let real = cache.with_file_name("real");
    let mut inside = user::as_root("nsenter");
    inside.args(["--mount", "--target", &worker.pid().to_string()]);
    inside.arg(worker::program()).arg("serve").arg(place.directory().join("link"));
    let mut linked = Worker::start(inside);
    assert_eq!(linked.line(), "ready");
    for round in 10..30 {
        beside(&worker, &format!("printf {round} > {real:?}"));
        assert_eq!(linked.does("read"), round.to_string());
    }
    worker.does("read");
}

#[test]
fn restored_exchanged_and_linked_files_are_noticed_whatever_their_times() {
    let place = Place::new();
    let cache = place.cache();
    let reader = place.open();
    let other = place.directory().join("other");
    let run = |program: &str, words: &[&Path]| {
        assert!(Command::new(program).args(words).status().unwrap().success(), "{program} {words:?}");
    };
    fs::write(&other, "\"one\"").unwrap();
    fs::write(&cache, "\"two\"").unwrap();
    run("touch", &[Path::new("-d2020-01-01"), &other, &cache]);
    std::thread::sleep(std::time::Duration::from_millis(50));
    assert_eq!(read(&reader).as_deref(), Some("\"two\""));
    // A backup that brings its time along, into the same inode.
    run("cp", &[Path::new("-p"), &other, &cache]);
    assert_eq!(read(&reader).as_deref(), Some("\"one\""));
    fs::write(&other, "\"new\"").unwrap();
    run("touch", &[Path::new("-d2020-01-01"), &other]);
    std::thread::sleep(std::time::Duration::from_millis(50));
    assert_eq!(read(&reader).as_deref(), Some("\"one\""));
    // An older file by rename, and by a hard link.
    rustix::fs::renameat_with(
        rustix::fs::CWD,
        &other,
        rustix::fs::CWD,
        &cache,
        rustix::fs::RenameFlags::EXCHANGE,
    )
    .unwrap();
    assert_eq!(read(&reader).as_deref(), Some("\"new\""));
    run("ln", &[Path::new("-f"), &other, &cache]);
    assert_eq!(read(&reader).as_deref(), Some("\"one\""));
}
