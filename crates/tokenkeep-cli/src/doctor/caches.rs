//! Examines the caches: whether they can be read, who else can read them, the files beside them, the holders of their
//! locks.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::locks;
use super::report::{Finding, Section};
use crate::arguments::Kind;
use crate::exit::{Code, Failure};
use crate::known::Known;
use crate::list;
use crate::platform;
use crate::stores::Occupant;
use crate::words::move_away;
use tokenkeep::inspect::{printable, quoted};

/// The heading of the section.
pub(super) const TITLE: &str = "caches";

/// Examines each cache.
pub(super) fn examine(caches: &[Known], patience: Duration) -> Section {
    let mut section = Section::new(TITLE);
    let mut count = 0_u32;
    // Wait only once for a keyring that does not answer, not once for every item.
    let mut silent = false;
    for known in caches
        .iter()
        .filter(|known| known.named.kind != Kind::Keystore)
        .chain(caches.iter().filter(|known| known.named.kind == Kind::Keystore))
    {
        if silent && known.is_guess() {
            continue;
        }
        count += u32::from(examine_one(&mut section, known, patience, &mut silent));
    }
    if count == 0 {
        section.fact("found", "none in the known places");
    }
    section
}

/// Returns whether the cache exists.
fn examine_one(section: &mut Section, known: &Known, patience: Duration, silent: &mut bool) -> bool {
    let named = &known.named;
    let place = printable(&named.to_string());
    let outcome = match (named.kind, &named.key) {
        // A file whose key only its program has is in order.
        (Kind::EncryptedFile, None) => Ok("encrypted; its program has the key".to_owned()),
        _ => match named.peek(patience).and_then(|content| list::listing(named, content)) {
            Ok(Some(listing)) => Ok(listing.summary()),
            Ok(None) if known.is_guess() => return false,
            Ok(None) => Ok("nothing is stored".to_owned()),
            Err(failure) => Err(failure),
        },
    };
    *silent |= outcome.as_ref().is_err_and(|failure| failure.code() == Code::Store);
    match outcome {
        Ok(summary) => {
            section.fact(place.clone(), format!("{}: {} ({summary})", known.owner, named.backend()));
        }
        Err(failure) if known.is_guess() && failure.code() == Code::Store => return false,
        // A write in progress, or an unfinished move, which is its own finding.
        Err(failure) if failure.code() == Code::Busy => {
            section.fact(
                place,
                format!("{}: {}, cannot be read without its lock", known.owner, named.backend()),
            );
        }
        Err(failure) => {
            section.fact(place.clone(), format!("{}: {}, cannot be read", known.owner, named.backend()));
            // The keyring's section reports the keyring's own failure.
            if failure.code() != Code::Store {
                section.finding(unreadable(&place, named.path.as_deref(), &failure));
            }
        }
    }
    if let Some(path) = &named.path {
        examine_file(section, path, named.kind);
        if let Some(occupant) = named.occupant() {
            section.finding(occupied(path, occupant));
        }
        examine_companions(section, path);
        locks::examine(section, path);
    }
    true
}

fn unreadable(place: &str, path: Option<&Path>, failure: &Failure) -> Finding {
    let remedy = failure.remedy().unwrap_or("Look at what is named above; nothing was changed").to_owned();
    match failure.kind() {
        "damaged" | "truncated" => {
            let by_itself = "Nothing needs to be deleted: the next write by a program with tokenkeep keeps a copy and \
                             starts anew";
            Finding::problem(
                "damaged-cache",
                format!("The cache {place} is damaged: {}", failure.text()),
                path.map_or_else(
                    || by_itself.to_owned(),
                    |path| {
                        format!(
                            "{by_itself}. Other programs need the file moved away, and their users signed in again: {}",
                            move_away(path)
                        )
                    },
                ),
            )
        }
        _ => Finding::problem("unreadable-cache", format!("The cache {place}: {}", failure.text()), remedy),
    }
}

