"""The Azure CLI's own code over the shim, which its requirement ``msal-extensions==1.3.1`` accepts."""

import json
import os
import stat
import subprocess

import pytest
from test_takeover import shimmed  # noqa: F401  (a fixture)

pytestmark = pytest.mark.skipif(
    "TOKENKEEP_AZURE_CLI" not in os.environ, reason="cargo xtask test --only python installs azure-cli-core"
)

STEP = os.path.join(os.path.dirname(__file__), "azure_cli.py")


@pytest.fixture
def cli(shimmed, tmp_path):  # noqa: F811
    """Starts a step of the CLI; ``ended`` gives its answer."""
    env = {**shimmed, "HOME": str(tmp_path), "AZURE_CONFIG_DIR": str(tmp_path / "azure")}

    def start(*words):
        command = [os.environ["TOKENKEEP_AZURE_CLI"], STEP, *words]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)

    return start


def ended(process):
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    return json.loads(out)


def test_a_sign_in_of_the_cli_is_silent_in_its_next_process(cli, tmp_path):
    user = ended(cli("sign-in", "ada"))
    assert user == "ada@contoso.example"
    cache = tmp_path / "azure" / "msal_token_cache.json"
    assert stat.S_IMODE(cache.stat().st_mode) == 0o600
    assert ended(cli("token", user)) == "access token 1 of ada"
    assert ended(cli("sign-out", user)) is None
    assert ended(cli("list", "")) == []


def test_a_service_principal_of_the_cli_is_kept_with_its_secret(cli, tmp_path):
    name = "33333333-3333-4333-8333-333333333333"
    ended(cli("sign-in-principal", name))
    # A list, written by the CLI under its own lock.
    [entry] = json.loads((tmp_path / "azure" / "service_principal_entries.json").read_text())
    assert entry["client_secret"] == "secret of " + name
    assert ended(cli("token-principal", name)) == f"access token 1 of {name}"


def test_sign_ins_of_several_cli_processes_are_all_kept(cli):
    names = ["ada", "bob", "eve", "zoe"]
    users = sorted(f"{name}@contoso.example" for name in names)
    started = [cli("sign-in", name) for name in names]
    assert sorted(ended(process) for process in started) == users
    assert ended(cli("list", "")) == users
    started = [cli("token", user) for user in users]
    assert [ended(process) for process in started] == [f"access token 1 of {name}" for name in names]
