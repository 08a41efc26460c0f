//! Each finding of the doctor ends by its own remedy. A line to paste is run in a shell, the rest is done by hand.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::keyring::{Bus, Keyring};
use crate::support::{Holder, Place, cache, said};

/// Findings whose remedy is carried out by other tests, or that this machine cannot have.
const ELSEWHERE: [(&str, &str); 9] = [
    ("directory-unreadable", "needs a user that is not root"),
    ("encryption-fails", "needs Windows"),
    ("keyring-fails", "has the remedy of the error: tests/states"),
    ("lock-held-long", "its line to paste is the command of tests/cli/lock.rs"),
    ("lock-unreadable", "has the remedy of the error: tests/states"),
    ("marker-occupied", "tests/states"),
    ("no-answer", "needs a file system that hangs"),
    ("remote-file-system", "needs a file server"),
    ("unreadable-cache", "has the remedy of the error: tests/states"),
];

/// A machine with a cache whose path has a space and quotes.
struct Scene {
    place: Place,
    cache: PathBuf,
}

impl Scene {
    fn new() -> Self {
        Self::of(Place::new())
    }

    fn of(place: Place) -> Self {
        let cache = place.file("folder of 'a' cache/cache.json", b"");
        Self { place, cache }
    }

    fn folder(&self) -> &Path {
        self.cache.parent().unwrap()
    }

    fn beside(&self, name: &str, content: &[u8]) -> PathBuf {
        self.place.file(&format!("folder of 'a' cache/{name}"), content)
    }

    fn doctor(&self) -> Command {
        self.place.command(&["doctor", "--json", "--cache-path", self.cache.to_str().unwrap()])
    }

    /// Returns the remedy of the finding with this code.
    fn remedy(&self, code: &str) -> Option<String> {
        remedy(self.doctor(), code)
    }

    /// Checks that the doctor has the finding, and no longer after the line to paste.
    fn ends_by_paste(&self, code: &str) {
        let remedy = self.remedy(code).unwrap_or_else(|| panic!("no finding {code}"));
        self.paste(&remedy);
        assert_eq!(self.remedy(code), None, "after: {remedy}");
    }

