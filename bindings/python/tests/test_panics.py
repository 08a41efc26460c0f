"""A fault of the native code: an exception that names it, in a process that goes on, with the cache as it was."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(
    "TOKENKEEP_PANICS" not in os.environ, reason="cargo xtask test --only python builds a module that can panic"
)

PROGRAM = """
import os, sys, threading
sys.path.insert(0, sys.argv[2])
from conftest import event, users
import tokenkeep
from tokenkeep import CrossPlatLock, EncryptedFilePersistence, FilePersistence, PersistedTokenCache, _native
from tokenkeep.errors import InternalError

path = sys.argv[1] + "/cache.json"
os.environ["CACHE_KEY"] = "00" * 32
persistence = FilePersistence(path)
cache = PersistedTokenCache(persistence, lock_timeout=2)
cache.add(event("ada"))

def search():
    # Another process has written, as far as this cache knows.
    cache._number = None
    assert "ada" in users(cache)

def lock():
    with CrossPlatLock(path + ".lockfile", timeout=2):
        pass

def in_a_thread(call):
    outcome = []
    def work():
        try:
            outcome.append(call())
        except BaseException as error:
            outcome.append(error)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join(30)
    if isinstance(outcome[0], BaseException):
        raise outcome[0]

calls = {
    "open": lambda: FilePersistence(path).load(),
    "open and verify": lambda: EncryptedFilePersistence(path + ".bin", tokenkeep.key_variable("CACHE_KEY")),
    "load": persistence.load,
    "save": lambda: persistence.save(persistence.load()),
    "save only": lambda: persistence.save(open(path, encoding="utf-8").read()),
    "search": search,
    "add": lambda: cache.add(event("bob")),
    "lock": lock,
    "search in a thread": lambda: in_a_thread(search),
}
for name, call in calls.items():
    call()
    _native.panic_next()
    try:
        call()
    except InternalError as error:
        assert error.kind == "panic" and "injected" in str(error) and error.remedy, error
    else:
        raise AssertionError(f"{name}: no panic")
    call()

# A panic in the middle of a write: the lock is free again, and the sign-in is stored with the next.
real = _native.Write.commit
import tokenkeep._engine as engine
def commit(self, text, real=engine._NativeAccess.commit):
    _native.panic_next()
    return real(self, text)
kept, engine._NativeAccess.commit = engine._NativeAccess.commit, commit
try:
    cache.add(event("eve"))
except InternalError:
    pass
else:
    raise AssertionError("no panic")
engine._NativeAccess.commit = kept
lock()
assert users(PersistedTokenCache(persistence)) == ["ada", "bob"]
cache.add(event("zoe"))
assert users(PersistedTokenCache(persistence)) == ["ada", "bob", "eve", "zoe"]
print("went on")
"""


def test_a_panic_is_an_exception_and_the_process_goes_on(tmp_path):
    env = {**os.environ, "PYTHONPATH": os.environ["TOKENKEEP_PANICS"]}
    words = [sys.executable, "-c", PROGRAM, str(tmp_path), os.path.dirname(__file__)]
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "went on\n"), done.stderr
