//! The name npm packages use for the platform this xtask was compiled for.

use crate::job::{Failure, Outcome};

/// A platform that has, or will have, a package with a prebuilt addon.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Platform {
    /// As in `tokenkeep-linux-x64-gnu` and `tokenkeep.linux-x64-gnu.node`.
    pub(crate) name: &'static str,
    /// What cargo calls the library file.
    pub(crate) library: &'static str,
    /// npm's own terms, by which it installs the one package that fits; no libc outside Linux.
    pub(crate) os: &'static str,
    pub(crate) cpu: &'static str,
    pub(crate) libc: Option<&'static str>,
}

const LINUX_LIBRARY: &str = "libtokenkeep_node.so";
const MACOS_LIBRARY: &str = "libtokenkeep_node.dylib";
const WINDOWS_LIBRARY: &str = "tokenkeep_node.dll";

impl Platform {
    pub(crate) fn current() -> Outcome<Self> {
        let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
        let platform = |name, library, os, cpu, libc| Ok(Self { name, library, os, cpu, libc });
        match (os, arch) {
            ("linux", "x86_64") if cfg!(target_env = "gnu") => {
                platform("linux-x64-gnu", LINUX_LIBRARY, "linux", "x64", Some("glibc"))
            }
            ("linux", "aarch64") if cfg!(target_env = "gnu") => {
                platform("linux-arm64-gnu", LINUX_LIBRARY, "linux", "arm64", Some("glibc"))
            }
            ("linux", "x86_64") => platform("linux-x64-musl", LINUX_LIBRARY, "linux", "x64", Some("musl")),
            ("linux", "aarch64") => {
                platform("linux-arm64-musl", LINUX_LIBRARY, "linux", "arm64", Some("musl"))
            }
            ("macos", "x86_64") => platform("darwin-x64", MACOS_LIBRARY, "darwin", "x64", None),
            ("macos", "aarch64") => platform("darwin-arm64", MACOS_LIBRARY, "darwin", "arm64", None),
            ("windows", "x86_64") => platform("win32-x64-msvc", WINDOWS_LIBRARY, "win32", "x64", None),
            ("windows", "aarch64") => platform("win32-arm64-msvc", WINDOWS_LIBRARY, "win32", "arm64", None),
            _ => Err(Failure::new(format!("no npm package is planned for {os} on {arch}"))),
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
