"""A step of the Azure CLI's own code, offline: sign-in, token, list, sign-out. Started by test_azure_cli.py."""

import json
import os
import sys
import types

import requests
from offline import TENANT, Service

SCOPES = ["https://management.core.windows.net//.default"]


class Answer:
    """What msal uses of an answer of requests."""

    def __init__(self, content):
        self.status_code, self.headers, self.text = 200, {}, json.dumps(content)

    def raise_for_status(self):
        pass


def offline(service, allowed):
    """Answers every request from memory. Where it is not ``allowed``, a request for a token is an error."""

    def send(_session, url, data=None, **_options):
        if not allowed and "openid-configuration" not in url and "discovery/instance" not in url:
            raise AssertionError(f"asked the service: {url}")
        answer = service._answer(types.SimpleNamespace(url=url, body=data))
        if (data or {}).get("grant_type") == "client_credentials":
            # No user, and nothing to renew.
            answer = {name: answer[name] for name in ("token_type", "expires_in", "access_token")}
        return Answer(answer)

    requests.Session.get = requests.Session.post = send


def main(step, name):
    import msal_extensions
    from azure.cli.core.auth import persistence
    from azure.cli.core.auth.identity import Identity

    ours = msal_extensions.FilePersistence.__module__.startswith("tokenkeep")
    assert ours and persistence.PersistedTokenCache is msal_extensions.PersistedTokenCache
    offline(Service(name), allowed=step.startswith("sign-in"))
    identity = Identity("https://login.microsoftonline.com", tenant_id=TENANT, instance_discovery=False)
    if step == "sign-in":
        return identity.login_with_device_code(SCOPES)["username"]
    if step == "sign-in-principal":
        return identity.login_with_service_principal(name, {"client_secret": "secret of " + name}, SCOPES)
    if step == "token":
        return identity.get_user_credential(name).acquire_token(SCOPES)["access_token"]
    if step == "token-principal":
        return identity.get_service_principal_credential(name).acquire_token(SCOPES)["access_token"]
    if step == "sign-out":
        return identity.logout_user(name)
    return sorted(account["username"] for account in identity.get_user())


if __name__ == "__main__":
    # The output of the CLI is not part of the answer.
    out, sys.stdout = sys.stdout, open(os.devnull, "w", encoding="utf-8")
    print(json.dumps(main(*sys.argv[1:])), file=out)
