//! A suite: stages with a time and a result each, and a table at the end.
//!
//! This file defines a suite and a stage and reports on both. `stages.rs` lists the stages, `lanes.rs` runs them side by
//! side, `digest.rs` picks the part of a failed log that is shown.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::job::{Failure, Job, Outcome};
use crate::tally::{self, Tally};
use crate::workspace::Workspace;
use crate::{digest, lanes, npm};

/// A list of stages under one command.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Suite {
    pub(crate) command: &'static str,
    pub(crate) stages: &'static [Stage],
    /// How many stages run side by side, unless `--lanes` says it.
    pub(crate) lanes: fn() -> usize,
    /// How many times longer the tests try, unless `--times` says it; `None` where they run once.
    pub(crate) times: Option<u64>,
}

/// The tests read from this variable how many times longer they try. Not every test has a long form.
const TIMES: &str = "TOKENKEEP_TORTURE";

/// One check, or the tests of one subject.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stage {
    name: &'static str,
    about: &'static str,
    limit: Duration,
    needs: &'static [&'static str],
    environment: &'static [(&'static str, &'static str)],
    /// Whether its output has the number of tests. Such a stage must find at least one.
    counts: bool,
    /// Whether no other stage may run beside it.
    alone: bool,
    work: Work,
}

/// What a stage runs. Spaces separate the words of a command; no argument here contains one.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Work {
    /// The arguments of cargo.
    Cargo(&'static str),
    /// The arguments of `cargo test`; the tests run one after another and print their measurements.
    Tests(&'static str),
    /// A folder with a package.json, then a script of it and its arguments.
    Script(&'static str, &'static str),
    /// A function of xtask.
    Task(fn(&mut Job<'_>) -> Outcome<()>),
}

impl Stage {
    pub(crate) const fn new(name: &'static str, about: &'static str, work: Work) -> Self {
        let limit = Duration::from_secs(5 * 60);
        Self { name, about, limit, needs: &[], environment: &[], counts: false, alone: false, work }
    }

    /// Sets another time limit than five minutes.
    pub(crate) const fn minutes(mut self, minutes: u64) -> Self {
        self.limit = Duration::from_secs(minutes * 60);
        self
    }

    /// Names the stages that must pass first. They stand before it in the list.
    pub(crate) const fn needs(mut self, needs: &'static [&'static str]) -> Self {
        self.needs = needs;
        self
    }

    pub(crate) const fn with(mut self, environment: &'static [(&'static str, &'static str)]) -> Self {
        self.environment = environment;
        self
    }

    /// Marks a stage whose test runner prints the numbers of passed, failed and skipped tests.
    pub(crate) const fn counting(mut self) -> Self {
        self.counts = true;
        self
    }

    /// Keeps other stages from running beside it, because one would disturb the other.
    pub(crate) const fn alone(mut self) -> Self {
        self.alone = true;
        self
    }

    fn run(&self, job: &mut Job<'_>) -> Outcome<()> {
        match self.work {
            Work::Task(task) => task(job),
            Work::Cargo(words) => {
                let mut cargo = job.command("cargo");
                job.run(cargo.args(words.split_whitespace()).envs(self.environment.iter().copied()))
            }
            Work::Tests(words) => {
                let mut cargo = job.command("cargo");
                cargo.args(["test", "--locked", "--no-fail-fast"]).args(words.split_whitespace());
                job.run(cargo.args(["--", "--nocapture", "--test-threads=1"]))
            }
            Work::Script(folder, words) => npm::run_script(job, folder, words, self.environment),
        }
    }
}

impl lanes::Task for &Stage {
    type Report = Report;

    fn name(&self) -> &'static str {
        self.name
    }

    fn needs(&self) -> &'static [&'static str] {
        self.needs
    }

    fn is_alone(&self) -> bool {
        self.alone
    }
}

/// The result of a stage.
#[derive(Debug)]
pub(crate) struct Report {
    name: &'static str,
    tally: Tally,
    seconds: f64,
    result: Verdict,
    /// Why it failed, then the tests that failed. Empty for a stage that passed.
    findings: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Ok,
    Failed,
    /// A stage that it needs failed. Counts as a failure.
    NotRun,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "FAILED",
            Self::NotRun => "NOT RUN",
        }
    }
}

/// The options of a suite's command.
#[derive(Debug, PartialEq, Eq)]
struct Options {
    only: Vec<String>,
    verbose: bool,
    list: bool,
    lanes: Option<usize>,
    times: Option<u64>,
}

