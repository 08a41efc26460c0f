"""The Python side of the tests in interop/: the real msal, msal-extensions and azure-identity, from the command line.

peer.py item-read | item-write ITEM     an item of the keyring, through LibsecretPersistence; content by stdin, stdout
peer.py dotnet-read | dotnet-write ITEM the same, with the calls of libsecret that MsalCacheHelper makes (.NET)
peer.py file-read | file-write PATH     a plaintext cache, through FilePersistence
peer.py sign-in PATH NAME               signs NAME in over a plaintext cache, with the device code flow
peer.py accounts PATH                   prints the accounts in it, one user name a line
peer.py lock PATH                       holds the cache's lock from "held" on until stdin ends, then says "released"
peer.py dotnet-lock PATH                the same with .NET's lock, see DotNetLock
peer.py dotnet-write-alone PATH N       N holds of that lock, one after another, each checked to be the only one

ITEM is JSON: {"path", "schema", "attributes": {name: value}, "label", "azure": cache name}. Absent fields take the library's
defaults. Nothing goes over a network.
"""
import base64
import fcntl
import json
import os
import sys
import time

import msal
import msal_extensions

HOST = "login.microsoftonline.com"
CLIENT = "11111111-aaaa-4aaa-8aaa-000000000001"
TENANT = "22222222-bbbb-4bbb-8bbb-000000000001"


