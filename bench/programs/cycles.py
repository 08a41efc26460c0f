"""Measures Python's msal-extensions like `cycles.mjs` and `contender.mjs`: the same work under the library's own lock.

cycles.py '{"path", "operation": "write" | "contend", "bytes", "samples", "name", "writes"}'
"""
import json
import sys
import time

from msal_extensions import CrossPlatLock, FilePersistence
from msal_extensions.persistence import PersistenceNotFound

spec = json.loads(sys.argv[1])
path = spec["path"]
lock_path = path + ".lockfile"
persistence = FilePersistence(path)


def write():
    samples = []
    last_sync = 0
    for n in range(spec["samples"] + 1):
        content = spec_content(n % 2)
        began = time.perf_counter()
        with CrossPlatLock(lock_path):
            # The library's PersistedTokenCache compares the same two times, so that its own write causes no reload.
            if n and last_sync < persistence.time_last_modified():
                persistence.load()
            persistence.save(content)
            last_sync = time.time()
        if n:
            samples.append((time.perf_counter() - began) * 1e3)
    return samples


def spec_content(variant):
    return str(variant) * spec["bytes"]


def stored():
    try:
        return persistence.load()
    except PersistenceNotFound:  # no write yet
        return None


def contend():
    print(json.dumps("ready"), flush=True)
    sys.stdin.readline()
    waits, failures = [], 0
    began = time.monotonic_ns() / 1e6
    for _ in range(spec["writes"]):
        asked = time.monotonic_ns() / 1e6
        try:
            with CrossPlatLock(lock_path):
                waits.append(time.monotonic_ns() / 1e6 - asked)
                cache = json.loads(stored() or "{}")
                entry = cache.setdefault("Account", {}).setdefault(spec["name"], {"local_account_id": "0"})
                entry["local_account_id"] = str(int(entry["local_account_id"]) + 1)
                persistence.save(json.dumps(cache))
        except Exception:  # count every kind of failure
            failures += 1
    return {"began": began, "ended": time.monotonic_ns() / 1e6, "waits": waits, "failures": failures}


print(json.dumps({"write": write, "contend": contend}[spec["operation"]]()), flush=True)
