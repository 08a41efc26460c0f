"""The contract of msal-extensions, on the original and on ours. Where ours differs on purpose, the test shows both."""

import errno
import importlib
import importlib.util
import json
import os
import pickle
import stat
import time

import msal
import pytest
from conftest import event, users

#: The original locks in another way where this package is installed, as with the Azure CLI.
PORTALOCKER = importlib.util.find_spec("portalocker") is not None

NAMES = [
    "CrossPlatLock", "FilePersistence", "FilePersistenceWithDataProtection", "KeychainPersistence",
    "LibsecretPersistence", "LockError", "PersistedTokenCache", "__version__", "build_encrypted_persistence",
]
BY_ACCIDENT = [
    "ABC", "Path", "abc", "errno", "hashlib", "logger", "logging", "os", "sys", "_open", "_mkdir_p", "_auto_hash",
    "BasePersistence", "PersistenceError", "PersistenceNotFound", "PersistenceEncryptionError",
    "PersistenceDecryptionError",
]


def test_the_names_of_the_package_and_of_its_modules(package):
    for name in NAMES:
        assert hasattr(package, name), name
    persistence = importlib.import_module(package.__name__ + ".persistence")
    for name in BY_ACCIDENT:
        assert hasattr(persistence, name), name
    for name in ("filelock", "token_cache"):
        importlib.import_module(f"{package.__name__}.{name}")
    assert package.__version__ == "1.3.1"


def test_a_client_accepts_the_version(package, caplog):
    msal.PublicClientApplication("id", authority="https://login.microsoftonline.com/t", instance_discovery=False,
                                 http_client=Offline())
    assert "msal" not in caplog.text


class Offline:
    """An authority, from memory."""

    class Answer:
        status_code = 200
        headers = {}
        text = json.dumps({
            "authorization_endpoint": "https://login.microsoftonline.com/t/a",
            "token_endpoint": "https://login.microsoftonline.com/t/t",
            "issuer": "https://login.microsoftonline.com/t/v2.0",
        })

        def raise_for_status(self):
            pass

    def get(self, *_arguments, **_options):
        return self.Answer()

    post = get

    def close(self):
        pass


def test_a_file_round_trip(package, tmp_path):
    persistence = package.FilePersistence(str(tmp_path / "deep" / "cache.json"))
    assert (tmp_path / "deep").is_dir()
    assert not (tmp_path / "deep" / "cache.json").exists()
    persistence.save("text")
    assert persistence.load() == "text"
    assert persistence.get_location() == str(tmp_path / "deep" / "cache.json")
    assert persistence.is_encrypted is False
    assert abs(persistence.time_last_modified() - time.time()) < 60
    assert stat.S_IMODE(os.stat(persistence.get_location()).st_mode) == 0o600


def test_an_empty_text_is_content(package, tmp_path):
    persistence = package.FilePersistence(str(tmp_path / "cache.json"))
    persistence.save("")
    assert persistence.load() == ""


