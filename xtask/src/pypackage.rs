//! The Python package: its native module beside its Python files, and the stages `python-build` and `python`.

use std::fs;
use std::path::{Path, PathBuf};

use crate::job::{Failure, Job, Outcome, at};
use crate::keyring::Session;
use crate::python;

/// The package in the checkout.
const FOLDER: &str = "bindings/python";

/// The folder for `PYTHONPATH` that [`build`] fills.
pub(crate) fn package(job: &Job<'_>) -> PathBuf {
    job.workspace.products.join("python-package")
}

/// Returns the interpreter of the tests, with the packages that they use.
pub(crate) fn interpreter(job: &mut Job<'_>) -> Outcome<String> {
    python::environment(job, "python-tests", &format!("{FOLDER}/tests/requirements.txt"))
}

/// Tests the package in a private session with a keyring, the original beside it.
pub(crate) fn stage(job: &mut Job<'_>) -> Outcome<()> {
    let package = package(job);
    let python = interpreter(job)?;
    let folder = job.workspace.path(FOLDER);

    let session = Session::create()?;
    let mut pytest = session.command(job, &python);
    pytest.args(["-m", "pytest", "--quiet", "--no-header", "-p", "no:cacheprovider", "tests"]);
    pytest.arg(package.join("tokenkeep")).current_dir(&folder);
    job.run(pytest.env("PYTHONPATH", &package).env("PYTHONDONTWRITEBYTECODE", "1"))?;

    let mut mypy = job.command(&python);
    mypy.args(["-m", "mypy", "--config-file", "pyproject.toml", "--cache-dir"]);
    mypy.arg(job.workspace.products.join("mypy")).arg("python/tokenkeep").current_dir(&folder);
    job.run(&mut mypy)?;
    let mut stubtest = job.command(&python);
    stubtest.args(["-m", "mypy.stubtest", "tokenkeep._native"]).current_dir(&package);
    job.run(stubtest.env("PYTHONPATH", &package))
}

/// Compiles the native module and puts the package together.
pub(crate) fn build(job: &mut Job<'_>) -> Outcome<()> {
    let mut cargo = job.command("cargo");
    job.run(cargo.args(["build", "--locked", "--package", "tokenkeep-python"]))?;
    let folder = package(job);
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(at(&folder))?;
    }
    copy(&job.workspace.path(FOLDER).join("python"), &folder)?;
    let library = format!("{}_native{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let built = job.workspace.cargo_target.join("debug").join(library);
    let suffix = if cfg!(windows) { "pyd" } else { "abi3.so" };
    let module = folder.join(format!("tokenkeep/_native.{suffix}"));
    fs::copy(&built, &module).map_err(at(&built))?;
    interpreter(job).map(drop)
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
