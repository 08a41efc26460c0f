//! The list of everything `cargo xtask test` runs. A new stage is one line here.

use crate::suite::Stage;
use crate::{addon, demo, hygiene, pack, setup};

const NODE: &str = "bindings/node";
const NODE_TESTS: &str = "bindings/node/test";

/// Everything, in the order it runs: what fails fastest first, then what others need.
pub(crate) const TEST: &[Stage] = &[
    Stage::task("setup", "every tool is here, installed if need be", setup::stage).minutes(20),
    Stage::task("npm", "the npm packages are those of the lock files", setup::packages)
        .needs(&["setup"])
        .minutes(10),
    Stage::task("hygiene", "the tracked files hold nothing that does not belong there", hygiene::stage)
        .minutes(1),
    Stage::command("fmt", "Rust is formatted", &["cargo", "fmt", "--all", "--check"]).minutes(1),
    Stage::command(
        "clippy",
        "Rust has no lints",
        &["cargo", "clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"],
    )
    .minutes(10),
    Stage::task("deny", "licences, bans and sources of the crates", setup::deny).needs(&["setup"]).minutes(3),
    Stage::command(
        "rust",
        "unit, integration and documentation tests",
        &["cargo", "test", "--locked", "--workspace", "--no-fail-fast"],
    )
    .counting()
    .needs(&["setup"])
    .minutes(15),
    Stage::command(
        "docs",
        "the documentation builds without warnings",
        &["cargo", "doc", "--locked", "--workspace", "--no-deps"],
    )
    .with(&[("RUSTDOCFLAGS", "-D warnings")])
    .minutes(10),
    Stage::task("build", "release addon and TypeScript", addon::stage).needs(&["setup", "npm"]).minutes(15),
    Stage::script("ts-lint", NODE, "lint").needs(&["npm"]),
    Stage::script("ts-types", NODE, "typecheck").needs(&["build"]),
    Stage::script("ts-consumers", NODE, "test:types").needs(&["build"]),
    Stage::script("contract", NODE_TESTS, "test:contract").counting().needs(&["build"]),
    Stage::script("msal", NODE_TESTS, "test:msal").counting().needs(&["build"]),
    Stage::script("interop", NODE_TESTS, "test:interop").counting().needs(&["build"]),
    Stage::task("pack", "the tarballs hold what they should, install and run", pack::stage)
        .needs(&["build"])
        .minutes(10),
    Stage::script("packages", NODE_TESTS, "test:packages").counting().needs(&["pack"]).minutes(10),
    Stage::task("demo", "the demo in a private keyring session", demo::stage).needs(&["build"]),
];
