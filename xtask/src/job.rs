//! One piece of work with a time limit: child processes under a common deadline, their output in a log file.
//!
//! Every child runs in its own process group, beside a small watcher that holds one end of a pipe. When the pipe
//! closes, because the child ended, exceeded its time, or xtask itself was interrupted or killed, the watcher kills
//! the rest of the group. No process of a stage outlives it unless it leaves the group (a daemon); those are found
//! afterwards by a mark in their environment: see [`Job::left_behind`].

use std::error::Error;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::workspace::Workspace;

/// The environment variable that marks every process a job starts.
const MARK: &str = "TOKENKEEP_XTASK_JOB";

/// The interval at which a running child is checked: short against any command, long against the cost of a check.
const POLL: Duration = Duration::from_millis(15);

/// `$0` is a name, `$@` the command. The watcher is a grandchild, so that the command never gets a child that it did
/// not start.
#[cfg(unix)]
const WATCH: &str = r#"exec 3<&0 </dev/null
( ( read -r _ <&3; kill -s KILL 0 ) >/dev/null 2>&1 & )
exec 3<&-
exec "$@""#;

/// The failure of a project's command: one message.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Failure {}

pub(crate) type Outcome<T> = Result<T, Failure>;

/// Adds the path to an error of the file system.
pub(crate) fn at(path: &Path) -> impl Fn(io::Error) -> Failure + '_ {
    move |error| Failure::new(format!("{}: {error}", path.display()))
}

/// A log file, a deadline, and the children that run under both.
#[derive(Debug)]
pub(crate) struct Job<'w> {
    pub(crate) workspace: &'w Workspace,
    log: File,
    log_path: PathBuf,
    started: Instant,
    limit: Duration,
    echo: bool,
    shown: u64,
    mark: String,
    variables: Vec<(&'static str, String)>,
}

impl<'w> Job<'w> {
    /// Starts the clock and an empty log. With `echo` the output is also printed.
    pub(crate) fn start(workspace: &'w Workspace, name: &str, limit: Duration, echo: bool) -> Outcome<Self> {
        let folder = workspace.products.join("xtask-logs");
        fs::create_dir_all(&folder).map_err(at(&folder))?;
        let log_path = folder.join(format!("{name}.log"));
        let log = File::create(&log_path).map_err(at(&log_path))?;
        let mark = format!("{}-{name}", std::process::id());
        Ok(Self {
            workspace,
            log,
            log_path,
            started: Instant::now(),
            limit,
            echo,
            shown: 0,
            mark,
            variables: Vec::new(),
        })
    }

