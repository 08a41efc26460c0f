//! The status of a file or directory, in one form for open files and for names.

use std::fs::File;
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{FileType, Stat};

use super::calls::retry;
use crate::stamp::Fingerprint;

/// The parts of a status that this library looks at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Status {
    kind: FileType,
    mode: u32,
    user: u32,
    group: u32,
    links: u64,
    fingerprint: Fingerprint,
}

impl Status {
    /// The fields differ in width and sign between systems.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::unnecessary_cast,
        clippy::cast_lossless
    )]
    pub(crate) fn of(stat: &Stat) -> Self {
        let nanos = |seconds: i128, nanos: i128| seconds * 1_000_000_000 + nanos;
        Self {
            kind: FileType::from_raw_mode(stat.st_mode),
            mode: stat.st_mode as u32 & 0o7777,
            user: stat.st_uid as u32,
            group: stat.st_gid as u32,
            links: stat.st_nlink as u64,
            fingerprint: Fingerprint {
                device: stat.st_dev as u64,
                inode: stat.st_ino as u64,
                size: stat.st_size as u64,
                modified: nanos(stat.st_mtime as i128, stat.st_mtime_nsec as i128),
                changed: nanos(stat.st_ctime as i128, stat.st_ctime_nsec as i128),
            },
        }
    }

    /// Of an open file.
    pub(crate) fn of_open(file: &File) -> io::Result<Self> {
        retry(|| Ok(Self::of(&rustix::fs::fstat(file)?)))
    }

    pub(crate) fn is_symlink(&self) -> bool {
        self.kind == FileType::Symlink
    }

    pub(crate) fn is_dir(&self) -> bool {
        self.kind == FileType::Directory
    }

    pub(crate) fn is_file(&self) -> bool {
        self.kind == FileType::RegularFile
    }

    /// Names a kind other than a plain file.
    pub(crate) fn odd_kind(&self) -> Option<&'static str> {
        match self.kind {
            FileType::RegularFile => None,
            FileType::Directory => Some("a directory"),
            FileType::Symlink => Some("a symbolic link"),
            FileType::Fifo => Some("a FIFO"),
            FileType::Socket => Some("a socket"),
            _ => Some("a device"),
        }
    }

    /// The permission bits, with set-id and sticky.
    pub(crate) fn mode(&self) -> u32 {
        self.mode
    }

    pub(crate) fn uid(&self) -> u32 {
        self.user
    }

    pub(crate) fn gid(&self) -> u32 {
        self.group
    }

    /// The number of names of the file.
    pub(crate) fn nlink(&self) -> u64 {
        self.links
    }

    pub(crate) fn len(&self) -> u64 {
        self.fingerprint.size
    }

    /// Equal for two names of one file.
    pub(crate) fn identity(&self) -> (u64, u64) {
        (self.fingerprint.device, self.fingerprint.inode)
    }

    pub(crate) fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    pub(crate) fn modified(&self) -> io::Result<SystemTime> {
        let nanos = self.fingerprint.modified;
        let distance = u64::try_from(nanos.unsigned_abs()).map_err(|_| io::ErrorKind::InvalidData)?;
        let distance = Duration::from_nanos(distance);
        let time =
            if nanos < 0 { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) };
        time.ok_or_else(|| io::ErrorKind::InvalidData.into())
    }
}
