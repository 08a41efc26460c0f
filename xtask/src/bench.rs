//! `cargo xtask bench`: tokenkeep beside the alternatives, measured in one run.
//!
//! The programs and their measurements are in `bench/`. This file builds and installs every side like a user, and
//! writes the figures into the documentation.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::job::{Failure, Job, Outcome, at};
use crate::workspace::{self, Workspace};
use crate::{addon, npm, pack, pypackage, python, setup};

/// The folder of the programs and of the sides that npm installs.
pub(crate) const FOLDER: &str = "bench";

/// Builds the sibling library in Go.
const GO: setup::Tool = setup::debian("Go 1.22 or newer", &["go", "version"], "golang-go");

/// The documentation has the tables of the last whole run between these marks.
const BEGIN: &str = "<!-- figures -->";
const END: &str = "<!-- end of figures -->";

#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    quick: bool,
    /// Passed on unchanged.
    words: Vec<String>,
}

impl Options {
    /// Whether everything is measured, in any number of rounds: such figures go into the documentation.
    fn is_whole(&self) -> bool {
        !self.quick && !self.words.iter().any(|word| word == "--only")
    }
}

pub(crate) fn command(workspace: &Workspace, arguments: &[String]) -> Outcome<()> {
    let options = parse(arguments)?;
    let mut job = Job::start(workspace, "bench", Duration::from_secs(90 * 60), true)?;
    let sides = Sides::prepare(&mut job)?;
    let out = workspace.products.join("bench");
    let mut node = job.command("node");
    node.arg(workspace.path("bench/run.mjs")).arg("--out").arg(&out).args(&options.words);
    if options.quick {
        node.arg("--quick");
    }
    if options.is_whole() {
        node.env("TOKENKEEP_BENCH_CRITERION", core(&mut job)?);
    }
    job.run(node.envs(sides.environment()))?;
    if options.is_whole() {
        publish(&mut job, &out, &sides.python)?;
    }
    println!("measured in {:.0} s; the figures are in {}", job.elapsed().as_secs_f64(), out.display());
    Ok(())
}

/// `--quick` is an option of this command; `--rounds N` and `--only GROUP` belong to the measuring program.
fn parse(arguments: &[String]) -> Outcome<Options> {
    let mut options = Options::default();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--quick" => options.quick = true,
            "--rounds" | "--only" => {
                let value = rest.next().ok_or_else(|| Failure::new(format!("{argument} wants a value")))?;
                options.words.extend([argument.clone(), value.clone()]);
            }
            unknown => {
                return Err(Failure::new(format!(
                    "bench knows no option {unknown:?}; it knows --quick, --rounds, --only"
                )));
            }
        }
    }
    Ok(options)
}

/// Measures the parts of the core alone. Returns the folder with criterion's estimates, all from this run.
fn core(job: &mut Job<'_>) -> Outcome<PathBuf> {
    let estimates = job.workspace.cargo_target.join("criterion");
    workspace::remove(&estimates)?;
    let mut cargo = job.command("cargo");
    job.run(cargo.args(["bench", "--locked", "--package", "tokenkeep-bench", "--bench", "core"]))?;
    Ok(estimates)
}

/// Every side, installed and built.
struct Sides {
    package: PathBuf,
    /// The folder of the Rust programs.
    programs: PathBuf,
    go: PathBuf,
    python: String,
    /// Our package for it, for `PYTHONPATH`.
    python_package: PathBuf,
    tarballs: PathBuf,
    scratch: PathBuf,
}

impl Sides {
    fn prepare(job: &mut Job<'_>) -> Outcome<Self> {
        setup::tools(job)?;
        setup::machine(job, &[GO])?;
        npm::install(job, "bindings/node")?;
        npm::install(job, FOLDER)?;
        addon::build(job, addon::Profile::Release)?;
        pack::stage(job)?;
        let out = job.workspace.products.join("bench");
        let installed = install_packed(job, &out.join("installed"))?;
        let mut cargo = job.command("cargo");
        job.run(cargo.args(["build", "--locked", "--release", "--package", "tokenkeep-bench"]))?;
        let programs = job.workspace.cargo_target.join("release");
        let go = out.join("go-peer").with_extension(std::env::consts::EXE_EXTENSION);
        let mut build = job.command("go");
        build.current_dir(job.workspace.path("bench/go"));
        job.run(build.args(["build", "-mod=readonly", "-buildvcs=false", "-o"]).arg(&go).arg("."))?;
        let python = python::environment(job, "python-bench", "bench/requirements.txt")?;
        let python_package = pypackage::release(job)?;
        Ok(Self {
            package: installed,
            programs,
            go,
            python,
            python_package,
            tarballs: job.workspace.products.join("npm"),
            scratch: out.join("scratch"),
        })
    }