    pub(crate) fn log_path(&self) -> &Path {
        &self.log_path
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Sets an environment variable for every command of this job.
    pub(crate) fn set_variable(&mut self, name: &'static str, value: String) {
        self.variables.push((name, value));
    }

    /// Starts or stops printing the output of the children.
    pub(crate) fn set_echo(&mut self, echo: bool) {
        self.echo = echo;
        self.shown = self.log.metadata().map_or(self.shown, |metadata| metadata.len());
    }

    /// Returns a command in the checkout's root. Add arguments and environment, then pass it to [`run`](Self::run).
    pub(crate) fn command(&self, program: &str) -> Command {
        #[cfg(unix)]
        let mut command = {
            use std::os::unix::process::CommandExt;
            let mut command = Command::new("sh");
            command.args(["-c", WATCH, "xtask", program]).process_group(0);
            command
        };
        #[cfg(not(unix))]
        let mut command = Command::new(program);
        command.current_dir(&self.workspace.root);
        command
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .env(MARK, &self.mark)
            .env("CARGO_TERM_COLOR", "never")
            .env("NO_COLOR", "1")
            .env_remove("FORCE_COLOR");
        // cargo describes xtask's own package in the environment; a child cargo must not take that for its own.
        for (name, _) in std::env::vars_os() {
            if name
                .to_str()
                .is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
            {
                command.env_remove(name);
            }
        }
        command
    }

    /// Adds a line of our own to the log.
    pub(crate) fn note(&mut self, text: &str) -> Outcome<()> {
        writeln!(self.log, "{text}").map_err(at(&self.log_path))?;
        self.show();
        Ok(())
    }

    /// Runs a command to its end; anything but exit code 0 in time is a failure.
    pub(crate) fn run(&mut self, command: &mut Command) -> Outcome<()> {
        let name = self.announce(command)?;
        let stdout = self.log.try_clone().map_err(at(&self.log_path))?;
        let stderr = self.log.try_clone().map_err(at(&self.log_path))?;
        self.supervise(&name, command.stdout(stdout).stderr(stderr))
    }

    /// Runs a command to its end and returns its standard output.
    pub(crate) fn output(&mut self, command: &mut Command) -> Outcome<String> {
        let name = self.announce(command)?;
        let stderr = self.log.try_clone().map_err(at(&self.log_path))?;
        self.capture(&name, command.stderr(stderr))
    }

    /// Runs a command whose failure is an answer: returns its output, or `None`. It writes nothing to the log.
    pub(crate) fn ask(&mut self, command: &mut Command) -> Option<String> {
        let name = describe(command);
        self.capture(&name, command.stderr(Stdio::null())).ok()
    }

    fn announce(&mut self, command: &Command) -> Outcome<String> {
        let name = describe(command);
        self.note(&format!("$ {name}"))?;
        Ok(name)
    }

    fn capture(&mut self, name: &str, command: &mut Command) -> Outcome<String> {
        let path = self.log_path.with_extension("out");
        command.stdout(File::create(&path).map_err(at(&path))?);
        let outcome = self.supervise(name, command);
        let text = fs::read(&path).map_err(at(&path))?;
        fs::remove_file(&path).map_err(at(&path))?;
        outcome.map(|()| String::from_utf8_lossy(&text).into_owned())
    }

    fn supervise(&mut self, name: &str, command: &mut Command) -> Outcome<()> {
        command.stdin(Stdio::piped());
        let mut child =
            command.spawn().map_err(|error| Failure::new(format!("cannot start {name}: {error}")))?;
        // Held until the end, because closing it ends the group.
        let pipe = child.stdin.take();
        let status = loop {
            self.show();
            match child.try_wait().map_err(|error| Failure::new(format!("waiting for {name}: {error}")))? {
                Some(status) => break Some(status),
                None if self.started.elapsed() > self.limit => break None,
                None => thread::sleep(POLL),
            }
        };
        drop(pipe);
        if status.is_none() {
            // The watcher ends the group; this ends the child if there is no watcher, and reaps it.
            child
                .kill()
                .and_then(|()| child.wait())
                .map_err(|error| Failure::new(format!("ending {name}: {error}")))?;
        }
        self.show();
        verdict(name, status, self.limit)
    }

    /// Prints the lines added to the log since the last call.
    fn show(&mut self) {
        if !self.echo {
            return;
        }
        let mut fresh = Vec::new();
        let read = File::open(&self.log_path).and_then(|mut log| {
            log.seek(SeekFrom::Start(self.shown))?;
            log.read_to_end(&mut fresh)
        });
        // The log file has everything, so a closed terminal is not a failure.
        if let Ok(length) = read {
            self.shown += length as u64;
            drop(io::stdout().write_all(&fresh).and_then(|()| io::stdout().flush()));
        }
    }

    /// Returns the processes of this job that still run although its commands have ended, as `pid command` lines.
    ///
    /// They get two seconds to end, like a daemon whose bus has just closed; after that they are killed.
    pub(crate) fn left_behind(&self) -> Vec<String> {
        let patience = Instant::now() + Duration::from_secs(2);
        loop {
            let left = marked_processes(&format!("{MARK}={}", self.mark));
            if left.is_empty() || Instant::now() > patience {
                for (pid, _) in &left {
                    drop(Command::new("kill").args(["-KILL", pid]).stderr(Stdio::null()).status());
                }
                return left.into_iter().map(|(pid, command)| format!("{pid} {command}")).collect();
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Returns the processes whose environment contains `mark`, from Linux's `/proc`; none on other systems.
fn marked_processes(mark: &str) -> Vec<(String, String)> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| {
            let pid = entry
                .file_name()
                .into_string()
                .ok()
                .filter(|name| name.bytes().all(|b| b.is_ascii_digit()))?;
            // Unreadable: another user's process, or one that has ended.
            let environment = fs::read(entry.path().join("environ")).ok()?;
            environment.split(|byte| *byte == 0).find(|variable| *variable == mark.as_bytes())?;
            let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            Some((pid, String::from_utf8_lossy(&command).replace('\0', " ").trim().to_owned()))
        })
        .collect()
}

fn verdict(name: &str, status: Option<ExitStatus>, limit: Duration) -> Outcome<()> {
    match status {
        Some(status) if status.success() => Ok(()),
        Some(status) if status.code() == Some(127) => {
            Err(Failure::new(format!("{name}: the program was not found")))
        }
        Some(status) => Err(Failure::new(format!("{name} ended with {status}"))),
        None => Err(Failure::new(format!("{name} was stopped: the limit is {} s", limit.as_secs()))),
    }
}

/// Returns the command as typed by hand, without the watcher and without the text of scripts.
fn describe(command: &Command) -> String {
    let program = (!cfg!(unix)).then(|| command.get_program());
    let arguments = command.get_args().skip(if cfg!(unix) { 3 } else { 0 });
    let words = program.into_iter().chain(arguments).map(|word| word.to_string_lossy());
    let words: Vec<_> = words.map(|word| if word.contains('\n') { "...".into() } else { word }).collect();
    words.join(" ")
}

#[cfg(test)]
#[cfg(target_os = "linux")]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn in_fresh_workspace(name: &str, limit: Duration, check: impl FnOnce(&mut Job<'_>)) {
        let root = std::env::temp_dir().join(format!("xtask-job-{name}-{}", std::process::id()));
        fs::create_dir_all(&root).unwrap();
        let workspace = Workspace { root: root.clone(), cargo_target: root.clone(), products: root.clone() };
        check(&mut Job::start(&workspace, name, limit, false).unwrap());
        fs::remove_dir_all(&root).unwrap();
    }

    fn shell(job: &Job<'_>, script: &str) -> Command {
        let mut command = job.command("sh");
        command.args(["-c", script]);
        command
    }

    /// Waits, with a limit, until no process has this id any more (except as a zombie).
    fn is_gone(pid: &str) -> bool {
        let patience = Instant::now() + Duration::from_secs(5);
        while Instant::now() < patience {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            if stat.is_empty()
                || stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'))
            {
                return true;
            }
            thread::sleep(Duration::from_millis(10));
        }
        false
    }

    #[test]
    fn output_is_returned_and_errors_name_the_command_and_its_status() {
        in_fresh_workspace("output", Duration::from_secs(30), |job| {
            let mut command = shell(job, "echo one; echo two >&2");
            assert_eq!(job.output(&mut command).unwrap(), "one\n");
            assert!(fs::read_to_string(job.log_path()).unwrap().contains("two\n"));
            let mut command = shell(job, "exit 3");
            let message = job.run(&mut command).unwrap_err().to_string();
            assert!(message.contains("sh -c exit 3") && message.contains("status: 3"), "{message}");
            let mut command = job.command("no-such-program-anywhere");
            assert!(job.run(&mut command).unwrap_err().to_string().contains("not found"));
        });
    }

    #[test]
    fn a_command_past_its_limit_is_ended_with_everything_it_started() {
        in_fresh_workspace("limit", Duration::from_millis(600), |job| {
            let mut command = shell(job, "sleep 300 & echo $!; wait");
            let started = Instant::now();
            let message = job.run(&mut command).unwrap_err().to_string();
            assert!(message.contains("was stopped"), "{message}");
            assert!(started.elapsed() < Duration::from_secs(10));
            let log = fs::read_to_string(job.log_path()).unwrap();
            let sleeper = log.lines().last().unwrap();
            assert!(is_gone(sleeper), "{sleeper} still runs");
            assert_eq!(job.left_behind(), Vec::<String>::new());
        });
    }

    #[test]
    fn what_a_command_leaves_in_its_group_ends_with_it() {
        in_fresh_workspace("group", Duration::from_secs(30), |job| {
            let mut command = shell(job, "sleep 300 >/dev/null 2>&1 & echo $!");
            let sleeper = job.output(&mut command).unwrap();
            assert!(is_gone(sleeper.trim()), "{sleeper} still runs");
        });
    }

    #[test]
    fn a_daemon_is_found_by_its_mark_named_and_ended() {
        in_fresh_workspace("daemon", Duration::from_secs(30), |job| {
            let mut command = shell(
                job,
                "setsid sh -c 'echo $$; exec sleep 301' 2>/dev/null >pid & until [ -s pid ]; do :; done; cat pid",
            );
            let daemon = job.output(&mut command).unwrap();
            let left = job.left_behind();
            assert_eq!(left, [format!("{} sleep 301", daemon.trim())]);
            assert!(is_gone(daemon.trim()), "{daemon} still runs");
        });
    }
}
