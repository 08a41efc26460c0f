//! Is a history linearizable: did every operation happen at one instant between its call and its return?
//!
//! The whole cache is the object that is judged, which is stronger than judging each entry: a read returns all
//! entries of one instant, and a write tells all that it found.
//!
//! `stateright`'s `LinearizabilityTester` decides the same question, also for operations that never returned, but it
//! tries orders one after the other without remembering where it has been and copies the rest of the history at every
//! step: a history of thousands of operations that is *not* linearizable would keep it busy for ever. So the search here
//! remembers. The tests let both judge the same small histories.

use std::collections::HashSet;

use crate::accounts::Accounts;
use crate::history::{Op, Outcome, Thread, Words};

/// The search gives up after having been in so many places.
const ENOUGH: usize = 3_000_000;

/// What came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is an order.
    Linearizable,
    /// There is none; where the longest attempt got stuck.
    Broken(String),
    /// It could not be decided within bounds.
    Undecided,
}

/// What `op` makes of `accounts`, if it can end in `outcome` there; `None` stands for an outcome nobody learnt.
///
/// This is the specification, for one operation at a time.
pub fn after(op: &Op, accounts: &Accounts, outcome: Option<&Outcome>) -> Option<Accounts> {
    let mut next = accounts.clone();
    let mut conflict = false;
    let mut put = |account: &u8, token: &Option<u64>| match token {
        Some(token) => next.insert(*account, *token),
        None => next.remove(account),
    };
    match op {
        Op::Read => {}
        Op::Set(account, token) => {
            put(account, token);
        }
        // A token for an account that somebody else has signed out meanwhile is not brought back.
        Op::Merge(base, account, Some(_))
            if base.contains_key(account) && !accounts.contains_key(account) =>
        {
            conflict = true;
        }
        Op::Merge(_, account, token) => {
            put(account, token);
        }
        Op::Delete => next.clear(),
    }
    let possible = match (op, outcome) {
        (_, None) => true,
        (Op::Read, Some(Outcome::Saw(saw))) => saw == accounts,
        (Op::Read, Some(_)) => false,
        (_, Some(Outcome::Changed(old, new))) => !conflict && old == accounts && *new == next,
        (_, Some(Outcome::Conflict(old))) => conflict && old == accounts,
        (_, Some(_)) => false,
    };
    possible.then_some(next)
}

/// Judges a history that began with an empty cache. Operations that gave up take no part.
pub fn judge(threads: &[Thread]) -> Verdict {
    let threads: Vec<Thread> = threads.iter().map(effective).collect();
    let seen = tokens_seen(&threads);
    // First only with those unfinished operations of which somebody saw the effect, which is nearly always enough
    // and never leads far astray; if that fails, with all.
    for all in [false, true] {
        let useful = |op: &Op| match op {
            Op::Set(_, Some(token)) | Op::Merge(_, _, Some(token)) => all || seen.contains(token),
            _ => true,
        };
        match search(&threads, &useful) {
            Verdict::Broken(_) if !all => {}
            verdict => return verdict,
        }
    }
    unreachable!("the second round decides")
}

fn effective(thread: &Thread) -> Thread {
    let gave_up = |outcome: &Outcome| *outcome == Outcome::GaveUp;
    thread
        .iter()
        .filter(|call| !call.returned.as_ref().is_some_and(|(_, outcome)| gave_up(outcome)))
        .cloned()
        .collect()
}

fn tokens_seen(threads: &[Thread]) -> HashSet<u64> {
    let outcomes = threads.iter().flatten().filter_map(|call| call.returned.as_ref());
    outcomes
        .flat_map(|(_, outcome)| match outcome {
            Outcome::Saw(accounts) | Outcome::Conflict(accounts) => accounts.values().copied().collect(),
            Outcome::Changed(old, new) => old.values().chain(new.values()).copied().collect::<Vec<_>>(),
            Outcome::GaveUp | Outcome::Failed(_) => Vec::new(),
        })
        .collect()
}

/// How many operations of each thread have happened, and what the cache then holds. A thread does one thing at a time,
/// so that the numbers say which ones.
type Place = (Vec<u32>, Accounts);

fn search(threads: &[Thread], useful: &dyn Fn(&Op) -> bool) -> Verdict {
    let next = |place: &Place, thread: usize| threads[thread].get(place.0[thread] as usize);
    let start: Place = (vec![0; threads.len()], Accounts::new());
    let mut been = HashSet::from([start.clone()]);
    let mut open = vec![start];
    let mut farthest: (u32, Option<Place>) = (0, None);
    while let Some(place) = open.pop() {
        // Whatever is called after another operation has returned comes after that one.
        let returns = (0..threads.len()).filter_map(|thread| next(&place, thread)?.returned.as_ref());
        let Some(horizon) = returns.map(|(time, _)| *time).min() else { return Verdict::Linearizable };
        let ready = |thread: &usize| next(&place, *thread).is_some_and(|call| call.called <= horizon);
        let (finished, unfinished): (Vec<usize>, Vec<usize>) = (0..threads.len())
            .filter(ready)
            .partition(|thread| next(&place, *thread).is_some_and(|call| call.returned.is_some()));
        // Of those that never returned, equal ones may stand in for each other.
        let mut tried: Vec<Op> = Vec::new();
        // What is opened last is looked at first: an unfinished operation only where no finished one will do.
        for thread in unfinished.into_iter().chain(finished) {
            let Some(call) = next(&place, thread) else { continue };
            let outcome = call.returned.as_ref().map(|(_, outcome)| outcome);
            let Some(accounts) = after(&call.op, &place.1, outcome) else { continue };
            if outcome.is_none() {
                let effect = effect(&call.op);
                // It need not have happened, and there is no reason why it should if it changes nothing.
                if accounts == place.1 || !useful(&call.op) || tried.contains(&effect) {
                    continue;
                }
                tried.push(effect);
            }
            let mut counts = place.0.clone();
            counts[thread] += 1;
            let there = (counts, accounts);
            if !been.contains(&there) {
                been.insert(there.clone());
                open.push(there);
            }
        }
        let done = place.0.iter().sum();
        if farthest.1.is_none() || done > farthest.0 {
            farthest = (done, Some(place));
        }
        if been.len() > ENOUGH {
            return Verdict::Undecided;
        }
    }
    Verdict::Broken(farthest.1.map(|place| explain(threads, &place)).unwrap_or_default())
}

/// The same for all operations that do the same to whatever they find.
fn effect(op: &Op) -> Op {
    match op {
        Op::Merge(_, account, None) => Op::Set(*account, None),
        other => other.clone(),
    }
}

fn explain(threads: &[Thread], place: &Place) -> String {
    let done: u32 = place.0.iter().sum();
    let all: usize = threads.iter().map(Vec::len).sum();
    let mut lines =
        vec![format!("after {done} of {all} operations the cache holds {}, but", Words(&place.1))];
    let mut waiting: Vec<_> = (0..threads.len())
        .filter_map(|thread| Some((thread, threads[thread].get(place.0[thread] as usize)?)))
        .collect();
    waiting.sort_by_key(|(_, call)| call.called);
    for (thread, call) in waiting.into_iter().take(8) {
        let end = call
            .returned
            .as_ref()
            .map_or("no return".to_owned(), |(time, outcome)| format!("{outcome} at {time}"));
        lines.push(format!("  thread {thread}: {} called at {}: {end}", call.op, call.called));
    }
    lines.join("\n")
}
