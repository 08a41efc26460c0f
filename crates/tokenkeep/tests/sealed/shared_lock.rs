//! The lock of an item that several programs share: the same one for all programs of a log-in.

use std::fs;

use tokenkeep::key_source::{KeySource, KeystoreItem};

use crate::support::{FileKeystore, Place};
use crate::user;

/// In the environment of a copy of this program: the file that stands for the keystore.
const ITEM: &str = "TOKENKEEP_TEST_ITEM";

/// A snap, a unit of systemd and the terminal of an editor have another `XDG_DATA_HOME`.
#[test]
fn programs_with_different_data_directories_have_one_lock_where_the_user_is_logged_in() {
    if let Ok(item) = std::env::var(ITEM) {
        KeystoreItem::new(FileKeystore(item.into())).fresh().unwrap();
        return;
    }
    let place = Place::new();
    // /run/user as a log-in makes it, seen by these copies alone.
    let run = |data: &str, log_in: &str, listed: &str| {
        let mut copy = user::as_root("unshare");
        copy.args(["--mount", "--propagation", "private", "sh", "-ec"]);
        copy.arg(format!(
            "mount -t tmpfs none /run/user; {log_in}; \"$1\" --exact \"$2\" >/dev/null; ls {listed}"
        ));
        copy.arg("sh").arg(std::env::current_exe().unwrap()).arg(concat!(
            "shared_lock::",
            "programs_with_different_data_directories_have_one_lock_where_the_user_is_logged_in"
        ));
        let data = place.path().join(data);
        fs::create_dir_all(&data).unwrap();
        copy.env(ITEM, data.join("item"));
        copy.env("XDG_DATA_HOME", &data).env("XDG_RUNTIME_DIR", data.join("run")).env("HOME", &data);
        let output = copy.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let log_in = "mkdir -m 700 /run/user/0";
    for data in ["one", "other"] {
        let locks = run(data, log_in, "/run/user/0/tokenkeep/locks");
        assert!(locks.starts_with("key-") && locks.trim().ends_with(".tk-lock"), "{locks}");
        assert!(!place.path().join(data).join("tokenkeep").exists(), "there is no second lock");
    }
    // Without a log-in, and where its directory refuses one, the lock is in the data directory.
    run("third", "true", &format!("{}/third/tokenkeep/locks", place.path().display()));
    let read_only = "mkdir /run/user/0; mount -t tmpfs -o ro,mode=700 none /run/user/0";
    run("fourth", read_only, &format!("{}/fourth/tokenkeep/locks", place.path().display()));
}
