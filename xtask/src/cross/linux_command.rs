//! Runs the executable of the command `tokenkeep` that is packed for a kind of Linux.

use std::fs;
use std::path::Path;

use super::linux::Kind;
use super::linux_node::write_script;
use crate::executable;
use crate::job::{Failure, Job, Outcome, at};
use crate::pack::fresh;
use crate::platform;
use crate::workspace::VERSION;

/// A cache with one account.
const CACHE: &str = r#"{"Account":{"uid.utid-login.microsoftonline.com-utid":{"home_account_id":"uid.utid",
"environment":"login.microsoftonline.com","realm":"utid","local_account_id":"uid","username":"änne@example.org",
"authority_type":"MSSTS"}}}"#;

/// Runs it several times in its own home directory: it prints its version, lists a cache, encrypts it with a given
/// key, lists it again, signs out, and finds that there is no keyring.
pub(super) fn run(job: &mut Job<'_>, kind: &Kind) -> Outcome<()> {
    let starter = platform::starter(job.workspace, kind.platform);
    write_script(&starter, &format!("#!/bin/sh\nexec {}\"$@\"\n", kind.emulator()))?;
    let home = fresh(&job.workspace.products.join("cross-command"))?;
    for (name, content) in [("cache.json", CACHE), ("key", &"k".repeat(43))] {
        write_private(&home.join(name), content)?;
    }
    let program = executable::path(job.workspace, kind.platform);
    let mut says = |words: &str, code: u8, expected: &str| -> Outcome<()> {
        let mut command = job.command("sh");
        command.args(["-c", r#"wanted="$1"; shift; "$@"; test $? = "$wanted""#, "sh", &code.to_string()]);
        command.arg(&starter).arg(&program).args(words.split(' ')).current_dir(&home);
        command.env("HOME", &home).env_remove("DBUS_SESSION_BUS_ADDRESS").env_remove("XDG_RUNTIME_DIR");
        let said = job.output(&mut command)?;
        match said.contains(expected) {
            true => Ok(()),
            false => Err(Failure::new(format!("tokenkeep {words} said {said:?}, without {expected:?}"))),
        }
    };
    says("--version", 0, &format!("tokenkeep {VERSION}"))?;
    says("list --cache-path cache.json", 0, "änne@example.org")?;
    let sealed = "service-name=s,account-name=a,cache-path=sealed,store=encrypted-file,key=file:key";
    says(&format!("migrate --yes --json --from cache.json --to {sealed}"), 0, "encrypted-file")?;
    let sealed = "--service-name s --account-name a --cache-path sealed --key file:key";
    says(&format!("list {sealed}"), 0, "änne@example.org")?;
    says(&format!("sign-out --all --yes {sealed}"), 0, "änne@example.org")?;
    says("doctor", 3, "no-session-bus")?;
    fs::remove_dir_all(&home).map_err(at(&home))
}

fn write_private(path: &Path, content: &str) -> Outcome<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, content).map_err(at(path))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(at(path))
}
