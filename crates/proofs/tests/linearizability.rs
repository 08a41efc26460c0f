//! Recorded operations of real processes on real files, with kills, are linearizable.
//!
//! One round takes about a second. `TOKENKEEP_TORTURE=n` runs n times as many.
#![expect(clippy::print_stdout, reason = "the counts are part of the evidence")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokenkeep_proofs::Dice;
use tokenkeep_proofs::history::{self, Outcome, Thread};
use tokenkeep_proofs::linear::{Verdict, judge};
use tokenkeep_proofs::workload::{Fault, lock_is_free};

/// The conditions of a round.
#[derive(Clone, Copy)]
struct Round {
    processes: usize,
    threads: usize,
    accounts: u8,
    /// `cached` or `synced`, for a file; `clocked`, a store whose version is the time of a coarse clock.
    store: &'static str,
    fault: Fault,
    /// Whether processes are killed and started again, and stopped for a while.
    violent: bool,
    /// On a file system in memory: a renamed file does not reuse an inode, and everything is faster.
    in_memory: bool,
    /// On a file system that keeps whole seconds.
    coarse: bool,
    /// No pauses, and every fifth operation is a deletion: all happens within a few clock ticks.
    hasty: bool,
    seed: u64,
}

/// How long the processes of a round run.
const LASTS: Duration = Duration::from_millis(600);

impl Round {
    fn of(processes: usize, seed: u64) -> Self {
        Self {
            processes,
            threads: 2,
            accounts: 3,
            store: "cached",
            fault: Fault::None,
            violent: true,
            in_memory: false,
            coarse: false,
            hasty: false,
            seed,
        }
    }
}

/// Kills the process at the end of the test, also after a panic.
struct Running {
    child: Child,
    input: Option<ChildStdin>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap();
    }

    /// Closes the input and waits until the process has ended.
    fn finish(mut self) {
        drop(self.input.take());
        let until = Instant::now() + Duration::from_secs(40);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                assert!(status.success(), "a worker ended with {status}");
                return;
            }
            assert!(Instant::now() < until, "a worker does not end");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// ext4 with inodes of 128 bytes, mounted for as long as it is used.
struct CoarseMount(PathBuf);

impl CoarseMount {
    fn on(directory: &Path) -> Self {
        let place = directory.join("coarse");
        fs::create_dir(&place).unwrap();
        let image = directory.join("image");
        fs::File::create(&image).unwrap().set_len(16 << 20).unwrap();
        let mut format = Command::new("mkfs.ext4");
        let formatted = format.args(["-q", "-F", "-I", "128"]).arg(&image).output().unwrap();
        assert!(formatted.status.success(), "{formatted:?}");
        let mounted = as_root("mount").args(["-o", "loop"]).args([&image, &place]).output().unwrap();
        assert!(mounted.status.success(), "{mounted:?}");
        let mount = Self(place);
        let opened = as_root("chmod").arg("777").arg(&mount.0).output().unwrap();
        assert!(opened.status.success(), "{opened:?}");
        mount
    }
}

impl Drop for CoarseMount {
    fn drop(&mut self) {
        let _ = as_root("umount").arg("--lazy").arg(&self.0).output();
    }
}

/// Returns a command that runs as root, directly or by a sudo without a password.
fn as_root(program: &str) -> Command {
    if rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut sudo = Command::new("sudo");
    sudo.args(["-n", program]);
    sudo
}

struct Scene {
    /// Before the directory, so that it is unmounted first.
    coarse: Option<CoarseMount>,
    directory: tempfile::TempDir,
    logs: Vec<PathBuf>,
    round: Round,
}

impl Scene {
    fn new(round: Round) -> Self {
        let memory = Path::new("/dev/shm");
        let directory = if round.in_memory && memory.is_dir() {
            tempfile::tempdir_in(memory)
        } else {
            tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))
        };
        let directory = directory.unwrap();
        let coarse = round.coarse.then(|| CoarseMount::on(directory.path()));
        Self { coarse, directory, logs: Vec::new(), round }
    }

    fn cache(&self) -> PathBuf {
        let directory = self.coarse.as_ref().map_or(self.directory.path(), |mount| &mount.0);
        directory.join("cache.json")
    }

    fn start(&mut self) -> Running {
        let number = self.logs.len();
        let log = self.directory.path().join(format!("{number}.log"));
        self.logs.push(log.clone());
        let round = &self.round;
        let mut child = Command::new(env!("CARGO_BIN_EXE_tokenkeep-proofs-worker"))
            .arg(self.cache())
            .arg(log)
            .args([(round.seed * 1000 + number as u64).to_string(), round.threads.to_string()])
            .args([&round.accounts.to_string(), round.store, round.fault.word()])
            .arg(if round.hasty { "hasty" } else { "easy" })
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take();
        Running { child, input }
    }

    fn threads(&self) -> Vec<Thread> {
        let read = |path: &PathBuf| fs::read_to_string(path).unwrap_or_default();
        self.logs.iter().flat_map(|path| history::parse(&read(path)).unwrap()).collect()
    }
}

