//! The memory of this process, for tests.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Backend, Swapped, Turn, revision};
use crate::Result;

/// Records by name, each with its end.
type Records = HashMap<String, (Vec<u8>, Instant)>;

/// Keeps records in the memory of this process, for tests. Its clones share them.
///
/// ```
/// use tokenkeep_server::{KeyRing, TokenStore, backend::Memory};
///
/// let store = TokenStore::new("shop", Memory::default(), KeyRing::parse(&"00".repeat(32))?)?;
/// # drop(store);
/// # Ok::<(), tokenkeep_server::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Memory(Arc<Mutex<Records>>);

impl Memory {
    fn records(&self) -> MutexGuard<'_, Records> {
        let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        records.retain(|_, (_, end)| *end > now);
        records
    }
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Memory")
    }
}

impl Backend for Memory {
    async fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.records().get(name).map(|(record, _)| record.clone()))
    }

    async fn swap(
        &self,
        name: &str,
        expect: Option<&[u8]>,
        value: Option<&[u8]>,
        life: Duration,
        _turn: Turn<'_>,
    ) -> Result<Swapped> {
        let mut records = self.records();
        let current = records.get(name).map(|(record, _)| record);
        if current.map(|record| revision(record)) != expect {
            return Ok(Swapped::Overtaken(current.cloned()));
        }
        match value {
            Some(value) => {
                let now = Instant::now();
                let end = now.checked_add(life).unwrap_or(now);
                records.insert(name.to_owned(), (value.to_vec(), end));
            }
            None => drop(records.remove(name)),
        }
        Ok(Swapped::Done)
    }

    async fn remove(&self, name: &str) -> Result<u64> {
        let mut records = self.records();
        let before = records.len();
        let belongs = format!("{name}:a:");
        records.retain(|other, _| other != name && !other.starts_with(&belongs));
        Ok((before - records.len()) as u64)
    }
}
