//! The table of error codes, from which all else about a code comes: [`ErrorKind`] and its names, `docs/errors.md`, and the
//! type of the codes in the Node package.
//!
//! To add a code, add an entry here and run `cargo xtask errors`. A test fails while a page or a type differs.

use std::fmt;

/// The page of all codes, without the anchor. A relative path, because a checkout and every package have it at another
/// address.
macro_rules! page {
    ($code:literal) => {
        concat!("docs/errors.md#", $code)
    };
}

/// The explanation of an error code: an entry of the page `docs/errors.md`.
///
/// ```
/// use tokenkeep::{ErrorKind, Explanation};
///
/// let locked = ErrorKind::StoreLocked.explanation();
/// assert_eq!((locked.code, locked.help), ("store_locked", "docs/errors.md#store_locked"));
/// assert!(locked.remedy.starts_with("Unlock the keyring"));
/// assert_eq!(locked.findings, ["keyring-locked"]);
///
/// // Codes that only other faces raise, such as the Node package, are in the table too.
/// assert!(Explanation::all().any(|entry| entry.code == "addon_missing"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation {
    /// The code, which never changes.
    pub code: &'static str,
    /// What happened, in one sentence.
    pub happened: &'static str,
    /// The usual reasons.
    pub why: &'static str,
    /// What to do, for an error that has no remedy of its own.
    pub remedy: &'static str,
    /// The findings of `tokenkeep doctor` that have the same reason, by their codes.
    pub findings: &'static [&'static str],
    /// The parts of the project that raise it: `core` (and so every other part), `node`, `command`.
    pub raised_by: &'static [&'static str],
    /// The place of this entry in the documentation: `docs/errors.md#busy`.
    pub help: &'static str,
}

impl Explanation {
    /// Returns the explanation of every code of every part: first those of [`ErrorKind`].
    pub fn all() -> impl Iterator<Item = &'static Self> {
        ErrorKind::ALL.iter().map(|kind| kind.explanation()).chain(OF_FACES.iter().copied())
    }
}

macro_rules! explanation {
    ($code:literal, $by:expr, $happened:literal, $why:literal, $remedy:literal, $findings:expr) => {
        &Explanation {
            code: $code,
            happened: $happened,
            why: $why,
            remedy: $remedy,
            findings: $findings,
            raised_by: $by,
            help: page!($code),
        }
    };
}

