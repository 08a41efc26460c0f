//! The stages of `cargo xtask test` and of `cargo xtask torture`. A new stage is one entry here.

use crate::job::{Job, Outcome};
use crate::suite::{Stage, Suite, Work};
use crate::{
    addon, api, cycles, demo, features, hygiene, keychain, keyrings, lanes, languages, mixed, pack, pages,
    pypackage, rust, screenshots, servers, setup, siblings, vectors,
};

/// Every check and test, each once.
pub(crate) const TEST: Suite =
    Suite { command: "test", stages: TEST_STAGES, lanes: lanes::usual, times: None };

/// The tests of crashes, of crowds and of the lock protocol, each trying many times longer. One stage after another:
/// each starts more processes than there are processors.
pub(crate) const TORTURE: Suite =
    Suite { command: "torture", stages: TORTURE_STAGES, lanes: || 1, times: Some(20) };

/// In the order in which they begin: the quickest to fail first, then those that others need.
const TEST_STAGES: &[Stage] = &[
    task("setup", "every tool is here, installed if need be", setup::stage).minutes(20),
    task("npm", "the npm packages are those of the lock files", setup::packages)
        .needs(&["setup"])
        .minutes(10),
    task("hygiene", "the tracked files hold nothing that does not belong there", hygiene::stage),
    task("screenshots", "the pictures of the command show what it says", screenshots::stage),
    task("cycles", "no circle of files that import each other, in the core and the addon", cycles::stage),
    cargo("fmt", "Rust is formatted", "fmt --all --check -- --color never"),
    cargo("clippy", "Rust has no lints", "clippy --locked --workspace --all-targets --features tokenkeep-server/redis,tokenkeep-server/postgres -- -D warnings")
        .minutes(10),
    task("features", "the crates without anything optional, and with one feature at a time", features::stage)
        .minutes(10),
    task("deny", "licences, bans and sources of the crates", setup::deny).needs(&["setup"]),
    task("rust", "unit, integration and documentation tests", rust::stage)
        .counting()
        .needs(&["setup"])
        // Its crowds and killed processes are held to a second; both processors are theirs.
        .alone()
        .minutes(15),
    task("vectors", "encrypted files, to and from an independent implementation", vectors::stage)
        .needs(&["rust"]),
    cargo(
        "docs",
        "the documentation has no warnings",
        "doc --locked --workspace --exclude tokenkeep-stand-in-keychain --no-deps --features tokenkeep-server/redis,tokenkeep-server/postgres",
    )
    .with(&[("RUSTDOCFLAGS", "-D warnings")])
    .minutes(10),
    task("api", "the public items of the crates are those of docs/api, each with an example", api::stage)
        .needs(&["docs"]),
    task("build", "the addon, release build, and its TypeScript", addon::stage).needs(&["npm"]).minutes(15),
    package("ts-types", "TypeScript has no type errors", "typecheck").needs(&["npm"]),
    tests("reference", "every public member of the npm package has a sentence", "reference --emit none")
        .needs(&["npm"]),
    package("consumers", "programs of every module kind compile against the types", "test:types")
        .needs(&["build"]),
    tests("lint", "TypeScript, JavaScript and JSON are formatted and have no lints", "lint").needs(&["npm"]),
    tests("test-types", "tests and demo have no type errors", "types").needs(&["build"]),
    tests("contract", "the Node contract, on the original and on ours", "test contract")
        .counting()
        .needs(&["build"])
        .minutes(10),
    tests(
        "plugin",
        "the cache plugin: transactions, own persistences, threads, crowds, panics",
        "test plugin",
    )
    .counting()
    .needs(&["build"])
    .minutes(10),
    tests("msal", "real @azure/msal-node, several processes", "test msal").counting().needs(&["build"]),
    tests("stores", "encrypted files, memory, fallbacks, moving, in every kind of session", "test stores")
        .counting()
        .needs(&["build"])
        .minutes(10),
    tests("interop", "shared with keytar, secret-tool, the original", "test interop")
        .counting()
        .needs(&["build"]),
    task(
        "keychain",
        "as on macOS, over a stand-in for the Keychain: the command and the package",
        keychain::stage,
    )
    .counting()
    .needs(&["build"])
    .minutes(10),
    task(
        "siblings",
        "items, caches and locks of the real Go, Java, Python and JavaScript libraries",
        siblings::stage,
    )
    .counting()
    .needs(&["npm"])
    .minutes(10),
    task("keyrings", "the keyrings of KeePassXC and KWallet, and behind a sandbox's proxy", keyrings::stage)
        .counting()
        .needs(&["setup"])
        .minutes(10),
    task("mixed", "crowds of ours, the original and Python on one cache file", mixed::stage)
        .counting()
        .needs(&["build"])
        .minutes(10),
    task(
        "python-build",
        "the native module of the Python package, beside its Python files",
        pypackage::build,
    )
    .needs(&["setup"])
    .minutes(10),
    task("languages", "signed in by one of Rust, msal-node, Python: by all", languages::stage)
        .counting()
        .needs(&["build", "python-build"]),
    task("python", "the Python package, beside the original, with msal and the Azure SDK", pypackage::stage)
        .counting()
        .needs(&["npm", "python-build"])
        .minutes(10),
    task("server", "the cache that servers share, over Redis, Valkey and PostgreSQL", servers::stage)
        .counting()
        .needs(&["build"])
        .minutes(10),
    task("pack", "the tarballs hold what they should, install and run", pack::stage)
        .needs(&["build"])
        .minutes(10),
    tests("packages", "in the place of the original", "test packages")
        .counting()
        .needs(&["pack"])
        .minutes(10),
    task("pages", "every code block of the README files and the guide does what the page says", pages::stage)
        .counting()
        .needs(&["pack", "python-build"])
        .minutes(10),
    task("demo", "the demo in a private keyring session", demo::stage).needs(&["build"]),
];