def test_a_home_folder_is_expanded(package, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert package.FilePersistence("~/cache.json").get_location() == str(tmp_path / "cache.json")


def test_no_location_is_a_value_error(package):
    with pytest.raises(ValueError):
        package.FilePersistence("")


def test_content_that_is_no_text_is_a_type_error(package, tmp_path):
    with pytest.raises(TypeError):
        package.FilePersistence(str(tmp_path / "cache.json")).save(b"bytes")


@pytest.mark.parametrize("call", ["load", "time_last_modified"])
def test_nothing_stored_is_not_found(package, tmp_path, call):
    path = str(tmp_path / "cache.json")
    with pytest.raises(package.persistence.PersistenceNotFound) as caught:
        getattr(package.FilePersistence(path), call)()
    assert isinstance(caught.value, OSError)
    assert (caught.value.errno, caught.value.filename) == (errno.ENOENT, path)
    assert caught.value.strerror == "Persistence not initialized. You can recover by calling a save() first."


def test_errors_are_built_as_programs_build_them(package):
    error = package.persistence.PersistenceError(err_no=5, message="words", location="/place")
    assert str(error) == "[Errno 5] words: '/place'"
    error = package.persistence.PersistenceNotFound()
    assert (error.errno, error.strerror) == (errno.ENOENT, "Persistence not found")
    copy = pickle.loads(pickle.dumps(package.persistence.PersistenceError(5, "words", "/place")))
    assert str(copy) == "[Errno 5] words: '/place'"


def test_a_base_persistence_is_abstract(package):
    with pytest.raises(TypeError):
        package.persistence.BasePersistence()


def test_touch_creates_the_file(package, tmp_path):
    persistence = package.FilePersistence(str(tmp_path / "cache.json"))
    persistence.touch()
    assert persistence.load() == ""


def test_persistences_and_locks_pickle(package, tmp_path):
    persistence = package.FilePersistence(str(tmp_path / "cache.json"))
    persistence.save("text")
    assert pickle.loads(pickle.dumps(persistence)).load() == "text"
    with pickle.loads(pickle.dumps(package.CrossPlatLock(str(tmp_path / "lock")))):
        pass


def test_a_lock_has_a_file_of_any_name_while_it_is_held(package, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with package.CrossPlatLock("./some_lock.txt"):
        text = (tmp_path / "some_lock.txt").read_text()
        assert text.split()[0] == str(os.getpid())
    assert not (tmp_path / "some_lock.txt").exists()
    # It can be taken again.
    lock = package.CrossPlatLock("./some_lock.txt")
    for _ in range(2):
        with lock:
            assert (tmp_path / "some_lock.txt").exists()


def test_a_lock_of_a_living_process_is_an_error_after_five_seconds(package, ours, tmp_path):
    path = str(tmp_path / "cache.json.lockfile")
    began = time.monotonic()
    with package.CrossPlatLock(path):
        with pytest.raises(package.LockError) as caught:
            with package.CrossPlatLock(path):
                pass
    assert isinstance(caught.value, RuntimeError) or (PORTALOCKER and not ours)
    assert time.monotonic() - began >= 5
    if ours:
        assert str(os.getpid()) in str(caught.value)


def test_a_persistence_is_used_inside_the_lock(package, tmp_path):
    persistence = package.FilePersistence(str(tmp_path / "cache.json"))
    with package.CrossPlatLock(persistence.get_location() + ".lockfile"):
        persistence.save('["a list"]')
        assert persistence.load() == '["a list"]'


def test_a_sign_in_is_found_by_another_cache(package, tmp_path):
    persistence = package.FilePersistence(str(tmp_path / "cache.json"))
    one, other = (package.PersistedTokenCache(persistence) for _ in range(2))
    one.add(event("ada"))
    assert users(other) == ["ada"]
    other.add(event("bob"))
    assert users(one) == ["ada", "bob"]
    [token] = one.search(one.CredentialType.REFRESH_TOKEN, query={"home_account_id": "bob.tenant"})
    assert token["secret"] == "refresh token of bob"
    for account in list(one.search(one.CredentialType.ACCOUNT, query={"home_account_id": "ada.tenant"})):
        one.remove_account(account)
    assert users(other) == ["bob"]


def test_a_search_can_be_closed_before_its_end(package, tmp_path):
    cache = package.PersistedTokenCache(package.FilePersistence(str(tmp_path / "cache.json")))
    cache.add(event("ada"))
    named = {
        "client_id": "client", "environment": "login.microsoftonline.com", "realm": "tenant",
        "home_account_id": "ada.tenant",
    }
    for kind, query in (("Account", None), ("AccessToken", None), ("AccessToken", named)):
        found = cache.search(kind, target=["scope"] if query else None, query=query)
        assert next(found)["home_account_id"] == "ada.tenant"
        found.close()
        assert list(found) == []


def test_the_state_has_changed_after_a_sign_in(package, tmp_path):
    cache = package.PersistedTokenCache(package.FilePersistence(str(tmp_path / "cache.json")))
    assert cache.has_state_changed is False
    cache.add(event("ada"))
    assert cache.has_state_changed is True
    cache.serialize()
    assert cache.has_state_changed is False


def test_a_cache_is_true_although_it_is_empty(package, tmp_path):
    assert package.PersistedTokenCache(package.FilePersistence(str(tmp_path / "cache.json")))


def test_the_lock_location_may_be_another_file(package, tmp_path):
    persistence = package.FilePersistence(str(tmp_path / "cache.json"))
    cache = package.PersistedTokenCache(persistence, lock_location=str(tmp_path / "locks" / "lock"))
    assert cache._lock_location == str(tmp_path / "locks" / "lock")
    cache.add(event("ada"))
    assert users(cache) == ["ada"]


def test_a_subclass_that_starts_empty_after_damage(package, tmp_path):
    """As the Azure CLI's."""

    class Cache(package.PersistedTokenCache):
        def _reload_if_necessary(self):
            try:
                super()._reload_if_necessary()
            except json.JSONDecodeError:
                self.deserialize(None)
                self._last_sync = time.time()

    path = tmp_path / "cache.json"
    path.write_text("{torn")
    os.utime(path, (1_600_000_000, 1_600_000_000))
    cache = Cache(package.FilePersistence(str(path)))
    assert users(cache) == []
    assert users(cache) == []
    cache.add(event("ada"))
    assert users(package.PersistedTokenCache(package.FilePersistence(str(path)))) == ["ada"]


def test_a_persistence_of_the_program_is_used_by_its_methods(package, tmp_path):
    calls = []

    class Own(package.persistence.BasePersistence):
        text = None
        modified = 0.0

        def save(self, content):
            calls.append("save")
            self.text, self.modified = content, time.time()

        def load(self):
            calls.append("load")
            return self.text

        def time_last_modified(self):
            if self.text is None:
                raise package.persistence.PersistenceNotFound()
            return self.modified

        def get_location(self):
            return str(tmp_path / "own")

    own = Own()
    one, other = package.PersistedTokenCache(own), package.PersistedTokenCache(own)
    one.add(event("ada"))
    assert users(other) == ["ada"]
    assert "save" in calls and "load" in calls


def test_a_replaced_method_is_called(package, tmp_path, monkeypatch):
    seen = []
    real = package.FilePersistence.save
    monkeypatch.setattr(package.FilePersistence, "save", lambda self, text: (seen.append(text), real(self, text)))
    package.PersistedTokenCache(package.FilePersistence(str(tmp_path / "cache.json"))).add(event("ada"))
    assert "ada" in seen[-1]


def test_a_removed_file(package, ours, tmp_path):
    persistence = package.FilePersistence(str(tmp_path / "cache.json"))
    cache = package.PersistedTokenCache(persistence)
    cache.add(event("ada"))
    os.remove(persistence.get_location())
    # The original writes its memory back: who was signed out by another program returns.
    assert users(cache) == ([] if ours else ["ada"])


def test_a_lock_that_a_dead_process_left(package, ours, tmp_path):
    path = tmp_path / "cache.json.lockfile"
    process = os.fork()
    if process == 0:
        os._exit(0)
    os.waitpid(process, 0)
    path.write_text(f"{process} python")
    os.utime(path, (1_600_000_000, 1_600_000_000))
    cache = package.PersistedTokenCache(package.FilePersistence(str(tmp_path / "cache.json")))
    if ours:
        cache.add(event("ada"))
        assert users(cache) == ["ada"]
    elif PORTALOCKER:
        # It locks the file by flock, and does not look at its content.
        cache.add(event("ada"))
    else:
        with pytest.raises(package.LockError):
            cache.add(event("ada"))


def test_a_search_holds_no_lock_while_its_caller_works(package, ours, tmp_path):
    cache = package.PersistedTokenCache(package.FilePersistence(str(tmp_path / "cache.json")))
    cache.add(event("ada"))
    cache.add(event("bob"))
    found = cache.search(cache.CredentialType.ACCOUNT)
    next(found)
    free = []
    import threading

    thread = threading.Thread(target=lambda: free.append(cache._lock.acquire(blocking=False)))
    thread.start()
    thread.join()
    assert free == [ours]


def test_damage_reaches_a_reader(package, tmp_path):
    path = tmp_path / "cache.json"
    path.write_text("{torn")
    os.utime(path, (1_600_000_000, 1_600_000_000))
    with pytest.raises(json.JSONDecodeError):
        users(package.PersistedTokenCache(package.FilePersistence(str(path))))
    assert path.read_text() == "{torn"


def test_damage_and_a_writer(package, ours, tmp_path):
    path = tmp_path / "cache.json"
    path.write_text("{torn")
    os.utime(path, (1_600_000_000, 1_600_000_000))
    cache = package.PersistedTokenCache(package.FilePersistence(str(path)))
    if not ours:
        with pytest.raises(json.JSONDecodeError):
            cache.add(event("ada"))
        return
    cache.add(event("ada"))
    assert users(cache) == ["ada"]
    [copy] = [name for name in os.listdir(tmp_path) if ".corrupt-" in name]
    assert (tmp_path / copy).read_text() == "{torn"


def test_classes_of_other_systems(package):
    for name in ("FilePersistenceWithDataProtection", "KeychainPersistence"):
        with pytest.raises((AttributeError, OSError)):
            getattr(package, name)("file")
