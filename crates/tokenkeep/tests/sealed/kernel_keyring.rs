//! Keys in the kernel's memory: on the real kernel, as root and as other users, allowed and forbidden.

use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::{Command, Stdio};

use tokenkeep::key_source::KernelKeyring;
use tokenkeep::{Persistence, Protection, event::Event};

use crate::support::{CONTENT, OTHER, Opened, Place, example, fail, home_of, run, succeed, unprivileged};

/// The users of these tests, one for each test that needs one, because a test removes all keys of its user.
const USER: u32 = 54_331;
const HOMELESS: u32 = 54_341;
const OUTSIDER: u32 = 54_342;
const FULL: u32 = 54_343;
const PERM: i32 = 1;
const NOSYS: i32 = 38;
const DQUOT: i32 = 122;

/// A name that no other test or run uses. Dropping it removes the key that the kernel keeps under it for this user.
struct Name(String);

impl Name {
    fn new() -> Self {
        let mut random = [0; 8];
        getrandom::fill(&mut random).unwrap();
        Self(format!("test-{:016x}", u64::from_le_bytes(random)))
    }

    fn source(&self) -> String {
        format!("keyring:{}", self.0)
    }

    fn keyring() -> linux_keyutils::KeyRing {
        linux_keyutils::KeyRing::get_persistent(linux_keyutils::KeyRingIdentifier::Process).unwrap()
    }

    /// Removes the key of the user who runs the test; returns `false` if there is none.
    fn forget(&self) -> bool {
        let ring = Self::keyring();
        ring.search(&format!("tokenkeep:{}", self.0)).is_ok_and(|key| ring.unlink_key(key).is_ok())
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        self.forget();
    }
}

/// Removes the keys of a test's user at the end. They would stay for days, and repeated runs would exhaust the user's
/// quota.
struct KeysOf(u32);

impl Drop for KeysOf {
    fn drop(&mut self) {
        // The script changes to the user itself, because the interpreter's directory may be accessible to root only.
        let clear = "import ctypes, os, platform, sys\n\
            keyctl = {'x86_64': 250, 'aarch64': 219}[platform.machine()]\n\
            libc = ctypes.CDLL(None)\n\
            user = int(sys.argv[1])\n\
            os.setgroups([]); os.setresgid(user, user, user); os.setresuid(user, user, user)\n\
            clear, get_persistent, process_keyring = 7, 22, -2\n\
            ring = libc.syscall(keyctl, get_persistent, -1, process_keyring)\n\
            assert ring > 0 and libc.syscall(keyctl, clear, ring) == 0";
        let cleared = Command::new("python3").args(["-c", clear, &self.0.to_string()]).status();
        // A second panic during the unwinding would hide the first.
        assert!(std::thread::panicking() || cleared.is_ok_and(|status| status.success()));
    }
}

fn words<'a>(cache: &'a Path, source: &'a str, verb: &'a str) -> [&'a str; 4] {
    [cache.to_str().unwrap(), "app/cache", source, verb]
}

#[test]
fn processes_share_the_key_and_a_warning_says_that_a_restart_loses_it() {
    let (place, name) = (Place::new(), Name::new());
    let (cache, source) = (place.cache(), name.source());
    succeed(&mut example(&words(&cache, &source, "verify")), b"");
    succeed(&mut example(&words(&cache, &source, "write")), CONTENT.as_bytes());
    assert_eq!(succeed(&mut example(&words(&cache, &source, "read")), b""), CONTENT);
    let said = succeed(&mut example(&words(&cache, &source, "info")), b"");
    assert!(said.starts_with("encrypted-file, until-reboot, is gone after a restart"), "{said}");
    let opened = Opened::new(&cache, KernelKeyring::new(&name.0).lock_directory(place.locks()), "app/cache");
    assert_eq!(opened.cache.info().protection, Protection::UntilReboot);
    assert!(!opened.cache.info().survives_reboot);
    assert_eq!(opened.read().unwrap().as_deref(), Some(CONTENT));
}

