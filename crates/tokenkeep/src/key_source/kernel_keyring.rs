//! A random key in the kernel's memory, in the user's persistent keyring (Linux).

use std::path::PathBuf;

use sha2::{Digest, Sha256};

use super::{Key, KeyId, KeySource, Kind, WITHOUT_KEY};
use crate::platform::keyring::Keyring;
use crate::platform::{files, process};
use crate::{CacheLock, Error, ErrorKind, Protection, Result};

/// A key that the kernel keeps for this user until the machine restarts. After that the cache starts empty.
///
/// It needs no desktop, no daemon and no file, and it is never on a disk (unless the kernel's memory is swapped or
/// hibernated). Every process of the user can read it, and so can root.
///
/// **Lifetime.** Until the next restart, or until no process has opened the user's persistent keyring for
/// `/proc/sys/kernel/keys/persistent_keyring_expiry` seconds: three days, unless an administrator changed it. Each
/// read or write of the cache file restarts that time; a check that finds the cache unchanged does not. A kernel
/// without persistent keyrings keeps the key until the user's last process ends, and a warning says so.
///
/// If the key is certainly lost, because this machine restarted or the same kernel no longer has it for this user,
/// the content can never be decrypted again. The cache is then empty, [`Event::Lapsed`](crate::event::Event::Lapsed)
/// gives the reason, and the next write keeps a copy of the old file. For another machine, another user or another
/// user namespace (a container), the key may still exist: that is `MissingKey`, and nothing is written.
///
/// ```
/// use tokenkeep::{key_source::KernelKeyring, storage::Sealed};
///
/// let source = KernelKeyring::new("my-app").lock_directory("/run/user/1000/my-app");
/// let sealed = Sealed::new(source, "my-app/token_cache");
/// if let Err(error) = KernelKeyring::check() {
///     println!("no key can be kept there: {error}");
/// }
/// ```
#[derive(Clone, Debug)]
pub struct KernelKeyring {
    name: String,
    locks: Option<PathBuf>,
}

impl KernelKeyring {
    /// The key that the kernel keeps under `name`, with the prefix `tokenkeep:`. Use the cache's own name.
    pub fn new(name: impl AsRef<str>) -> Self {
        Self { name: format!("tokenkeep:{}", name.as_ref()), locks: None }
    }

    /// The same key, created under a lock in this directory in place of the user's own. All programs that may create
    /// the key must use the same directory.
    #[must_use]
    pub fn lock_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.locks = Some(directory.into());
        self
    }

    /// Checks whether this process can use the kernel's keyring at all. Does not search or create a key.
    ///
    /// # Errors
    /// `StoreUnavailable` if the kernel has no key service or blocks it for this process; `NotSupported` on systems
    /// other than Linux.
    pub fn check() -> Result<()> {
        Keyring::open().map(drop)
    }

    fn here(&self) -> Place {
        let machine = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
        let mut name = [0; 8];
        name.copy_from_slice(&Sha256::digest(self.name.as_bytes())[..8]);
        Place {
            boot: identifier(process::boot_id()),
            machine: identifier(&machine),
            namespace: process::user_namespace().unwrap_or(0),
            user: files::effective_user(),
            name,
        }
    }

    fn stored(&self, ring: &Keyring) -> Result<Option<Key>> {
        let Some(bytes) = ring.read(&self.name)? else { return Ok(None) };
        let key = Key::from_slice(&bytes).ok_or_else(|| {
            let text = format!("{} is something else than a key of this library", self.describe());
            Error::new(ErrorKind::WrongKey, text).remedy("Choose another name; it was left as it is")
        })?;
        Ok(Some(key))
    }

    /// Creates the key, under a lock shared by all users of the name, because adding a key replaces an existing one.
    fn create(&self, ring: &Keyring) -> Result<Key> {
        let lock = CacheLock::of_shared("key", &self.name, self.locks.as_deref())?;
        let _guard = lock.acquire(&super::brief_wait())?;
        if let Some(key) = self.stored(ring)? {
            return Ok(key);
        }
        let key = Key::random()?;
        ring.add(&self.name, key.expose())?;
        match self.stored(ring)? {
            Some(back) if back.id() == key.id() => Ok(back),
            _ => {
                let text = format!("{} did not come back as it was stored", self.describe());
                Err(Error::new(ErrorKind::NotVerified, text))
            }
        }
    }

    /// Returns the error for a file whose key is not in the keyring: lost, or possibly in another keyring.
    fn absent(&self, of: Option<Place>) -> Error {
        let here = self.here();
        let missing = |why: &str| {
            let text = format!("The key of the encrypted cache is missing: {why}");
            Error::new(ErrorKind::MissingKey, text).remedy(WITHOUT_KEY)
        };
        let gone = |why: &str| {
            Error::new(ErrorKind::KeyGone, format!("The key of the encrypted cache is gone: {why}"))
        };
        match of {
            Some(of) if of.name != here.name => {
                let text = format!(
                    "The cache is encrypted with a key of another name, not with {}",
                    self.describe()
                );
                Error::new(ErrorKind::WrongKey, text)
                    .remedy("Use the name it was made with; nothing was written")
            }
            None => missing("the file does not say which kernel has it"),
            Some(of) if of.user != here.user => missing(&format!("the kernel keeps it for user {}", of.user)),
            Some(of) if of.boot == UNKNOWN || here.boot == UNKNOWN => {
                missing("which kernel had it is not known")
            }
            Some(of) if of.boot == here.boot && of.namespace != here.namespace => {
                missing("the kernel keeps it for another user namespace, such as a container's")
            }
            Some(of) if of.boot == here.boot => gone("nobody used it for days, or it was removed"),
            Some(of) if of.machine != here.machine && of.machine != UNKNOWN && here.machine != UNKNOWN => {
                missing("the kernel of another machine keeps it")
            }
            Some(_) => gone("it was in memory until the machine restarted"),
        }
    }
}

