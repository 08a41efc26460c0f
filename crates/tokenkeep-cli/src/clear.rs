//! `tokenkeep clear`: removes the content of a cache, in one write under its lock.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use tokenkeep::TokenCache;
use tokenkeep::event::Event;
use tokenkeep::options::WaitOptions;

use crate::arguments::{Clear, Copies, Kind};
use crate::consent::{ask, require_wanted};
use crate::exit::{Code, Failure, Outcome};
use crate::interrupt::Interrupt;
use crate::list::{self, Listing};
use crate::output::{Output, title};
use crate::platform::HAS_KEYCHAIN;
use crate::progress::Progress;
use crate::stores::{Named, PATIENCE};
use crate::words::number;
use tokenkeep::inspect::printable;

/// Removes the content of the named cache.
pub(crate) fn run(
    wanted: &Clear,
    limit: Option<Duration>,
    interrupt: &Interrupt,
    output: &Output,
) -> Outcome {
    let named = Named::chosen(&wanted.store)?;
    let wait = WaitOptions { limit: limit.unwrap_or(PATIENCE), cancel: Some(interrupt.cancel()) };
    let cache = named.open(wait.clone(), tell)?;
    let place = printable(&named.to_string());
    let (listing, held) = match named.peek(wait.limit) {
        Ok(None) if wanted.copies.copies => (None, "nothing but copies".to_owned()),
        Ok(None) => return Err(Failure::nothing(format!("There is no cache at {place}"))),
        Ok(content) => {
            // Content that is not a token cache can be removed as well.
            let listing = list::listing(&named, content).ok().flatten();
            let unknown = || "content that is no token cache".to_owned();
            let held = listing.as_ref().map_or_else(unknown, Listing::summary);
            (listing, held)
        }
        // An item that only another program may read can be removed all the same.
        Err(_) if HAS_KEYCHAIN && named.kind == Kind::Keystore => {
            (None, "content that this command may not read".to_owned())
        }
        Err(failure) => return Err(failure),
    };
    let mut wiped = None;
    if !wanted.change.dry_run {
        ask(&format!("Remove everything from {place} ({held})?"), &wanted.change, interrupt)?;
        let progress = Progress::of("Waiting for the lock");
        require_wanted(interrupt)?;
        let removed = cache.clear_waiting(&wait)?;
        wiped = wanted.copies.wipe(&cache, &wait)?;
        drop(progress);
        if !removed && wiped.unwrap_or(0) == 0 {
            return Err(Failure::nothing(format!("There is no cache at {place} any more")));
        }
    }
    let dry_run = wanted.change.dry_run;
    if output.is_json() {
        let (accounts, tokens) = listing.as_ref().map(Listing::counts).unzip();
        output.json(&json!({
            "backend": named.backend(),
            "location": named.to_string(),
            "dryRun": dry_run,
            "cleared": !dry_run,
            "accounts": accounts,
            "tokens": tokens,
            "copiesWiped": wiped,
        }))?;
    } else {
        let done = if dry_run { "would be removed; nothing was changed" } else { "removed" };
        let copies = words(wiped, &named);
        output.text(&format!("{}\n  {held}: {done}\n{copies}", title(&place)))?;
    }
    Ok(Code::Ok)
}

impl Copies {
    /// Wipes the copies, if that is wanted.
    pub(crate) fn wipe(&self, cache: &TokenCache, wait: &WaitOptions) -> Outcome<Option<usize>> {
        Ok(match self.copies {
            true => Some(cache.wipe_copies(wait)?),
            false => None,
        })
    }
}

/// Says what became of copies: how many were wiped, or that there are some.
pub(crate) fn words(wiped: Option<usize>, named: &Named) -> String {
    if let Some(wiped) = wiped {
        return format!("  {} of earlier content: overwritten and removed\n", number(wiped, "copy"));
    }
    let beside = named.path.as_deref().map_or(0, |path| copies_beside(path).len());
    match beside {
        0 => String::new(),
        left => format!(
            "  {} of earlier content may hold sign-ins that are still good; --copies overwrites them\n",
            number(left, "copy")
        ),
    }
}

/// Returns the copies of earlier content beside a cache.
fn copies_beside(path: &Path) -> Vec<PathBuf> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Vec::new() };
    let prefix = name.as_encoded_bytes();
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let copies = entries.filter(|entry| {
        let name = entry.file_name();
        let rest = name.as_encoded_bytes().strip_prefix(prefix);
        rest.is_some_and(|rest| rest.starts_with(b".corrupt-") || rest == b".lapsed" || rest == b".tk-old")
    });
    copies.map(|entry| entry.path()).collect()
}

/// Prints an event of the library on standard error.
pub(crate) fn tell(event: &Event) {
    match event {
        Event::SetAside { copy, reason, .. } => {
            eprintln!(
                "tokenkeep: The content was damaged ({}); a copy is {}",
                printable(reason),
                printable(copy)
            );
        }
        other => eprintln!("tokenkeep: {}", printable(&other.to_string())),
    }
}
