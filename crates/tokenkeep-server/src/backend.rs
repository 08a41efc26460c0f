//! Databases that hold records: [`Redis`], [`Postgres`], [`Memory`], or one of the program's own.

mod memory;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;

use std::fmt;
use std::time::Duration;

use crate::Result;

pub use memory::Memory;
#[cfg(feature = "postgres")]
pub use postgres::Postgres;
#[cfg(feature = "redis")]
pub use redis::Redis;

/// The turn of a writer that has lost before: others wait until it has written or its time is over.
///
/// ```
/// use std::time::Duration;
/// use tokenkeep_server::backend::Turn;
///
/// let first = Turn { id: "0f1e2d3c", reserve: Duration::ZERO };
/// # assert_eq!(first, first);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn<'a> {
    /// Names the writer.
    pub id: &'a str,
    /// How long to reserve the record on a conflict; zero: not at all.
    pub reserve: Duration,
}

/// The outcome of a conditional write.
///
/// ```
/// use std::time::Duration;
/// use tokenkeep_server::backend::{Backend, Memory, Swapped, Turn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> tokenkeep_server::Result<()> {
/// let (memory, turn) = (Memory::default(), Turn { id: "0f1e2d3c", reserve: Duration::ZERO });
/// let minute = Duration::from_secs(60);
/// assert_eq!(memory.swap("name", None, Some(b"a record"), minute, turn).await?, Swapped::Done);
/// let late = memory.swap("name", None, Some(b"another one"), minute, turn).await?;
/// assert_eq!(late, Swapped::Overtaken(Some(b"a record".to_vec())));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Swapped {
    /// It was written.
    Done,
    /// Another writer was first. This is the record now.
    Overtaken(Option<Vec<u8>>),
    /// It is another writer's turn. Nothing was compared.
    Busy,
}

/// A database that holds records. Every method fails if the database does not answer; none takes a failure for "no record".
///
/// A future that is dropped at its time limit may have written all the same.
///
/// ```
/// use tokenkeep_server::backend::{Backend, Memory};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> tokenkeep_server::Result<()> {
/// assert_eq!(Memory::default().read("name").await?, None);
/// # Ok(())
/// # }
/// ```
pub trait Backend: Send + Sync + fmt::Debug {
    /// Returns the record.
    fn read(&self, name: &str) -> impl Future<Output = Result<Option<Vec<u8>>>> + Send;

    /// Writes, or deletes without a `value`, if bytes 8 to 23 of the stored record are `expect`; `None`: if there is no record.
    ///
    /// The record ends after `life`. A record `NAME:a:MORE` belongs to the record `NAME`: in the same step it is noted for
    /// [`remove`](Self::remove), for as long as it lives.
    fn swap(
        &self,
        name: &str,
        expect: Option<&[u8]>,
        value: Option<&[u8]>,
        life: Duration,
        turn: Turn<'_>,
    ) -> impl Future<Output = Result<Swapped>> + Send;

    /// Deletes a record, and those that belong to it; returns their number. What is deleted is what is there during the call: a
    /// request that arrives late deletes no record that was written meanwhile.
    fn remove(&self, name: &str) -> impl Future<Output = Result<u64>> + Send;
}

impl<B: Backend> Backend for std::sync::Arc<B> {
    fn read(&self, name: &str) -> impl Future<Output = Result<Option<Vec<u8>>>> + Send {
        (**self).read(name)
    }

    fn swap(
        &self,
        name: &str,
        expect: Option<&[u8]>,
        value: Option<&[u8]>,
        life: Duration,
        turn: Turn<'_>,
    ) -> impl Future<Output = Result<Swapped>> + Send {
        (**self).swap(name, expect, value, life, turn)
    }

    fn remove(&self, name: &str) -> impl Future<Output = Result<u64>> + Send {
        (**self).remove(name)
    }
}

/// Returns the revision of a record: the part that a write names that replaces it. Other bytes have none that a write names.
pub(crate) fn revision(record: &[u8]) -> &[u8] {
    record.get(8..record.len().min(24)).unwrap_or_default()
}

/// How often a removal looks whether other servers have changed or added records meanwhile.
#[cfg(any(feature = "redis", feature = "postgres"))]
const LOOKS: usize = 10;

/// Returns the error of a removal that other servers outran.
#[cfg(any(feature = "redis", feature = "postgres"))]
fn outrun() -> crate::Error {
    let text = format!(
        "Other servers wrote records of this user while they were removed, {LOOKS} times. Some are left: erase again"
    );
    crate::Error::new(crate::ErrorKind::Conflict, text)
}

/// Returns the name of the record that this one belongs to.
#[cfg(any(feature = "redis", feature = "postgres", test))]
fn owner(name: &str) -> Option<&str> {
    name.find("}:a:").map(|at| &name[..=at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_on_behalf_belongs_to_its_caller() {
        assert_eq!(owner("tk:shop:{caller}:a:hash"), Some("tk:shop:{caller}"));
        assert_eq!(owner("tk:shop:{caller}"), None);
        for (record, expected) in [(&b""[..], &b""[..]), (b"12345678", b""), (b"123456789a", b"9a")] {
            assert_eq!(revision(record), expected);
        }
    }
}
