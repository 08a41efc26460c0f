//! `tokenkeep clear`: removes the content of a cache, in one write under its lock.

use std::time::Duration;

use serde_json::json;
use tokenkeep::event::Event;
use tokenkeep::options::WaitOptions;

use crate::arguments::{Clear, Kind};
use crate::consent::{ask, require_wanted};
use crate::exit::{Code, Failure, Outcome};
use crate::interrupt::Interrupt;
use crate::list::{self, Listing};
use crate::output::{Output, title};
use crate::platform::HAS_KEYCHAIN;
use crate::progress::Progress;
use crate::stores::{Named, PATIENCE};
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
    if !wanted.change.dry_run {
        ask(&format!("Remove everything from {place} ({held})?"), &wanted.change, interrupt)?;
        let progress = Progress::of("Waiting for the lock");
        require_wanted(interrupt)?;
        let removed = cache.clear_waiting(&wait)?;
        drop(progress);
        if !removed {
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
        }))?;
    } else {
        let done = if dry_run { "would be removed; nothing was changed" } else { "removed" };
        output.text(&format!("{}\n  {held}: {done}\n", title(&place)))?;
    }
    Ok(Code::Ok)
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
