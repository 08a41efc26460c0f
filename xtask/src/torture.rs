//! `cargo xtask torture`: the tests of crashes, crowds and the lock protocol, each trying many times longer than in
//! `cargo xtask test`, within a limit.

use std::time::Duration;

use crate::job::{Failure, Job, Outcome};
use crate::workspace::Workspace;
use crate::{addon, mixed, setup, siblings};

/// What the tests read: how many times longer to try. Not every test has a long form.
const TIMES: &str = "TOKENKEEP_TORTURE";

/// `--only` with this name means the crowds of several languages, with another one tests in Rust.
const MIXED: &str = "mixed";

/// And this one the locks of the real sibling libraries, held for long and taken often.
const SIBLINGS: &str = "siblings";

/// How long to try, and what.
#[derive(Debug, PartialEq, Eq)]
struct Options {
    times: u64,
    minutes: u64,
    only: Option<String>,
}

pub(crate) fn command(workspace: &Workspace, arguments: &[String]) -> Outcome<()> {
    let options = parse(arguments)?;
    let limit = Duration::from_secs(options.minutes * 60);
    let mut job = Job::start(workspace, "torture", limit, true)?;
    setup::tools(&mut job)?;
    let times = options.times.to_string();
    let only = |name: &str| options.only.as_deref() == Some(name);
    if !only(MIXED) && !only(SIBLINGS) {
        for words in [
            &["tokenkeep", "--test", "it", "--test", "moving", "--test", "sealed"][..],
            &["tokenkeep-proofs"],
        ] {
            let mut cargo = job.command("cargo");
            cargo.args(["test", "--locked", "--package"]).args(words).env(TIMES, &times);
            // One after another: each starts more processes than there are processors.
            cargo.args(["--", "--nocapture", "--test-threads=1"]).args(&options.only);
            job.run(&mut cargo)?;
        }
    }
    if options.only.is_none() || only(MIXED) {
        setup::packages(&mut job)?;
        addon::stage(&mut job)?;
        mixed::play(&mut job, &[(TIMES, &times)])?;
    }
    if options.only.is_none() || only(SIBLINGS) {
        setup::packages(&mut job)?;
        siblings::play(&mut job, &[(TIMES, &times)])?;
    }
    println!("endured in {:.0} s", job.elapsed().as_secs_f64());
    Ok(())
}

fn parse(arguments: &[String]) -> Outcome<Options> {
    let mut options = Options { times: 20, minutes: 120, only: None };
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let value = rest.next().ok_or_else(|| Failure::new(format!("{argument} wants a value")))?;
        let number = || match value.parse() {
            Ok(number) if (1..=1000).contains(&number) => Ok(number),
            _ => Err(Failure::new(format!("{argument} wants a number from 1 to 1000, not {value:?}"))),
        };
        match argument.as_str() {
            "--times" => options.times = number()?,
            "--minutes" => options.minutes = number()?,
            "--only" => options.only = Some(value.clone()),
            unknown => {
                return Err(Failure::new(format!(
                    "torture knows no option {unknown:?}; it knows --times, --minutes, --only"
                )));
            }
        }
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(words: &[&str]) -> Outcome<Options> {
        parse(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn options_are_numbers_within_bounds_and_misspelt_ones_are_refused() {
        let given = options(&["--times", "3", "--minutes", "5", "--only", "crash::"]).unwrap();
        assert_eq!(given, Options { times: 3, minutes: 5, only: Some("crash::".to_owned()) });
        for wrong in [&["--times", "0"][..], &["--times", "many"], &["--minutes"], &["--forever", "1"]] {
            assert!(options(wrong).is_err(), "{wrong:?}");
        }
    }
}
