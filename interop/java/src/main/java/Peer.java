// The Java side of the tests in interop/: the real msal4j and its real persistence extension, from the command line.
//
//   Peer item-read | item-write SCHEMA LABEL [NAME VALUE]...   an item of the keyring; content by stdin and stdout
//   Peer file-read | file-write PATH       a plaintext cache
//   Peer sign-in PATH NAME                 signs NAME in over a plaintext cache, with the device code flow
//   Peer accounts PATH                     prints the accounts in it, one user name a line
//   Peer silent PATH NAME                  prints an access token for NAME, without a request to the user
//   Peer lock LOCKFILE                     holds the lock from "held" on until stdin ends, then says "released"
//
// Nothing goes over a network.
import com.microsoft.aad.msal4j.DeviceCodeFlowParameters;
import com.microsoft.aad.msal4j.IAccount;
import com.microsoft.aad.msal4j.PublicClientApplication;
import com.microsoft.aad.msal4j.SilentParameters;
import com.microsoft.aad.msal4jextensions.LockHolder;
import com.microsoft.aad.msal4jextensions.PersistenceSettings;
import com.microsoft.aad.msal4jextensions.PersistenceTokenCacheAccessAspect;
import com.microsoft.aad.msal4jextensions.persistence.CacheFileAccessor;
import com.microsoft.aad.msal4jextensions.persistence.ICacheAccessor;
import com.microsoft.aad.msal4jextensions.persistence.linux.KeyRingAccessor;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;

public final class Peer {
    public static void main(String[] words) throws Exception {
        switch (words[0]) {
            case "item-read", "item-write" -> pass(item(words), words[0].equals("item-write"));
            case "file-read", "file-write" ->
                pass(new CacheFileAccessor(words[1]), words[0].equals("file-write"));
            case "sign-in" -> client(words[1], words[2])
                .acquireToken(DeviceCodeFlowParameters.builder(Set.of("User.Read"), code -> { }).build()).get();
            case "accounts" -> {
                for (IAccount account : client(words[1], "").getAccounts().get()) {
                    System.out.println(account.username());
                }
            }
            case "silent" -> {
                PublicClientApplication client = client(words[1], words[2]);
                for (IAccount account : client.getAccounts().get()) {
                    if (account.username().equals(words[2] + "@example.com")) {
                        SilentParameters wanted = SilentParameters.builder(Set.of("User.Read"), account).build();
                        System.out.println(client.acquireTokenSilently(wanted).get().accessToken());
                    }
                }
            }
            case "lock" -> LockHolder.hold(words[1]);
            default -> throw new IllegalArgumentException(words[0]);
        }
        // msal4j leaves threads running that would keep the process alive.
        System.exit(0);
    }

    private static ICacheAccessor item(String[] words) throws Exception {
        String[] of = new String[4];
        System.arraycopy(words, 3, of, 0, words.length - 3);
        // The lock's listener touches a file, which must exist.
        Path file = Files.createTempFile("interop", ".signal");
        file.toFile().deleteOnExit();
        return new KeyRingAccessor(file.toString(), null, words[1], words[2], of[0], of[1], of[2], of[3]);
    }

    private static void pass(ICacheAccessor store, boolean write) throws Exception {
        if (write) {
            store.write(System.in.readAllBytes());
            return;
        }
        byte[] content = store.read();
        System.out.write(content == null ? new byte[0] : content);
        System.out.flush();
    }

    private static PublicClientApplication client(String path, String who) throws Exception {
        Path file = Path.of(path);
        PersistenceSettings settings =
            PersistenceSettings.builder(file.getFileName().toString(), file.getParent())
                .setLinuxUseUnprotectedFileAsCacheStorage(true).build();
        return PublicClientApplication.builder(Service.CLIENT).authority(Service.AUTHORITY)
            .httpClient(new Service(who))
            .setTokenCacheAccessAspect(new PersistenceTokenCacheAccessAspect(settings)).build();
    }
}
