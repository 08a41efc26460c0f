"""The helpers of the modules ``libsecret``, ``osx`` and ``windows``."""

import importlib
import os
import subprocess
import sys
import threading

import pytest

import tokenkeep
from tokenkeep._agents import Keychain, KeychainError, WindowsDataProtectionAgent
from tokenkeep.errors import NotSupportedError
from tokenkeep.msal_extensions.libsecret import LibSecretAgent, trial_run

keyring = pytest.mark.skipif(
    "DBUS_SESSION_BUS_ADDRESS" not in os.environ, reason="cargo xtask test --only python starts a keyring"
)
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="of Linux")


@keyring
def test_an_agent_keeps_an_item_that_secret_tool_finds():
    agent = LibSecretAgent("a schema", {"of": "the agent", "number": 7}, label="my label")
    assert agent.load() is None
    assert agent.clear() is False
    assert agent.save("grüße, \N{GRINNING FACE}") is True
    found = subprocess.run(
        ["secret-tool", "search", "--all", "of", "the agent"], check=True, capture_output=True, text=True
    )
    assert "label = my label" in found.stdout and "attribute.number = 7" in found.stdout + found.stderr
    assert LibSecretAgent("a schema", {"of": "the agent", "number": "7"}).load() == "grüße, \N{GRINNING FACE}"
    assert LibSecretAgent("another schema", {"of": "the agent", "number": "7"}).load() is None
    assert agent.clear() is True
    assert agent.load() is None


@keyring
def test_trials_of_many_threads_do_not_meet():
    failures = []

    def run():
        try:
            trial_run()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    left = subprocess.run(["secret-tool", "search", "--all", "xdg:schema", "tokenkeep trial"], capture_output=True)
    assert left.stdout == b""


@linux
def test_a_trial_without_a_keyring_is_an_error_that_names_the_remedy():
    code = "from tokenkeep.msal_extensions.libsecret import trial_run; trial_run()"
    environment = {**os.environ, "DBUS_SESSION_BUS_ADDRESS": "unix:path=/nowhere", "XDG_RUNTIME_DIR": "/nowhere"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "StoreUnavailableError" in done.stderr and "sign in again" in done.stderr
    assert issubclass(tokenkeep.StoreUnavailableError, RuntimeError)


@linux
def test_a_module_of_another_system_is_an_import_error():
    for name in ("osx", "windows"):
        with pytest.raises(ImportError, match="alone"):
            importlib.import_module(f"tokenkeep.msal_extensions.{name}")
        with tokenkeep.installed(force=True):
            assert importlib.import_module("msal_extensions.libsecret").trial_run is trial_run
            with pytest.raises(ImportError, match="alone"):
                importlib.import_module(f"msal_extensions.{name}")


@linux
def test_a_store_of_another_system_is_a_typed_error():
    with Keychain() as keychain, pytest.raises((KeychainError, NotSupportedError)):
        keychain.get_generic_password("service", "account")
    with pytest.raises(NotSupportedError):
        WindowsDataProtectionAgent("entropy").protect("text")
    for wrong in (lambda: Keychain("other.keychain"), lambda: LibSecretAgent("s", {}, collection="session")):
        with pytest.raises(NotSupportedError):
            wrong()
    assert (KeychainError(-25300).exit_status, KeychainError.ITEM_NOT_FOUND) == (-25300, -25300)
