"""The end of a process, content of every kind, and modules that are loaded again."""

import os
import subprocess
import sys

import pytest
from conftest import event, users
from test_promises import holder, opened

import tokenkeep
from tokenkeep import FilePersistence


def run(program, *arguments):
    words = [sys.executable, "-c", program, *map(str, arguments), os.path.dirname(__file__)]
    return subprocess.run(words, capture_output=True, text=True, timeout=60)


ENDS = """
import sys, threading, time
from tokenkeep import CrossPlatLock

def wait():
    with CrossPlatLock(sys.argv[1], timeout=600):
        raise AssertionError("the holder has not released it")

threads = [threading.Thread(target=wait, daemon=True) for _ in range(4)]
for thread in threads:
    thread.start()
time.sleep(0.3)
assert all(thread.is_alive() for thread in threads)
print("ends")
"""


def test_a_program_ends_while_its_threads_wait_for_a_lock(tmp_path):
    path = str(tmp_path / "cache.json.lockfile")
    process = holder(path)
    try:
        done = run(ENDS, path)
        assert (done.returncode, done.stdout, done.stderr) == (0, "ends\n", "")
    finally:
        process.kill()
        process.wait()


WORKS = """
import sys, threading, time
sys.path.insert(0, sys.argv[-1])
from conftest import event, users
from tokenkeep import FilePersistence, PersistedTokenCache
caches = [PersistedTokenCache(FilePersistence(sys.argv[1])) for _ in range(4)]

def work(number):
    while True:
        caches[number].add(event(f"u{number}"))
        users(caches[number])

for number in range(4):
    threading.Thread(target=work, args=(number,), daemon=True).start()
time.sleep(0.2)
print("ends")
"""


def test_a_program_ends_while_its_threads_work(tmp_path):
    for _ in range(5):
        done = run(WORKS, tmp_path / "cache.json")
        assert (done.returncode, done.stdout, done.stderr) == (0, "ends\n", "")
    assert set(users(opened(tmp_path / "cache.json"))) <= {"u0", "u1", "u2", "u3"}


AT_EXIT = """
import atexit, sys
sys.path.insert(0, sys.argv[-1])
from conftest import event
from tokenkeep import FilePersistence, PersistedTokenCache
cache = PersistedTokenCache(FilePersistence(sys.argv[1]))
atexit.register(lambda: cache.add(event("ada")))

class Last:
    def __del__(self):
        cache.add(event("bob"))

last = Last()
"""


def test_a_program_signs_in_while_it_ends(tmp_path):
    path = tmp_path / "cache.json"
    done = run(AT_EXIT, path)
    assert (done.returncode, done.stderr) == (0, "")
    assert users(opened(path)) == ["ada", "bob"]


def test_a_module_that_is_loaded_again_and_again_stays_whole(tmp_path):
    program = """
import importlib, sys
sys.path.insert(0, sys.argv[-1])
import tokenkeep
for _ in range(200):
    importlib.reload(tokenkeep)
    importlib.reload(tokenkeep._native)
tokenkeep.FilePersistence(sys.argv[1]).save("text")
print(tokenkeep.FilePersistence(sys.argv[1]).load())
"""
    done = run(program, tmp_path / "cache.json")
    assert (done.returncode, done.stdout) == (0, "text\n"), done.stderr


def test_text_that_is_no_unicode_is_an_error_and_the_content_stays(tmp_path):
    persistence = FilePersistence(str(tmp_path / "cache.json"))
    persistence.save("before")
    # The original has emptied the file by then.
    with pytest.raises(UnicodeEncodeError):
        persistence.save("a \ud800 surrogate")
    assert persistence.load() == "before"


def test_a_name_that_is_no_unicode_is_kept_in_a_cache(tmp_path):
    cache = opened(tmp_path / "cache.json")
    cache.add(event("a \ud800 surrogate"))
    cache.add(event("snowman \N{SNOWMAN} and nul \0"))
    assert users(opened(tmp_path / "cache.json")) == ["a \ud800 surrogate", "snowman \N{SNOWMAN} and nul \0"]


@pytest.mark.parametrize("text", ["\0", "\r\n\n\r", "\N{SNOWMAN}" * 3, " ", "\ufeffafter a mark"])
def test_text_comes_back_as_it_was(tmp_path, text):
    persistence = FilePersistence(str(tmp_path / "cache.json"))
    persistence.save(text)
    # A byte order mark at the beginning is that of another program.
    assert persistence.load() == text.lstrip("\ufeff")


def test_large_content_comes_back_whole_while_other_threads_run(tmp_path):
    persistence = FilePersistence(str(tmp_path / "cache.json"))
    text = "0123456789abcde\N{SNOWMAN}" * (1 << 20)
    persistence.save(text)
    assert persistence.load() == text
    persistence.save("small")
    assert os.path.getsize(persistence.get_location()) == 5


def test_a_file_in_the_place_of_the_folder_is_an_error_with_a_remedy(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        FilePersistence(str(tmp_path / "file" / "cache.json"))
    persistence = FilePersistence(str(tmp_path / "folder" / "cache.json"))
    os.rmdir(tmp_path / "folder")
    (tmp_path / "folder").write_text("")
    with pytest.raises(tokenkeep.Error) as caught:
        persistence.save("text")
    assert caught.value.kind is not None
