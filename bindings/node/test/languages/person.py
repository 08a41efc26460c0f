"""msal for Python on the shared cache: signs in, or gets a token for the signed-in account, and reports the cost.

person.py PATH ORIGIN CLIENT TENANT (sign-in | silent | refresh) SCOPE [PACKAGE]

PACKAGE is the folder of tokenkeep for Python, which then takes the place of msal-extensions.
Prints {"token", "error", "username", "requests"}; the last field has its token requests to the service.
"""
import json
import sys
import urllib.error
import urllib.parse
import urllib.request

import msal

if sys.argv[7:]:
    sys.path.insert(0, sys.argv[7])
    from tokenkeep.msal_extensions import FilePersistence, PersistedTokenCache
else:
    from msal_extensions import FilePersistence, PersistedTokenCache

path, origin, client, tenant, action, scope = sys.argv[1:7]
HOST = "login.microsoftonline.com"
# The public list of Entra ID.
ALIASES = [HOST, "login.windows.net", "login.microsoft.com", "sts.windows.net"]
requests = []


class Answer:
    def __init__(self, status, text, headers):
        self.status_code, self.text, self.headers = status, text, headers

    def raise_for_status(self):
        if self.status_code >= 400:
            raise RuntimeError("%s: %s" % (self.status_code, self.text))


class Loopback:
    """The transport for msal: sends every request to the test's service."""

    def get(self, url, params=None, headers=None, **_):
        if "/discovery/instance" in url:
            cloud = {"preferred_network": HOST, "preferred_cache": ALIASES[1], "aliases": ALIASES}
            return Answer(200, json.dumps({"metadata": [cloud]}), {})
        return self.send(url, params, headers, None)

    def post(self, url, params=None, data=None, headers=None, **_):
        if url.endswith("/token"):
            requests.append(data["grant_type"])
        return self.send(url, params, headers, urllib.parse.urlencode(data).encode())

    def send(self, url, params, headers, body):
        parts = urllib.parse.urlsplit(url)
        query = "&".join(filter(None, [parts.query, urllib.parse.urlencode(params or {})]))
        headers = dict(headers or {}, **{"x-signin-host": parts.netloc})
        request = urllib.request.Request("%s%s?%s" % (origin, parts.path, query), body, headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return Answer(answer.status, answer.read().decode(), dict(answer.headers))
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.read().decode(), dict(error.headers))

    def close(self):
        pass


app = msal.PublicClientApplication(
    client,
    authority="https://%s/%s" % (HOST, tenant),
    token_cache=PersistedTokenCache(FilePersistence(path)),
    http_client=Loopback(),
)
if action == "sign-in":
    result = app.acquire_token_by_device_flow(app.initiate_device_flow([scope]))
    account = {}
else:
    accounts = app.get_accounts()
    if len(accounts) != 1:
        raise RuntimeError("one account is expected: %r" % accounts)
    account = accounts[0]
    result = app.acquire_token_silent_with_error([scope], account, force_refresh=action == "refresh") or {}
print(json.dumps({
    "token": result.get("access_token"),
    "error": result.get("error"),
    "username": account.get("username"),
    "requests": requests,
}))
