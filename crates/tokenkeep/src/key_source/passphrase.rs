//! A key derived from a passphrase with Argon2id (RFC 9106).

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

use super::{Key, KeyId, KeySource, Kind, fill_random, wrong_key};
use crate::fork::PerProcess;
use crate::threads::pool;
use crate::{Error, ErrorKind, Protection, Result, Secret};

const SALT: usize = 16;
/// Argon2's version byte, memory, passes, lanes, salt: see `docs/format.md`.
const PARAMETERS: usize = 1 + 4 + 4 + 4 + SALT;
/// The limits of the format. The limit for a file is lower: [`Passphrase::up_to`].
const MOST_MEMORY: u32 = 512 * 1024;
const MOST_PASSES: u32 = 64;
const MOST_LANES: u32 = 16;
/// Memory times passes, in KiB: the work of a few seconds.
const MOST_WORK: u64 = 4 * 1024 * 1024;
/// OWASP's minimum for Argon2id with two passes.
const LEAST_MEMORY: u32 = 19 * 1024;
const LEAST_PASSES: u32 = 2;
/// A file may ask for this many times the cost of new files.
const TIMES: u32 = 4;
/// A passphrase that failed for a file is not tried there again for this long.
const FAILED: Duration = Duration::from_secs(60);
/// The number of keys kept for recently opened files. One program has few caches under one passphrase.
const REMEMBERED: usize = 8;

/// A key derived from a passphrase.
///
/// The derivation is slow on purpose, so it is done once per file and process, and the key is kept in memory. The
/// passphrase is requested each time it is needed and then wiped. It is used byte for byte, without trimming or
/// normalisation.
///
/// A file names the cost of its key, and whoever wrote the file chose it. One that asks for more than [`Passphrase::up_to`]
/// is refused before any work is done. One derivation runs at a time in a process, and a passphrase that failed for a file
/// is not tried there again within a minute.
///
/// ```
/// use tokenkeep::Secret;
/// use tokenkeep::key_source::{Cost, KeySource, Passphrase};
///
/// let known = Passphrase::new("correct horse battery staple").cost(Cost::new(19 * 1024, 2)?);
/// let (key, salt) = known.fresh()?;
/// assert_eq!(known.recall(&salt, &key.id())?.id(), key.id());
///
/// let asked = Passphrase::asking(|| Ok(Secret::from("what the person typed")));
/// let service = Passphrase::from_environment("MY_APP_PASSPHRASE");
/// # Ok::<(), tokenkeep::Error>(())
/// ```
#[derive(Clone)]
pub struct Passphrase {
    ask: Arc<dyn Fn() -> Result<Secret> + Send + Sync>,
    origin: String,
    cost: Cost,
    /// The most that a file may ask for; four times `cost` unless given.
    most: Option<Cost>,
    derived: Arc<Mutex<Derived>>,
}

/// Keys that were verified or created here, with their parameters.
#[derive(Default)]
struct Derived {
    opened: Vec<(Vec<u8>, Key)>,
    made: Option<(Vec<u8>, Key)>,
    failed: Option<Failed>,
}

/// The last passphrase that did not open a file.
struct Failed {
    parameters: Vec<u8>,
    id: KeyId,
    tag: u16,
    at: Instant,
}

impl Failed {
    fn is(&self, parameters: &[u8], id: &KeyId, tag: u16) -> bool {
        self.parameters == parameters && self.id == *id && self.tag == tag && self.at.elapsed() < FAILED
    }
}

/// Tells one passphrase from another in this process. Two bytes: in an image of the memory they are no help to guess the
/// passphrase. If two have the same tag, the second one waits for a minute.
#[derive(Clone, Copy)]
struct Tagger([u8; 32]);

impl Tagger {
    fn of_process() -> Result<Self> {
        static TAGGER: PerProcess<Result<[u8; 32], ErrorKind>> = PerProcess::new();
        let key = TAGGER.get_or_init(|| {
            let mut key = [0; 32];
            fill_random(&mut key).map(|()| key).map_err(|error| error.kind())
        });
        match key {
            Ok(key) => Ok(Self(*key)),
            Err(kind) => Err(Error::new(*kind, "The operating system gives no random bytes")),
        }
    }

    fn tag(self, passphrase: &Secret) -> u16 {
        let mut hash = Sha256::new_with_prefix(self.0);
        hash.update(passphrase.expose());
        let hash = Zeroizing::new(<[u8; 32]>::from(hash.finalize()));
        u16::from_be_bytes([hash[0], hash[1]])
    }
}

/// The cost to derive a key from a passphrase, for the user and for an attacker who guesses.
///
/// ```
/// use tokenkeep::key_source::Cost;
///
/// assert!(Cost::new(128 * 1024, 4).is_ok(), "128 MiB, four passes");
/// assert!(Cost::new(1, 1).is_err(), "too cheap to be worth it");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    memory: u32,
    passes: u32,
}

