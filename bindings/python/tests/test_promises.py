"""What the original does not keep: nothing is lost, nothing hangs, nothing is half written."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from conftest import event, users

import tokenkeep
from tokenkeep import CrossPlatLock, EncryptedFilePersistence, FilePersistence, LockError, PersistedTokenCache
from tokenkeep.errors import DamagedError, InternalError, StoreUnavailableError

PROCESSES, SIGN_INS = 8, 25


def opened(path):
    return PersistedTokenCache(FilePersistence(str(path)))


def sign_in_many(path, number):
    cache = opened(path)
    for one in range(SIGN_INS):
        cache.add(event(f"u{number}x{one}"))


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_eight_processes_lose_nothing(tmp_path, method):
    context = multiprocessing.get_context(method)
    path = tmp_path / "cache.json"
    crowd = [context.Process(target=sign_in_many, args=(str(path), number)) for number in range(PROCESSES)]
    for process in crowd:
        process.start()
    # A reader never sees fewer than before.
    reader, most = opened(path), 0
    while any(process.is_alive() for process in crowd):
        now = len(users(reader))
        assert now >= most
        most = now
    for process in crowd:
        process.join(60)
        assert process.exitcode == 0
    assert len(users(opened(path))) == PROCESSES * SIGN_INS


def test_threads_share_one_cache(tmp_path):
    cache, failures = opened(tmp_path / "cache.json"), []

    def work(number):
        try:
            for one in range(SIGN_INS):
                cache.add(event(f"u{number}x{one}"))
                [token] = cache.search(
                    cache.CredentialType.REFRESH_TOKEN, query={"home_account_id": f"u{number}x{one}.tenant"}
                )
                cache.update_rt(token, "renewed")
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert failures == []
    assert len(users(cache)) == len(users(opened(tmp_path / "cache.json"))) == 4 * SIGN_INS
    renewed = [token["secret"] for token in opened(tmp_path / "cache.json").search("RefreshToken")]
    assert renewed == ["renewed"] * (4 * SIGN_INS)


def test_a_sign_in_is_one_write(tmp_path, monkeypatch):
    cache, writes = opened(tmp_path / "cache.json"), []
    real = PersistedTokenCache._commit
    monkeypatch.setattr(PersistedTokenCache, "_commit", lambda *given: (writes.append(1), real(*given)))
    cache.add(event("ada"))
    assert len(writes) == 1
    with cache.transaction():
        cache.add(event("bob"))
        cache.add(event("eve"))
    assert len(writes) == 2
    for number in range(20):
        cache.add(event(f"expired{number}", expires_in=-10))
    writes.clear()
    # Expired tokens go in one write, of the search that meets them.
    assert len(list(cache.search("AccessToken"))) == 3
    assert len(writes) == 1
    list(cache.search("AccessToken"))
    assert len(writes) == 1


def test_a_transaction_that_fails_changes_nothing(tmp_path):
    cache = opened(tmp_path / "cache.json")
    cache.add(event("ada"))
    with pytest.raises(KeyError):
        with cache.transaction():
            cache.add(event("bob"))
            raise KeyError("a fault of the program")
    assert users(cache) == users(opened(tmp_path / "cache.json")) == ["ada"]


def test_a_sign_in_that_could_not_be_stored_is_stored_with_the_next(tmp_path, monkeypatch):
    import tokenkeep._engine as engine

    cache = opened(tmp_path / "cache.json")
    cache.add(event("ada"))
    with monkeypatch.context() as broken:
        def full(_access, _text):
            raise OSError(28, "No space left on device")

        broken.setattr(engine._NativeAccess, "commit", full)
        with pytest.raises(OSError):
            cache.add(event("bob"))
    assert users(opened(tmp_path / "cache.json")) == ["ada"]
    # The program still knows it, and other programs' changes too.
    opened(tmp_path / "cache.json").add(event("eve"))
    assert users(cache) == ["ada", "bob", "eve"]
    cache.add(event("zoe"))
    assert users(opened(tmp_path / "cache.json")) == ["ada", "bob", "eve", "zoe"]


def test_a_search_waits_for_no_lock(tmp_path):
    cache = opened(tmp_path / "cache.json")
    cache.add(event("ada"))
    cache.add(event("old", expires_in=-10))
    with CrossPlatLock(str(tmp_path / "cache.json.lockfile")):
        began = time.process_time(), time.monotonic()
        assert users(opened(tmp_path / "cache.json")) == ["ada", "old"]
        assert len(list(cache.search("AccessToken"))) == 1
        assert time.monotonic() - began[1] < 5


def test_a_write_inside_the_own_lock_fails_and_names_this_process(tmp_path):
    cache = PersistedTokenCache(FilePersistence(str(tmp_path / "cache.json")), lock_timeout=0.2)
    with CrossPlatLock(str(tmp_path / "cache.json.lockfile")):
        with pytest.raises(LockError, match=str(os.getpid())) as caught:
            cache.add(event("ada"))
    assert (caught.value.kind, bool(caught.value.remedy)) == ("busy", True)
    cache.add(event("ada"))
    assert users(cache) == ["ada"]


HOLDS = """
import sys, time
from tokenkeep import CrossPlatLock
with CrossPlatLock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(600)
"""


def holder(path):
    process = subprocess.Popen([sys.executable, "-c", HOLDS, path], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    return process


def test_a_killed_holder_blocks_nobody(tmp_path):
    path = str(tmp_path / "cache.json.lockfile")
    process = holder(path)
    process.kill()
    process.wait()
    cache = PersistedTokenCache(FilePersistence(str(tmp_path / "cache.json")), lock_timeout=1)
    cache.add(event("ada"))
    assert users(cache) == ["ada"]


def test_ctrl_c_ends_a_wait_and_the_lock_is_not_taken(tmp_path):
    path = str(tmp_path / "cache.json.lockfile")
    process = holder(path)
    try:
        threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            with CrossPlatLock(path, timeout=60):
                pass
    finally:
        process.kill()
        process.wait()
    with CrossPlatLock(path, timeout=2):
        pass


WRITES = """
import sys
sys.path.insert(0, sys.argv[2])
from conftest import event
from tokenkeep import FilePersistence, PersistedTokenCache
cache = PersistedTokenCache(FilePersistence(sys.argv[1]))
print("begins", flush=True)
for one in range(100_000):
    cache.add(event(f"u{one % 50}"))
