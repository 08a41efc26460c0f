//! The platforms that have an npm package with a prebuilt addon, by npm's names for them.

use std::path::PathBuf;

use crate::job::{Failure, Outcome};
use crate::workspace::Workspace;

/// A platform that has a package with a prebuilt addon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Platform {
    /// As in `tokenkeep-linux-x64-gnu` and `tokenkeep.linux-x64-gnu.node`.
    pub(crate) name: &'static str,
    /// Rust's name of it.
    pub(crate) target: &'static str,
    /// npm's own terms, by which it installs the one package that fits; no libc outside Linux.
    pub(crate) os: &'static str,
    pub(crate) cpu: &'static str,
    pub(crate) libc: Option<&'static str>,
    /// Whether a release runs its tests on such a machine. A release may lack a platform that is built and never run.
    pub(crate) is_run: bool,
}

const fn linux(name: &'static str, target: &'static str, cpu: &'static str, libc: &'static str) -> Platform {
    Platform { name, target, os: "linux", cpu, libc: Some(libc), is_run: true }
}

const fn other(name: &'static str, target: &'static str, os: &'static str, cpu: &'static str) -> Platform {
    Platform { name, target, os, cpu, libc: None, is_run: true }
}

const fn unrun(platform: Platform) -> Platform {
    Platform { is_run: false, ..platform }
}

/// Every platform that is published. `bindings/node/ts/handle/platforms.ts` lists the same names for the loader.
pub(crate) const ALL: &[Platform] = &[
    linux("linux-x64-gnu", "x86_64-unknown-linux-gnu", "x64", "glibc"),
    linux("linux-x64-musl", "x86_64-unknown-linux-musl", "x64", "musl"),
    linux("linux-arm64-gnu", "aarch64-unknown-linux-gnu", "arm64", "glibc"),
    linux("linux-arm64-musl", "aarch64-unknown-linux-musl", "arm64", "musl"),
    other("darwin-x64", "x86_64-apple-darwin", "darwin", "x64"),
    other("darwin-arm64", "aarch64-apple-darwin", "darwin", "arm64"),
    other("win32-x64-msvc", "x86_64-pc-windows-msvc", "win32", "x64"),
    other("win32-arm64-msvc", "aarch64-pc-windows-msvc", "win32", "arm64"),
    unrun(linux("linux-arm-gnu", "armv7-unknown-linux-gnueabihf", "arm", "glibc")),
    unrun(linux("linux-riscv64-gnu", "riscv64gc-unknown-linux-gnu", "riscv64", "glibc")),
    unrun(linux("linux-s390x-gnu", "s390x-unknown-linux-gnu", "s390x", "glibc")),
    unrun(linux("linux-ppc64-gnu", "powerpc64le-unknown-linux-gnu", "ppc64", "glibc")),
    unrun(other("freebsd-x64", "x86_64-unknown-freebsd", "freebsd", "x64")),
];

impl Platform {
    /// Returns the platform for which this xtask was compiled.
    pub(crate) fn current() -> Outcome<Self> {
        let (os, cpu) = (std::env::consts::OS, std::env::consts::ARCH);
        let target = match os {
            "linux" => {
                format!("{cpu}-unknown-linux-{}", if cfg!(target_env = "gnu") { "gnu" } else { "musl" })
            }
            "macos" => format!("{cpu}-apple-darwin"),
            // With either compiler it is the same platform for npm.
            "windows" => format!("{cpu}-pc-windows-msvc"),
            _ => String::new(),
        };
        let found = ALL.iter().find(|platform| platform.target == target);
        found.copied().ok_or_else(|| Failure::new(format!("no npm package is planned for {os} on {cpu}")))
    }

    /// Returns the platform with this name in [`ALL`].
    pub(crate) fn named(name: &str) -> Outcome<Self> {
        let found = ALL.iter().find(|platform| platform.name == name);
        found.copied().ok_or_else(|| Failure::new(format!("there is no package for {name}")))
    }

    /// Returns the compiler's flag for linking the C library in, or for using the system's. musl: as `linked_in` says,
    /// because the default depends on the compiler. Windows: always in, because the Visual C++ runtime is no part of it.
    pub(crate) fn crt_flag(self, linked_in: bool) -> Option<String> {
        let sign = match (self.os, self.libc) {
            ("win32", _) => '+',
            (_, Some("musl")) if linked_in => '+',
            (_, Some("musl")) => '-',
            _ => return None,
        };
        Some(format!("-Ctarget-feature={sign}crt-static"))
    }

    /// The x of the oldest glibc 2.x that a published binary may ask for: the one from which Node 20 runs.
    pub(crate) fn oldest_glibc(self) -> u32 {
        // Rust's standard library for ppc64 calls functions of 2.32, which took another kind of `long double`.
        if self.cpu == "ppc64" { 32 } else { 28 }
    }

    /// The target for `cargo zigbuild`, which links against the glibc that is named behind it.
    pub(crate) fn zig_target(self) -> String {
        match self.libc {
            Some("glibc") => format!("{}.2.{}", self.target, self.oldest_glibc()),
            _ => self.target.to_owned(),
        }
    }

    /// Cargo's name of the library file.
    pub(crate) fn library(self) -> &'static str {
        match self.os {
            "win32" => "tokenkeep_node.dll",
            "darwin" => "libtokenkeep_node.dylib",
            _ => "libtokenkeep_node.so",
        }
    }

    /// The file the addon is copied to, and has inside its package.
    pub(crate) fn addon_file(self) -> String {
        format!("tokenkeep.{}.node", self.name)
    }

    pub(crate) fn package(self) -> String {
        format!("tokenkeep-{}", self.name)
    }
}

/// Returns the program that is a platform's Node on this machine, if `cargo xtask cross` has made one.
pub(crate) fn runner(workspace: &Workspace, platform: Platform) -> PathBuf {
    workspace.cargo_target.join("cross/run").join(platform.name)
}

/// Returns the program that starts other programs of that platform, if there is one.
pub(crate) fn starter(workspace: &Workspace, platform: Platform) -> PathBuf {
    workspace.cargo_target.join("cross/run").join(format!("{}-program", platform.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loader_knows_the_same_platforms() {
        // xtask does not start a test, so this is the path of the compiled sources.
        let loader = concat!(env!("CARGO_MANIFEST_DIR"), "/../bindings/node/ts");
        for file in ["handle/platforms.ts", "embed.ts"] {
            let text = std::fs::read_to_string(format!("{loader}/{file}")).unwrap();
            for platform in ALL {
                assert!(text.contains(&format!("\"{}\"", platform.name)), "{} in {file}", platform.name);
            }
            let named = text.matches("  \"").count();
            assert_eq!(named, ALL.len(), "{file} names a platform that is not published");
        }
    }

    #[test]
    fn the_c_library_is_linked_in_where_the_system_has_none() {
        let flag = |name: &str, linked_in| Platform::named(name).unwrap().crt_flag(linked_in);
        for linked_in in [true, false] {
            assert_eq!(flag("win32-x64-msvc", linked_in).as_deref(), Some("-Ctarget-feature=+crt-static"));
            assert_eq!(flag("darwin-arm64", linked_in), None);
        }
        assert_eq!(flag("linux-x64-musl", false).as_deref(), Some("-Ctarget-feature=-crt-static"));
    }

    #[test]
    fn this_machine_is_one_of_them() {
        assert_eq!(
            Platform::current().unwrap().os,
            std::env::consts::OS.replace("macos", "darwin").replace("windows", "win32")
        );
    }
}