impl Default for Cost {
    /// 64 MiB and three passes: the second choice of RFC 9106, on one lane. Stronger than OWASP's minimum (19 MiB,
    /// two passes); about a tenth of a second.
    fn default() -> Self {
        Self { memory: 64 * 1024, passes: 3 }
    }
}

impl Cost {
    /// Memory in KiB and the number of passes over it, for new files; an existing file keeps its own.
    ///
    /// # Errors
    /// `InvalidInput` below 19 MiB or two passes, the least that OWASP recommends, or above the limits of the format:
    /// 512 MiB, 64 passes, 4 GiB in all.
    pub fn new(memory_kib: u32, passes: u32) -> Result<Self> {
        let cost = Self { memory: memory_kib, passes };
        let lanes = 1;
        if memory_kib >= LEAST_MEMORY && passes >= LEAST_PASSES && is_bounded(memory_kib, passes, lanes) {
            return Ok(cost);
        }
        let text = format!("{memory_kib} KiB and {passes} passes are no cost for deriving a key");
        Err(Error::new(ErrorKind::InvalidInput, text)
            .remedy("Give 19 MiB to 512 MiB and 2 to 64 passes, together at most 4 GiB"))
    }

    fn times(self, times: u32) -> Self {
        Self { memory: self.memory.saturating_mul(times), passes: self.passes }
    }

    /// Returns whether a derivation takes no more memory than this one, and no more work.
    fn covers(self, memory: u32, passes: u32) -> bool {
        memory <= self.memory
            && u64::from(memory) * u64::from(passes) <= u64::from(self.memory) * u64::from(self.passes)
    }
}

impl Passphrase {
    /// A known passphrase.
    pub fn new(passphrase: impl Into<Secret>) -> Self {
        let passphrase = passphrase.into();
        Self::with("the passphrase given by the program".to_owned(), move || Ok(passphrase.clone()))
    }

    /// A passphrase that `ask` returns when it is needed, for example from a prompt. `ask` may be called while the
    /// cache is locked; its error is passed on.
    pub fn asking(ask: impl Fn() -> Result<Secret> + Send + Sync + 'static) -> Self {
        Self::with("the passphrase the program asked for".to_owned(), ask)
    }

    /// A passphrase in the environment variable `name`, read when it is needed.
    ///
    /// Other programs of the same user can read the environment of a process, and its children inherit it. A key file
    /// or a prompt is safer.
    pub fn from_environment(name: impl Into<String>) -> Self {
        let name = name.into();
        let origin = format!("the passphrase in the environment variable {name}");
        Self::with(origin, move || match std::env::var_os(&name) {
            Some(value) => Ok(Secret::new(value.into_encoded_bytes())),
            None => Err(missing(&format!("the environment variable {name} is not set"))),
        })
    }

    /// Returns the same passphrase with another cost for new files.
    #[must_use]
    pub fn cost(mut self, cost: Cost) -> Self {
        self.cost = cost;
        self
    }

    /// Returns the same passphrase with another limit for the cost that a file may ask for. Default: four times the
    /// memory and the work of new files.
    ///
    /// ```
    /// use tokenkeep::key_source::{Cost, Passphrase};
    ///
    /// // For files that a program with a larger `cost` wrote.
    /// let passphrase = Passphrase::new("correct horse battery staple").up_to(Cost::new(512 * 1024, 8)?);
    /// # Ok::<(), tokenkeep::Error>(())
    /// ```
    #[must_use]
    pub fn up_to(mut self, most: Cost) -> Self {
        self.most = Some(most);
        self
    }

    fn with(origin: String, ask: impl Fn() -> Result<Secret> + Send + Sync + 'static) -> Self {
        Self { ask: Arc::new(ask), origin, cost: Cost::default(), most: None, derived: Arc::default() }
    }

    /// Held during a derivation: threads that need the same key wait for one of them.
    fn derived(&self) -> MutexGuard<'_, Derived> {
        self.derived.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn passphrase(&self) -> Result<Secret> {
        // A person may be asked, who takes longer than work does.
        let passphrase = pool::waiting(|| (self.ask)())?;
        if passphrase.is_empty() { Err(missing("it is empty")) } else { Ok(passphrase) }
    }

    /// Returns the cost that a file asks for, and its salt.
    ///
    /// # Errors
    /// `UnknownFormat` if the cost is too high.
    fn affordable<'p>(&self, parameters: &'p [u8]) -> Result<(u32, u32, u32, &'p [u8])> {
        let (memory, passes, lanes, salt) = read(parameters)?;
        let most = self.most.unwrap_or(self.cost.times(TIMES));
        if most.covers(memory, passes) {
            return Ok((memory, passes, lanes, salt));
        }
        let text = format!(
            "The file asks for {memory} KiB of memory and {passes} passes to derive its key, which is more than this program allows"
        );
        Err(Error::new(ErrorKind::UnknownFormat, text).remedy(
            "Open it with the program that wrote it, or allow the cost with Passphrase::up_to; if you did not expect it, remove \
             the file. Nothing was written",
        ))
    }
}