#[test]
fn only_a_process_that_opens_the_keyring_can_read_or_see_the_key() {
    let (place, name) = (Place::new(), Name::new());
    Opened::new(&place.cache(), KernelKeyring::new(&name.0).lock_directory(place.locks()), "app/cache")
        .write(CONTENT);
    let key = Name::keyring().search(&format!("tokenkeep:{}", name.0)).unwrap();
    assert_eq!(key.metadata().unwrap().get_perms().bits(), 0x3f00_0000);
}

#[test]
fn threads_of_one_process_share_the_key() {
    let (place, name) = (Place::new(), Name::new());
    let opened =
        Opened::new(&place.cache(), KernelKeyring::new(&name.0).lock_directory(place.locks()), "app/cache");
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                opened.write(CONTENT);
                opened.cache.forget();
                assert_eq!(opened.read().unwrap().as_deref(), Some(CONTENT));
            });
        }
    });
}

#[test]
fn eight_processes_that_create_the_key_at_the_same_time_agree_on_it() {
    for _ in 0..5 {
        let (place, name) = (Place::new(), Name::new());
        let source = name.source();
        // Two processes for each cache: the lock of a cache does not separate processes of different caches.
        let caches: Vec<_> = (0..4).map(|number| place.path().join(format!("cache-{number}"))).collect();
        let children: Vec<_> = (0..8)
            .map(|number| {
                let mut command = example(&words(&caches[number % 4], &source, "write"));
                command.stdin(Stdio::piped()).spawn().unwrap()
            })
            .collect();
        for mut child in children {
            // All wait for their input; closing it starts them.
            drop(child.stdin.take());
            assert!(child.wait().unwrap().success());
        }
        for cache in &caches {
            succeed(&mut example(&words(cache, &source, "write")), CONTENT.as_bytes());
            assert_eq!(succeed(&mut example(&words(cache, &source, "read")), b""), CONTENT);
        }
    }
}

#[test]
fn a_lost_key_leaves_an_empty_cache_and_a_copy() {
    let (place, name) = (Place::new(), Name::new());
    let opened =
        Opened::new(&place.cache(), KernelKeyring::new(&name.0).lock_directory(place.locks()), "app/cache");
    opened.write(CONTENT);
    let old = fs::read(place.cache()).unwrap();
    assert!(name.forget());
    opened.cache.forget();
    opened.file.verify().unwrap();
    assert_eq!(opened.read().unwrap(), None);
    // A read changes nothing, and the event comes once.
    opened.cache.forget();
    assert_eq!(opened.read().unwrap(), None);
    assert_eq!(fs::read(place.cache()).unwrap(), old);
    let events = opened.events();
    assert!(
        matches!(&events[..], [Event::Lapsed { path, reason }] if *path == place.cache() && reason.contains("gone")),
        "{events:?}"
    );
    opened.write(OTHER);
    assert_eq!(opened.read().unwrap().as_deref(), Some(OTHER));
    assert_eq!(fs::read(place.path().join("cache.bin.lapsed")).unwrap(), old);
    // The next loss keeps only one copy.
    assert!(name.forget());
    opened.write(CONTENT);
    assert_eq!(place.names(), ["cache.bin", "cache.bin.lapsed"]);
}

#[test]
fn a_key_with_another_name_user_or_namespace_is_not_given_up() {
    let (place, name) = (Place::new(), Name::new());
    let (cache, source) = (place.cache(), name.source());
    succeed(&mut example(&words(&cache, &source, "write")), CONTENT.as_bytes());
    let before = fs::read(&cache).unwrap();
    let other = Name::new().source();
    let said = fail(&mut example(&words(&cache, &other, "write")), OTHER.as_bytes());
    assert!(said.starts_with("wrong_key"), "{said}");

    let program = example(&words(&cache, &source, "write"));
    let mut contained = Command::new("unshare");
    contained.args(["--user", "--map-root-user"]).arg(program.get_program()).args(program.get_args());
    let said = fail(&mut contained, OTHER.as_bytes());
    assert!(said.starts_with("missing_key") && said.contains("namespace"), "{said}");
    assert_eq!(fs::read(&cache).unwrap(), before);

    // Root does not open the cache of a user, as under a sudo that keeps HOME.
    let (place, program) = home_of(USER);
    let _keys = KeysOf(USER);
    let cache = place.cache();
    let mut user = unprivileged(USER);
    succeed(user.arg(&program).args(words(&cache, &source, "write")), CONTENT.as_bytes());
    let said = fail(&mut example(&words(&cache, &source, "write")), OTHER.as_bytes());
    assert!(said.starts_with("unsafe_file") && said.contains("54331"), "{said}");
}