impl KeySource for KernelKeyring {
    fn kind(&self) -> Kind {
        Kind::KernelKeyring
    }

    fn fresh(&self) -> Result<(Key, Vec<u8>)> {
        let ring = Keyring::open()?;
        let key = match self.stored(&ring)? {
            Some(key) => key,
            None => self.create(&ring)?,
        };
        Ok((key, self.here().write()))
    }

    fn recall(&self, parameters: &[u8], id: &KeyId) -> Result<Key> {
        // Request the key each time instead of caching it, so that the keyring does not expire under a running
        // program.
        match self.stored(&Keyring::open()?)? {
            Some(key) if key.id() == *id => Ok(key),
            _ => Err(self.absent(Place::read(parameters))),
        }
    }

    fn protection(&self) -> Protection {
        Protection::UntilReboot
    }

    fn survives_reboot(&self) -> bool {
        false
    }

    fn remarks(&self) -> Result<Vec<String>> {
        if Keyring::open()?.persistent {
            return Ok(Vec::new());
        }
        Ok(vec![
            "This kernel has no persistent keyrings: the key of the encrypted cache is gone when the user's last process ends"
                .to_owned(),
        ])
    }

    fn describe(&self) -> String {
        format!("the key {:?} in the kernel keyring", self.name)
    }
}

const UNKNOWN: [u8; 16] = [0; 16];

/// The kernel and the user that have a key. Written into the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Place {
    /// The boot id.
    boot: [u8; 16],
    machine: [u8; 16],
    /// The inode number of the user namespace.
    namespace: u64,
    user: u32,
    /// The first bytes of the hash of its name: a key with another name may still exist.
    name: [u8; 8],
}

impl Place {
    fn write(self) -> Vec<u8> {
        let mut bytes = [self.boot, self.machine].concat();
        bytes.extend_from_slice(&self.namespace.to_be_bytes());
        bytes.extend_from_slice(&self.user.to_be_bytes());
        bytes.extend_from_slice(&self.name);
        bytes
    }

    fn read(parameters: &[u8]) -> Option<Self> {
        let (boot, rest) = parameters.split_first_chunk()?;
        let (machine, rest) = rest.split_first_chunk()?;
        let (namespace, rest) = rest.split_first_chunk()?;
        let (user, rest) = rest.split_first_chunk()?;
        let (namespace, user) = (u64::from_be_bytes(*namespace), u32::from_be_bytes(*user));
        Some(Self { boot: *boot, machine: *machine, namespace, user, name: rest.try_into().ok()? })
    }
}

/// Parses 32 hexadecimal digits, with or without hyphens; [`UNKNOWN`] for any other text.
fn identifier(text: &str) -> [u8; 16] {
    let digits = text.trim().replace('-', "");
    u128::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 32).map_or(UNKNOWN, u128::to_be_bytes)
}

// The distinction needs a kernel with keys.
#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    fn kind(change: impl Fn(&mut Place)) -> ErrorKind {
        let source = KernelKeyring::new("test");
        let mut place = source.here();
        change(&mut place);
        source.absent(Place::read(&place.write())).kind()
    }

    #[test]
    fn a_key_is_lost_only_if_no_kernel_can_have_it() {
        assert_eq!(kind(|_| {}), ErrorKind::KeyGone);
        assert_eq!(kind(|place| place.boot = [9; 16]), ErrorKind::KeyGone);
        // A namespace ends with its machine.
        assert_eq!(kind(|place| (place.boot, place.namespace) = ([9; 16], 1)), ErrorKind::KeyGone);
        assert_eq!(kind(|place| place.namespace += 1), ErrorKind::MissingKey);
        assert_eq!(kind(|place| place.user += 1), ErrorKind::MissingKey);
        assert_eq!(kind(|place| place.name = [0; 8]), ErrorKind::WrongKey);
        assert_eq!(kind(|place| place.boot = UNKNOWN), ErrorKind::MissingKey);
        assert_eq!(KernelKeyring::new("test").absent(Place::read(b"short")).kind(), ErrorKind::MissingKey);
    }

    #[test]
    fn a_file_from_another_machine_is_not_given_up() {
        // A container may have no machine id; then machines cannot be distinguished.
        let known = KernelKeyring::new("test").here().machine != UNKNOWN;
        let kind = kind(|place| (place.boot, place.machine) = ([9; 16], [8; 16]));
        assert_eq!(kind, if known { ErrorKind::MissingKey } else { ErrorKind::KeyGone });
    }

    #[test]
    fn identifiers_are_read_with_and_without_hyphens() {
        assert_eq!(identifier("00000000-0000-0000-0000-0000000000ff\n")[15], 255);
        assert_eq!(identifier("ff000000000000000000000000000000")[0], 255);
        assert_eq!(
            (identifier(""), identifier("uninitialized"), identifier("-")),
            (UNKNOWN, UNKNOWN, UNKNOWN)
        );
    }
}
