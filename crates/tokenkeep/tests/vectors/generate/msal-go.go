// Prints the cache that the real msal for Go writes after two sign-ins with the device code flow.
//
//	go mod init vector && go get github.com/AzureAD/microsoft-authentication-library-for-go@v1.10.1
//	go run msal-go.go > ../msal-go.json
//
// Nothing goes over a network: the transport below answers every request, with tokens that open nothing.
package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/cache"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"
)

const (
	client    = "11111111-aaaa-4aaa-8aaa-000000000001"
	tenant    = "22222222-bbbb-4bbb-8bbb-000000000001"
	authority = "https://login.microsoftonline.com/" + tenant
)

type person struct{ name, full, oid string }

// transport is the sign-in service for one account.
type transport struct{ who person }

func encode(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

func (t transport) answer(url string) any {
	switch {
	case strings.Contains(url, "discovery/instance"):
		return map[string]any{
			"tenant_discovery_endpoint": authority + "/v2.0/.well-known/openid-configuration",
			"metadata": []any{map[string]any{
				"preferred_network": "login.microsoftonline.com", "preferred_cache": "login.windows.net",
				"aliases": []string{"login.microsoftonline.com", "login.windows.net"},
			}},
		}
	case strings.Contains(url, "openid-configuration"):
		return map[string]string{
			"authorization_endpoint": authority + "/oauth2/v2.0/authorize", "token_endpoint": authority + "/oauth2/v2.0/token",
			"device_authorization_endpoint": authority + "/oauth2/v2.0/devicecode", "issuer": authority + "/v2.0",
		}
	case strings.Contains(url, "devicecode"):
		return map[string]any{
			"device_code": "fake", "user_code": "FAKE", "verification_uri": "https://example.com", "interval": 1,
			"expires_in": 60, "message": "",
		}
	}
	claims := map[string]any{
		"oid": t.who.oid, "tid": tenant, "sub": "sub-" + t.who.name, "preferred_username": t.who.name + "@example.com",
		"name": t.who.full, "aud": client, "iss": authority + "/v2.0", "ver": "2.0", "exp": 4102444800,
	}
	return map[string]any{
		"token_type": "Bearer", "scope": "User.Read openid profile", "expires_in": 3600, "ext_expires_in": 7200, "refresh_in": 1800,
		"access_token": "fake-access-token-of-" + t.who.name, "refresh_token": "fake-refresh-token-of-" + t.who.name,
		"id_token":    encode(map[string]string{"alg": "none"}) + "." + encode(claims) + ".fake",
		"client_info": encode(map[string]string{"uid": t.who.oid, "utid": tenant}),
		"foci":        "1",
	}
}

func (t transport) RoundTrip(request *http.Request) (*http.Response, error) {
	text, err := json.Marshal(t.answer(request.URL.String()))
	return &http.Response{
		StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(text)), Request: request,
	}, err
}

// store receives the library's cache.
type store struct{ content []byte }

func (s *store) Replace(_ context.Context, into cache.Unmarshaler, _ cache.ReplaceHints) error {
	if len(s.content) == 0 {
		return nil
	}
	return into.Unmarshal(s.content)
}

func (s *store) Export(_ context.Context, from cache.Marshaler, _ cache.ExportHints) (err error) {
	s.content, err = from.Marshal()
	return err
}

func signIn(who person, kept *store) error {
	ctx := context.Background()
	app, err := public.New(client, public.WithAuthority(authority), public.WithCache(kept),
		public.WithHTTPClient(&http.Client{Transport: transport{who}}))
	if err != nil {
		return err
	}
	code, err := app.AcquireTokenByDeviceCode(ctx, []string{"User.Read"})
	if err != nil {
		return err
	}
	_, err = code.AuthenticationResult(ctx)
	return err
}

func main() {
	kept := &store{}
	for _, who := range []person{
		{"ada", "Ada Fake", "33333333-cccc-4ccc-8ccc-000000000001"},
		{"jose", "José Fake <&> 😀", "33333333-cccc-4ccc-8ccc-000000000002"},
	} {
		if err := signIn(who, kept); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Stdout.Write(kept.content)
}
