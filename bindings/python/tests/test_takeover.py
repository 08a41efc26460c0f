"""In the place of the original, for programs that are not changed."""

import os
import subprocess
import sys

import pytest
from test_keyring import IDENTITY


@pytest.fixture(scope="module")
def shimmed(tmp_path_factory):
    """A folder for ``PYTHONPATH`` in which the shim is installed."""
    folder = tmp_path_factory.mktemp("shim")
    made = subprocess.run(
        [sys.executable, "-m", "tokenkeep", "shim", "--out", str(folder)], check=True, capture_output=True, text=True
    ).stdout.strip()
    again = subprocess.run(
        [sys.executable, "-c", "import sys, tokenkeep.shim as s; print(s.write(sys.argv[1]))", str(folder)],
        check=True, capture_output=True, text=True,
    ).stdout.strip()
    assert open(made, "rb").read() == open(again, "rb").read()
    target = folder / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--target", str(target), made], check=True)
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(target), os.environ["PYTHONPATH"]])}


def run(env, program, *arguments):
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_shim_is_the_package_and_satisfies_the_version(shimmed):
    program = """
import importlib.metadata, multiprocessing
from packaging.requirements import Requirement
import msal_extensions, tokenkeep
import msal_extensions.persistence
from msal_extensions.token_cache import PersistedTokenCache
assert msal_extensions.FilePersistence is tokenkeep.FilePersistence
assert PersistedTokenCache is tokenkeep.PersistedTokenCache
found = importlib.metadata.version("msal-extensions")
assert "+tokenkeep" in found
assert Requirement("msal-extensions==1.3.1").specifier.contains(found)
import msal
msal.ClientApplication
"""
    pip = "try:\n    import packaging\nexcept ImportError:\n    import pip._vendor.packaging as packaging, sys\n"
    alias = pip + "    sys.modules['packaging'] = packaging\n    import pip._vendor.packaging.requirements as r\n"
    run(shimmed, alias + "    sys.modules['packaging.requirements'] = r\n" + program)


def test_a_spawned_child_has_it_too(shimmed, tmp_path):
    program = tmp_path / "program.py"
    program.write_text("""
import multiprocessing
import msal_extensions
def name(_):
    return msal_extensions.FilePersistence.__module__
if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.map(name, [0])[0])
""")
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, env=shimmed)
    assert done.stdout.strip() == "tokenkeep._persistence", done.stderr


def test_azure_identity_is_silent_in_the_next_process_over_the_shim(shimmed, tmp_path):
    env = {**shimmed, "HOME": str(tmp_path)}
    program = IDENTITY.replace("import tokenkeep\ntokenkeep.install()\n", "")
    record = run(env, program, os.path.dirname(__file__), "my-app", "keyring")
    assert run(env, program, os.path.dirname(__file__), "my-app", "keyring", record) == "access token 1 of ada"


def test_the_doctor_names_the_original_and_the_way_out(shimmed):
    done = subprocess.run([sys.executable, "-m", "tokenkeep", "doctor"], capture_output=True, text=True)
    assert done.returncode == 3 and "python -m tokenkeep shim" in done.stdout
    done = subprocess.run([sys.executable, "-m", "tokenkeep", "doctor"], capture_output=True, text=True, env=shimmed)
    assert done.returncode == 0, done.stdout
