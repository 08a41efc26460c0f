//! Lock files in the form of the sibling libraries.

use std::fs::{self, File, FileTimes};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

type Format = fn(u32) -> String;

/// The name of each library and the content that it writes for a process.
pub(crate) const FORMATS: [(&str, Format); 5] = [
    ("JavaScript", |pid| format!("{pid}")),
    ("Python", |pid| format!("{pid} /usr/bin/az")),
    ("Go", |pid| format!("{{{pid}}} {{/usr/bin/azd}}")),
    (".NET", |pid| format!("\u{feff}{pid} dotnet\n")),
    ("Java", |pid| format!("{pid} localhost")),
];

/// A process that sleeps until it is dropped.
pub(crate) struct Sleeper(Child);

impl Sleeper {
    pub(crate) fn new() -> Self {
        Self(Command::new("sleep").arg("300").stdout(Stdio::null()).spawn().unwrap())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Kills it without reaping it.
    pub(crate) fn into_zombie(mut self) -> Zombie {
        self.0.kill().unwrap();
        let stat = format!("/proc/{}/stat", self.0.id());
        super::eventually("the process is a zombie", || {
            fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") Z "))
        });
        Zombie(self)
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) struct Zombie(Sleeper);

impl Zombie {
    pub(crate) fn pid(&self) -> u32 {
        self.0.pid()
    }
}

/// Returns the pid of a process that has ended and is reaped.
pub(crate) fn dead_pid() -> u32 {
    let mut child = Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    child.id()
}

/// Sets the times of a file to `age` ago.
pub(crate) fn make_old(path: &Path, age: Duration) {
    let times = FileTimes::new().set_modified(SystemTime::now().checked_sub(age).unwrap());
    File::options().write(true).open(path).unwrap().set_times(times).unwrap();
}
