//! The parts that Linux and macOS share: files, owners, hard links and flock.

pub(crate) mod files;
pub(crate) mod key_file;
pub(crate) mod lock_file;
pub(crate) mod process;
pub(crate) mod writing;
