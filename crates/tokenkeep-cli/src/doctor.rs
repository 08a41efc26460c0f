//! `tokenkeep doctor`: finds out why sign-ins are not kept and says what to do.
//!
//! Each section examines one subject on its own thread, so that one that hangs (a dead network file system, a stopped
//! keyring) delays no other. This file collects the sections until the time limit; `report.rs` has their form,
//! `choice.rs` draws the conclusion.

mod caches;
mod choice;
mod keyring;
mod locks;
mod places;
mod report;

use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::arguments::Doctor;
use crate::exit::{Code, Outcome};
use crate::known::{self, Known};
use crate::output::Output;
use crate::stores::Named;
use report::{Finding, Report, Section};

/// The time limit of all sections, which leaves time to print within the promised ten seconds.
const LONGEST: Duration = Duration::from_secs(8);
/// The time limit of one keyring call. A running keyring answers within milliseconds; one that must be started,
/// within a second.
const KEYRING: Duration = Duration::from_secs(3);

/// The time limit, and whether writes are allowed.
#[derive(Clone, Copy, Debug)]
struct Terms {
    keyring: Duration,
    /// Whether a trial item may be written.
    #[cfg_attr(
        not(any(target_os = "linux", windows)),
        expect(dead_code, reason = "a trial could prompt on macOS, and the other systems have no keystore")
    )]
    trial: bool,
}

/// Examines the whole machine, or the named cache and its store.
pub(crate) fn run(wanted: &Doctor, limit: Option<Duration>, output: &Output) -> Outcome {
    let named = match wanted.store.is_any() {
        true => None,
        false => Some(Named::from_flags(&wanted.store)?),
    };
    let limit = limit.unwrap_or(LONGEST).min(LONGEST);
    let terms = Terms { keyring: limit.min(KEYRING), trial: !wanted.dry_run };
    let report = examine(named, terms, limit);
    if output.is_json() {
        output.json(&report.to_json())?;
    } else {
        output.text(&report.to_text())?;
    }
    Ok(if report.findings().next().is_some() { Code::Findings } else { Code::Ok })
}

/// One section's heading and its work.
type Part = (&'static str, Box<dyn FnOnce() -> Section + Send>);

fn examine(named: Option<Named>, terms: Terms, limit: Duration) -> Report {
    let place = named.as_ref().and_then(|named| named.path.clone());
    let parts: Vec<Part> = vec![
        (keyring::TITLE, Box::new(move || keyring::examine(terms))),
        (choice::OTHERS, Box::new(choice::others)),
        (places::TITLE, Box::new(move || places::examine(place.as_deref()))),
        (caches::TITLE, Box::new(move || caches::examine(&wanted(named), terms.keyring))),
    ];
    let mut sections = all(parts, limit);
    let conclusion = choice::conclude(&sections);
    sections.push(conclusion);
    Report { sections }
}

/// Returns the caches to examine: the named one, or all known ones.
fn wanted(named: Option<Named>) -> Vec<Known> {
    match named {
        Some(named) => vec![Known { owner: "named".to_owned(), named }],
        None => known::caches(),
    }
}

/// Runs all parts at the same time and returns their sections in order. A part without an answer in time is a
/// finding.
fn all(parts: Vec<Part>, limit: Duration) -> Vec<Section> {
    let began = Instant::now();
    let started: Vec<_> = parts
        .into_iter()
        .map(|(title, work)| {
            let (reply, answer) = mpsc::channel();
            let run = move || {
                // The receiver may have given up.
                let _ = reply.send(work());
            };
            let thread = std::thread::Builder::new().name(title.to_owned()).spawn(run);
            (title, answer, thread.err())
        })
        .collect();
    started
        .into_iter()
        .map(|(title, answer, refused)| {
            let left = limit.saturating_sub(began.elapsed());
            answer.recv_timeout(left).unwrap_or_else(|_| {
                let why = refused.map_or_else(
                    || format!("no answer within {} s", limit.as_secs_f32()),
                    |error| error.to_string(),
                );
                Section::new(title).with(Finding::problem(
                    "no-answer",
                    format!("{title}: {why}"),
                    "Something that this part asks hangs, often a network file system; try again when it answers",
                ))
            })
        })
        .collect()
}