def encode(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


class Answer:
    status_code = 200
    headers = {}

    def __init__(self, value):
        self.text = json.dumps(value)

    def raise_for_status(self):
        pass


class Service:
    """The sign-in service. It answers every request in this process, for one account, with tokens that open
    nothing."""

    def __init__(self, who):
        self.who = who

    def get(self, url, **_):
        return Answer(self.answer(url))

    def post(self, url, **_):
        return Answer(self.answer(url))

    def close(self):
        pass

    def answer(self, url):
        authority = "https://%s/%s" % (HOST, TENANT)
        if "discovery/instance" in url:
            cloud = {
                "preferred_network": HOST,
                "preferred_cache": "login.windows.net",
                "aliases": [HOST, "login.windows.net"],
            }
            return {"metadata": [cloud]}
        if "openid-configuration" in url:
            return {
                "authorization_endpoint": authority + "/oauth2/v2.0/authorize",
                "token_endpoint": authority + "/oauth2/v2.0/token",
                "device_authorization_endpoint": authority + "/oauth2/v2.0/devicecode",
                "issuer": authority + "/v2.0",
            }
        if "devicecode" in url:
            return {"device_code": "fake", "user_code": "FAKE", "verification_uri": "x", "interval": 0, "expires_in": 60}
        now = int(time.time())
        claims = {
            "oid": "oid-" + self.who, "tid": TENANT, "sub": "sub-" + self.who, "aud": CLIENT, "ver": "2.0",
            "preferred_username": self.who + "@example.com", "iss": authority + "/v2.0", "iat": now, "exp": now + 3600,
        }
        return {
            "token_type": "Bearer", "scope": "User.Read openid profile", "expires_in": 3600, "ext_expires_in": 7200,
            "access_token": "fake-access-token-of-" + self.who,
            "refresh_token": "fake-refresh-token-of-" + self.who,
            "id_token": "%s.%s.fake" % (encode({"alg": "HS256"}), encode(claims)),
            "client_info": encode({"uid": "oid-" + self.who, "utid": TENANT}),
        }


def app(path, who="", host=HOST):
    return msal.PublicClientApplication(
        CLIENT,
        authority="https://%s/%s" % (host, TENANT),
        token_cache=msal_extensions.PersistedTokenCache(msal_extensions.FilePersistence(path)),
        http_client=Service(who),
    )


def item(text):
    of = json.loads(text)
    if "azure" in of:
        from azure.identity import TokenCachePersistenceOptions
        from azure.identity._persistent_cache import _load_persistent_cache
        name, cae = of["azure"]
        options = TokenCachePersistenceOptions(name=name) if name else TokenCachePersistenceOptions()
        return _load_persistent_cache(options, cae)._persistence
    if "schema" in of:
        more = {"label": of["label"]} if "label" in of else {}
        return msal_extensions.LibsecretPersistence(of["path"], of["schema"], of["attributes"], **more)
    return msal_extensions.build_encrypted_persistence(of["path"])


class DotNetItem:
    """.NET finds its item by two attributes and ignores the schema. It stores base64."""

    def __init__(self, text):
        import gi
        gi.require_version("Secret", "1")
        from gi.repository import Secret
        self.secret, of = Secret, json.loads(text)
        self.attributes, self.label = of["attributes"], of["label"]
        kinds = dict.fromkeys(self.attributes, Secret.SchemaAttributeType.STRING)
        self.schema = Secret.Schema.new(of["schema"], Secret.SchemaFlags.DONT_MATCH_NAME, kinds)

    def load(self):
        found = self.secret.password_lookup_sync(self.schema, self.attributes, None)
        return base64.b64decode(found, validate=True).decode()

    def save(self, content):
        stored = base64.b64encode(content.encode()).decode()
        self.secret.password_store_sync(self.schema, self.attributes, None, self.label, stored, None)


def move(store, write):
    if write:
        store.save(sys.stdin.read())
    else:
        sys.stdout.write(store.load())


class DotNetLock:
    """.NET's CrossPlatLock, with the calls of dotnet/runtime on Unix: open or create the file, flock it without
    waiting, check that the path still names this file, write the holder. It removes the file before it unlocks. 600
    tries, 100 ms apart."""

    def __init__(self, cache):
        self.path = cache + ".lockfile"

    def __enter__(self):
        for _ in range(600):
            self.file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                here, there = os.fstat(self.file), os.stat(self.path)
                if (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino):
                    os.ftruncate(self.file, 0)
                    os.write(self.file, b"\xef\xbb\xbf%d dotnet\n" % os.getpid())
                    return self
            except (BlockingIOError, FileNotFoundError):
                pass
            os.close(self.file)
            time.sleep(0.1)
        raise TimeoutError(self.path)

    def __exit__(self, *_):
        os.unlink(self.path)
        os.close(self.file)


def hold(lock):
    with lock:
        print("held", flush=True)
        sys.stdin.read()
        print("released", flush=True)


def alone(path):
    """Creates a file that must not exist yet, and removes it. Fails if two processes hold the lock at once."""
    os.close(os.open(path + ".alone", os.O_CREAT | os.O_EXCL, 0o600))
    time.sleep(0.0002)
    os.unlink(path + ".alone")


def main(action, target, word=""):
    if action in ("item-read", "item-write"):
        move(item(target), action == "item-write")
    elif action in ("dotnet-read", "dotnet-write"):
        move(DotNetItem(target), action == "dotnet-write")
    elif action in ("file-read", "file-write"):
        move(msal_extensions.FilePersistence(target), action == "file-write")
    elif action == "sign-in":
        client = app(target, word)
        result = client.acquire_token_by_device_flow(client.initiate_device_flow(["User.Read"]))
        if "access_token" not in result:
            raise RuntimeError(result)
    elif action == "accounts":
        # get_accounts tries the aliases of a cloud only if it finds no account under the host that the program uses.
        # The other libraries write other hosts, so a program sees a part of the accounts in its own cache.
        hosts = (HOST, "login.windows.net")
        accounts = {account["username"] for host in hosts for account in app(target, host=host).get_accounts()}
        print("\n".join(sorted(accounts)))
    elif action == "lock":
        hold(msal_extensions.CrossPlatLock(target + ".lockfile"))
    elif action == "dotnet-lock":
        hold(DotNetLock(target))
    elif action == "dotnet-write-alone":
        for _ in range(int(word)):
            with DotNetLock(target):
                alone(target)
    else:
        raise ValueError(action)


main(*sys.argv[1:])