/// Runs a round and returns its history.
fn record(round: Round) -> Vec<Thread> {
    let mut scene = Scene::new(round);
    let mut dice = Dice::new(round.seed);
    let mut running: Vec<Running> = (0..round.processes).map(|_| scene.start()).collect();
    let until = Instant::now() + LASTS;
    while Instant::now() < until {
        std::thread::sleep(Duration::from_millis(2 + dice.below(30)));
        let victim = dice.index(round.processes);
        if !round.violent {
        } else if dice.once_in(4) {
            running[victim].signal(Signal::STOP);
            std::thread::sleep(Duration::from_millis(dice.below(30)));
            running[victim].signal(Signal::CONT);
        } else {
            running[victim].child.kill().unwrap();
            running[victim].child.wait().unwrap();
            running[victim] = scene.start();
        }
    }
    for process in running {
        process.finish();
    }
    lock_is_free(&scene.cache()).unwrap();
    scene.threads()
}

/// Runs a round, checks it, and prints its numbers.
fn try_round(round: Round) -> Verdict {
    let threads = record(round);
    let failed = threads.iter().flatten().find_map(|call| match &call.returned {
        Some((_, Outcome::Failed(text))) => Some(format!("{}: {text}", call.op)),
        _ => None,
    });
    let count = |test: &dyn Fn(Option<&Outcome>) -> bool| {
        let outcomes =
            threads.iter().flatten().map(|call| call.returned.as_ref().map(|(_, outcome)| outcome));
        outcomes.filter(|outcome| test(*outcome)).count()
    };
    let began = Instant::now();
    let verdict = failed.map_or_else(|| judge(&threads), Verdict::Broken);
    println!(
        "{} processes x {} threads, {}, {}: {} operations, {} unfinished, {} gave up, {} conflicts; judged in {:.1?}",
        round.processes,
        round.threads,
        round.store,
        round.fault.word(),
        threads.iter().map(Vec::len).sum::<usize>(),
        count(&|outcome| outcome.is_none()),
        count(&|outcome| outcome == Some(&Outcome::GaveUp)),
        count(&|outcome| matches!(outcome, Some(Outcome::Conflict(_)))),
        began.elapsed(),
    );
    verdict
}

fn scale() -> u64 {
    std::env::var("TOKENKEEP_TORTURE").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

fn expect_linearizable(rounds: impl Iterator<Item = Round>) {
    for round in rounds {
        match try_round(round) {
            Verdict::Linearizable => {}
            Verdict::Broken(story) => panic!("seed {}: not linearizable: {story}", round.seed),
            Verdict::Undecided => panic!("seed {}: could not be decided", round.seed),
        }
    }
}

#[test]
fn histories_with_kills_and_time_outs_are_linearizable() {
    expect_linearizable(
        [2, 4, 6, 8].iter().cycle().zip(0..4 * scale()).map(|(processes, seed)| Round::of(*processes, seed)),
    );
}

#[test]
fn histories_in_memory_where_everything_is_fast_are_linearizable() {
    let fast = |seed| Round { in_memory: true, threads: 3, ..Round::of(4, 100 + seed) };
    expect_linearizable((0..2 * scale()).map(fast));
}

#[test]
fn durable_histories_are_linearizable() {
    expect_linearizable((0..scale()).map(|seed| Round { store: "synced", ..Round::of(3, 200 + seed) }));
}

#[test]
fn a_history_of_one_account_that_all_threads_change_is_linearizable() {
    expect_linearizable((0..scale()).map(|seed| Round { accounts: 1, ..Round::of(4, 300 + seed) }));
}

#[test]
fn hasty_histories_with_many_deletions_are_linearizable() {
    let hasty =
        |seed| Round { accounts: 1, hasty: true, violent: false, threads: 1, ..Round::of(3, 350 + seed) };
    expect_linearizable((0..2 * scale()).map(hasty));
}

#[test]
fn stray_unlinks_of_the_siblings_lock_file_do_no_harm() {
    let stray = |seed| Round { fault: Fault::StrayUnlink, ..Round::of(4, 400 + seed) };
    expect_linearizable((0..scale()).map(stray));
}

#[test]
fn histories_on_a_file_system_that_keeps_whole_seconds_are_linearizable() {
    expect_linearizable((0..scale()).map(|seed| Round { coarse: true, ..Round::of(4, 800 + seed) }));
}

#[test]
fn histories_over_a_store_with_a_clock_of_its_own_are_linearizable() {
    expect_linearizable((0..scale()).map(|seed| Round { store: "clocked", ..Round::of(4, 900 + seed) }));
}

/// Checks that a fault is found within a few rounds, or in each round if it shows in all.
fn expect_caught(fault: Fault, seed: u64) {
    for attempt in 0..5 {
        let round = Round { fault, violent: false, ..Round::of(4, seed + attempt) };
        if let Verdict::Broken(story) = try_round(round) {
            println!("{fault:?} is caught: {story}");
            return;
        }
    }
    panic!("{fault:?} was not noticed in five rounds");
}

#[test]
fn a_worker_that_skips_the_lock_is_caught() {
    expect_caught(Fault::SkipLock, 500);
}

#[test]
fn a_worker_that_skips_the_reload_is_caught() {
    expect_caught(Fault::SkipReload, 600);
}

#[test]
fn a_worker_that_unlinks_the_lock_files_of_others_is_caught() {
    expect_caught(Fault::ForeignUnlink, 700);
}