/// Parses the options and runs the chosen stages.
pub(crate) fn command(workspace: &Workspace, suite: &Suite, arguments: &[String]) -> Outcome<ExitCode> {
    let options = parse(suite, arguments)?;
    if options.list {
        print_list(suite.stages);
        return Ok(ExitCode::SUCCESS);
    }
    let chosen = choose(suite.stages, &options.only)?;
    let started = Instant::now();
    // The output of two stages, printed as it comes, could not be told apart.
    let side_by_side = if options.verbose { 1 } else { options.lanes.unwrap_or_else(suite.lanes) };
    let reports = lanes::run(&chosen, side_by_side, |stage, before| {
        if options.verbose {
            println!("{}", stage.name);
        }
        let report = run_one(workspace, stage, before, &options);
        report.print();
        report
    });
    Ok(summarise(&reports, started.elapsed()))
}

fn parse(suite: &Suite, arguments: &[String]) -> Outcome<Options> {
    let mut options =
        Options { only: Vec::new(), verbose: false, list: false, lanes: None, times: suite.times };
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let mut value = || rest.next().ok_or_else(|| Failure::new(format!("{argument} needs a value")));
        match argument.as_str() {
            "-v" | "--verbose" => options.verbose = true,
            "--list" => options.list = true,
            "--only" => options.only.push(value()?.clone()),
            "--lanes" => options.lanes = Some(number(argument, value()?)?),
            "--times" if suite.times.is_some() => options.times = Some(number(argument, value()?)?),
            unknown => {
                let times = if suite.times.is_some() { ", --times" } else { "" };
                return Err(Failure::new(format!(
                    "{} has no option {unknown:?}; it has --only, --lanes, --list, -v{times}",
                    suite.command
                )));
            }
        }
    }
    Ok(options)
}

fn number<N: std::str::FromStr + PartialOrd + From<u16>>(option: &str, value: &str) -> Outcome<N> {
    match value.parse() {
        Ok(number) if number >= N::from(1) && number <= N::from(1000) => Ok(number),
        _ => Err(Failure::new(format!("{option} needs a number from 1 to 1000, not {value:?}"))),
    }
}

fn print_list(stages: &[Stage]) {
    let width = stages.iter().map(|stage| stage.name.len()).max().unwrap_or(0);
    for stage in stages {
        let needs = if stage.needs.is_empty() {
            String::new()
        } else {
            format!(" (needs {})", stage.needs.join(", "))
        };
        println!("{:width$}  {}{needs}", stage.name, stage.about);
    }
}

/// Returns the named stages and, recursively, those that they need, in the suite's order; all if none is named.
fn choose<'s>(stages: &'s [Stage], only: &[String]) -> Outcome<Vec<&'s Stage>> {
    let mut wanted: Vec<&str> = only.iter().map(String::as_str).collect();
    let mut next = 0;
    while let Some(name) = wanted.get(next).copied() {
        let stage = stages.iter().find(|stage| stage.name == name).ok_or_else(|| {
            let names: Vec<_> = stages.iter().map(|stage| stage.name).collect();
            Failure::new(format!("there is no stage {name:?}; there are {}", names.join(", ")))
        })?;
        for need in stage.needs {
            if !wanted.contains(need) {
                wanted.push(need);
            }
        }
        next += 1;
    }
    Ok(stages.iter().filter(|stage| only.is_empty() || wanted.contains(&stage.name)).collect())
}

fn run_one(workspace: &Workspace, stage: &Stage, before: &[Arc<Report>], options: &Options) -> Report {
    let started = Instant::now();
    let failed =
        |need: &&&str| before.iter().any(|report| report.name == **need && report.result != Verdict::Ok);
    let (result, tally, findings) = match stage.needs.iter().find(failed) {
        Some(need) => (Verdict::NotRun, Tally::one(false), vec![format!("because {need} failed")]),
        None => match attempt(workspace, stage, options) {
            (tally, findings) if findings.is_empty() => (Verdict::Ok, tally, findings),
            (tally, findings) => (Verdict::Failed, tally, findings),
        },
    };
    Report { name: stage.name, tally, seconds: started.elapsed().as_secs_f64(), result, findings }
}

impl Report {
    /// Prints one line when the stage ends, and the findings if it failed.
    fn print(&self) {
        lanes::clear_status();
        println!("{:<12} {:<7} {:>7.1} s", self.name, self.result.word(), self.seconds);
        for finding in &self.findings {
            println!("    {finding}");
        }
    }
}

