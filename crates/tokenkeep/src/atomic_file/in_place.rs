//! Overwrites a file that cannot be replaced by a rename, because it is a mount point.
//!
//! A crash in the middle tears the file. Other failures are handled: a full disk is detected while the old content is
//! still whole, and a failed write is undone.

use std::fs::{File, FileTimes};
use std::io::{self, Read};
use std::time::SystemTime;

use super::{Durability, own_stamp};
use crate::platform::directory::Entry;
use crate::platform::files::{self, retry};
use crate::platform::{room, writing};
use crate::{Error, ErrorKind, Result, Stamp};

/// Writes `content` into the file at `target` and sets its time to `modified`.
///
/// # Errors
/// Like [`super::replace`].
pub(super) fn overwrite(
    target: &Entry,
    content: &[u8],
    modified: SystemTime,
    durability: Durability,
) -> Result<Stamp> {
    let failed = |error: io::Error| Error::io("Cannot write the cache in place", target, error);
    let (mut file, status) = files::open_existing(target, files::careful().read(true).write(true))?
        .ok_or_else(|| Error::new(ErrorKind::Io, "The mounted cache file disappeared").at(target))?;
    files::tighten(&file, target)?;
    writing::reserve(&file, content.len() as u64).map_err(failed)?;
    let mut old = room::for_file(status.len(), target)?;
    file.read_to_end(&mut old).map_err(failed)?;

    let written = fill(&file, content).and_then(|()| match durability {
        Durability::Synced => writing::sync(&file),
        Durability::Cached => Ok(()),
    });
    if let Err(error) = written {
        // The first failure is reported. The write of the old content may fail too, so this path is not crash-safe.
        let _ = fill(&file, &old);
        return Err(failed(error));
    }
    // Set the time last: a reader without the lock that sees a time in whole milliseconds sees a finished file.
    retry(|| file.set_times(FileTimes::new().set_modified(modified))).map_err(failed)?;
    Ok(own_stamp(&file, target, content.len() as u64, modified))
}

fn fill(file: &File, content: &[u8]) -> io::Result<()> {
    writing::write_all_at(file, content, 0)?;
    retry(|| file.set_len(content.len() as u64))
}
