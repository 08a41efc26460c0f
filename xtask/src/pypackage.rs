//! The Python package: its native module beside its Python files, and the stages `python-build` and `python`.

use std::fs;
use std::path::{Path, PathBuf};

use crate::job::{Failure, Job, Outcome, at};
use crate::keyring::Session;
use crate::{python, workspace};

/// The package in the checkout.
const FOLDER: &str = "bindings/python";

/// The folder for `PYTHONPATH` that [`build`] fills.
pub(crate) fn package(job: &Job<'_>) -> PathBuf {
    job.workspace.products.join("python-package")
}

/// The same with a native module that a test can make panic.
fn panicking(job: &Job<'_>) -> PathBuf {
    job.workspace.products.join("python-package-panics")
}

/// Returns the interpreter of the tests, with the packages that they use.
pub(crate) fn interpreter(job: &mut Job<'_>) -> Outcome<String> {
    python::environment(job, "python-tests", &format!("{FOLDER}/tests/requirements.txt"))
}

/// Tests the package in a private session with a keyring, the original beside it.
pub(crate) fn stage(job: &mut Job<'_>) -> Outcome<()> {
    let package = package(job);
    let python = interpreter(job)?;
    let azure_cli =
        python::environment(job, "python-azure-cli", &format!("{FOLDER}/tests/requirements-azure-cli.txt"))?;
    let folder = job.workspace.path(FOLDER);

    let session = Session::create()?;
    let mut pytest = session.command(job, &python);
    pytest.args(["-m", "pytest", "--quiet", "--no-header", "-p", "no:cacheprovider", "tests"]);
    pytest.arg(package.join("tokenkeep")).current_dir(&folder);
    pytest.env("PYTHONPATH", &package).env("PYTHONDONTWRITEBYTECODE", "1");
    job.run(pytest.env("TOKENKEEP_PANICS", panicking(job)).env("TOKENKEEP_AZURE_CLI", azure_cli))?;

    // The original once more, as the Azure CLI installs it.
    let list = format!("{FOLDER}/tests/requirements-portalocker.txt");
    let other = python::environment(job, "python-portalocker", &list)?;
    let mut pytest = job.command(&other);
    pytest.args(["-m", "pytest", "--quiet", "--no-header", "-p", "no:cacheprovider", "-k", "original"]);
    pytest.arg("tests/test_contract.py").current_dir(&folder);
    job.run(pytest.env("PYTHONPATH", &package).env("PYTHONDONTWRITEBYTECODE", "1"))?;

    let mut mypy = job.command(&python);
    mypy.args(["-m", "mypy", "--config-file", "pyproject.toml", "--cache-dir"]);
    mypy.arg(job.workspace.products.join("mypy")).arg("python/tokenkeep").current_dir(&folder);
    job.run(&mut mypy)?;
    let pyright = job.workspace.path("bindings/node/test/node_modules/pyright/index.js");
    let mut check = job.command("node");
    check.arg(pyright).args(["--warnings", "--pythonpath", &python, "tokenkeep"]);
    job.run(check.current_dir(&package))?;
    let mut stubtest = job.command(&python);
    stubtest.args(["-m", "mypy.stubtest", "tokenkeep._native"]).current_dir(&package);
    job.run(stubtest.env("PYTHONPATH", &package))
}

/// Runs the crowds alone, on a release build, and prints their figures.
pub(crate) fn crowds(job: &mut Job<'_>) -> Outcome<()> {
    let package = release(job)?;
    let python = interpreter(job)?;
    let mut pytest = job.command(&python);
    pytest.args(["-m", "pytest", "--quiet", "--no-header", "-p", "no:cacheprovider", "tests/test_crowds.py"]);
    pytest.current_dir(job.workspace.path(FOLDER));
    job.run(pytest.env("PYTHONPATH", &package).env("PYTHONDONTWRITEBYTECODE", "1"))
}

/// Compiles the native module and puts the package together, and once more with a module that a test can make panic.
pub(crate) fn build(job: &mut Job<'_>) -> Outcome<()> {
    assemble(job, &panicking(job), "debug", &["--features", "panic-test"])?;
    assemble(job, &package(job), "debug", &[])?;
    interpreter(job).map(drop)
}

/// The same, optimized, without a test that panics. Returns the folder for `PYTHONPATH`.
pub(crate) fn release(job: &mut Job<'_>) -> Outcome<PathBuf> {
    let folder = job.workspace.products.join("python-package-release");
    assemble(job, &folder, "release", &["--release"])?;
    Ok(folder)
}

fn assemble(job: &mut Job<'_>, folder: &Path, profile: &str, options: &[&str]) -> Outcome<()> {
    let mut cargo = job.command("cargo");
    job.run(cargo.args(["build", "--locked", "--package", "tokenkeep-python"]).args(options))?;
    workspace::remove(folder)?;
    copy(&job.workspace.path(FOLDER).join("python"), folder)?;
    let library = format!("{}_native{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let built = job.workspace.cargo_target.join(profile).join(library);
    let suffix = if cfg!(windows) { "pyd" } else { "abi3.so" };
    let module = folder.join(format!("tokenkeep/_native.{suffix}"));
    fs::copy(&built, &module).map(drop).map_err(at(&built))
}

/// Copies the Python files of a folder.
fn copy(from: &Path, to: &Path) -> Outcome<()> {
    fs::create_dir_all(to).map_err(at(to))?;
    for entry in fs::read_dir(from).map_err(at(from))? {
        let path = entry.map_err(at(from))?.path();
        let name = path.file_name().ok_or_else(|| Failure::new(format!("{} has no name", path.display())))?;
        if path.is_dir() {
            if name != "__pycache__" {
                copy(&path, &to.join(name))?;
            }
        } else if path.extension().is_some_and(|kind| kind == "py" || kind == "pyi" || kind == "typed") {
            fs::copy(&path, to.join(name)).map_err(at(&path))?;
        }
    }
    Ok(())
}