/// Runs a stage and judges it by its exit, its count of tests and the processes it left running. No finding means that
/// it passed. Prints the end of a failed stage's log, unless `-v` has shown it already.
fn attempt(workspace: &Workspace, stage: &Stage, options: &Options) -> (Tally, Vec<String>) {
    let mut job = match Job::start(workspace, stage.name, stage.limit, options.verbose) {
        Ok(job) => job,
        Err(failure) => return (Tally::one(false), vec![failure.to_string()]),
    };
    if let Some(times) = options.times {
        job.set_variable(TIMES, times.to_string());
    }
    let outcome = stage.run(&mut job);
    let left = job.left_behind();
    let log = String::from_utf8_lossy(&std::fs::read(job.log_path()).unwrap_or_default()).into_owned();
    let counted = if stage.counts { tally::read(&log) } else { Tally::default() };

    let mut findings: Vec<String> = outcome.err().map(|failure| failure.to_string()).into_iter().collect();
    if stage.counts {
        findings.extend(counted.complaint());
    }
    if !left.is_empty() {
        findings.push(format!("left processes behind: {}", left.join("; ")));
    }
    if findings.is_empty() {
        return (if stage.counts { counted } else { Tally::one(true) }, findings);
    }
    findings.push(format!("log: {}", job.log_path().display()));
    let failures = digest::failures(&log);
    if !options.verbose {
        lanes::clear_status();
        print!("{}", digest::tail(stage.name, &log, failures.is_empty()));
    }
    findings.extend(failures);
    // A failure without a failed test (a crash, a time limit, a leak) counts as one failed test.
    let tally = if counted.failed > 0 { counted } else { counted + Tally::one(false) };
    (tally, findings)
}

fn summarise(reports: &[Arc<Report>], total: Duration) -> ExitCode {
    let sum = reports.iter().fold(Tally::default(), |sum, report| sum + report.tally);
    let failed = reports.iter().filter(|report| report.result != Verdict::Ok).count();
    println!("\n{:<12} {:>9} {:>8} {:>8}  result", "stage", "seconds", "passed", "failed");
    for report in reports {
        let Tally { passed, failed, .. } = report.tally;
        println!(
            "{:<12} {:>9.1} {passed:>8} {failed:>8}  {}",
            report.name,
            report.seconds,
            report.result.word()
        );
    }
    // Repeated here because a reader of a long log looks at its end.
    for report in reports.iter().filter(|report| report.result != Verdict::Ok) {
        println!("\n{}: {}", report.name, report.result.word());
        for finding in &report.findings {
            println!("    {finding}");
        }
    }
    println!(
        "{} stages, {failed} failed, {:.0} s; a check that is no test runner counts as one test",
        reports.len(),
        total.as_secs_f64()
    );
    println!("{} passed, {} failed", sum.passed, sum.failed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAGES: &[Stage] = &[
        Stage::new("first", "", Work::Cargo("version")),
        Stage::new("second", "", Work::Cargo("version")).needs(&["first"]),
        Stage::new("third", "", Work::Cargo("version")).needs(&["second"]),
        Stage::new("apart", "", Work::Cargo("version")),
    ];

    fn names(only: &[&str]) -> Vec<&'static str> {
        choose(STAGES, &words(only)).unwrap().iter().map(|stage| stage.name).collect()
    }

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn options(times: Option<u64>, arguments: &[&str]) -> Outcome<Options> {
        let suite = Suite { command: "play", stages: STAGES, lanes: || 1, times };
        parse(&suite, &words(arguments))
    }

    #[test]
    fn options_are_read_and_wrong_ones_are_refused() {
        let given = options(Some(20), &["--times", "3", "--only", "first", "--lanes", "2", "-v"]).unwrap();
        let only = words(&["first"]);
        let expected = Options { only, verbose: true, list: false, lanes: Some(2), times: Some(3) };
        assert_eq!(given, expected);
        assert_eq!(options(Some(20), &[]).unwrap().times, Some(20));
        for wrong in
            [&["--times", "0"][..], &["--times", "many"], &["--only"], &["--lanes", "0"], &["--forever"]]
        {
            assert!(options(Some(20), wrong).is_err(), "{wrong:?}");
        }
        assert!(options(None, &["--times", "3"]).is_err(), "a suite that runs once");
    }

    #[test]
    fn all_stages_run_when_none_is_named() {
        assert_eq!(names(&[]), ["first", "second", "third", "apart"]);
    }

    #[test]
    fn a_named_stage_brings_what_it_needs_in_order() {
        assert_eq!(names(&["third"]), ["first", "second", "third"]);
        assert_eq!(names(&["apart"]), ["apart"]);
    }

    #[test]
    fn an_unknown_stage_is_refused_with_the_list() {
        let message = choose(STAGES, &words(&["forth"])).unwrap_err().to_string();
        assert!(message.contains("forth") && message.contains("apart"), "{message}");
    }

    #[test]
    fn stages_stand_behind_those_they_need() {
        for suite in [crate::stages::TEST, crate::stages::TORTURE] {
            for (position, stage) in suite.stages.iter().enumerate() {
                for need in stage.needs {
                    let before = &suite.stages[..position];
                    let is_before = before.iter().any(|earlier| earlier.name == *need);
                    assert!(is_before, "{} needs {need}", stage.name);
                }
            }
        }
    }
}
