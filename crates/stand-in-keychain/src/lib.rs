//! A stand-in for the macOS Keychain, with the rules of Apple's source (Security-61901, legacy keychains):
//!
//! - An item has an owner, a list of the applications that may read it, and partitions: a program reads without a
//!   question only if the list has its name and the partitions its signature.
//! - An update needs no permission. It removes the item and inserts it: the list of applications stays, the partitions
//!   become the writer's alone. A reader may meet the moment between the two.
//! - Without prompts, a locked keychain and an item of another program both give errSecAuthFailed; an addition without a
//!   default keychain gives errSecInteractionNotAllowed, as every question does in a session without a screen.
//! - A keychain stays open for a while with the permission to prompt that its first use had. Searching opens nothing.
//! - `SecItemDelete` refuses items of other programs, `SecKeychainItemDelete` does not.
//!
//! [`Keychain`] is one user's keychain, in memory or in a file that several processes share; [`Program`] is the framework
//! as one program sees it.

mod framework;
mod keychain;

pub use framework::{Asked, Program};
pub use keychain::{Answer, Entry, Keychain, World};

/// Names the keychain's file. The program is [`PROGRAM`], by default the name of the executable.
pub const FILE: &str = "TOKENKEEP_STAND_IN_KEYCHAIN";

/// Names the program of this process.
pub const PROGRAM: &str = "TOKENKEEP_STAND_IN_PROGRAM";

/// Makes this process use the keychain that the environment names, if any.
pub fn install() {
    let Some(file) = std::env::var_os(FILE) else { return };
    let executable = || {
        let path = std::env::current_exe().ok()?;
        Some(path.file_stem()?.to_string_lossy().into_owned())
    };
    let name = std::env::var(PROGRAM).ok().or_else(executable).unwrap_or_default();
    let program = Program::of(&Keychain::in_file(file), &name, &format!("teamid:{name}"));
    tokenkeep::keychain::install_stand_in(std::sync::Arc::new(program));
}
