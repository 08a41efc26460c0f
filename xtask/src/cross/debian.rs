//! Debian packages, downloaded by the user and unpacked into the target folder, without installation.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::job::{Failure, Job, Outcome, at};

/// Another Debian than this machine's: another release, or another processor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Other {
    pub(super) suite: &'static str,
    /// Debian's name of the processor.
    pub(super) arch: &'static str,
}

/// Downloads packages of this machine's Debian and unpacks them into `place`. `debs` is the folder for downloads.
pub(super) fn download(job: &mut Job<'_>, debs: &Path, packages: &[String], place: &Path) -> Outcome<()> {
    let fetch = job.command("apt-get");
    unpacked(job, fetch, debs, packages, place).map_err(|failure| {
        Failure::new(format!("{failure}; Debian 12 with its security updates has {}", packages.join(" ")))
    })
}

impl Other {
    /// Downloads packages of this Debian and unpacks them into `place`. `debs` is the folder for downloads and for
    /// separate lists, so that the machine's lists do not change. The signatures are checked with the machine's keys.
    pub(super) fn download(
        self,
        job: &mut Job<'_>,
        debs: &Path,
        packages: &[&str],
        place: &Path,
    ) -> Outcome<()> {
        let state = debs.join(format!("{}-{}", self.suite, self.arch));
        for folder in ["lists/partial", "cache/archives/partial", "sources"] {
            let folder = state.join(folder);
            fs::create_dir_all(&folder).map_err(at(&folder))?;
        }
        let sources = state.join("sources/debian.sources");
        fs::write(&sources, self.sources(&archive(job)?)).map_err(at(&sources))?;
        let mut update = self.apt(job, &state);
        job.run(update.arg("update"))?;
        let fetch = self.apt(job, &state);
        let packages: Vec<String> = packages.iter().map(|name| (*name).to_owned()).collect();
        unpacked(job, fetch, &state.join("debs"), &packages, place)?;
        // Only the lists of this Debian, tens of megabytes.
        crate::workspace::remove(&state)
    }

    fn sources(self, archive: &str) -> String {
        format!(
            "Types: deb\nURIs: {archive}\nSuites: {}\nComponents: main\nArchitectures: {}\n\
             Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n",
            self.suite, self.arch
        )
    }

    /// apt-get with the lists of this Debian alone.
    fn apt(self, job: &Job<'_>, state: &Path) -> Command {
        let mut apt = job.command("apt-get");
        for (name, value) in [
            ("Dir::State::lists", state.join("lists").display().to_string()),
            ("Dir::Cache", state.join("cache").display().to_string()),
            ("Dir::Etc::sourcelist", "/dev/null".to_owned()),
            ("Dir::Etc::sourceparts", state.join("sources").display().to_string()),
            ("APT::Architecture", self.arch.to_owned()),
            ("APT::Architectures", self.arch.to_owned()),
        ] {
            apt.arg("-o").arg(format!("{name}={value}"));
        }
        apt
    }
}

/// Returns the archive from which this machine gets its Debian.
fn archive(job: &mut Job<'_>) -> Outcome<String> {
    let mut ask = job.command("apt-get");
    ask.args(["indextargets", "--format", "$(REPO_URI)"]);
    let text = job.output(ask.args(["Created-By: Packages", "Origin: Debian", "Label: Debian"]))?;
    let first = text.lines().next().map(str::to_owned);
    first.ok_or_else(|| Failure::new("apt has no lists of Debian's packages: run apt-get update"))
}

/// Downloads with `apt`, unpacks each package into `place`, and deletes the downloads.
fn unpacked(
    job: &mut Job<'_>,
    mut apt: Command,
    debs: &Path,
    packages: &[String],
    place: &Path,
) -> Outcome<()> {
    // Files of an interrupted run may be truncated.
    crate::workspace::remove(debs)?;
    fs::create_dir_all(debs).map_err(at(debs))?;
    job.run(apt.arg("download").args(packages).current_dir(debs))?;
    let fetched = entries(debs)?;
    if fetched.len() != packages.len() {
        return Err(Failure::new(format!("asked for {}, fetched {fetched:?}", packages.join(" "))));
    }
    for deb in fetched {
        let mut open = job.command("dpkg-deb");
        job.run(open.arg("-x").arg(&deb).arg(place))?;
    }
    crate::workspace::remove(debs)
}

/// Returns the entries of a folder, with the folder's path.
pub(super) fn entries(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(at(folder))?;
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(at(folder))).collect()
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::job::tests::in_fresh_workspace;

    /// A stand-in for apt-get that creates the given files; the other programs, dpkg-deb included, are real.
    fn apt(job: &Job<'_>, script: &str) -> Command {
        let mut command = job.command("sh");
        command.args(["-c", script, "apt-get"]);
        command
    }

    /// A package with one file, made by dpkg-deb.
    fn package(root: &Path, job: &mut Job<'_>) -> PathBuf {
        let tree = root.join("tree");
        fs::create_dir_all(tree.join("DEBIAN")).unwrap();
        fs::create_dir_all(tree.join("usr/share")).unwrap();
        fs::write(tree.join("usr/share/content"), "whole").unwrap();
        let control = "Package: one\nVersion: 1\nArchitecture: all\nMaintainer: nobody <n@localhost>\nDescription: a test\n";
        fs::write(tree.join("DEBIAN/control"), control).unwrap();
        let deb = root.join("one.deb");
        let mut build = job.command("dpkg-deb");
        job.run(build.arg("--build").arg(&tree).arg(&deb)).unwrap();
        deb
    }

    #[test]
    fn packages_are_unpacked_and_what_an_interrupted_run_left_is_not_taken_for_one() {
        in_fresh_workspace("debian-unpack", Duration::from_secs(60), |job| {
            let root = job.workspace.root.clone();
            let deb = package(&root, job);
            let (debs, place) = (root.join("debs"), root.join("place"));
            fs::create_dir_all(&debs).unwrap();
            fs::write(debs.join("cut-short.deb"), "!<arch>").unwrap();
            let fetch = apt(job, &format!("cp '{}' .", deb.display()));
            unpacked(job, fetch, &debs, &["one".to_owned()], &place).unwrap();
            assert_eq!(fs::read_to_string(place.join("usr/share/content")).unwrap(), "whole");
            assert!(!debs.exists(), "what was fetched is not kept");
        });
    }

    #[test]
    fn a_package_that_was_cut_or_did_not_come_is_a_failure() {
        in_fresh_workspace("debian-cut", Duration::from_secs(60), |job| {
            let root = job.workspace.root.clone();
            let deb = package(&root, job);
            let (debs, place) = (root.join("debs"), root.join("place"));
            let cut = apt(job, &format!("head -c 200 '{}' > one.deb", deb.display()));
            let failure = unpacked(job, cut, &debs, &["one".to_owned()], &place).unwrap_err().to_string();
            assert!(failure.contains("dpkg-deb"), "{failure}");
            let nothing = apt(job, ":");
            let failure = unpacked(job, nothing, &debs, &["one".to_owned()], &place).unwrap_err().to_string();
            assert!(failure.contains("asked for one"), "{failure}");
        });
    }
}
