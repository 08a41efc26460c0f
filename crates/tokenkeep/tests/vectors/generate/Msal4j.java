// Prints the cache that the real msal4j writes after two sign-ins with the device code flow.
// Run with Java 11 or newer and msal4j 1.17.2 with its dependencies on the class path:
//     mvn dependency:copy -Dartifact=com.microsoft.azure:msal4j:1.17.2 (and its dependencies)
//     java -cp 'lib/*' Msal4j.java > ../msal4j.json
// Nothing goes over a network: the client below answers every request, with tokens that open nothing.
import com.microsoft.aad.msal4j.DeviceCodeFlowParameters;
import com.microsoft.aad.msal4j.HttpResponse;
import com.microsoft.aad.msal4j.IHttpClient;
import com.microsoft.aad.msal4j.PublicClientApplication;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Set;

public class Msal4j {
    static final String CLIENT = "11111111-aaaa-4aaa-8aaa-000000000001";
    static final String TENANT = "22222222-bbbb-4bbb-8bbb-000000000001";
    static final String AUTHORITY = "https://login.microsoftonline.com/" + TENANT;

    record Person(String name, String full, String oid) {
        String answer(String url) {
            if (url.contains("discovery/instance")) {
                return """
                    {"tenant_discovery_endpoint": "%s/v2.0/.well-known/openid-configuration", "metadata": [
                      {"preferred_network": "login.microsoftonline.com", "preferred_cache": "login.windows.net",
                       "aliases": ["login.microsoftonline.com", "login.windows.net"]}]}""".formatted(AUTHORITY);
            }
            if (url.contains("devicecode")) {
                return """
                    {"device_code": "fake", "user_code": "FAKE", "verification_uri": "https://example.com", "interval": 1,
                     "expires_in": 60, "message": ""}""";
            }
            String claims = """
                {"oid": "%s", "tid": "%s", "sub": "sub-%s", "preferred_username": "%s@example.com", "name": "%s", "aud": "%s",
                 "iss": "%s/v2.0", "ver": "2.0"}""".formatted(oid, TENANT, name, name, full, CLIENT, AUTHORITY);
            return """
                {"token_type": "Bearer", "scope": "User.Read openid profile", "expires_in": 3600, "ext_expires_in": 7200,
                 "refresh_in": 1800, "access_token": "fake-access-token-of-%s", "refresh_token": "fake-refresh-token-of-%s",
                 "id_token": "%s.%s.fake", "client_info": "%s", "foci": "1"}""".formatted(name, name,
                encode("{\"alg\": \"HS256\"}"), encode(claims),
                encode("{\"uid\": \"%s\", \"utid\": \"%s\"}".formatted(oid, TENANT)));
        }
    }

    static String encode(String text) {
        return Base64.getUrlEncoder().withoutPadding().encodeToString(text.getBytes(StandardCharsets.UTF_8));
    }

    public static void main(String[] arguments) throws Exception {
        String cache = null;
        for (Person person : List.of(
                new Person("ada", "Ada Fake", "33333333-cccc-4ccc-8ccc-000000000001"),
                new Person("jose", "José Fake 😀", "33333333-cccc-4ccc-8ccc-000000000002"))) {
            IHttpClient service = request -> {
                HttpResponse response = new HttpResponse();
                response.statusCode(200);
                response.body(person.answer(request.url().toString()));
                response.addHeaders(Map.of("content-type", List.of("application/json")));
                return response;
            };
            PublicClientApplication client =
                PublicClientApplication.builder(CLIENT).authority(AUTHORITY).httpClient(service).build();
            if (cache != null) {
                client.tokenCache().deserialize(cache);
            }
            client.acquireToken(DeviceCodeFlowParameters.builder(Set.of("User.Read"), code -> { }).build()).get();
            cache = client.tokenCache().serialize();
        }
        System.out.print(cache);
    }
}
