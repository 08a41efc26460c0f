//! Windows programs without Windows.
//!
//! Wine shows that the system's functions are called correctly, that locks and share modes exclude processes, and
//! that paths, errors and encryption fit together. [`DEVIATIONS`] and [`NOT_SHOWN`] list everything that it does not
//! show.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::toolchain::Toolchain;
use crate::job::{Failure, Job, Outcome, at};
use crate::setup::{Tool, debian};

pub(super) const TOOLS: &[Tool] = &[
    debian("Wine", &["wine", "--version"], "wine"),
    debian("Wine for 64 bits", &["sh", "-c", "test -x /usr/lib/wine/wine64"], "wine64"),
    debian("a linker for Windows", &["x86_64-w64-mingw32-gcc", "--version"], "gcc-mingw-w64-x86-64-win32"),
    debian("a time limit", &["timeout", "--version"], "coreutils"),
    debian("a terminal for a program", &["script", "--version"], "bsdutils"),
];

/// A test that should pass on Windows, according to its documentation, and fails under Wine.
pub(super) struct Deviation {
    pub(super) test: &'static str,
    pub(super) reason: &'static str,
}

/// Left out under Wine, and listed in the report of every run.
pub(super) const DEVIATIONS: &[Deviation] = &[
    Deviation {
        test: "data_protection::a_changed_byte_anywhere_is_detected",
        reason: "Wine 8 does not authenticate its blobs: a third of the bytes can be changed unnoticed",
    },
    Deviation {
        test: "data_protection::the_provider_is_windows_own",
        reason: "Wine puts its own name where Windows has the number of its provider",
    },
];

/// Questions that no test here can answer, for the first run on a real Windows.
pub(super) const NOT_SHOWN: &[&str] = &[
    "that another user, or the same on another machine, cannot decrypt: Wine's keys come from the user's name",
    "a difference between the scopes CurrentUser and LocalMachine: Wine makes none",
    "the errors of a profile that is not loaded, a key that roams, a password that was reset",
    "access lists: Wine keeps of them what the permission bits of Unix can say",
    "replacing a file that others have open: Wine refuses where NTFS does it, and the retries wait for the others",
    "flushing a directory, and what is left after a loss of power",
    "shares of another machine (what runs here is one of the own, without a network) and mapped drives, cloud and deduplicated files, junctions",
    "Ctrl-Break and a closed console; Ctrl-C at a console of Windows itself (here it is pressed at one that Wine makes of a terminal)",
    "the build for the Microsoft linker, which is what is shipped",
];

/// The time limit of one Windows program, in seconds.
const LIMIT: &str = "600";

/// A private Windows of Wine.
#[derive(Debug)]
pub(super) struct Wine {
    prefix: PathBuf,
}

impl Wine {
    /// Makes the prefix unless it is there.
    pub(super) fn ready(job: &mut Job<'_>, toolchain: &Toolchain) -> Outcome<Self> {
        let wine = Self { prefix: toolchain.root.join("wine") };
        let shim = wine.prefix.join("drive_c/windows/system32/bcryptprimitives.dll");
        if shim.is_file() {
            wine.share_drives()?;
            return Ok(wine);
        }
        job.note("making a Windows for Wine")?;
        let mut boot = wine.within(job, "60");
        job.run(boot.args(["wineboot", "-i"]))?;
        // node.exe needs at least this version.
        let mut version = wine.within(job, "60");
        let key = ["reg", "add", r"HKCU\Software\Wine", "/v", "Version", "/d", "win10", "/f"];
        job.run(version.arg("wine").args(key))?;
        let source = job.workspace.path("xtask/src/cross/process_prng.c");
        let fresh = shim.with_extension("new");
        let mut compile = job.command("x86_64-w64-mingw32-gcc");
        compile.args(["-shared", "-O2", "-s", "-o"]).arg(&fresh).arg(source).arg("-ladvapi32");
        job.run(&mut compile)?;
        fs::rename(&fresh, &shim).map_err(at(&shim))?;
        wine.share_drives()?;
        Ok(wine)
    }

    /// `\\\\localhost\\C$` and `Z$`, the administrative shares of Windows.
    fn share_drives(&self) -> Outcome<()> {
        let machine = self.prefix.join("dosdevices/unc/localhost");
        fs::create_dir_all(&machine).map_err(at(&machine))?;
        for (name, place) in [("C$", self.prefix.join("drive_c")), ("Z$", PathBuf::from("/"))] {
            let share = machine.join(name);
            // Absent, or from an earlier run.
            drop(fs::remove_file(&share));
            std::os::unix::fs::symlink(place, &share).map_err(at(&share))?;
        }
        Ok(())
    }

    /// Returns a command in this Windows with a time limit in seconds.
    fn within(&self, job: &Job<'_>, seconds: &str) -> Command {
        let mut command = job.command("timeout");
        command.args(["--kill-after=10", seconds]);
        self.environment(&mut command);
        command
    }

    /// A Windows program.
    pub(super) fn program(&self, job: &Job<'_>) -> Command {
        let mut command = self.within(job, LIMIT);
        command.arg("wine");
        command
    }

    /// Makes cargo run its test programs in this Windows.
    pub(super) fn run_tests_of(&self, cargo: &mut Command) {
        self.run_with(cargo, &format!("timeout --kill-after=10 {LIMIT} wine"));
    }

    /// Makes cargo run its test programs with `runner`, for which Wine is ready.
    pub(super) fn run_with(&self, cargo: &mut Command, runner: &str) {
        cargo.env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER", runner);
        self.environment(cargo);
    }

    fn environment(&self, command: &mut Command) {
        command.env("WINEPREFIX", &self.prefix);
        // Without Wine's own messages and offers to install .NET and a browser.
        command.envs([("WINEDEBUG", "-all"), ("WINEDLLOVERRIDES", "mscoree=d;mshtml=d")]);
    }

    /// Ends this Windows and its remaining programs.
    pub(super) fn end(&self, job: &mut Job<'_>) -> Outcome<()> {
        let mut server = self.within(job, "30");
        // Fails if no program has been run.
        drop(job.ask(server.args(["wineserver", "-k"])));
        let mut server = self.within(job, "30");
        job.run(server.args(["wineserver", "-w"]))
            .map_err(|failure| Failure::new(format!("Wine did not end: {failure}")))
    }
}
