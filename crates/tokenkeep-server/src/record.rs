//! One record: read, and changed on the condition that the stored revision is still the one that was read.

use std::time::{Duration, Instant, SystemTime};

use tokenkeep::Secret;
use tokenkeep::record::{Partition, Times, open, seal, survey};

use crate::backend::{Backend, Swapped, Turn, revision};
use crate::store::TokenStore;
use crate::{Error, ErrorKind, Result};

/// After so long a change that is always overtaken gives up.
const LIMIT: Duration = Duration::from_secs(5);
/// How long a writer that has lost twice reserves the record.
const RESERVE: Duration = Duration::from_millis(200);

/// The tokens of one user, of one call on behalf of a user, or of the application. Made by [`TokenStore`].
///
/// ```
/// use tokenkeep_server::{KeyRing, TokenStore, backend::Memory};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> tokenkeep_server::Result<()> {
/// let store = TokenStore::new("shop", Memory::default(), KeyRing::parse(&"00".repeat(32))?)?;
/// assert!(store.user("ada.tenant")?.read().await?.is_none());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Record<'a, B> {
    store: &'a TokenStore<B>,
    partition: Partition,
    name: String,
}

/// A record as it was read.
struct Stored {
    content: Option<Secret>,
    revision: Option<Vec<u8>>,
}

impl<'a, B: Backend> Record<'a, B> {
    pub(crate) fn of(store: &'a TokenStore<B>, partition: Partition) -> Self {
        Self { store, name: partition.name(), partition }
    }

    /// Returns the cache as JSON; `None` if nothing is stored.
    ///
    /// ```
    /// # use tokenkeep_server::{KeyRing, TokenStore, backend::Memory};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> tokenkeep_server::Result<()> {
    /// # let store = TokenStore::new("shop", Memory::default(), KeyRing::parse(&"00".repeat(32))?)?;
    /// let cache = store.app("client", "tenant")?.read().await?;
    /// assert!(cache.is_none());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `Timeout` or `Unavailable` if the database does not answer; never `None` for that. `MissingKey`, `Damaged` or
    /// `UnknownFormat` if the record does not open.
    pub async fn read(&self) -> Result<Option<Secret>> {
        let record = self.store.within(self.store.backend().read(&self.name)).await?;
        Ok(self.opened(record)?.content)
    }

    /// Stores what `change` makes of the cache, and returns it; `None` if nothing is left that a client could use, so that the
    /// record was removed.
    ///
    /// If another server writes meanwhile, `change` is called again with the newer content. Access tokens that ended are left out.
    ///
    /// ```
    /// use tokenkeep_server::{KeyRing, TokenStore, backend::Memory};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> tokenkeep_server::Result<()> {
    /// let store = TokenStore::new("shop", Memory::default(), KeyRing::parse(&"00".repeat(32))?)?;
    /// let session = store.own("session", "the id of the session")?;
    /// let stored = session.update(|_| Ok(br#"{"Account":{"a":{"home_account_id":"ada.tenant"}}}"#.into())).await?;
    /// assert_eq!(stored, session.read().await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As for [`read`](Self::read). `WrongPartition` if `change` gives entries of others; `TooLarge`; `Conflict` if other servers
    /// were faster for five seconds. An error of `change` is returned as it is. After each of these nothing was written; after
    /// `Timeout` and `Unavailable` that is not known.
    pub async fn update(
        &self,
        mut change: impl FnMut(Option<&[u8]>) -> tokenkeep::Result<Secret>,
    ) -> Result<Option<Secret>> {
        let began = Instant::now();
        let id = random_hex()?;
        let mut conflicts = 0_u32;
        let mut stored = self.opened(self.store.within(self.store.backend().read(&self.name)).await?)?;
        loop {
            let now = SystemTime::now();
            let content = change(stored.content.as_ref().map(Secret::expose))?;
            let (content, record, life) = self.sealed(&content, now)?;
            if record.is_none() && stored.revision.is_none() {
                return Ok(None);
            }
            // A second conflict reserves the record, so that the third attempt wins.
            let turn = Turn { id: &id, reserve: if conflicts > 0 { RESERVE } else { Duration::ZERO } };
            let swap = self.store.backend().swap(
                &self.name,
                stored.revision.as_deref(),
                record.as_deref(),
                life,
                turn,
            );
            match self.store.within(swap).await? {
                Swapped::Done => return Ok(record.map(|_| content)),
                Swapped::Busy => {}
                Swapped::Overtaken(current) => {
                    conflicts += 1;
                    stored = self.opened(current)?;
                }
            }
            if began.elapsed() > LIMIT {
                let text =
                    "The record was changed by other servers for five seconds without a pause. Try again";
                return Err(Error::new(ErrorKind::Conflict, text));
            }
            tokio::time::sleep(pause(conflicts)?).await;
        }
    }

