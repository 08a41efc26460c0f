"""Fixtures: both packages, and a sign-in without a network."""

import base64
import importlib
import json
import socket

import pytest


def pytest_terminal_summary(terminalreporter):
    """The numbers, in the form of TAP."""
    for name, word in (("passed", "pass"), ("failed", "fail"), ("error", "fail"), ("skipped", "skipped")):
        reports = terminalreporter.stats.get(name, [])
        for report in reports if word == "fail" else []:
            terminalreporter.write_line(f"not ok - {report.nodeid}")
        terminalreporter.write_line(f"# {word} {len(reports)}")


PACKAGES = {"original": "msal_extensions", "ours": "tokenkeep.msal_extensions"}


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refused(*_arguments, **_options):
        raise AssertionError("a test reached for the network")

    monkeypatch.setattr(socket, "getaddrinfo", refused)


@pytest.fixture(params=PACKAGES)
def package(request):
    """The package under test; each contract holds for both."""
    return importlib.import_module(PACKAGES[request.param])


@pytest.fixture
def ours(package):
    return package.__name__.startswith("tokenkeep")


def event(user, expires_in=3600):
    """A sign-in, as msal tells its cache."""
    whose = {"uid": user, "utid": "tenant"}
    return {
        "client_id": "client",
        "scope": ["scope"],
        "token_endpoint": "https://login.microsoftonline.com/tenant/oauth2/v2.0/token",
        "response": {
            "token_type": "Bearer",
            "access_token": f"access token of {user}",
            "refresh_token": f"refresh token of {user}",
            "expires_in": expires_in,
            "client_info": base64.urlsafe_b64encode(json.dumps(whose).encode()).decode(),
            "id_token_claims": {"oid": user, "preferred_username": user},
        },
    }


def users(cache):
    return sorted(account["home_account_id"].split(".")[0] for account in cache.search(cache.CredentialType.ACCOUNT))
