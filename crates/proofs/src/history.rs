//! The history of one cache: the operations of several processes with the times of call and return.
//!
//! Every process appends to its own log: a line before each call and a line after each return. A killed process
//! therefore leaves a call without a return. The clock is CLOCK_MONOTONIC, which all processes of a machine share. A
//! process takes the time of the call before it writes the line, and the time of return after the operation, so that
//! the interval between them contains the operation.

use std::fmt::{self, Display};

use rustix::time::{ClockId, clock_gettime};

use crate::accounts::Accounts;

/// An operation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// `TokenCache::read`.
    Read,
    /// `begin_write`, and `commit` of the content found, with another token for one account or without the account.
    Set(u8, Option<u64>),
    /// `begin_write`, and `commit_change` by a client that read these accounts earlier and then changed one.
    Merge(Accounts, u8, Option<u64>),
    /// `begin_write` and `delete`.
    Delete,
}

/// The result of an operation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// A read returned these accounts.
    Saw(Accounts),
    /// A write found the first accounts and left the second.
    Changed(Accounts, Accounts),
    /// A merge found these accounts. Its own account was signed out, so it changed nothing.
    Conflict(Accounts),
    /// It gave up before it had the lock. It had no effect.
    GaveUp,
    /// It failed with an unexpected error, or read content that is not a cache.
    Failed(String),
}

/// One call of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The operation.
    pub op: Op,
    /// The time of the call, in nanoseconds.
    pub called: u64,
    /// The time of the return and the outcome; `None` if the process was killed before it could write them.
    pub returned: Option<(u64, Outcome)>,
}

/// The calls of one thread, in order.
pub type Thread = Vec<Call>;

/// Returns the current time of the clock that all processes share.
pub fn now() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or_default() * 1_000_000_000
        + u64::try_from(now.tv_nsec).unwrap_or_default()
}

/// Formats the line before a call.
pub fn call_line(thread: usize, called: u64, op: &Op) -> String {
    format!("call {thread} {called} {op}\n")
}

/// Formats the line after a return.
pub fn return_line(thread: usize, returned: u64, outcome: &Outcome) -> String {
    format!("return {thread} {returned} {outcome}\n")
}

/// Parses the log of one process into its threads. Ignores a last line without an end, which was being written at the
/// kill.
///
/// # Errors
/// The line that does not parse.
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

/// Formats accounts as one word.
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
    fn a_log_is_parsed_as_it_was_written_and_a_cut_last_line_is_ignored() {
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