/// Makes [`ErrorKind`] of the entries of the core.
macro_rules! kinds {
    ($(
        $(#[$words:meta])*
        $kind:ident = $code:literal {
            happened: $happened:literal, why: $why:literal, remedy: $remedy:literal, findings: $findings:expr $(,)?
        }
    )*) => {
        /// What went wrong, as far as a program can act on it. More kinds may be added.
        ///
        /// ```
        /// use tokenkeep::ErrorKind;
        ///
        /// assert_eq!(ErrorKind::StoreLocked.code(), "store_locked");
        /// assert!(ErrorKind::ALL.contains(&ErrorKind::StoreLocked));
        /// println!("{}", ErrorKind::StoreLocked.explanation().remedy);
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorKind {
            $( $(#[$words])* $kind, )*
        }

        impl ErrorKind {
            /// Every kind of this release.
            pub const ALL: &'static [Self] = &[$( Self::$kind, )*];

            /// The stable name of this kind, for logs, scripts and other languages.
            pub fn code(self) -> &'static str {
                self.explanation().code
            }

            /// Returns the entry of this kind on the page of errors: what happened, why, and what to do.
            pub fn explanation(self) -> &'static Explanation {
                match self {
                    $( Self::$kind => explanation!($code, &["core"], $happened, $why, $remedy, $findings), )*
                }
            }
        }
    };
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

kinds! {
    /// An argument is not valid: an empty name, a relative marker path, a NUL in a path.
    InvalidInput = "invalid_input" {
        happened: "An argument or an option is not valid.",
        why: "A name is empty or has characters that no file name may have, a path is relative or too long, or options contradict each other.",
        remedy: "Change the argument that the message names",
        findings: &[],
    }
    /// This operating system does not have the backend, or it was not compiled in.
    NotSupported = "not_supported" {
        happened: "This system does not have the store, the source of the key or the operation.",
        why: "The Keychain exists on macOS only, the Secret Service on Linux only, a file that Windows encrypts on Windows only.",
        remedy: "Let tokenkeep choose the store (Config::open, createPersistence), or choose one that this system has",
        findings: &[],
    }
    /// A file-system call failed for a reason without its own kind; `source()` has the reason.
    Io = "io" {
        happened: "A call of the operating system failed for a reason without a code of its own.",
        why: "The message ends with the reason that the system gave: often a directory that was removed, too many open files, or a failing disk.",
        remedy: "Remove the cause that the message names, then try again",
        findings: &["read-only", "directory-unreadable"],
    }
    /// The operating system refused access.
    PermissionDenied = "permission_denied" {
        happened: "The operating system refused access to a file or a directory.",
        why: "It belongs to another user, its mode gives no access, the file system is mounted read-only, or a security policy (SELinux, AppArmor, a sandbox) forbids it.",
        remedy: "Give the user who runs the program read and write access to the file and its directory, or choose another cache path",
        findings: &["read-only", "directory-read-only", "directory-unreadable", "directory-of-another", "file-of-another"],
    }
    /// The disk, the quota or the file size limit is exhausted. The earlier content is unharmed.
    StorageFull = "storage_full" {
        happened: "The content did not fit. The earlier content is unharmed.",
        why: "The disk is full, the user's quota is used up, or a limit on the size of files (ulimit -f) is smaller than the cache.",
        remedy: "Free some space or raise the limit, then try again",
        findings: &[],
    }
    /// The path of the cache has something other than a regular file of the right owner: a directory, a FIFO, a
    /// device, a symbolic link that another user could have made, a file of another user.
    UnsafeFile = "unsafe_file" {
        happened: "Something other than a private, regular file is at the path of the cache, its lock or its key.",
        why: "A directory, a FIFO, a device, a file of another user, or a symbolic link that another user could have made is there. In a directory that others may write to, this can be an attack.",
        remedy: "Remove it if you do not need it, or choose a cache path in a directory of your own",
        findings: &["directory-of-another", "directory-open", "file-of-another"],
    }
    /// The lock was not free within the time limit.
    Busy = "busy" {
        happened: "The lock of the cache was not free within the time limit.",
        why: "Another process is writing, or was stopped with the lock in its hands. A lock of a process that has ended is taken over and is never the reason.",
        remedy: "Try again; tokenkeep lock shows the process that has the lock",
        findings: &["lock-held-long", "stale-lock"],
    }
    /// The caller cancelled the operation.
    Cancelled = "cancelled" {
        happened: "The program, or the user, gave the operation up before it changed anything.",
        why: "An AbortSignal was aborted, a future was dropped, Ctrl-C was pressed, or a prompt was closed.",
        remedy: "Start the operation again if it is still wanted",
        findings: &[],
    }
    /// A change was based on an account that has been signed out in the meantime.
    Conflict = "conflict" {
        happened: "Two changes contradict each other. Nothing was written.",
        why: "An account was signed out while its tokens were being renewed, or two contents that are no token caches should become one.",
        remedy: "Sign in again if the account is still wanted; of two contents that cannot be merged, move one away",
        findings: &["unfinished-move"],
    }
    /// The content differs from the written content, or is not a token cache.
    Damaged = "damaged" {
        happened: "The content is not a token cache, or it was altered.",
        why: "Another program wrote to the file, a disk failed, or the path is that of another file.",
        remedy: "Restore the cache from a copy, or sign in again: the next write sets the damaged content aside as a copy",
        findings: &["damaged-cache", "copy-of-damage"],
    }
    /// The content is the beginning of the written content. Treat it like [`Damaged`](Self::Damaged).
    Truncated = "truncated" {
        happened: "The content ends too early.",
        why: "A program that does not replace files as a whole was killed while it wrote, or the file system lost the end in a crash.",
        remedy: "Restore the cache from a copy, or sign in again: the next write sets the damaged content aside as a copy",
        findings: &["damaged-cache", "copy-of-damage"],
    }
    /// The key of the content is not available: no such item, file or variable, or the key belongs to another
    /// machine, user or container. The content is unharmed and is not overwritten.
    MissingKey = "missing_key" {
        happened: "The key of the encrypted cache is not there. The content is unharmed and is not overwritten.",
        why: "The key file, the environment variable or the keyring item does not exist, or the cache was made by another user, on another machine or in another container.",
        remedy: "Put the key where the message says, or remove the cache and sign in again",
        findings: &["unreadable-cache"],
    }
    /// The content is encrypted with another key than the configured one. It is unharmed and is not overwritten.
    WrongKey = "wrong_key" {
        happened: "The key does not open the encrypted cache. The content is unharmed and is not overwritten.",
        why: "Another key or passphrase is configured than the one that the cache was encrypted with.",
        remedy: "Open it with the key that it was encrypted with. If that key is lost, remove the file and sign in again",
        findings: &["unreadable-cache"],
    }
    /// The key was in memory only and is lost, for example after a restart of the machine, so the content can never
    /// be decrypted. A persistence treats such content as absent.
    KeyGone = "key_gone" {
        happened: "The key was in the kernel's memory and is lost. The content can never be decrypted.",
        why: "The machine was restarted, or the user's kernel keyring was cleared.",
        remedy: "Sign in again; the next write replaces the content",
        findings: &["lapsed-copy"],
    }
    /// The content is encrypted in a form unknown to this release: by a newer one, or with an algorithm or a cost
    /// that it refuses. It is not overwritten.
    UnknownFormat = "unknown_format" {
        happened: "The content has a format that this release does not know. It is not overwritten.",
        why: "A newer release wrote it, or it asks for an algorithm or a cost that this release refuses.",
        remedy: "Use the release that wrote it, or a newer one. Remove the file if you did not expect it",
        findings: &["unreadable-cache"],
    }
    /// Plaintext is at the path of encrypted content: an older store's cache, which must be moved, not overwritten.
    Unprotected = "unprotected" {
        happened: "A file that must be private is not: plaintext where encrypted content belongs, or a key file that others can read.",
        why: "An older store's cache is at the path, or the mode of the file gives access to other users.",
        remedy: "Move the older cache with migrate, or make the key file private (chmod 600)",
        findings: &["plaintext", "file-open"],
    }
    /// No keystore can be reached: no session bus, no service on it, a socket without a listener.
    StoreUnavailable = "store_unavailable" {
        happened: "No keyring can be reached.",
        why: "There is no session bus (SSH, cron, a container, a service), or no Secret Service runs on it.",
        remedy: "Install and start a keyring (gnome-keyring, KWallet, KeePassXC), or configure a fallback",
        findings: &["no-session-bus", "no-secret-service", "keyring-stopped", "no-default-keyring"],
    }
    /// The keystore is locked, and a prompt was not allowed or not answered.
    StoreLocked = "store_locked" {
        happened: "The keyring is locked.",
        why: "A prompt was not allowed (there is no display, or the program forbids it), was closed, or was not answered in time.",
        remedy: "Unlock the keyring with the desktop's password program or by logging in, then try again",
        findings: &["keyring-locked"],
    }
    /// The keystore did not answer within the deadline. A write may or may not have succeeded.
    StoreTimeout = "store_timeout" {
        happened: "The keyring did not answer in time. Whether a write arrived is unknown.",
        why: "The keyring's service hangs, or waits for an answer to a prompt of its own.",
        remedy: "Try again; if that fails too, restart the keyring's service by logging out and in",
        findings: &["keyring-silent", "no-answer"],
    }
    /// The keystore answered with an error.
    StoreFailed = "store_failed" {
        happened: "The keyring answered with an error.",
        why: "The message has its words. Often the keyring's own file is damaged or its collection was removed.",
        remedy: "Read the keyring's words in the message, run tokenkeep doctor, and restart the keyring's service",
        findings: &["keyring-fails", "encryption-fails"],
    }
    /// Several keystore items match, and choosing one could lose the others.
    Ambiguous = "ambiguous" {
        happened: "Several keyring items match, with different contents.",
        why: "Two programs, or two releases of one, made items with the same attributes.",
        remedy: "Remove all but the right one with the desktop's password program, such as Seahorse",
        findings: &["keyring-fails"],
    }
    /// The marker file of a keystore has content that another store encrypted, which must be migrated, not overwritten.
    MarkerOccupied = "marker_occupied" {
        happened: "An encrypted file is where the keyring's marker file belongs. It is not overwritten; any other file there is copied aside.",
        why: "A store that this program does not know kept its cache at this path.",
        remedy: "Move its sign-ins with tokenkeep migrate or migrate(); if they are not wanted, or the key is lost, move the file away",
        findings: &["marker-occupied"],
    }
    /// The verification read back other content than it wrote.
    NotVerified = "not_verified" {
        happened: "The store gave back other content than was written to it.",
        why: "Another program writes to the same place without the lock, or the store is broken.",
        remedy: "Try again; if it stays so, find the other program, or choose another store",
        findings: &["keyring-fails"],
    }
}

/// The codes that only other parts of the project raise.
const OF_FACES: &[&Explanation] = &[
    explanation!(
        "addon_missing",
        &["node", "command"],
        "There is no native addon for this platform.",
        "npm left the package of the platform out (--omit=optional, a lock file made on another platform), or there is none for this platform.",
        "Install the package that the message names",
        &[]
    ),
    explanation!(
        "addon_unusable",
        &["node", "command"],
        "The native addon is there but does not load, may not be loaded, or has another version.",
        "The C library is too old, a policy forbids native addons, packages of two releases were mixed, or the file is not that of the release or can be changed by another user. The message has the reason.",
        "Install tokenkeep and the package of the platform in one version",
        &[]
    ),
    explanation!(
        "closed",
        &["node"],
        "The JavaScript thread is ending. The operation did not happen.",
        "A worker was terminated while a call waited.",
        "Wait for the operations of a worker before you end it",
        &[]
    ),
    explanation!(
        "expired",
        &["node"],
        "The program held the lock for longer than ten seconds, and it was given to others. Nothing was written.",
        "The process was suspended, or its event loop was blocked, between the read and the write.",
        "Try again",
        &["lock-held-long"]
    ),
    explanation!(
        "internal",
        &["node"],
        "The addon and JavaScript did not understand each other.",
        "A fault of tokenkeep, or an addon of another release behind TOKENKEEP_NATIVE_PATH.",
        "Install tokenkeep and the package of the platform in one version; report it if it stays",
        &[]
    ),
    explanation!(
        "panic",
        &["node"],
        "tokenkeep has a fault. The process goes on, and the cache is as it was.",
        "A check inside the core failed.",
        "Report it with the message",
        &[]
    ),
    explanation!(
        "passphrase_failed",
        &["node"],
        "The program's function for the passphrase threw. Its error is the cause.",
        "The terminal was closed, or the function has a fault.",
        "Repair the function, or give the passphrase as a string",
        &[]
    ),
    explanation!(
        "passphrase_timeout",
        &["node"],
        "The passphrase was not given in time.",
        "The user did not answer within promptTimeout.",
        "Ask again, or raise promptTimeout",
        &[]
    ),
    explanation!(
        "command_missing",
        &["command"],
        "The executable of the command is not in the package of the platform.",
        "The platform's package was built without it, or the file was removed.",
        "Install the package of the platform again",
        &[]
    ),
    explanation!(
        "declined",
        &["command"],
        "The question of the command was answered with no. Nothing was changed.",
        "sign-out, clear, migrate and lock --break ask first.",
        "Repeat the command and answer with yes, or give --yes",
        &[]
    ),
    explanation!(
        "nothing_found",
        &["command"],
        "There is no such cache, account or lock.",
        "The flags name another place than the program's, or the account was signed out.",
        "Look with tokenkeep list, and give the flags of the program whose cache it is",
        &[]
    ),
    explanation!(
        "usage",
        &["command"],
        "The arguments of the command are not valid.",
        "A flag is missing, unknown, or contradicts another.",
        "Read tokenkeep COMMAND --help",
        &[]
    ),
];