"""


def test_a_process_killed_while_it_writes_leaves_the_cache_whole(tmp_path):
    path = str(tmp_path / "cache.json")
    for round in range(10):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITES, path, os.path.dirname(__file__)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout.readline() == "begins\n"
        time.sleep(0.02 + round * 0.007)
        process.kill()
        process.wait()
        cache = PersistedTokenCache(FilePersistence(path), lock_timeout=1)
        cache.add(event("ada"))
        assert "ada" in users(cache)
        json.loads(open(path).read())


def test_a_child_forked_while_another_thread_writes_can_write(tmp_path):
    cache, stop = opened(tmp_path / "cache.json"), threading.Event()

    def write():
        number = 0
        while not stop.is_set():
            cache.add(event(f"parent{number % 5}"))
            number += 1

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for number in range(10):
            child = os.fork()
            if child == 0:
                try:
                    cache.add(event(f"child{number}"))
                    os._exit(0 if f"child{number}" in users(cache) else 3)
                except BaseException as error:
                    print(repr(error), file=sys.stderr, flush=True)
                    os._exit(4)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        stop.set()
        thread.join()
    assert {f"child{number}" for number in range(10)} <= set(users(cache))


def test_a_child_does_not_use_the_guard_of_its_parent(tmp_path):
    persistence = FilePersistence(str(tmp_path / "cache.json"))
    persistence.save("parent")
    with CrossPlatLock(persistence.get_location() + ".lockfile"):
        child = os.fork()
        if child == 0:
            import tokenkeep._persistence as internals

            internals._SAVE = 0.2
            try:
                persistence.save("child")
            except LockError:
                os._exit(0)
            os._exit(3)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert persistence.load() == "parent"


def test_damage_is_an_error_where_the_program_wants_it(tmp_path):
    path = tmp_path / "cache.json"
    path.write_text('["no token cache"]')
    os.utime(path, (1_600_000_000, 1_600_000_000))
    cache = PersistedTokenCache(FilePersistence(str(path)), on_damage="fail")
    with pytest.raises(DamagedError):
        cache.add(event("ada"))
    assert path.read_text() == '["no token cache"]'


@pytest.mark.parametrize("content", [b"\xff\xfe", b"\x80\x81"])
def test_bytes_that_are_no_text_are_damage(tmp_path, content):
    path = tmp_path / "cache.json"
    path.write_bytes(content)
    os.utime(path, (1_600_000_000, 1_600_000_000))
    with pytest.raises(DamagedError) as caught:
        FilePersistence(str(path)).load()
    assert caught.value.kind == "damaged" and repr(content) not in str(caught.value)
    cache = opened(path)
    cache.add(event("ada"))
    assert users(cache) == ["ada"]


def test_an_encrypted_file_keeps_its_content_from_others(tmp_path, monkeypatch):
    monkeypatch.setenv("CACHE_KEY", "00" * 32)
    path = str(tmp_path / "cache.bin")
    cache = PersistedTokenCache(EncryptedFilePersistence(path, tokenkeep.key_variable("CACHE_KEY")))
    cache.add(event("ada"))
    assert b"ada" not in open(path, "rb").read()
    again = EncryptedFilePersistence(path, tokenkeep.key_variable("CACHE_KEY"))
    assert again.info().backend == "encrypted-file" and again.is_encrypted
    assert users(PersistedTokenCache(again)) == ["ada"]
    monkeypatch.setenv("CACHE_KEY", "11" * 32)
    with pytest.raises(tokenkeep.PersistenceDecryptionError) as caught:
        EncryptedFilePersistence(path, tokenkeep.key_variable("CACHE_KEY"))
    assert caught.value.kind == "wrong_key"


def test_without_a_keyring_the_constructor_fails_as_programs_expect(tmp_path, monkeypatch):
    for name in ("DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR", "TOKENKEEP_FALLBACK"):
        monkeypatch.delenv(name, raising=False)
    for family in (ImportError, RuntimeError, StoreUnavailableError):
        with pytest.raises(family):
            tokenkeep.build_encrypted_persistence(str(tmp_path / "signal"))
    monkeypatch.setenv("CACHE_KEY", "00" * 32)
    monkeypatch.setenv("TOKENKEEP_FALLBACK", "encrypted-file:key-variable=CACHE_KEY")
    persistence = tokenkeep.build_encrypted_persistence(str(tmp_path / "signal"))
    assert (persistence.info().backend, persistence.is_encrypted) == ("encrypted-file", True)
    persistence.save("text")
    assert persistence.load() == "text"
    monkeypatch.setenv("TOKENKEEP_FALLBACK", "plaintext")
    with pytest.raises(ValueError, match="TOKENKEEP_FALLBACK"):
        tokenkeep.build_encrypted_persistence(str(tmp_path / "signal"))


def test_the_package_takes_the_place_of_the_original(tmp_path):
    program = """