    /// Removes the record that is there.
    ///
    /// ```
    /// # use tokenkeep_server::{KeyRing, TokenStore, backend::Memory};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> tokenkeep_server::Result<()> {
    /// # let store = TokenStore::new("shop", Memory::default(), KeyRing::parse(&"00".repeat(32))?)?;
    /// assert!(!store.app("client", "tenant")?.remove().await?); // there was none
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `Timeout` or `Unavailable` if the database does not answer.
    pub async fn remove(&self) -> Result<bool> {
        Ok(self.store.within(self.store.backend().remove(&self.name)).await? > 0)
    }

    fn opened(&self, record: Option<Vec<u8>>) -> Result<Stored> {
        let Some(record) = record else { return Ok(Stored { content: None, revision: None }) };
        let (header, content) = open(&self.partition, self.store.keys().all(), &record)?;
        let content = (!header.times.is_over(SystemTime::now())).then_some(content);
        Ok(Stored { content, revision: Some(revision(&record).to_vec()) })
    }

    /// Returns the content that is stored, its record, and how long it lives; no record for an empty cache.
    fn sealed(&self, content: &Secret, now: SystemTime) -> Result<(Secret, Option<Vec<u8>>, Duration)> {
        let found = survey(&self.partition, content.expose(), now)?;
        if found.foreign > 0 {
            let text = format!(
                "The cache holds {} entries of others than the {} whose record is written. Use one client for each request; \
                 nothing was written",
                found.foreign,
                self.partition.kind().code()
            );
            return Err(Error::new(ErrorKind::WrongPartition, text));
        }
        let expires = self.store.lifetimes().end(&found, self.partition.kind(), now);
        let life = expires.duration_since(now).unwrap_or_default();
        if found.is_empty || life.is_zero() {
            return Ok((found.content, None, life));
        }
        let times = Times { written: now, expires };
        let record = seal(&self.partition, self.store.keys().sealing(), found.content.expose(), times)?;
        if record.len() > self.store.longest() {
            let text = format!(
                "The record has {} bytes, more than the limit of {} (TokenStore::max_record). What was stored before is unharmed",
                record.len(),
                self.store.longest()
            );
            return Err(Error::new(ErrorKind::TooLarge, text));
        }
        Ok((found.content, Some(record), life))
    }
}

/// A pause between two attempts, random, so that writers that met do not meet again.
fn pause(conflicts: u32) -> Result<Duration> {
    let mut bytes = [0; 2];
    fill(&mut bytes)?;
    let spread = u64::from(u16::from_ne_bytes(bytes)) * u64::from(conflicts.clamp(1, 8)) / 32;
    Ok(Duration::from_micros(500 + spread))
}

fn random_hex() -> Result<String> {
    let mut bytes = [0; 8];
    fill(&mut bytes)?;
    Ok(base16ct::lower::encode_string(&bytes))
}

fn fill(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes).map_err(|error| {
        Error::new(ErrorKind::Unsupported, "The system gives no random numbers").caused_by(error)
    })
}
