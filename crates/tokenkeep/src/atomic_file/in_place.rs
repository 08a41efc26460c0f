//! Writing over a file that cannot be replaced, because something is mounted on its very name.
//!
//! A crash in the middle tears it; everything else is guarded against: a full disk is noticed while the old content is
//! still whole, and after a failure the old content is written back.

use std::fs::{File, FileTimes};
use std::io::{self, Read};
use std::path::Path;
use std::time::SystemTime;

use zeroize::Zeroizing;

use super::{Durability, own_stamp};
use crate::platform::files::{self, retry};
use crate::platform::writing;
use crate::{Error, ErrorKind, Result, Stamp};

/// Puts `content` into the file at `target` and gives it the time `modified`.
///
/// # Errors
/// As [`super::replace`].
pub(super) fn overwrite(
    target: &Path,
    content: &[u8],
    modified: SystemTime,
    durability: Durability,
) -> Result<Stamp> {
    let failed = |error: io::Error| Error::io("Cannot write the cache in place", target, error);
    let (mut file, status) = files::open_existing(target, files::careful().read(true).write(true))?
        .ok_or_else(|| Error::new(ErrorKind::Io, "The mounted cache file disappeared").at(target))?;
    files::tighten(&file, target)?;
    writing::reserve(&file, content.len() as u64).map_err(failed)?;
    let mut old = Zeroizing::new(Vec::with_capacity(usize::try_from(status.len()).unwrap_or(0) + 64));
    file.read_to_end(&mut old).map_err(failed)?;

    let written = fill(&file, content).and_then(|()| match durability {
        Durability::Synced => retry(|| file.sync_all()),
        Durability::Cached => Ok(()),
    });
    if let Err(error) = written {
        // The failure is what is reported; that undoing it may fail as well is why this is not called crash-safe.
        let _ = fill(&file, &old);
        return Err(failed(error));
    }
    // The time comes last. A reader without the lock that sees a time in whole milliseconds sees a finished file.
    retry(|| file.set_times(FileTimes::new().set_modified(modified))).map_err(failed)?;
    Ok(own_stamp(&file, target, content.len() as u64, modified))
}

fn fill(file: &File, content: &[u8]) -> io::Result<()> {
    writing::write_all_at(file, content, 0)?;
    retry(|| file.set_len(content.len() as u64))
}
