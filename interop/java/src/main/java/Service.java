// The sign-in service. It answers every request in this process, for one account, with tokens that open nothing.
import com.microsoft.aad.msal4j.HttpRequest;
import com.microsoft.aad.msal4j.HttpResponse;
import com.microsoft.aad.msal4j.IHttpClient;
import com.microsoft.aad.msal4j.IHttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.List;
import java.util.Map;

record Service(String who) implements IHttpClient {
    static final String CLIENT = "11111111-aaaa-4aaa-8aaa-000000000001";
    static final String TENANT = "22222222-bbbb-4bbb-8bbb-000000000001";
    static final String AUTHORITY = "https://login.microsoftonline.com/" + TENANT;

    @Override
    public IHttpResponse send(HttpRequest request) {
        HttpResponse response = new HttpResponse();
        response.statusCode(200);
        response.body(answer(request.url().getPath()));
        response.addHeaders(Map.of("content-type", List.of("application/json")));
        return response;
    }

    private String answer(String path) {
        if (path.contains("discovery/instance")) {
            return """
                {"tenant_discovery_endpoint": "%s/v2.0/.well-known/openid-configuration", "metadata": [
                  {"preferred_network": "login.microsoftonline.com", "preferred_cache": "login.windows.net",
                   "aliases": ["login.microsoftonline.com", "login.windows.net"]}]}""".formatted(AUTHORITY);
        }
        if (path.contains("devicecode")) {
            return """
                {"device_code": "fake", "user_code": "FAKE", "verification_uri": "https://example.com",
                 "interval": 1, "expires_in": 60, "message": ""}""";
        }
        String claims = """
            {"oid": "oid-%1$s", "tid": "%2$s", "sub": "sub-%1$s", "preferred_username": "%1$s@example.com",
             "name": "%1$s", "aud": "%3$s", "iss": "%4$s/v2.0", "ver": "2.0"}"""
            .formatted(who, TENANT, CLIENT, AUTHORITY);
        return """
            {"token_type": "Bearer", "scope": "User.Read openid profile", "expires_in": 3600,
             "ext_expires_in": 7200, "access_token": "fake-access-token-of-%1$s",
             "refresh_token": "fake-refresh-token-of-%1$s", "id_token": "%2$s.%3$s.fake",
             "client_info": "%4$s"}""".formatted(who, encode("{\"alg\": \"HS256\"}"), encode(claims),
            encode("{\"uid\": \"oid-%s\", \"utid\": \"%s\"}".formatted(who, TENANT)));
    }

    private static String encode(String text) {
        return Base64.getUrlEncoder().withoutPadding().encodeToString(text.getBytes(StandardCharsets.UTF_8));
    }
}
