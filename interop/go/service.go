// The sign-in service. It answers every request in this process, for one account, with tokens that open nothing.
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
)

const (
	client    = "11111111-aaaa-4aaa-8aaa-000000000001"
	tenant    = "22222222-bbbb-4bbb-8bbb-000000000001"
	host      = "login.microsoftonline.com"
	authority = "https://" + host + "/" + tenant
)

type transport struct{ who string }

func service(who string) *http.Client { return &http.Client{Transport: transport{who}} }

func encode(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // of maps and strings: never
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

func (t transport) RoundTrip(request *http.Request) (*http.Response, error) {
	text, err := json.Marshal(t.answer(request.URL.Path))
	body := io.NopCloser(bytes.NewReader(text))
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: body, Request: request}, err
}

func (t transport) answer(path string) any {
	switch {
	case strings.Contains(path, "discovery/instance"):
		cloud := map[string]any{
			"preferred_network": host, "preferred_cache": "login.windows.net",
			"aliases": []string{host, "login.windows.net"},
		}
		return map[string]any{
			"tenant_discovery_endpoint": authority + "/v2.0/.well-known/openid-configuration", "metadata": []any{cloud},
		}
	case strings.Contains(path, "openid-configuration"):
		return map[string]string{
			"authorization_endpoint": authority + "/oauth2/v2.0/authorize", "issuer": authority + "/v2.0",
			"token_endpoint": authority + "/oauth2/v2.0/token", "device_authorization_endpoint": authority + "/oauth2/v2.0/devicecode",
		}
	case strings.Contains(path, "devicecode"):
		return map[string]any{
			"device_code": "fake", "user_code": "FAKE", "verification_uri": "https://example.com", "message": "",
			"interval": 1, "expires_in": 60,
		}
	}
	oid := "oid-" + t.who
	claims := map[string]any{
		"oid": oid, "tid": tenant, "sub": "sub-" + t.who, "preferred_username": t.who + "@example.com", "name": t.who,
		"aud": client, "iss": authority + "/v2.0", "ver": "2.0", "exp": 4102444800,
	}
	return map[string]any{
		"token_type": "Bearer", "scope": "User.Read openid profile", "expires_in": 3600, "ext_expires_in": 7200,
		"access_token": "fake-access-token-of-" + t.who, "refresh_token": "fake-refresh-token-of-" + t.who,
		"id_token":    encode(map[string]string{"alg": "HS256"}) + "." + encode(claims) + ".fake",
		"client_info": encode(map[string]string{"uid": oid, "utid": tenant}),
	}
}