    fn program(&self, name: &str) -> OsString {
        let name = format!("tokenkeep-bench-{name}{}", std::env::consts::EXE_SUFFIX);
        self.programs.join(name).into()
    }

    fn environment(&self) -> Vec<(&str, OsString)> {
        vec![
            ("TOKENKEEP_BENCH_PACKAGE", self.package.clone().into()),
            ("TOKENKEEP_BENCH_BARE", self.program("bare")),
            ("TOKENKEEP_BENCH_HEAP", self.program("heap")),
            ("TOKENKEEP_BENCH_GO", self.go.clone().into()),
            ("TOKENKEEP_BENCH_TARBALLS", self.tarballs.clone().into()),
            ("TOKENKEEP_PYTHON", self.python.clone().into()),
            ("TOKENKEEP_BENCH_PYTHON_PACKAGE", self.python_package.clone().into()),
            ("TOKENKEEP_BENCH_SCRATCH", self.scratch.clone().into()),
        ]
    }
}

/// Installs our package from its tarballs with npm, so that the shipped package is measured.
fn install_packed(job: &mut Job<'_>, place: &Path) -> Outcome<PathBuf> {
    workspace::remove(place)?;
    fs::create_dir_all(place).map_err(at(place))?;
    let manifest = place.join("package.json");
    fs::write(&manifest, "{ \"private\": true }\n").map_err(at(&manifest))?;
    let tarballs = job.workspace.products.join("npm");
    let mut install = npm::command(job, place);
    install.args(["install", "--ignore-scripts", "--offline"]);
    for entry in fs::read_dir(&tarballs).map_err(at(&tarballs))? {
        let path = entry.map_err(at(&tarballs))?.path();
        if path.extension().is_some_and(|extension| extension == "tgz") {
            install.arg(path);
        }
    }
    job.run(&mut install)?;
    Ok(place.join("node_modules").join("tokenkeep"))
}

/// Writes the figures of a whole run into the documentation: the raw results, the tables and the plots.
fn publish(job: &mut Job<'_>, out: &Path, python: &str) -> Outcome<()> {
    let results = job.workspace.path("bench/results.json");
    fs::copy(out.join("results.json"), &results).map_err(at(&results))?;
    let plots = job.workspace.path("docs/benchmarks");
    fs::create_dir_all(&plots).map_err(at(&plots))?;
    let mut draw = job.command(python);
    job.run(draw.arg(job.workspace.path("bench/plots.py")).arg(&results).arg(&plots))?;
    let page = job.workspace.path("docs/benchmarks.md");
    let text = fs::read_to_string(&page).map_err(at(&page))?;
    let tables = out.join("tables.md");
    let tables = fs::read_to_string(&tables).map_err(at(&tables))?;
    let filled = fill(&text, &tables)
        .ok_or_else(|| Failure::new(format!("{} lacks {BEGIN} or {END}", page.display())))?;
    fs::write(&page, filled).map_err(at(&page))
}

fn fill(page: &str, tables: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{tables}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(words: &[&str]) -> Outcome<Options> {
        parse(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn options_are_known_or_refused() {
        let given = options(&["--quick", "--only", "start"]).unwrap();
        assert!(given.quick && given.words == ["--only", "start"]);
        assert!(options(&["--rounds", "3"]).unwrap().is_whole());
        assert!(!given.is_whole() && !options(&["--only", "start"]).unwrap().is_whole());
        assert!(options(&["--rounds"]).is_err() && options(&["--fast"]).is_err());
    }

    #[test]
    fn the_tables_take_the_place_of_the_old_ones_and_the_prose_stays() {
        let page = format!("prose\n{BEGIN}\nold\n{END}\nmore");
        assert_eq!(fill(&page, "new").unwrap(), format!("prose\n{BEGIN}\nnew\n{END}\nmore"));
        assert_eq!(fill("prose", "new"), None);
    }
}
