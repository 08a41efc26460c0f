//! Checks whether a history is linearizable: whether each operation can have happened at one instant between its call
//! and its return.
//!
//! The object is the whole cache, which is stronger than one object for each entry: a read returns all entries of one
//! instant, and a write reports all entries that it found.
//!
//! `stateright`'s `LinearizabilityTester` decides the same question, also for operations that never returned. But it
//! tries one order after another, does not remember the states it has seen, and copies the rest of the history at
//! each step. It would not finish a history of thousands of operations that is *not* linearizable. The search here
//! remembers its states. The tests compare both on small histories.

use std::collections::HashSet;

use crate::accounts::Accounts;
use crate::history::{Op, Outcome, Thread, Words};

/// The search gives up after this many states.
const ENOUGH: usize = 3_000_000;

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// An order exists.
    Linearizable,
    /// No order exists; the text says where the longest attempt ended.
    Broken(String),
    /// The search reached its limit.
    Undecided,
}

/// Returns the accounts after `op` on `accounts` if it can end in `outcome`. `None` as outcome means that it is
/// unknown.
///
/// This function is the specification of one operation.
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
        // A merge does not bring back an account that another process signed out in the meantime.
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

/// Checks a history that began with an empty cache. Ignores operations that gave up.
pub fn judge(threads: &[Thread]) -> Verdict {
    let threads: Vec<Thread> = threads.iter().map(effective).collect();
    let seen = tokens_seen(&threads);
    // First try only the unfinished operations whose effect another operation saw. That is nearly always enough and
    // keeps the search small. If it fails, try all of them.
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

/// The number of operations of each thread that have happened, and the accounts after them. A thread does one
/// operation at a time, so the numbers identify the operations.
type Place = (Vec<u32>, Accounts);

fn search(threads: &[Thread], useful: &dyn Fn(&Op) -> bool) -> Verdict {
    let next = |place: &Place, thread: usize| threads[thread].get(place.0[thread] as usize);
    let start: Place = (vec![0; threads.len()], Accounts::new());
    let mut been = HashSet::from([start.clone()]);
    let mut open = vec![start];
    let mut farthest: (u32, Option<Place>) = (0, None);
    while let Some(place) = open.pop() {
        // An operation called after another one has returned comes after it.
        let returns = (0..threads.len()).filter_map(|thread| next(&place, thread)?.returned.as_ref());
        let Some(horizon) = returns.map(|(time, _)| *time).min() else { return Verdict::Linearizable };
        let ready = |thread: &usize| next(&place, *thread).is_some_and(|call| call.called <= horizon);
        let (finished, unfinished): (Vec<usize>, Vec<usize>) = (0..threads.len())
            .filter(ready)
            .partition(|thread| next(&place, *thread).is_some_and(|call| call.returned.is_some()));
        // Operations that never returned and have the same effect are interchangeable: try one of them.
        let mut tried: Vec<Op> = Vec::new();
        // The search takes the last element first: try an unfinished operation only after all finished ones.
        for thread in unfinished.into_iter().chain(finished) {
            let Some(call) = next(&place, thread) else { continue };
            let outcome = call.returned.as_ref().map(|(_, outcome)| outcome);
            let Some(accounts) = after(&call.op, &place.1, outcome) else { continue };
            if outcome.is_none() {
                let effect = effect(&call.op);
                // An unfinished operation may not have happened; skip it if it changes nothing.
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

/// Returns an operation that is equal for all operations with the same effect on any accounts.
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
