"""Measures the token cache for Python: tokenkeep or msal-extensions, the same calls.

tokens.py '{"package": "tokenkeep" | "original", "path", "operation", "bytes", "samples", "name", "cached"}'
"""
import base64
import importlib
import json
import sys
import time

import msal

spec = json.loads(sys.argv[1])
package = importlib.import_module({"original": "msal_extensions", "tokenkeep": "tokenkeep.msal_extensions"}[spec["package"]])
path, samples = spec["path"], spec["samples"]

# Left to the operating system, as the original leaves it.
options = {"durability": "cached"} if spec.get("cached") else {}

# Samples of quick calls are the mean of as many.
LOOP = 50


def event(user, number=0, expires_in=3600):
    whose = {"uid": user, "utid": "tenant"}
    return {
        "client_id": "client",
        "scope": ["scope"],
        "token_endpoint": "https://login.microsoftonline.com/tenant/oauth2/v2.0/token",
        "response": {
            "token_type": "Bearer",
            "access_token": f"access token {number} of {user}".ljust(1200, "a"),
            "refresh_token": f"refresh token {number} of {user}".ljust(800, "r"),
            "expires_in": expires_in,
            "client_info": base64.urlsafe_b64encode(json.dumps(whose).encode()).decode(),
            "id_token_claims": {"oid": user, "preferred_username": user},
        },
    }


def opened():
    return package.PersistedTokenCache(package.FilePersistence(path, **options))


def filled(content):
    """A cache with a person more until it has as many bytes. Both packages find the same content."""
    memory = msal.SerializableTokenCache()
    size = people = 0
    while size < spec["bytes"]:
        memory.add(event(f"u{people}", expires_in=content))
        people += 1
        if people == 1:
            size = one = len(memory.serialize())
        else:
            size += one
    package.FilePersistence(path).save(memory.serialize())
    # Both are quicker where the file is older than a step of its clock, as files are.
    time.sleep(0.05)
    return people


def timed(call, loop=1):
    began = time.perf_counter()
    for _ in range(loop):
        call()
    return (time.perf_counter() - began) / loop * 1e3


def repeated(call, loop=1):
    call()
    return [timed(call, loop) for _ in range(samples)]


def sign_in():
    filled(3600)
    cache, times = opened(), []
    for number in range(samples + 1):
        new = event("new", number)
        times.append(timed(lambda: cache.add(new)))
    [token] = opened().search("RefreshToken", query={"home_account_id": "new.tenant"})
    assert token["secret"].startswith(f"refresh token {samples} "), "the sign-in is not stored"
    return times[1:]


def one_token():
    filled(3600)
    cache, times = opened(), []
    for number in range(samples + 1):
        [token] = cache.search("RefreshToken", query={"home_account_id": "u0.tenant"})
        times.append(timed(lambda: cache.update_rt(token, f"renewal {number}".ljust(800, "r"))))
    [token] = opened().search("RefreshToken", query={"home_account_id": "u0.tenant"})
    assert token["secret"].startswith(f"renewal {samples}r"), "the token is not stored"
    return times[1:]


NAMED = {
    "client_id": "client", "environment": "login.microsoftonline.com", "realm": "tenant", "home_account_id": "u0.tenant",
}


def search_named():
    filled(3600)
    cache = opened()
    return repeated(lambda: next(iter(cache.search("AccessToken", target=["scope"], query=NAMED))), LOOP)


def search_accounts():
    people = filled(3600)
    cache = opened()
    assert len(list(cache.search("Account"))) == people
    return repeated(lambda: list(cache.search("Account")), LOOP)


def reload():
    filled(3600)
    writer, reader, times = opened(), opened(), []
    list(reader.search("Account"))
    for number in range(samples + 1):
        writer.add(event("new", number))
        time.sleep(0.01)
        found = []
        times.append(timed(lambda: found.extend(reader.search("RefreshToken", query={"home_account_id": "new.tenant"}))))
        assert found[0]["secret"].startswith(f"refresh token {number} "), "the change is not noticed"
    return times[1:]


def save():
    text = "0" * spec["bytes"]
    persistence = package.FilePersistence(path, **options)
    return repeated(lambda: persistence.save(text))


def load():
    persistence = package.FilePersistence(path)
    persistence.save("0" * spec["bytes"])
    time.sleep(0.05)
    return repeated(persistence.load)


def lock():
    held = package.CrossPlatLock(path + ".lockfile")

    def take():
        with held:
            pass

    return repeated(take)


def expired():
    """One search over expired tokens, and the time of removing them."""
    times = []
    for _ in range(samples):
        filled(-10)
        cache = opened()
        times.append(timed(lambda: list(cache.search("AccessToken"))))
        assert json.loads(package.FilePersistence(path).load())["AccessToken"] == {}, "the expired tokens are still there"
    return times


def crowd():
    cache, longest, failures = opened(), 0.0, 0
    print(json.dumps("ready"), flush=True)
    sys.stdin.readline()
    began = time.monotonic_ns() / 1e6
    for number in range(samples):
        new, asked = event(f"{spec['name']}x{number}"), time.perf_counter()
        try:
            cache.add(new)
        except Exception:  # count every kind of failure
            failures += 1
        longest = max(longest, (time.perf_counter() - asked) * 1e3)
    return {"began": began, "ended": time.monotonic_ns() / 1e6, "longest": longest, "failures": failures}


OPERATIONS = {
    "sign-in": sign_in, "one token": one_token, "search, one token": search_named, "search, accounts": search_accounts,
    "reload": reload, "save": save, "load": load, "lock": lock, "expired": expired, "crowd": crowd,
}
print(json.dumps(OPERATIONS[spec["operation"]]()), flush=True)