#[test]
fn a_user_without_rights_or_a_home_can_keep_a_key() {
    let (place, program) = home_of(HOMELESS);
    let _keys = (KeysOf(HOMELESS), KeysOf(OUTSIDER));
    let (cache, name) = (place.cache(), Name::new());
    let source = name.source();
    let user = |verb| {
        let mut command = unprivileged(HOMELESS);
        command.arg(&program).args(words(&cache, &source, verb));
        command
    };
    succeed(&mut user("verify"), b"");
    succeed(&mut user("write"), CONTENT.as_bytes());
    assert_eq!(succeed(&mut user("read"), b""), CONTENT);
    // Another user has the file, but not the key.
    let mut other = unprivileged(OUTSIDER);
    chown(&cache, Some(OUTSIDER), Some(OUTSIDER)).unwrap();
    chown(place.path(), Some(OUTSIDER), Some(OUTSIDER)).unwrap();
    for entry in fs::read_dir(place.path()).unwrap() {
        chown(entry.unwrap().path(), Some(OUTSIDER), Some(OUTSIDER)).unwrap();
    }
    let said = fail(other.arg(&program).args(words(&cache, &source, "read")), b"");
    assert!(said.starts_with("missing_key"), "{said}");
}

/// Returns the command with a filter that makes every call to the key service fail with `errno`.
fn forbidden(command: &Command, errno: i32) -> Command {
    let mut python = Command::new("python3");
    python.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sealed/seccomp.py")).arg(errno.to_string());
    python.arg(command.get_program()).args(command.get_args());
    python
}

#[test]
fn a_refusal_by_the_kernel_is_an_error_with_reason_and_remedy() {
    let (place, name) = (Place::new(), Name::new());
    let (cache, source) = (place.cache(), name.source());
    succeed(&mut example(&words(&cache, &source, "write")), CONTENT.as_bytes());
    let before = fs::read(&cache).unwrap();
    for (errno, reason) in [(PERM, "seccomp"), (NOSYS, "no key service"), (DQUOT, "quota")] {
        for verb in ["read", "write", "verify"] {
            let said = fail(&mut forbidden(&example(&words(&cache, &source, verb)), errno), OTHER.as_bytes());
            assert!(said.starts_with("store_unavailable"), "{errno} {verb}: {said}");
            assert!(said.contains(reason) && said.contains("passphrase or a key file"), "{said}");
        }
    }
    assert_eq!(fs::read(&cache).unwrap(), before);
}

#[test]
fn an_exhausted_quota_is_an_error_and_leaves_nothing_behind() {
    let (place, program) = home_of(FULL);
    let _keys = KeysOf(FULL);
    let (cache, name) = (place.cache(), Name::new());
    let source = name.source();
    // Changes to the user, fills the quota with keys that end with the process, and executes the program.
    let fill = "import ctypes, os, platform, sys\n\
        add_key, keyctl = {'x86_64': (248, 250), 'aarch64': (217, 219)}[platform.machine()]\n\
        libc = ctypes.CDLL(None)\n\
        user = int(sys.argv.pop(1))\n\
        os.setgroups([]); os.setresgid(user, user, user); os.setresuid(user, user, user)\n\
        join_session_keyring = 1\n\
        assert libc.syscall(keyctl, join_session_keyring, 0) > 0\n\
        for size in (2000, 100, 1):\n    \
        for number in range(20000):\n        \
        name = b'fill-%d-%d' % (size, number)\n        \
        if libc.syscall(add_key, b'user', name, b'x' * size, size, -3) < 0: break\n\
        os.execv(sys.argv[1], sys.argv[1:])";
    let mut command = Command::new("python3");
    command.args(["-c", fill, &FULL.to_string()]).arg(&program).args(words(&cache, &source, "write"));
    let output = run(&mut command, CONTENT.as_bytes());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.starts_with("store_unavailable"), "{said}");
    assert!(said.contains("quota"), "{said}");
    assert!(!cache.exists());
}
