//! Many processes write and read one cache: no acknowledged write is lost, no two hold the lock at once, no read is
//! torn. Also with kills, and on file systems without flock or links.
//!
//! A process that finds a fault (`ledger.rs` of the torture program) prints it to standard error and fails.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::clock::timed;
use crate::support::worker::{self, Worker};
use crate::support::{Place, read, scale, strace};

fn count(place: &Place, name: &str, times: u64, durability: &str) -> Command {
    let mut command = worker::command("count", &place.cache());
    command.args([name, &times.to_string(), durability]);
    command
}

/// Returns the numbers in the cache at the end.
fn numbers(place: &Place) -> BTreeMap<String, u64> {
    let content: serde_json::Value = serde_json::from_str(&read(&place.open()).unwrap()).unwrap();
    let fields = content.as_object().unwrap().iter();
    fields
        .filter(|(name, _)| !["pad", "sum"].contains(&name.as_str()))
        .map(|(name, number)| (name.clone(), number.as_u64().unwrap()))
        .collect()
}

fn write_and_watch(processes: usize, times: u64, durability: &str) {
    let place = if durability == "cached" { Place::in_memory() } else { Place::new() };
    let mut watcher = Worker::start(worker::command("watch", &place.cache()));
    let writers: Vec<_> = (0..processes)
        .map(|name| Worker::start(count(&place, &format!("w{name}"), times, durability)))
        .collect();
    for mut writer in writers {
        assert!(writer.finish().success(), "a writer of {processes} found something wrong");
    }
    assert!(watcher.finish().success(), "the reader beside {processes} writers found something wrong");
    let reads = watcher.line();
    assert!(reads.starts_with("read ") && reads != "read 0", "{reads}");
    let expected = (0..processes).map(|name| (format!("w{name}"), times)).collect();
    assert_eq!(numbers(&place), expected);
    assert_eq!(place.names(), ["cache.json", "cache.json.tk-lock", "cache.json.witness"]);
}

#[test]
fn two_four_and_eight_processes_lose_no_update_and_read_nothing_torn() {
    for processes in [2, 4, 8] {
        write_and_watch(processes, 100 * scale(), "cached");
    }
}

#[test]
fn four_processes_that_sync_every_write_lose_no_update_and_read_nothing_torn() {
    write_and_watch(4, 12 * scale(), "synced");
}

/// A counting process that is killed and restarted, and the last write that it acknowledged.
struct Mortal<'a> {
    worker: Worker,
    acknowledged: u64,
    start: &'a dyn Fn() -> Command,
}

impl Mortal<'_> {
    /// Records acknowledgements, which must never decrease.
    fn listen(&mut self, lines: impl IntoIterator<Item = String>) {
        for line in lines {
            let number = line.strip_prefix("did ").unwrap().parse().unwrap();
            assert!(number > self.acknowledged, "{number} after {} was acknowledged", self.acknowledged);
            self.acknowledged = number;
        }
    }

    fn kill(&mut self, traced: bool) {
        if traced {
            self.worker.kill_traced();
        } else {
            self.worker.kill();
        }
        let lines = self.worker.remaining_lines();
        self.listen(lines);
    }

    fn replace(&mut self, traced: bool) {
        self.worker = Worker::start((self.start)());
        if traced {
            // strace must have started the process: killed earlier, it would leave the process running.
            let line = self.worker.line();
            self.listen([line]);
        }
    }
}