/// Derives a key, one at a time in this process.
fn derive(passphrase: &Secret, memory: u32, passes: u32, lanes: u32, salt: &[u8]) -> Result<Key> {
    static TURN: PerProcess<Mutex<()>> = PerProcess::new();
    let turn = TURN.get_or_init(Mutex::default);
    let _turn = pool::waiting(|| turn.lock().unwrap_or_else(PoisonError::into_inner));
    let failed = |error: argon2::Error| {
        Error::new(ErrorKind::UnknownFormat, "The cost of deriving the key cannot be met")
            .because(error.to_string())
    };
    let parameters = Params::new(memory, passes, lanes, Some(32)).map_err(failed)?;
    let mut blocks = Blocks(Vec::new());
    let count = parameters.block_count();
    blocks.0.try_reserve_exact(count).map_err(|error| {
        let text = format!("Deriving the key from the passphrase takes {memory} KiB of memory");
        Error::new(ErrorKind::Io, text).because(error)
    })?;
    blocks.0.resize(count, Block::default());
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters)
        .hash_password_into_with_memory(passphrase.expose(), salt, &mut *key, &mut blocks.0)
        .map_err(failed)?;
    Ok(Key::new(&mut key))
}

impl KeySource for Passphrase {
    fn kind(&self) -> Kind {
        Kind::Passphrase
    }

    fn fresh(&self) -> Result<(Key, Vec<u8>)> {
        let mut derived = self.derived();
        if let Some((parameters, key)) = &derived.made {
            return Ok((key.clone(), parameters.clone()));
        }
        let mut salt = [0; SALT];
        fill_random(&mut salt)?;
        let Cost { memory, passes } = self.cost;
        let lanes: u32 = 1;
        let key = derive(&self.passphrase()?, memory, passes, lanes, &salt)?;
        let mut parameters = vec![Version::V0x13 as u8];
        for number in [memory, passes, lanes] {
            parameters.extend_from_slice(&number.to_be_bytes());
        }
        parameters.extend_from_slice(&salt);
        derived.made = Some((parameters.clone(), key.clone()));
        Ok((key, parameters))
    }

    fn recall(&self, parameters: &[u8], id: &KeyId) -> Result<Key> {
        let mut derived = self.derived();
        let known =
            derived.opened.iter().chain(&derived.made).find(|(of, key)| of == parameters && key.id() == *id);
        if let Some((_, key)) = known {
            return Ok(key.clone());
        }
        let (memory, passes, lanes, salt) = self.affordable(parameters)?;
        let passphrase = self.passphrase()?;
        let tag = Tagger::of_process()?.tag(&passphrase);
        if derived.failed.as_ref().is_some_and(|failed| failed.is(parameters, id, tag)) {
            return Err(wrong_key("another key", &self.origin));
        }
        let key = derive(&passphrase, memory, passes, lanes, salt)?;
        if key.id() == *id {
            derived.opened.truncate(REMEMBERED - 1);
            derived.opened.insert(0, (parameters.to_vec(), key.clone()));
        } else {
            derived.failed =
                Some(Failed { parameters: parameters.to_vec(), id: *id, tag, at: Instant::now() });
        }
        Ok(key)
    }

    fn protection(&self) -> Protection {
        Protection::Passphrase
    }

    fn describe(&self) -> String {
        self.origin.clone()
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Passphrase({})", self.origin)
    }
}

/// Argon2's working memory, which would reveal the key.
struct Blocks(Vec<Block>);

impl Drop for Blocks {
    fn drop(&mut self) {
        self.0.iter_mut().for_each(Zeroize::zeroize);
    }
}

/// Parses the parameters of a file, which may be hostile.
fn read(parameters: &[u8]) -> Result<(u32, u32, u32, &[u8])> {
    let refused = |what: String| {
        Error::new(
            ErrorKind::UnknownFormat,
            format!("The passphrase of this cache is to be used in a way that is refused: {what}"),
        )
        .remedy(
            "Use the release that wrote it, or remove the file if you did not expect it; nothing was written",
        )
    };
    if parameters.len() != PARAMETERS || parameters[0] != Version::V0x13 as u8 {
        return Err(refused("not Argon2id of RFC 9106".to_owned()));
    }
    let number = |at: usize| parameters[at..at + 4].iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
    let (memory, passes, lanes) = (number(1), number(5), number(9));
    if !is_bounded(memory, passes, lanes) {
        return Err(refused(format!("{memory} KiB of memory, {passes} passes, {lanes} lanes")));
    }
    Ok((memory, passes, lanes, &parameters[13..]))
}

fn is_bounded(memory: u32, passes: u32, lanes: u32) -> bool {
    (1..=MOST_LANES).contains(&lanes)
        && (8 * lanes..=MOST_MEMORY).contains(&memory)
        && (1..=MOST_PASSES).contains(&passes)
        && u64::from(memory) * u64::from(passes) <= MOST_WORK
}

fn missing(why: &str) -> Error {
    Error::new(ErrorKind::MissingKey, format!("The passphrase of the encrypted cache is missing: {why}"))
        .remedy("Give the passphrase that the cache was encrypted with; nothing was written")
}
