//! `tokenkeep list`: the accounts and tokens of a cache, their scopes and expiry. It reads no secret.

mod view;

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tokenkeep::Secret;
use tokenkeep::options::WaitOptions;
use tokenkeep::schema::{self, Contents};

use crate::arguments::List;
use crate::exit::{Code, Failure, Outcome};
use crate::interrupt::Interrupt;
use crate::known::{self, Known};
use crate::output::{Output, bad, odd, title};
use crate::stores::{Named, PATIENCE};
use tokenkeep::inspect::printable;
pub(crate) use view::Listing;

/// Lists the named cache, or all known ones.
pub(crate) fn run(wanted: &List, limit: Option<Duration>, interrupt: &Interrupt, output: &Output) -> Outcome {
    let wait = WaitOptions { limit: limit.unwrap_or(PATIENCE), cancel: Some(interrupt.cancel()) };
    if !wanted.store.is_any() {
        let named = Named::from_flags(&wanted.store)?;
        let listing = look(&named, wait)?.ok_or_else(|| nothing_at(&named))?;
        return print(&[Found::new(None, named, Ok(listing))], output);
    }
    // Wait only once for a keyring that does not answer, not once for every item.
    let mut silent = false;
    let mut found: Vec<Found> = Vec::new();
    for known in known::caches() {
        if !(silent && known.is_guess()) {
            found.extend(of_known(known, &wait, &mut silent));
        }
    }
    if found.is_empty() {
        return Err(Failure::nothing(
            "No cache was found in the places where Azure CLI, the Azure SDKs and programs with tokenkeep's defaults \
             keep theirs; name one with --cache-path, or --service-name and --account-name",
        ));
    }
    print(&found, output)
}

/// The failure for a cache that does not exist; names a file in the place of its marker.
fn nothing_at(named: &Named) -> Failure {
    let text = format!("There is no cache at {named}");
    Failure::nothing(match occupant(named) {
        Some(occupant) => format!("{text}. The file {occupant}"),
        None => text,
    })
}

/// Says which file is in the place of a keystore item's marker, and what becomes of it.
fn occupant(named: &Named) -> Option<String> {
    let (path, occupant) = (named.path.as_ref()?, named.occupant()?);
    Some(format!("{} {}", printable(&path.display().to_string()), occupant.words()))
}

/// A cache that exists, or one that cannot be read.
struct Found {
    owner: Option<String>,
    named: Named,
    listing: Result<Listing, Failure>,
}

impl Found {
    fn new(owner: Option<String>, named: Named, listing: Result<Listing, Failure>) -> Self {
        Self { owner, named, listing }
    }
}

fn of_known(known: Known, wait: &WaitOptions, silent: &mut bool) -> Option<Found> {
    let guess = known.is_guess();
    let seen = look(&known.named, wait.clone());
    *silent |= seen.as_ref().is_err_and(|failure| failure.code() == Code::Store);
    match seen {
        Ok(None) => None,
        // Without a file, nothing shows that a failure of the keyring concerns this user.
        Err(_) if guess => None,
        Ok(Some(listing)) => Some(Found::new(Some(known.owner), known.named, Ok(listing))),
        Err(failure) => Some(Found::new(Some(known.owner), known.named, Err(failure))),
    }
}

/// Reads a cache; returns `None` if it does not exist.
fn look(named: &Named, wait: WaitOptions) -> Outcome<Option<Listing>> {
    listing(named, named.read(wait)?)
}

/// Parses the content of a cache.
pub(crate) fn listing(named: &Named, content: Option<Secret>) -> Outcome<Option<Listing>> {
    let Some(content) = content else { return Ok(None) };
    let bytes = content.expose();
    if schema::without_bom(bytes).trim_ascii().is_empty() {
        return Ok(Some(Listing::default()));
    }
    let contents = Contents::parse(bytes).map_err(|error| match &named.path {
        Some(path) => Failure::from(error.at(path)),
        None => Failure::from(error),
    })?;
    Ok(Some(Listing::of(&contents)))
}

fn print(found: &[Found], output: &Output) -> Outcome {
    let now = SystemTime::now();
    if output.is_json() {
        let caches: Vec<Value> = found.iter().map(|one| to_json(one, now)).collect();
        output.json(&json!({ "caches": caches }))?;
    } else {
        let text: Vec<String> = found.iter().map(|one| to_text(one, now)).collect();
        output.text(&text.join("\n"))?;
    }
    // One cache that can be read is a success. If none can, the error is the first one's.
    match found.iter().map(|one| &one.listing).find_map(|listing| listing.as_ref().err()) {
        Some(failure) if found.iter().all(|one| one.listing.is_err()) => Ok(failure.code()),
        _ => Ok(Code::Ok),
    }
}

fn to_json(found: &Found, now: SystemTime) -> Value {
    let mut cache = json!({
        "owner": found.owner,
        "preset": found.named.place.as_ref().map(|place| place.preset.name()),
        "backend": found.named.backend(),
        "location": found.named.to_string(),
        "path": found.named.path.as_ref().map(|path| path.display().to_string()),
    });
    if let Some(occupant) = occupant(&found.named) {
        cache["notice"] = occupant.into();
    }
    let (key, value) = match &found.listing {
        Ok(listing) => ("content", listing.to_json(now)),
        Err(failure) => ("error", failure.to_json()["error"].clone()),
    };
    cache[key] = value;
    cache
}

fn to_text(found: &Found, now: SystemTime) -> String {
    let owner = found.owner.as_ref().map_or_else(String::new, |owner| format!("{}: ", printable(owner)));
    let heading = title(format_args!("{owner}{}", printable(&found.named.to_string())));
    let body = match &found.listing {
        Ok(listing) => listing.to_text(now),
        Err(failure) => format!("  {} {failure}\n", bad("cannot be read:")),
    };
    let notice =
        occupant(&found.named).map_or_else(String::new, |text| format!("  {} {text}\n", odd("notice:")));
    format!("{heading}\n  {}\n{notice}{body}", found.named.protection())
}
