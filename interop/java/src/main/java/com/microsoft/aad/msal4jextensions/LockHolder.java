// In the extension's own package, because its lock is visible there only.
package com.microsoft.aad.msal4jextensions;

/** Holds the extension's lock for as long as the test wants. */
public final class LockHolder {
    private LockHolder() { }

    public static void hold(String lockfile) throws Exception {
        // What PersistenceSettings has by default.
        CrossProcessCacheFileLock lock = new CrossProcessCacheFileLock(lockfile, 100, 60);
        lock.lock();
        System.out.println("held");
        System.in.readAllBytes();
        lock.unlock();
        System.out.println("released");
    }
}
