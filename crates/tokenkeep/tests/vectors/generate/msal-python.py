"""Prints the cache that the real msal (Python) writes after two users got tokens, and one token of the application itself.

Run with `pip install msal==1.39.0 && python msal-python.py > ../msal-python.json`. Nothing goes over a network: the
program adds the events of a sign-in to the cache, with tokens that open nothing.
"""
import base64
import json

from msal import SerializableTokenCache

CLIENT = "11111111-aaaa-4aaa-8aaa-000000000001"
TENANT = "22222222-bbbb-4bbb-8bbb-000000000001"
TOKEN_ENDPOINT = f"https://login.microsoftonline.com/{TENANT}/oauth2/v2.0/token"


def encode(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


cache = SerializableTokenCache()
for name, oid in [
    ("ada", "33333333-cccc-4ccc-8ccc-000000000001"),
    ("josé", "33333333-cccc-4ccc-8ccc-000000000002"),
]:
    claims = {"oid": oid, "tid": TENANT, "sub": f"sub-{name}", "preferred_username": f"{name}@example.com", "aud": CLIENT}
    cache.add({
        "client_id": CLIENT,
        "scope": ["User.Read", "openid", "profile"],
        "token_endpoint": TOKEN_ENDPOINT,
        "environment": "login.microsoftonline.com",
        "response": {
            "token_type": "Bearer",
            "expires_in": 3600,
            "ext_expires_in": 7200,
            "refresh_in": 1800,
            "access_token": f"fake-access-token-of-{name}",
            "refresh_token": f"fake-refresh-token-of-{name}",
            "id_token": f"{encode({'alg': 'none'})}.{encode(claims)}.fake",
            "client_info": encode({"uid": oid, "utid": TENANT}),
            "foci": "1",
        },
    })
cache.add({
    "client_id": CLIENT,
    "scope": ["https://example.com/.default"],
    "token_endpoint": TOKEN_ENDPOINT,
    "environment": "login.microsoftonline.com",
    "response": {"token_type": "Bearer", "expires_in": 3600, "access_token": "fake-access-token-of-the-app"},
})
print(cache.serialize())
