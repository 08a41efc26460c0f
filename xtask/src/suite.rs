//! A suite: stages, each timed and judged, and a table at the end.
//!
//! This file knows what a stage is and how it is reported; which stages exist is `stages.rs`, which of them run side by
//! side is `lanes.rs`, what of a failed one is shown is `digest.rs`. A second suite (long runs, say) is another list in
//! `stages.rs` and a line in `main.rs`.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::job::{Failure, Job, Outcome};
use crate::tally::{self, Tally};
use crate::workspace::Workspace;
use crate::{digest, lanes, npm};

/// One thing that is checked or tested.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stage {
    name: &'static str,
    about: &'static str,
    limit: Duration,
    needs: &'static [&'static str],
    environment: &'static [(&'static str, &'static str)],
    /// Whether its output tells how many tests ran. A stage that counts must find at least one.
    counts: bool,
    /// Whether it must have the machine to itself.
    alone: bool,
    work: Work,
}

/// How a stage does it. Words are separated by spaces; no argument here needs one.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Work {
    /// The arguments of cargo.
    Cargo(&'static str),
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

    /// Gives it another time limit than five minutes.
    pub(crate) const fn minutes(mut self, minutes: u64) -> Self {
        self.limit = Duration::from_secs(minutes * 60);
        self
    }

    /// Names the stages, listed before it, without whose success it would show nothing.
    pub(crate) const fn needs(mut self, needs: &'static [&'static str]) -> Self {
        self.needs = needs;
        self
    }

    pub(crate) const fn with(mut self, environment: &'static [(&'static str, &'static str)]) -> Self {
        self.environment = environment;
        self
    }

    /// Says that a test runner prints how many tests passed, failed and were skipped.
    pub(crate) const fn counting(mut self) -> Self {
        self.counts = true;
        self
    }

    /// Says that other stages would spoil what it shows (or it theirs), so that nothing runs beside it.
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

/// What became of a stage.
#[derive(Debug)]
pub(crate) struct Report {
    name: &'static str,
    tally: Tally,
    seconds: f64,
    result: Verdict,
    /// What to look at, once more at the very end: the reasons, then the tests that failed.
    findings: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Ok,
    Failed,
    /// Something it needs failed. Never a way to pass: it counts as a failure.
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

/// `cargo xtask test` and its like: parses the options and runs the chosen stages.
pub(crate) fn command(
    workspace: &Workspace,
    stages: &'static [Stage],
    arguments: &[String],
) -> Outcome<ExitCode> {
    let mut only = Vec::new();
    let mut verbose = false;
    let mut side_by_side = lanes::usual();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "-v" | "--verbose" => verbose = true,
            "--list" => {
                print_list(stages);
                return Ok(ExitCode::SUCCESS);
            }
            "--lanes" => {
                let number = rest.next().and_then(|number| number.parse().ok()).filter(|number| *number > 0);
                side_by_side = number.ok_or_else(|| Failure::new("--lanes wants a number from 1 on"))?;
            }
            "--only" => only
                .push(rest.next().ok_or_else(|| Failure::new("--only wants the name of a stage"))?.as_str()),
            unknown => {
                return Err(Failure::new(format!(
                    "test knows no option {unknown:?}; it knows --only, --lanes, --list, -v"
                )));
            }
        }
    }
    let chosen = choose(stages, &only)?;
    let started = Instant::now();
    // Two stages that print as they go could not be told apart.
    let side_by_side = if verbose { 1 } else { side_by_side };
    let reports = lanes::run(&chosen, side_by_side, |stage, before| {
        if verbose {
            println!("{}", stage.name);
        }
        let report = run_one(workspace, stage, before, verbose);
        report.print();
        report
    });
    Ok(summarise(&reports, started.elapsed()))
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

/// The named stages and, recursively, what they need, in the suite's order; all of them when none is named.
fn choose<'s>(stages: &'s [Stage], only: &[&str]) -> Outcome<Vec<&'s Stage>> {
    let mut wanted: Vec<&str> = only.to_vec();
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

fn run_one(workspace: &Workspace, stage: &Stage, before: &[Arc<Report>], verbose: bool) -> Report {
    let started = Instant::now();
    let failed =
        |need: &&&str| before.iter().any(|report| report.name == **need && report.result != Verdict::Ok);
    let (result, tally, findings) = match stage.needs.iter().find(failed) {
        Some(need) => (Verdict::NotRun, Tally::one(false), vec![format!("because {need} failed")]),
        None => match attempt(workspace, stage, verbose) {
            (tally, findings) if findings.is_empty() => (Verdict::Ok, tally, findings),
            (tally, findings) => (Verdict::Failed, tally, findings),
        },
    };
    Report { name: stage.name, tally, seconds: started.elapsed().as_secs_f64(), result, findings }
}

impl Report {
    /// The line of the stage as it ends; of a failure also the end of its log, where there is no `-v` to have shown it.
    fn print(&self) {
        lanes::clear_status();
        println!("{:<12} {:<7} {:>7.1} s", self.name, self.result.word(), self.seconds);
        for finding in &self.findings {
            println!("    {finding}");
        }
    }
}

/// Runs a stage and judges it: its own outcome, its count of tests, and what it left running. No finding: it is fine.
fn attempt(workspace: &Workspace, stage: &Stage, verbose: bool) -> (Tally, Vec<String>) {
    let mut job = match Job::start(workspace, stage.name, stage.limit, verbose) {
        Ok(job) => job,
        Err(failure) => return (Tally::one(false), vec![failure.to_string()]),
    };
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
    if !verbose {
        lanes::clear_status();
        print!("{}", digest::tail(stage.name, &log, failures.is_empty()));
    }
    findings.extend(failures);
    // A failure that no test reported (a crash, a time limit, a leak) counts as one failed test.
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
    // Once more where whoever looks at the end of a long log sees it.
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

    fn names(chosen: &[&Stage]) -> Vec<&'static str> {
        chosen.iter().map(|stage| stage.name).collect()
    }

    #[test]
    fn all_stages_run_when_none_is_named() {
        assert_eq!(names(&choose(STAGES, &[]).unwrap()), ["first", "second", "third", "apart"]);
    }

    #[test]
    fn a_named_stage_brings_what_it_needs_in_order() {
        assert_eq!(names(&choose(STAGES, &["third"]).unwrap()), ["first", "second", "third"]);
        assert_eq!(names(&choose(STAGES, &["apart"]).unwrap()), ["apart"]);
    }

    #[test]
    fn an_unknown_stage_is_refused_with_the_list() {
        let message = choose(STAGES, &["forth"]).unwrap_err().to_string();
        assert!(message.contains("forth") && message.contains("apart"), "{message}");
    }

    #[test]
    fn what_a_stage_needs_stands_before_it() {
        let stages = crate::stages::TEST;
        for (position, stage) in stages.iter().enumerate() {
            for need in stage.needs {
                assert!(
                    stages[..position].iter().any(|earlier| earlier.name == *need),
                    "{} needs {need}",
                    stage.name
                );
            }
        }
    }
}
