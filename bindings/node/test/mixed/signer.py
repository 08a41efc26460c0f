"""Python's msal-extensions in a mixed run: signs accounts in through its own PersistedTokenCache and reports in JSON.

signer.py PATH WITNESS NAME COUNT PAUSE [without-portalocker]

It changes nothing in the library; it only observes the library's lock and file from inside.
"""
import base64
import json
import os
import random
import sys
import time

path, witness, name, count, pause = sys.argv[1:6]
if sys.argv[6:] == ["without-portalocker"]:
    # Like a library that is not installed.
    sys.modules["portalocker"] = None

from msal_extensions import FilePersistence, PersistedTokenCache, token_cache  # noqa: E402

# Longer than the library's own five seconds: an application tries again.
ATTEMPTS = 6


def tell(**line):
    print(json.dumps(line), flush=True)


def entries(text):
    """Like `entries` in judge.mjs."""
    cache = json.loads(text or "{}")

    def ids(what, section):
        return ["%s %s" % (what, entry["home_account_id"]) for entry in cache.get(section, {}).values()]

    return ids("account", "Account") + ids("token", "RefreshToken")


def look():
    try:
        with open(path) as file:
            return entries(file.read())
    except ValueError:
        # A sibling is writing in place at this moment.
        return None


class WatchedFile(FilePersistence):
    """The library's file, with a record of each write."""

    def save(self, content):
        saving = time.monotonic_ns()
        try:
            super().save(content)
        finally:
            moment.update(saving=saving, saved=time.monotonic_ns(), wrote=entries(content))


class WatchedLock(token_cache.CrossPlatLock):
    """The library's lock, with a record of the process found inside."""

    def __enter__(self):
        inside = super().__enter__()
        moment.clear()
        moment.update(entered=time.monotonic_ns(), met=None, there=look(), found=[])
        try:
            os.symlink(name, witness)
        except FileExistsError:
            try:
                moment["met"] = os.readlink(witness)
            except FileNotFoundError:
                moment["met"] = "unknown"
        return inside

    def __exit__(self, *error):
        if moment["met"] is None:
            os.remove(witness)
        if "wrote" in moment:
            tell(at="wrote", **moment)
        return super().__exit__(*error)


moment = {}
token_cache.CrossPlatLock = WatchedLock
cache = PersistedTokenCache(WatchedFile(path))


def sign_in(person):
    identity = json.dumps({"uid": person, "utid": "utid"}).encode()
    cache.add({
        "client_id": "client",
        "scope": ["https://api.example/read"],
        "token_endpoint": "https://login.windows.net/utid/oauth2/v2.0/token",
        "grant_type": "refresh_token",
        "data": {"username": person},
        "response": {
            "refresh_token": "secret of " + person,
            "client_info": base64.urlsafe_b64encode(identity).decode(),
        },
    })


kind = token_cache.CrossPlatLock.__mro__[1].__module__
tell(at="ready", lock=kind)
sys.stdin.readline()
for index in range(int(count)):
    time.sleep(random.random() * float(pause) / 1000)
    person = "%s-%d" % (name, index)
    for attempt in range(ATTEMPTS):
        begun = time.monotonic_ns()
        try:
            sign_in(person)
        except Exception as error:  # whatever it is, the judge wants to know
            tell(at="failed", person=person, time=time.monotonic_ns(), error="%s: %s" % (type(error).__name__, error))
        else:
            tell(at="signed-in", person=person, id=person + ".utid", begun=begun, time=time.monotonic_ns())
            break
