//! The stage `keyrings`: the Secret Service of KeePassXC and KWallet, and behind the proxy of a sandbox. The tests start the
//! daemons; this file makes the programs ready.

use crate::job::{Job, Outcome};
use crate::setup::{self, Tool, debian};

/// The daemons and the proxy. None of the daemons has an option without effect.
const TOOLS: &[Tool] = &[
    debian("KeePassXC", &["sh", "-c", "command -v keepassxc && command -v keepassxc-cli"], "keepassxc"),
    debian("KWallet", &["sh", "-c", "command -v kwalletd5"], "libkf5wallet-bin"),
    debian(
        "the ciphers of KWallet",
        &["sh", "-c", "ls /usr/lib/*/qca-qt5/crypto/libqca-ossl.so"],
        "libqca-qt5-2-plugins",
    ),
    debian("the proxy of sandboxes", &["xdg-dbus-proxy", "--version"], "xdg-dbus-proxy"),
    debian("a portal", &["sh", "-c", "ls /usr/libexec/xdg-desktop-portal"], "xdg-desktop-portal"),
    debian("a sandbox", &["bwrap", "--version"], "bubblewrap"),
];

/// Installs what is missing, then runs the tests.
pub(crate) fn stage(job: &mut Job<'_>) -> Outcome<()> {
    setup::machine(job, TOOLS)?;
    let mut cargo = job.command("cargo");
    cargo.args([
        "test",
        "--locked",
        "--package",
        "tokenkeep-interop",
        "--test",
        "keyrings",
        "--no-fail-fast",
    ]);
    job.run(&mut cargo)
}
