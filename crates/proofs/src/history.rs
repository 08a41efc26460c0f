//! What several processes did to one cache, and when: operations with the moments of call and return.
//!
//! Every process appends to a log of its own, one line before each call and one after each return, so that a process
//! that is killed leaves the call without its return. The clock is CLOCK_MONOTONIC, one for all processes of a machine.
//! The moment of the call is taken before its line is written and the moment of return after the operation, so that
//! the interval between them certainly contains the operation.

use std::fmt::{self, Display};

use rustix::time::{ClockId, clock_gettime};

use crate::accounts::Accounts;

/// What a process was asked to do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// `TokenCache::read`.
    Read,
    /// `begin_write`, and `commit` of what was there with another token for one account, or without the account.
    Set(u8, Option<u64>),
    /// `begin_write` and `commit_change` of a client that once read the accounts given here and then changed one.
    Merge(Accounts, u8, Option<u64>),
    /// `begin_write` and `delete`.
    Delete,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// A read returned this.
    Saw(Accounts),
    /// A write found the first and said that it left the second.
    Changed(Accounts, Accounts),
    /// A merge found this and said that its account is gone, so that it changed nothing.
    Conflict(Accounts),
    /// It gave up before it had the lock: it can have had no effect.
    GaveUp,
    /// It failed in a way that is not foreseen, or read what no cache is.
    Failed(String),
}

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// What was to be done.
    pub op: Op,
    /// When, in nanoseconds.
    pub called: u64,
    /// When it was over and how it ended; `None` for a process that was killed before it could tell.
    pub returned: Option<(u64, Outcome)>,
}

/// The operations of one thread, in its order.
pub type Thread = Vec<Call>;

/// Now, by the clock that all processes share.
pub fn now() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or_default() * 1_000_000_000
        + u64::try_from(now.tv_nsec).unwrap_or_default()
}

/// The line before a call.
pub fn call_line(thread: usize, called: u64, op: &Op) -> String {
    format!("call {thread} {called} {op}\n")
}

/// The line after a return.
pub fn return_line(thread: usize, returned: u64, outcome: &Outcome) -> String {
    format!("return {thread} {returned} {outcome}\n")
}

/// The threads in the log of one process. A last line without its end was being written when the process was killed,
/// and counts for nothing.
///
/// # Errors
/// The line that cannot be understood.
pub fn parse(log: &str) -> Result<Vec<Thread>, String> {
    let mut threads: Vec<Thread> = Vec::new();
    for line in log.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
        let odd = || format!("cannot understand {line:?}");
        let mut words = line.splitn(4, ' ');
        let mut word = || words.next().ok_or_else(odd);
        let (verb, thread, time, rest) = (word()?, word()?, word()?, word()?);
        let thread: usize = thread.parse().map_err(|_| odd())?;
        let time = time.parse().map_err(|_| odd())?;
        if threads.len() <= thread {
            threads.resize(thread + 1, Vec::new());
        }
        match verb {
            "call" => {
                let op = parse_op(rest).ok_or_else(odd)?;
                threads[thread].push(Call { op, called: time, returned: None });
            }
            "return" => {
                let call = threads[thread].last_mut().filter(|call| call.returned.is_none());
                call.ok_or_else(odd)?.returned = Some((time, parse_outcome(rest).ok_or_else(odd)?));
            }
            _ => return Err(odd()),
        }
    }
    Ok(threads)
}

fn parse_op(text: &str) -> Option<Op> {
    let words: Vec<&str> = text.split(' ').collect();
    Some(match words[..] {
        ["read"] => Op::Read,
        ["set", account, token] => Op::Set(account.parse().ok()?, parse_token(token)?),
        ["merge", base, account, token] => {
            Op::Merge(parse_accounts(base)?, account.parse().ok()?, parse_token(token)?)
        }
        ["delete"] => Op::Delete,
        _ => return None,
    })
}

fn parse_outcome(text: &str) -> Option<Outcome> {
    let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
    Some(match verb {
        "saw" => Outcome::Saw(parse_accounts(rest)?),
        "changed" => {
            let (old, new) = rest.split_once(' ')?;
            Outcome::Changed(parse_accounts(old)?, parse_accounts(new)?)
        }
        "conflict" => Outcome::Conflict(parse_accounts(rest)?),
        "gave-up" => Outcome::GaveUp,
        "failed" => Outcome::Failed(rest.to_owned()),
        _ => return None,
    })
}

fn parse_token(text: &str) -> Option<Option<u64>> {
    if text == "-" { Some(None) } else { text.parse().ok().map(Some) }
}

fn parse_accounts(text: &str) -> Option<Accounts> {
    if text == "-" {
        return Some(Accounts::new());
    }
    text.split(',')
        .map(|pair| {
            let (account, token) = pair.split_once('=')?;
            Some((account.parse().ok()?, token.parse().ok()?))
        })
        .collect()
}

struct Token(Option<u64>);

impl Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(token) => write!(f, "{token}"),
            None => f.write_str("-"),
        }
    }
}

/// Accounts as one word.
#[derive(Debug)]
pub struct Words<'a>(pub &'a Accounts);

impl Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("-");
        }
        for (at, (account, token)) in self.0.iter().enumerate() {
            write!(f, "{}{account}={token}", if at == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read => f.write_str("read"),
            Self::Set(account, token) => write!(f, "set {account} {}", Token(*token)),
            Self::Merge(base, account, token) => {
                write!(f, "merge {} {account} {}", Words(base), Token(*token))
            }
            Self::Delete => f.write_str("delete"),
        }
    }
}

impl Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Saw(accounts) => write!(f, "saw {}", Words(accounts)),
            Self::Changed(old, new) => write!(f, "changed {} {}", Words(old), Words(new)),
            Self::Conflict(accounts) => write!(f, "conflict {}", Words(accounts)),
            Self::GaveUp => f.write_str("gave-up"),
            Self::Failed(text) => write!(f, "failed {}", text.replace('\n', " ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_read_as_it_was_written_and_a_cut_line_counts_for_nothing() {
        let accounts = Accounts::from([(1, 5), (2, 7)]);
        let calls = [
            (Op::Read, Outcome::Saw(accounts.clone())),
            (Op::Set(1, Some(9)), Outcome::Changed(accounts.clone(), Accounts::new())),
            (Op::Merge(accounts.clone(), 2, None), Outcome::Conflict(Accounts::new())),
            (Op::Delete, Outcome::Failed("a b\nc".into())),
        ];
        let mut log = String::new();
        for (op, outcome) in &calls {
            log += &call_line(1, 3, op);
            log += &return_line(1, 4, outcome);
        }
        log += &call_line(0, 5, &Op::Read);
        log += "return 0 6 saw 1=";
        let threads = parse(&log).unwrap();
        assert_eq!(threads[0], [Call { op: Op::Read, called: 5, returned: None }]);
        assert_eq!(threads[1].len(), 4);
        assert_eq!(threads[1][1].returned, Some((4, calls[1].1.clone())));
        assert_eq!(threads[1][3].returned, Some((4, Outcome::Failed("a b c".into()))));
        assert!(parse("return 0 1 gave-up\n").is_err());
    }
}
