//! `tokenkeep migrate`: copies a cache into another one, reads the copy back, and only then wipes the old cache.
//!
//! It first shows what it would do. The steps, and the repair of a killed migration by the next one, are the
//! library's. Ctrl-C ends the wait for the locks, never a move that has begun.

use std::time::Duration;

use serde_json::{Value, json};
use tokenkeep::moving::{self, Migration};
use tokenkeep::options::WaitOptions;
use tokenkeep::storage::OldCopy;

use crate::arguments::Migrate;
use crate::clear::tell;
use crate::consent::{ask, require_wanted};
use crate::exit::{Code, Failure, Outcome};
use crate::interrupt::Interrupt;
use crate::output::{Output, odd, title};
use crate::progress::Progress;
use crate::stores::{Named, PATIENCE};
use crate::words::number;
use tokenkeep::inspect::printable;

/// Shows what would move, and moves it.
pub(crate) fn run(
    wanted: &Migrate,
    limit: Option<Duration>,
    interrupt: &Interrupt,
    output: &Output,
) -> Outcome {
    let ends = (Named::chosen(&wanted.from)?, Named::chosen(&wanted.to)?);
    if ends.0.is_same(&ends.1) {
        return Err(Failure::usage("Both ends are the same cache"));
    }
    ends.1.refuse_in_keychain(
        "Cannot move a cache into the Keychain item",
        "Let the program do it: it imports a plaintext cache when it opens its store, and migrate() of tokenkeep moves any \
         other",
    )?;
    let wait = WaitOptions { limit: limit.unwrap_or(PATIENCE), cancel: Some(interrupt.cancel()) };
    let (from, to) = (ends.0.open(wait.clone(), tell)?, ends.1.open(wait.clone(), tell)?);
    let plan = {
        let _progress = Progress::of("Comparing the two caches");
        moving::plan(&from, &to)?
    };
    let dry_run = wanted.change.dry_run;
    if plan.old_copy == OldCopy::Nothing {
        return nothing_to_move(&ends, dry_run, || Ok(moving::migrate_waiting(&from, &to, &wait)?), output);
    }
    if dry_run {
        show(&ends, &plan, true, output)?;
        return Ok(Code::Ok);
    }
    if !output.is_json() {
        show(&ends, &plan, true, output)?;
    }
    ask("Move it, and wipe the old copy?", &wanted.change, interrupt)?;
    require_wanted(interrupt)?;
    let done = {
        let _progress = Progress::of("Moving");
        moving::migrate_waiting(&from, &to, &wait)?
    };
    show(&ends, &done, false, output)?;
    Ok(Code::Ok)
}

/// With nothing to move, finishes a killed migration, which needs no new consent.
fn nothing_to_move(
    ends: &(Named, Named),
    dry_run: bool,
    finish: impl FnOnce() -> Outcome<Migration>,
    output: &Output,
) -> Outcome {
    let done = if dry_run { None } else { Some(finish()?).filter(|done| done.old_copy != OldCopy::Nothing) };
    match done {
        Some(done) => show(ends, &done, false, output).map(|()| Code::Ok),
        None => {
            Err(Failure::nothing(format!("There is nothing to move at {}", printable(&ends.0.to_string()))))
        }
    }
}

fn show(ends: &(Named, Named), migration: &Migration, dry_run: bool, output: &Output) -> Outcome<()> {
    if output.is_json() {
        output.json(&to_json(ends, migration, dry_run))?;
    } else {
        output.text(&to_text(ends, migration, dry_run))?;
    }
    Ok(())
}

fn to_json(ends: &(Named, Named), migration: &Migration, dry_run: bool) -> Value {
    let end = |named: &Named| {
        json!({
            "backend": named.backend(),
            "location": named.to_string(),
            "path": named.path.as_ref().map(|path| path.display().to_string()),
        })
    };
    let (old_copy, reason) = old_copy(&migration.old_copy);
    json!({
        "from": end(&ends.0),
        "to": end(&ends.1),
        "dryRun": dry_run,
        "entries": migration.entries,
        "outdated": migration.outdated,
        "oldCopy": old_copy,
        "oldCopyReason": reason,
        "resumed": migration.resumed,
    })
}

/// Returns a code for the fate of the old copy, and the reason if it could not be wiped.
fn old_copy(retired: &OldCopy) -> (&'static str, Option<&str>) {
    match retired {
        OldCopy::Nothing => ("none", None),
        OldCopy::Overwritten => ("overwritten", None),
        OldCopy::Released { reason } => ("released", Some(reason)),
        OldCopy::Emptied => ("emptied", None),
        // A newer library may have more outcomes.
        _ => ("other", None),
    }
}

fn to_text((from, to): &(Named, Named), migration: &Migration, dry_run: bool) -> String {
    let heading = if dry_run { "What would be done" } else { "Done" };
    let mut text = format!("{}\n", title(heading));
    let mut line = |name: &str, value: String| text.push_str(&format!("  {name:<9} {value}\n"));
    for (name, named) in [("from", from), ("to", to)] {
        line(name, printable(&named.to_string()));
        line("", named.protection().to_owned());
    }
    let entries = number(migration.entries, "entry");
    let moved = match (migration.resumed, dry_run) {
        (true, true) => {
            "everything has arrived at an earlier attempt; the old copy is left to be wiped".to_owned()
        }
        (true, false) => "everything had arrived at an earlier attempt, which is finished now".to_owned(),
        (false, true) => format!("{entries} would go over, be read back, and be wiped here"),
        (false, false) => format!("{entries} went over and read back as written"),
    };
    line("move", moved);
    if migration.outdated > 0 {
        let outdated = number(migration.outdated, "entry");
        line("", format!("{outdated} had a newer version there already, which stays"));
    }
    let would = if dry_run { "would be " } else { "" };
    let old = match &migration.old_copy {
        OldCopy::Nothing => "there was none".to_owned(),
        OldCopy::Overwritten => format!("{would}overwritten with zeros"),
        OldCopy::Emptied => format!("{would}emptied: the store holds {{}}"),
        OldCopy::Released { reason } => {
            format!("{} its place is empty, but its bytes were not overwritten: {reason}", odd("released:"))
        }
        other => format!("{other:?}"),
    };
    line("old copy", old);
    if dry_run {
        line("", "nothing was changed yet".to_owned());
    }
    text
}
