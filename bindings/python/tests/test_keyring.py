"""In a real keyring: the persistence, and the Azure SDK with the package in the place of the original."""

import os
import signal
import subprocess
import sys
import threading

import pytest
from conftest import event, users

import tokenkeep
from tokenkeep import LibsecretPersistence, PersistedTokenCache

pytestmark = pytest.mark.skipif(
    "DBUS_SESSION_BUS_ADDRESS" not in os.environ, reason="cargo xtask test --only python starts a keyring"
)


def test_a_cache_in_the_keyring_is_shared(tmp_path):
    signal = str(tmp_path / "signal")
    one = LibsecretPersistence(signal, "my schema", {"attribute": "value", "number": 7, "truth": True}, label="my cache")
    assert (one.is_encrypted, one.info().backend) == (True, "secret-service")
    with pytest.raises(tokenkeep.PersistenceNotFound):
        one.load()
    PersistedTokenCache(one).add(event("ada"))
    other = LibsecretPersistence(signal, "my schema", {"attribute": "value", "number": "7", "truth": "true"})
    assert users(PersistedTokenCache(other)) == ["ada"]
    found = subprocess.run(
        ["secret-tool", "lookup", "attribute", "value"], check=True, capture_output=True, text=True
    ).stdout
    assert "ada" in found
    assert "ada" not in open(signal).read()
    assert one.time_last_modified() > 0


def test_the_default_names_are_those_of_the_original(tmp_path):
    signal = str(tmp_path / "signal")
    tokenkeep.build_encrypted_persistence(signal).save("text")
    from tokenkeep.msal_extensions.persistence import _auto_hash

    found = subprocess.run(
        ["secret-tool", "search", "--all", "xdg:schema", _auto_hash(signal)], check=True, capture_output=True, text=True
    ).stdout
    assert "secret = text" in found


def test_ctrl_c_ends_a_wait_for_a_keyring_that_does_not_answer(tmp_path):
    persistence = LibsecretPersistence(str(tmp_path / "signal"))
    persistence.save("text")
    words = ["dbus-send", "--session", "--print-reply=literal", "--dest=org.freedesktop.DBus", "/",
             "org.freedesktop.DBus.GetConnectionUnixProcessID", "string:org.freedesktop.secrets"]
    daemon = int(subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()[-1])
    os.kill(daemon, signal.SIGSTOP)
    try:
        threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            # Would be a StoreTimeoutError after five seconds.
            persistence.save("other text")
    finally:
        os.kill(daemon, signal.SIGCONT)
    # What had been sent may still have arrived.
    assert persistence.load() in ("text", "other text")
    persistence.save("last")
    assert persistence.load() == "last"


IDENTITY = """
import sys
sys.path.insert(0, sys.argv[1])
import tokenkeep
tokenkeep.install()
from azure.identity import AuthenticationRecord, DeviceCodeCredential, TokenCachePersistenceOptions
from offline import CLIENT, TENANT, Service

class Silence(Service):
    def _answer(self, request):
        if "token" in request.url.rsplit("/", 1)[-1] or "devicecode" in request.url:
            raise AssertionError("asked the service again")
        return super()._answer(request)

record = AuthenticationRecord.deserialize(sys.argv[4]) if len(sys.argv) > 4 else None
service = Silence("ada") if record else Service("ada")
options = TokenCachePersistenceOptions(name=sys.argv[2], allow_unencrypted_storage=sys.argv[3] == "plain")
credential = DeviceCodeCredential(
    CLIENT, tenant_id=TENANT, transport=service, cache_persistence_options=options, prompt_callback=lambda *_: None,
    authentication_record=record, disable_automatic_authentication=record is not None,
)
if record is None:
    print(credential.authenticate(scopes=["https://vault.azure.net/.default"]).serialize())
else:
    print(credential.get_token("https://vault.azure.net/.default").token)
"""


@pytest.mark.parametrize("bus", ["keyring", "plain"])
def test_a_credential_of_the_azure_sdk_is_silent_in_the_next_process(tmp_path, bus):
    env = {**os.environ, "HOME": str(tmp_path)}
    if bus == "plain":
        env.pop("DBUS_SESSION_BUS_ADDRESS")
        env.pop("XDG_RUNTIME_DIR", None)

    def run(*more):
        program = [sys.executable, "-c", IDENTITY, os.path.dirname(__file__), "my-app", bus, *more]
        done = subprocess.run(program, capture_output=True, text=True, env=env)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    record = run()
    assert run(record) == "access token 1 of ada"
    stored = tmp_path / ".IdentityService" / "my-app.nocae"
    assert ("ada" in stored.read_text()) == (bus == "plain")
