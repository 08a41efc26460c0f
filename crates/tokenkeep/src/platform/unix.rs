//! The parts that Linux and macOS share: files, owners, hard links and flock.

mod calls;
pub(crate) mod directory;
pub(crate) mod files;
pub(crate) mod key_file;
pub(crate) mod lock_file;
pub(crate) mod process;
mod status;
pub(crate) mod writing;