    /// Runs the line at the end of a remedy.
    fn paste(&self, remedy: &str) {
        let line = remedy.rsplit_once(": ").map_or(remedy, |(_, line)| line);
        let mut line =
            line.replace(" CACHE", &format!(" {}", self.place.home().join("moved.json").display()));
        if line.starts_with("tokenkeep migrate") {
            line.push_str(" --yes");
        }
        let tools = tempfile::tempdir().unwrap();
        symlink(env!("CARGO_BIN_EXE_tokenkeep"), tools.path().join("tokenkeep")).unwrap();
        let sudo = tools.path().join("sudo");
        fs::write(&sudo, "#!/bin/sh\nexec \"$@\"\n").unwrap();
        mode(&sudo, 0o755);
        let mut shell = Command::new("sh");
        shell.args(["-ec", &line]).env_clear().env("HOME", self.place.home()).current_dir("/");
        shell.env("USER", rustix::process::getuid().as_raw().to_string());
        let output = shell.env("PATH", format!("{}:/usr/bin:/bin", tools.path().display())).output().unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

fn remedy(mut doctor: Command, code: &str) -> Option<String> {
    let said = said(doctor.output().unwrap());
    let report: Value =
        serde_json::from_str(&said.stdout).unwrap_or_else(|_| panic!("{}{}", said.stdout, said.stderr));
    let mut findings = report["findings"].as_array().unwrap().iter();
    let finding = findings.find(|finding| finding["code"] == code)?;
    Some(finding["remedy"].as_str().unwrap().to_owned())
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn files_of_a_cache_get_in_order_by_the_line_to_paste() {
    let scene = Scene::new();
    fs::write(&scene.cache, &cache(false)[..40]).unwrap();
    scene.ends_by_paste("damaged-cache");

    let scene = Scene::new();
    fs::write(&scene.cache, cache(false)).unwrap();
    mode(&scene.cache, 0o644);
    scene.ends_by_paste("file-open");
    chown(&scene.cache, Some(65_534), None).unwrap();
    scene.ends_by_paste("file-of-another");
    scene.ends_by_paste("plaintext");

    scene.beside("cache.json.corrupt-0123456789abcdef", b"old");
    scene.ends_by_paste("copy-of-damage");
    scene.beside("cache.json.lapsed", b"old");
    scene.ends_by_paste("lapsed-copy");
    let left = scene.beside(".tk-0123456789abcdef", b"old");
    let hour_ago = SystemTime::now() - Duration::from_secs(3_600);
    fs::File::options().write(true).open(left).unwrap().set_modified(hour_ago).unwrap();
    scene.ends_by_paste("left-over-file");
}

#[test]
fn directories_and_locks_get_in_order_by_the_line_to_paste() {
    let scene = Scene::new();
    mode(scene.folder(), 0o500);
    scene.ends_by_paste("directory-read-only");
    mode(scene.folder(), 0o777);
    scene.ends_by_paste("directory-open");
    Holder::of(&scene.cache).kill();
    scene.ends_by_paste("stale-lock");
}

#[test]
fn a_move_that_was_killed_ends_when_the_migration_is_repeated() {
    let scene = Scene::new();
    fs::write(&scene.cache, cache(false)).unwrap();
    scene.beside("cache.json.tk-old", &cache(false));
    assert!(scene.remedy("unfinished-move").unwrap().contains("repeat the migration"));
    scene.paste(&scene.remedy("plaintext").unwrap());
    assert_eq!(scene.remedy("unfinished-move"), None);
}

#[test]
fn another_path_is_a_way_on() {
    let mut scene = Scene::new();
    chown(scene.folder(), Some(65_534), None).unwrap();
    assert!(scene.remedy("directory-of-another").unwrap().contains("a directory of your own"));
    scene.cache = scene.place.file("own/cache.json", b"");
    assert_eq!(scene.remedy("directory-of-another"), None);

    let mounted = |scene: &Scene, path: &Path| {
        let folder = scene.folder().file_name().unwrap().to_owned();
        let doctor = scene.place.command(&["doctor", "--json", "--cache-path", path.to_str().unwrap()]);
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-ec"]);
        command.arg("mount --bind \"$0\" \"$0\"; mount -o remount,ro,bind \"$0\"; exec \"$@\"").arg(folder);
        command.arg(doctor.get_program()).args(doctor.get_args()).current_dir(scene.place.home());
        command.envs(doctor.get_envs().filter_map(|(name, value)| Some((name, value?))));
        remedy(command, "read-only")
    };
    assert!(mounted(&scene, &scene.cache).unwrap().contains("can be written"));
    let elsewhere = scene.place.file("other/cache.json", b"");
    assert_eq!(mounted(&scene, &elsewhere), None);

    let mut homeless = scene.place.command(&["doctor", "--json"]);
    homeless.env_remove("HOME").env("LD_PRELOAD", "");
    let home = remedy(homeless, "no-home");
    // The user database knows the home of most users.
    assert!(home.is_none_or(|home| home.starts_with("Set HOME")));
}

#[test]
fn a_keyring_gets_in_order() {
    let keyring = Keyring::start();
    let scene = Scene::of(Place::on(&keyring.bus));
    let collection = keyring.by_hand(async |hand| {
        let collection = hand.default_collection().await;
        hand.lock(&collection).await;
        collection
    });
    let locked = scene.remedy("keyring-locked");
    assert!(locked.as_ref().is_some_and(|remedy| remedy.starts_with("Unlock it")), "{locked:?}");
    // The daemon unlocks it at its start, with the password of the log-in.
    keyring.restart();
    assert_eq!(scene.remedy("keyring-locked"), None);

    const SESSION: &str = "/org/freedesktop/secrets/collection/session";
    keyring.by_hand(async |hand| hand.set_default_collection(SESSION).await);
    assert!(scene.remedy("keyring-of-session").unwrap().contains("make it the default"));
    keyring.by_hand(async |hand| hand.set_default_collection(collection.as_str()).await);
    assert_eq!(scene.remedy("keyring-of-session"), None);

    let survey =
        tokenkeep::inspect::SecretServiceSurvey::on_bus(keyring.bus.address(), Duration::from_secs(20));
    let pid = i32::try_from(survey.provider.unwrap().pid).unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    assert!(scene.remedy("keyring-silent").is_some());
    scene.ends_by_paste("keyring-stopped");
    assert_eq!(scene.remedy("keyring-silent"), None);
}

#[test]
fn a_keyring_that_was_never_used_gets_a_default_collection() {
    let keyring = Keyring::start_without_collections();
    let scene = Scene::of(Place::on(&keyring.bus));
    assert!(scene.remedy("no-default-keyring").unwrap().contains("make it the default"));
    // As at a log-in, the daemon creates one.
    keyring.restart();
    assert_eq!(scene.remedy("no-default-keyring"), None);
}

#[test]
fn a_session_gets_a_keyring() {
    let bare = Scene::new();
    assert!(
        bare.remedy("no-session-bus").unwrap().contains("dbus-run-session"),
        "{:?}",
        bare.remedy("no-session-bus")
    );
    let bus = Bus::start();
    let scene = Scene::of(Place::on(&bus));
    assert_eq!(scene.remedy("no-session-bus"), None);
    assert!(scene.remedy("no-secret-service").unwrap().contains("Install and start gnome-keyring"));
    let keyring = Keyring::start();
    let scene = Scene::of(Place::on(&keyring.bus));
    assert_eq!(scene.remedy("no-secret-service"), None);
    keyring.bus.deny("org.freedesktop.secrets");
    let denied = scene.remedy("keyring-denied").unwrap();
    assert!(denied.contains("org.freedesktop.secrets"), "{denied}");
}

#[test]
fn every_finding_of_the_doctor_is_in_this_file() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let doctor = fs::read_dir(sources.join("doctor")).unwrap().map(|entry| entry.unwrap().path());
    let own = include_str!("remedies.rs");
    let mut count = 0;
    for path in doctor.chain([sources.join("doctor.rs")]) {
        let text = fs::read_to_string(&path).unwrap();
        // Codes are the literals of lower-case words with hyphens.
        for code in text.split('"').skip(1).step_by(2) {
            let is_code =
                code.contains('-') && code.chars().all(|char| char.is_ascii_lowercase() || char == '-');
            if is_code && !code.starts_with('-') {
                count += 1;
                assert!(own.contains(&format!("\"{code}\"")), "{} has {code}", path.display());
            }
        }
    }
    assert!(count > 25, "only {count} codes were found");
    assert!(ELSEWHERE.iter().all(|(code, reason)| !code.is_empty() && !reason.is_empty()));
}
