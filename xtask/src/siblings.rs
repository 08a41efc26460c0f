//! The stage `siblings`: the real sibling libraries in Go, Java, Python and JavaScript, driven by the tests in `interop/`.
//!
//! This file builds their programs with each language's own tools into `target/siblings` and tells the tests the paths.

use crate::job::{Job, Outcome};
use crate::python;
use crate::setup::{self, Tool, debian};

const FOLDER: &str = "interop";

/// Debian's own Python: the one for which Debian packages the bindings of libsecret.
const PYTHON: &str = "/usr/bin/python3";

/// The tools that only these programs need.
const TOOLS: &[Tool] = &[
    debian("Go", &["go", "version"], "golang-go"),
    debian("a Java compiler", &["javac", "-version"], "openjdk-17-jdk-headless"),
    debian("Maven", &["mvn", "-version"], "maven"),
    debian("GObject for Python", &[PYTHON, "-c", "import gi"], "python3-gi"),
    debian(
        "libsecret for Python",
        &[PYTHON, "-c", "import gi; gi.require_version('Secret', '1')"],
        "gir1.2-secret-1",
    ),
];

/// Builds the programs and runs the tests.
pub(crate) fn stage(job: &mut Job<'_>) -> Outcome<()> {
    setup::machine(job, TOOLS)?;
    let folder = job.workspace.products.join("siblings");
    let source = job.workspace.path(FOLDER);

    let go = folder.join("go-peer");
    let mut build = job.command("go");
    build.current_dir(source.join("go")).args(["build", "-mod=readonly", "-o"]).arg(&go).arg(".");
    // The library for the keyring is written in C.
    job.run(build.env("CGO_ENABLED", "1"))?;

    let java = folder.join("java");
    let mut maven = job.command("mvn");
    maven
        .args(["--batch-mode", "--quiet", "--no-transfer-progress", "--file"])
        .arg(source.join("java/pom.xml"));
    maven.arg(format!("-Dfolder={}", java.display()));
    maven.arg(format!("-DoutputDirectory={}", java.join("lib").display()));
    job.run(maven.args(["compile", "dependency:copy-dependencies"]))?;
    let classes = format!("{}:{}/*", java.join("classes").display(), java.join("lib").display());

    let python = python::environment_of(
        job,
        &[PYTHON, "-m", "venv", "--system-site-packages", "--clear"],
        "python-interop",
        &format!("{FOLDER}/python/requirements.txt"),
    )?;

    let mut cargo = job.command("cargo");
    cargo.args(["test", "--locked", "--package", "tokenkeep-interop", "--test", "it", "--no-fail-fast"]);
    // Each variable holds the words of a command, one a line.
    cargo.env("TOKENKEEP_PEER_GO", &go);
    // Each question starts a new virtual machine, so that the optimising compiler would never pay.
    cargo.env("TOKENKEEP_PEER_JAVA", format!("java\n-XX:TieredStopAtLevel=1\n-cp\n{classes}\nPeer"));
    cargo.env("TOKENKEEP_PEER_PYTHON", format!("{python}\n{}", source.join("python/peer.py").display()));
    cargo.env("TOKENKEEP_PEER_NODE", format!("node\n{}", source.join("node/peer.mjs").display()));
    job.run(&mut cargo)
}
