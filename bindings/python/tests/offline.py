"""The sign-in service, in the memory of the test, as a transport of azure-core."""

import base64
import json
import time
from urllib.parse import parse_qs

from azure.core.pipeline.transport import HttpTransport
from azure.core.pipeline.transport import HttpResponse

TENANT = "11111111-1111-4111-8111-111111111111"
CLIENT = "22222222-2222-4222-8222-222222222222"
HOST = "login.microsoftonline.com"


def _encoded(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


class _Answer(HttpResponse):
    def __init__(self, request, content):
        super().__init__(request, None)
        self.status_code, self.headers, self.content_type = 200, {"Content-Type": "application/json"}, "application/json"
        self.reason = "OK"
        self._content = json.dumps(content).encode()

    def body(self):
        return self._content


class Service(HttpTransport):
    """Answers every request for one user, and counts those for tokens."""

    def __init__(self, user):
        self.user, self.tokens, self.scope = user, 0, ""

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        pass

    def open(self):
        pass

    def close(self):
        pass

    def send(self, request, **_options):
        return _Answer(request, self._answer(request))

    def _answer(self, request):
        url, authority = request.url, f"https://{HOST}/{TENANT}"
        if "discovery/instance" in url:
            cloud = {"preferred_network": HOST, "preferred_cache": "login.windows.net", "aliases": [HOST, "login.windows.net"]}
            return {"tenant_discovery_endpoint": authority + "/v2.0/.well-known/openid-configuration", "metadata": [cloud]}
        if "openid-configuration" in url:
            return {
                "authorization_endpoint": authority + "/oauth2/v2.0/authorize",
                "token_endpoint": authority + "/oauth2/v2.0/token",
                "device_authorization_endpoint": authority + "/oauth2/v2.0/devicecode",
                "issuer": authority + "/v2.0",
            }
        body = request.body
        given = body if isinstance(body, dict) else {name: value for name, [value] in parse_qs(body or "").items()}
        self.scope = given.get("scope", self.scope)
        if "devicecode" in url:
            return {
                "device_code": "code", "user_code": "CODE", "verification_uri": "https://example.invalid",
                "interval": 0, "expires_in": 60, "message": "enter the code",
            }
        self.tokens += 1
        now = int(time.time())
        claims = {
            "oid": self.user, "tid": TENANT, "sub": self.user, "aud": CLIENT, "ver": "2.0", "iat": now, "exp": now + 3600,
            "preferred_username": f"{self.user}@contoso.example", "iss": authority + "/v2.0",
        }
        return {
            "token_type": "Bearer", "scope": self.scope, "expires_in": 3600, "ext_expires_in": 3600,
            "access_token": f"access token {self.tokens} of {self.user}",
            "refresh_token": f"refresh token of {self.user}",
            "id_token": f"{_encoded({'alg': 'none'})}.{_encoded(claims)}.signature",
            "client_info": _encoded({"uid": self.user, "utid": TENANT}),
        }
