//! Prepares musl, Alpine's C library, to link and run programs on a machine with glibc.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::debian::Other;
use super::toolchain::Toolchain;
use crate::job::{Failure, Job, Outcome, at};

/// Linked against the musl of the oldest Debian in use, so that the result also runs with newer ones.
const BUILD_SUITE: &str = "bookworm";
/// Node's builds for musl use relocations that musl has since 1.2.4, the version in this release.
const RUN_SUITE: &str = "trixie";

/// musl for one processor.
#[derive(Debug)]
pub(super) struct Musl {
    /// The linker: Debian's compiler with the paths of musl.
    pub(super) linker: PathBuf,
    /// Libraries for static programs.
    pub(super) alone: PathBuf,
    /// Libraries for addons.
    pub(super) shared: PathBuf,
    /// A root folder with musl's loader in `lib`, as on Alpine.
    pub(super) root: PathBuf,
}

/// A processor, with its names in Debian and elsewhere.
#[derive(Debug, Clone, Copy)]
pub(super) struct Processor {
    pub(super) name: &'static str,
    pub(super) debian: &'static str,
    /// Debian's compiler that links for it, with glibc.
    pub(super) compiler: &'static str,
    /// The unwinding library of that compiler's programs.
    pub(super) unwinder: &'static str,
}

impl Musl {
    /// Downloads and prepares everything that is missing.
    pub(super) fn ready(job: &mut Job<'_>, toolchain: &Toolchain, processor: Processor) -> Outcome<Self> {
        let folder = toolchain.root.join("musl").join(processor.name);
        let musl = Self {
            linker: folder.join("gcc"),
            alone: folder.join("alone"),
            shared: folder.join("shared"),
            root: folder.join("root"),
        };
        // Written last.
        if !musl.linker.is_file() {
            musl.make(job, processor, &folder)?;
        }
        Ok(musl)
    }

    fn make(&self, job: &mut Job<'_>, processor: Processor, folder: &Path) -> Outcome<()> {
        job.note(&format!("fetching musl for {}", processor.name))?;
        let (debs, build, run) = (folder.join("debs"), folder.join("build"), folder.join("run"));
        let other = |suite| Other { suite, arch: processor.debian };
        other(BUILD_SUITE).download(job, &debs, &["musl", "musl-dev", "libunwind-14-dev"], &build)?;
        other(RUN_SUITE).download(job, &debs, &["musl"], &run)?;

        for place in [&self.alone, &self.shared, &self.root.join("lib")] {
            fs::create_dir_all(place).map_err(at(place))?;
        }
        self.unwinder(job, processor, &build)?;
        // An addon unwinds with Node's unwinding library, which Alpine has under the same name. Linking needs only
        // its names.
        copy(Path::new(processor.unwinder), &self.shared.join("libgcc_s.so"))?;
        // Without it the linker would put a whole C library into the addon, which then crashes.
        let library = format!("lib/{}-linux-musl/libc.so", processor.name);
        copy(&build.join(&library), &self.shared.join("libc.so"))?;
        let library = format!("usr/{library}");
        copy(&run.join(library), &self.root.join(format!("lib/ld-musl-{}.so.1", processor.name)))?;
        self.link_with(processor, &build)
    }

    /// An unwinder without glibc: gcc's calls functions that musl does not have.
    fn unwinder(&self, job: &mut Job<'_>, processor: Processor, build: &Path) -> Outcome<()> {
        let library = self.alone.join("libunwind.a");
        copy(&build.join("usr/lib/llvm-14/lib/libunwind.a"), &library)?;
        // Debian compiled it with checks that call a function of glibc.
        let source = job.workspace.path("xtask/src/cross/fprintf_chk.c");
        let object = self.alone.join("fprintf_chk.o");
        let mut compile = job.command(processor.compiler);
        job.run(compile.args(["-O2", "-c", "-o"]).arg(&object).arg(source))?;
        let mut archive = job.command("ar");
        job.run(archive.arg("r").arg(&library).arg(&object))
    }

    /// Debian's description of how to link with musl, with the paths of the unpacked copy.
    fn link_with(&self, processor: Processor, build: &Path) -> Outcome<()> {
        let own = format!("/usr/lib/{}-linux-musl", processor.name);
        let here = build.join(&own[1..]);
        let described = here.join("musl-gcc.specs");
        let text = fs::read_to_string(&described).map_err(at(&described))?;
        let specs = self.linker.with_file_name("specs");
        fs::write(&specs, text.replace(&own, &here.to_string_lossy())).map_err(at(&specs))?;
        let script = format!("#!/bin/sh\nexec {} \"$@\" -specs '{}'\n", processor.compiler, specs.display());
        fs::write(&self.linker, script).map_err(at(&self.linker))?;
        fs::set_permissions(&self.linker, fs::Permissions::from_mode(0o755)).map_err(at(&self.linker))
    }
}

fn copy(from: &Path, to: &Path) -> Outcome<()> {
    if !from.is_file() {
        return Err(Failure::new(format!("{} is missing", from.display())));
    }
    fs::copy(from, to).map(|_bytes| ()).map_err(at(to))
}