/// The finding for content in the place of a keystore item's marker.
fn occupied(path: &Path, occupant: Occupant) -> Finding {
    let shown = printable(&path.display().to_string());
    let what = format!("{shown} {}", occupant.words());
    match occupant {
        Occupant::Cache => Finding::warning("marker-occupied", what, "Start the program once more"),
        Occupant::Foreign => Finding::warning(
            "marker-occupied",
            what,
            format!(
                "Nothing has to be done. To look into the file yourself, move it away: {}",
                move_away(path)
            ),
        ),
        Occupant::Encrypted => Finding::problem(
            "marker-occupied",
            what,
            format!(
                "If its sign-ins are wanted, tokenkeep migrate --from cache-path={shown},key=...,... --to ...; if not, or if \
                 its key is lost, move it away: {}",
                move_away(path)
            ),
        ),
    }
}

fn examine_file(section: &mut Section, path: &Path, kind: Kind) {
    let Ok(status) = fs::metadata(path) else { return };
    let shown = path.display();
    if platform::mode(&status).is_some_and(|mode| mode & 0o077 != 0) && status.len() > 2 {
        section.finding(Finding::problem(
            "file-open",
            format!("Other users of this machine may be able to read {shown}"),
            format!("chmod 600 {}", quoted(path)),
        ));
    }
    if platform::is_own(&status) == Some(false) {
        section.finding(Finding::warning(
            "file-of-another",
            format!("{shown} belongs to another user, often root after a command was run with sudo"),
            format!("Make it your own again: sudo chown \"$USER\" {}", quoted(path)),
        ));
    }
    if kind == Kind::PlaintextFile && status.len() > 2 {
        section.finding(Finding::warning(
            "plaintext",
            format!("{shown} holds sign-ins that are not encrypted"),
            format!(
                "If its program can use a keyring, let it. This moves what is there: tokenkeep migrate --from {} --to CACHE",
                quoted(path)
            ),
        ));
    }
}

/// Examines the files beside a cache: copies that were moved aside, and files of killed processes.
fn examine_companions(section: &mut Section, path: &Path) {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return };
    let name = name.to_string_lossy();
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let other = entry.file_name().to_string_lossy().into_owned();
        let shown = printable(&folder.join(&other).display().to_string());
        let Some(rest) = other.strip_prefix(&*name) else { continue };
        let remove = format!("rm {}", quoted(&folder.join(&other)));
        if rest.starts_with(".corrupt-") {
            section.finding(Finding::warning(
                "copy-of-damage",
                format!("{shown} is the copy of a cache that was damaged"),
                format!("It still holds secrets. When it needs no inspection any more: {remove}"),
            ));
        } else if rest == ".lapsed" {
            section.finding(Finding::warning(
                "lapsed-copy",
                format!(
                    "{shown} is the copy of a cache whose key is gone, as after a restart of the machine"
                ),
                format!("No key opens it any more: {remove}"),
            ));
        } else if rest == ".tk-old" {
            section.finding(Finding::warning(
                "unfinished-move",
                format!("{shown} is an old copy that a move was killed before overwriting"),
                "Start the program once more, or repeat the migration: it will be overwritten then",
            ));
        }
    }
    left_over(section, folder);
}

/// Reports old temporary files: the next writer removes those of a killed one, so old ones mean that no writer came.
fn left_over(section: &mut Section, folder: &Path) {
    const OLD: Duration = Duration::from_secs(600);
    let Ok(entries) = fs::read_dir(folder) else { return };
    let old = entries.flatten().filter(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let age = entry.metadata().ok().and_then(|status| status.modified().ok()?.elapsed().ok());
        name.starts_with(".tk-") && age.is_some_and(|age| age > OLD)
    });
    for entry in old {
        let shown = printable(&entry.path().display().to_string());
        section.finding(Finding::warning(
            "left-over-file",
            format!("{shown} was left by a program that was killed while it wrote, and may hold secrets"),
            format!("The next write to the cache removes it. Without one: rm {}", quoted(&entry.path())),
        ));
    }
}