const TORTURE_STAGES: &[Stage] = &[
    task("setup", "every tool is here, installed if need be", setup::stage).minutes(20),
    task("npm", "the npm packages are those of the lock files", setup::packages)
        .needs(&["setup"])
        .minutes(10),
    task("build", "the addon, release build, and its TypeScript", addon::stage).needs(&["npm"]).minutes(15),
    long("sealed", "the largest encrypted files", "--package tokenkeep --test sealed"),
    long("moving", "moves between stores, killed at every system call", "--package tokenkeep --test moving"),
    long("proofs", "the large worlds of the lock model, long histories", "--package tokenkeep-proofs"),
    task("siblings", "each sibling library's lock, held for 20 s and taken 1,000 times", siblings::stage)
        .counting()
        .needs(&["npm"])
        .minutes(45),
    task("mixed", "crowds of ours, the original and Python on one cache file", mixed::stage)
        .counting()
        .needs(&["build"])
        .minutes(60),
    task(
        "python",
        "processes of the Python package that are killed, threads on one cache",
        pypackage::crowds,
    )
    .counting()
    .needs(&["setup"])
    .minutes(60),
    task("server", "crowds of servers that are killed, in every flow, over every database", servers::stage)
        .counting()
        .needs(&["build"])
        .minutes(90),
    long("it", "crowds and crashes: processes, locks, caches, siblings", "--package tokenkeep --test it")
        .minutes(90),
];

/// Tests in Rust that have a long form.
const fn long(name: &'static str, about: &'static str, words: &'static str) -> Stage {
    Stage::new(name, about, Work::Tests(words)).counting().needs(&["setup"]).minutes(45)
}

/// A function of xtask.
const fn task(name: &'static str, about: &'static str, work: fn(&mut Job<'_>) -> Outcome<()>) -> Stage {
    Stage::new(name, about, Work::Task(work))
}

/// A command of cargo.
const fn cargo(name: &'static str, about: &'static str, words: &'static str) -> Stage {
    Stage::new(name, about, Work::Cargo(words))
}

/// A script of the npm package, then its arguments.
const fn package(name: &'static str, about: &'static str, words: &'static str) -> Stage {
    Stage::new(name, about, Work::Script("bindings/node", words))
}

/// A script of the tests of the npm package, then its arguments.
const fn tests(name: &'static str, about: &'static str, words: &'static str) -> Stage {
    Stage::new(name, about, Work::Script("bindings/node/test", words))
}
