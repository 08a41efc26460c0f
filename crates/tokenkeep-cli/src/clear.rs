//! `tokenkeep clear`: removes the content of a cache, in one write under its lock.

use std::time::Duration;

use serde_json::json;
use tokenkeep::event::Event;
use tokenkeep::options::WaitOptions;

use crate::arguments::Clear;
use crate::consent::{ask, require_wanted};
use crate::exit::{Code, Failure, Outcome};
use crate::interrupt::Interrupt;
use crate::list::{self, Listing};
use crate::output::{Output, title};
use crate::progress::Progress;
use crate::stores::{Named, PATIENCE};
use crate::words::printable;

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
    let content = named.peek(wait.limit)?;
    if content.is_none() {
        return Err(Failure::nothing(format!("There is no cache at {place}")));
    }
    // Content that is not a token cache can be removed as well.
    let listing = list::listing(&named, content).ok().flatten();
    let held = listing.as_ref().map_or_else(|| "content that is no token cache".to_owned(), Listing::summary);
    if !wanted.change.dry_run {
        ask(&format!("Remove everything from {place} ({held})?"), &wanted.change, interrupt)?;
        let progress = Progress::of("Waiting for the lock");
        let write = cache.begin_write_waiting(&wait)?;
        drop(progress);
        require_wanted(interrupt)?;
        if !write.delete()? {
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