import tokenkeep
tokenkeep.install()
import msal_extensions, msal_extensions.persistence
assert msal_extensions.FilePersistence is tokenkeep.FilePersistence
assert msal_extensions.persistence.PersistenceNotFound is tokenkeep.PersistenceNotFound
tokenkeep.uninstall()
import msal_extensions
assert msal_extensions.FilePersistence is not tokenkeep.FilePersistence
try:
    tokenkeep.install()
except RuntimeError as error:
    assert "msal_extensions" in str(error)
else:
    raise AssertionError("the original was imported already")
with tokenkeep.installed(force=True):
    import msal_extensions
    assert msal_extensions.FilePersistence is tokenkeep.FilePersistence
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_importing_the_package_does_not_import_msal():
    program = """
import sys
before = set(sys.modules)
import tokenkeep
# typing takes longer than all else.
assert not {"msal", "typing"} & (set(sys.modules) - before)
tokenkeep.FilePersistence
assert "msal" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_cache_pickles_without_its_tokens(tmp_path):
    import pickle

    cache = opened(tmp_path / "cache.json")
    cache.add(event("ada"))
    packed = pickle.dumps(cache)
    assert b"token of ada" not in packed
    assert users(pickle.loads(packed)) == ["ada"]


def test_a_file_may_be_left_to_the_operating_system(tmp_path):
    path = str(tmp_path / "cache.json")
    cache = PersistedTokenCache(FilePersistence(path, durability="cached"))
    cache.add(event("ada"))
    assert users(opened(path)) == ["ada"]
    with pytest.raises(ValueError, match="durability"):
        FilePersistence(path, durability="sometimes")


def test_events_become_records_of_logging(tmp_path, caplog):
    path = tmp_path / "cache.json"
    path.write_text("{torn")
    os.utime(path, (1_600_000_000, 1_600_000_000))
    opened(path).add(event("ada"))
    assert any(record.name == "tokenkeep" and "copy" in record.message for record in caplog.records)
    assert "token of ada" not in caplog.text


def test_wrong_arguments_have_clear_errors(tmp_path):
    with pytest.raises(ValueError, match="timeout"):
        CrossPlatLock(str(tmp_path / "lock"), timeout=-1).__enter__()
    with pytest.raises(ValueError, match="on_damage"):
        PersistedTokenCache(FilePersistence(str(tmp_path / "cache.json")), on_damage="ignore")
    with pytest.raises(ValueError):
        FilePersistence(str(tmp_path / "a\0b")).save("text")
    with pytest.raises(OSError):
        FilePersistence("/dev/null").save("text")
    assert issubclass(InternalError, tokenkeep.Error)


def test_a_token_that_the_query_names_is_found_without_a_look_at_the_others(tmp_path, monkeypatch):
    cache = opened(tmp_path / "cache.json")
    with cache.transaction():
        for number in range(50):
            cache.add(event(f"u{number}"))
        cache.add(event("old", expires_in=-10))
    looks, real = [], PersistedTokenCache._is_matching
    monkeypatch.setattr(
        PersistedTokenCache, "_is_matching",
        staticmethod(lambda *given, **named: (looks.append(1), real(*given, **named))[1]),
    )
    query = {
        "client_id": "client", "environment": "login.microsoftonline.com", "realm": "tenant",
        "home_account_id": "u7.tenant",
    }
    found = cache.search("AccessToken", target=["scope"], query=query)
    assert next(found)["secret"] == "access token of u7" and len(looks) == 1
    # Who goes on gets the rest, which is none; another thread may write meanwhile, and the expired token is removed.
    writer = threading.Thread(target=lambda: cache.add(event("ada")), daemon=True)
    writer.start()
    writer.join(30)
    assert not writer.is_alive()
    assert list(found) == [] and len(looks) > 50
    assert "old.tenant" not in {token["home_account_id"] for token in cache._cache["AccessToken"].values()}
    assert list(cache.search("AccessToken", target=["scope"], query={**query, "home_account_id": "nobody"})) == []
