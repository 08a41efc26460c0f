// In the extension's own package, because its lock class is visible only there.
package com.microsoft.aad.msal4jextensions;

/** Holds the extension's lock until the test releases it. */
public final class LockHolder {
    private LockHolder() { }

    public static void hold(String lockfile) throws Exception {
        // The defaults of PersistenceSettings.
        CrossProcessCacheFileLock lock = new CrossProcessCacheFileLock(lockfile, 100, 60);
        lock.lock();
        System.out.println("held");
        System.in.readAllBytes();
        lock.unlock();
        System.out.println("released");
    }
}