/// Kills one of three writers every few milliseconds for a while; returns the number of kills. `traced`: the writers
/// are children of strace.
fn kill_at_random(
    place: &Place,
    start: &dyn Fn(&str) -> Command,
    watcher: Command,
    length: Duration,
    traced: bool,
) -> u32 {
    // Printed on failure; the machine's own timing is the larger part of the chance.
    let mut seed = u64::from(std::process::id()) | 1;
    println!("seed {seed}");
    let mut random = move |below: u64| {
        // Xorshift, by Marsaglia.
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    let mut watcher = Worker::start(watcher);
    let starters: Vec<_> = ["a", "b", "c"].map(|name| move || start(name)).into_iter().collect();
    let mut mortals: Vec<_> = starters
        .iter()
        .map(|start| Mortal { worker: Worker::start(start()), acknowledged: 0, start })
        .collect();
    for mortal in &mut mortals {
        let line = mortal.worker.line();
        mortal.listen([line]);
    }
    let began = Instant::now();
    let mut kills = 0;
    while began.elapsed() < length {
        std::thread::sleep(Duration::from_millis(1 + random(25)));
        let victim = &mut mortals[usize::try_from(random(3)).unwrap()];
        victim.kill(traced);
        victim.replace(traced);
        kills += 1;
    }
    for mortal in &mut mortals {
        mortal.kill(traced);
    }
    assert!(watcher.finish().success(), "the reader found something wrong");
    let numbers = numbers(place);
    for (name, mortal) in ["a", "b", "c"].iter().zip(&mortals) {
        let stored = numbers.get(*name).copied().unwrap_or(0);
        // Killed between the write and its acknowledgement: one more than was acknowledged.
        assert!(
            stored >= mortal.acknowledged,
            "{name}: {} acknowledged, {stored} stored",
            mortal.acknowledged
        );
        assert!(mortal.acknowledged > 0, "{name} never wrote");
    }
    kills
}

#[test]
fn acknowledged_writes_survive_the_kill_of_any_process() {
    let place = Place::in_memory();
    let start = |name: &str| count(&place, name, 1_000_000, "cached");
    let watch = worker::command("watch", &place.cache());
    let kills = kill_at_random(&place, &start, watch, Duration::from_secs(3 * scale()), false);
    let (_, took) = timed(|| place.open().begin_write().unwrap().commit("end").unwrap());
    assert!(took.naps < Duration::from_secs(1), "{took:?} after the last of {kills} kills");
    assert_eq!(place.names(), ["cache.json", "cache.json.tk-lock", "cache.json.witness"]);
}

/// The answer of a file system without flock.
const NO_FLOCK: &str = "inject=flock:error=ENOLCK";
const NO_LINK: &str = "inject=link,linkat:error=EPERM";
/// Makes a rename without replacement fail, which is the alternative to links.
const NO_RENAME: &str = "inject=renameat2:error=EINVAL";
const POOR: [&[&str]; 5] =
    [&[NO_FLOCK], &[NO_LINK], &[NO_FLOCK, NO_LINK], &[NO_LINK, NO_RENAME], &[NO_FLOCK, NO_LINK, NO_RENAME]];

/// Runs the program on such a file system; the other processes run untraced.
fn on_a_poor_file_system(command: &Command, lacks: &[&str]) -> Command {
    let mut options = vec!["-o/dev/null", "--seccomp-bpf"];
    for inject in lacks {
        options.extend(["-e", inject]);
    }
    options.extend(["-e", "trace=flock,link,linkat,renameat2", "-e", "signal=none"]);
    strace::wrap(command, &options)
}

#[test]
fn processes_exclude_each_other_without_flock_without_links_and_without_both() {
    for lacks in POOR {
        let place = Place::in_memory();
        let writers: Vec<_> = ["a", "b", "c"]
            .map(|name| on_a_poor_file_system(&count(&place, name, 60 * scale(), "cached"), lacks))
            .into_iter()
            .map(Worker::start)
            .collect();
        for mut writer in writers {
            assert!(writer.finish().success(), "{lacks:?}");
        }
        let expected = ["a", "b", "c"].map(|name| (name.to_owned(), 60 * scale()));
        assert_eq!(numbers(&place), BTreeMap::from(expected), "{lacks:?}");
        assert_eq!(place.names(), ["cache.json", "cache.json.tk-lock", "cache.json.witness"], "{lacks:?}");
    }
}

#[test]
fn acknowledged_writes_survive_kills_without_flock_or_without_links() {
    for lacks in POOR {
        let place = Place::in_memory();
        let start = |name: &str| on_a_poor_file_system(&count(&place, name, 1_000_000, "cached"), lacks);
        // Readers too, because a file system either has flock or does not.
        let watch = on_a_poor_file_system(&worker::command("watch", &place.cache()), lacks);
        let kills = kill_at_random(&place, &start, watch, Duration::from_secs(scale()), true);
        println!("{lacks:?}: {kills} kills");
    }
}

#[test]
fn a_killed_holder_is_succeeded_within_a_second_without_flock_or_without_links() {
    for lacks in POOR {
        let place = Place::new();
        let serve = || Worker::start(on_a_poor_file_system(&worker::command("serve", &place.cache()), lacks));
        let mut holder = serve();
        assert_eq!(holder.line(), "ready");
        holder.does("begin");
        // Check that the file system really lacks the call.
        let inode = |path| fs::metadata(path).unwrap().ino();
        assert_eq!(inode(place.lockfile()) != inode(place.private()), !lacks.is_empty(), "{lacks:?}");
        let free = fs::File::open(place.private()).unwrap().try_lock().is_ok();
        assert_eq!(free, lacks.contains(&NO_FLOCK), "{lacks:?}");
        holder.kill_traced();
        let mut next = serve();
        assert_eq!(next.line(), "ready");
        let (_, took) = timed(|| next.does("write next"));
        assert!(took.naps < Duration::from_secs(1), "{lacks:?}: {took:?}");
        assert_eq!(place.names(), ["cache.json", "cache.json.tk-lock"], "{lacks:?}");
    }
}

#[test]
fn a_living_holder_keeps_the_lock_without_flock_or_without_links() {
    for lacks in POOR {
        let place = Place::new();
        let serve = || Worker::start(on_a_poor_file_system(&worker::command("serve", &place.cache()), lacks));
        let (mut holder, mut other) = (serve(), serve());
        assert_eq!((&*holder.line(), &*other.line()), ("ready", "ready"));
        holder.does("begin");
        other.does("limit 2500");
        let answer = other.ask("write other");
        assert!(answer.starts_with("err busy"), "{lacks:?}: {answer}");
        holder.does("commit mine");
        other.does("write other");
    }
}
