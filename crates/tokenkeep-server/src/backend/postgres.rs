//! PostgreSQL, over clients of the crate `tokio-postgres`: one table, which the npm package shares.

use std::future::Future;
use std::ops::Deref;
use std::time::Duration;

use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};

use super::{Backend, LOOKS, Swapped, Turn, outrun, owner, revision};
use crate::{Error, ErrorKind, Result};

/// The table, unless the program names another one.
const TABLE: &str = "tokenkeep_record";

/// How long a write waits for the removal of expired records.
const SWEEP: Duration = Duration::from_millis(100);

/// Keeps records in PostgreSQL, through a function that gives a client: a clone of an `Arc<Client>`, or a client of a pool.
///
/// ```no_run
/// use std::sync::Arc;
/// use tokenkeep_server::{KeyRing, TokenStore, backend::Postgres};
///
/// # async fn open(client: tokio_postgres::Client) -> Result<(), Box<dyn std::error::Error>> {
/// let client = Arc::new(client);
/// let backend = Postgres::new(move || {
///     let client = Arc::clone(&client);
///     async move { Ok::<_, std::convert::Infallible>(client) }
/// });
/// backend.migrate().await?;
/// let store = TokenStore::new("shop", backend, KeyRing::from_environment("TOKENKEEP_KEYS")?)?;
/// # drop(store);
/// # Ok(())
/// # }
/// ```
pub struct Postgres<F> {
    client: F,
    table: String,
}

impl<F, G, C, E> Postgres<F>
where
    F: Fn() -> G + Send + Sync,
    G: Future<Output = std::result::Result<C, E>> + Send,
    C: Deref<Target = Client> + Send + Sync,
    E: std::error::Error + Send + Sync + 'static,
{
    /// Keeps records in the table `tokenkeep_record`. Connects to nothing.
    ///
    /// ```no_run
    /// # fn over(client: std::sync::Arc<tokio_postgres::Client>) {
    /// let backend = tokenkeep_server::backend::Postgres::new(move || {
    ///     let client = client.clone();
    ///     async move { Ok::<_, std::convert::Infallible>(client) }
    /// });
    /// # drop(backend);
    /// # }
    /// ```
    pub fn new(client: F) -> Self {
        Self { client, table: TABLE.to_owned() }
    }

    /// Keeps records in another table: letters, digits and underscores, with the schema before a dot.
    ///
    /// ```no_run
    /// # fn over(client: std::sync::Arc<tokio_postgres::Client>) -> tokenkeep_server::Result<()> {
    /// # let get = move || { let client = client.clone(); async move { Ok::<_, std::convert::Infallible>(client) } };
    /// let backend = tokenkeep_server::backend::Postgres::new(get).table("shop.tokens")?;
    /// # drop(backend);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `InvalidInput` for any other name.
    pub fn table(mut self, name: &str) -> Result<Self> {
        let is_word = |word: &str| {
            !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        let words: Vec<&str> = name.split('.').collect();
        if words.len() > 2 || !words.into_iter().all(is_word) {
            let text = format!("The name of the table has letters, digits and underscores; it is {name:?}");
            return Err(Error::new(ErrorKind::InvalidInput, text));
        }
        name.clone_into(&mut self.table);
        Ok(self)
    }

    /// Creates the table and its indexes where they are missing. Servers that start together wait for each other.
    ///
    /// ```no_run
    /// # async fn over(client: std::sync::Arc<tokio_postgres::Client>) -> tokenkeep_server::Result<()> {
    /// # let get = move || { let client = client.clone(); async move { Ok::<_, std::convert::Infallible>(client) } };
    /// tokenkeep_server::backend::Postgres::new(get).migrate().await
    /// # }
    /// ```
    ///
    /// # Errors
    /// `Unauthorized` if the user of the database may not create tables; as for every call of the database.
    pub async fn migrate(&self) -> Result<()> {
        let (table, index) = (&self.table, self.table.replace('.', "_"));
        let statements = format!(
            "BEGIN; SELECT pg_advisory_xact_lock(hashtext('{table}')); \
             CREATE TABLE IF NOT EXISTS {table} (name text PRIMARY KEY, revision bytea NOT NULL, value bytea NOT NULL, \
             expires_at timestamptz NOT NULL, grp text, lease text) WITH (fillfactor = 70); \
             CREATE INDEX IF NOT EXISTS {index}_expiry ON {table} (expires_at); \
             CREATE INDEX IF NOT EXISTS {index}_group ON {table} (grp) WHERE grp IS NOT NULL; COMMIT"
        );
        self.get().await?.batch_execute(&statements).await.map_err(explained)
    }

    async fn get(&self) -> Result<C> {
        (self.client)().await.map_err(|error| unreachable().caused_by(error))
    }

    async fn execute(&self, text: &str, values: &[&(dyn ToSql + Sync)]) -> Result<u64> {
        self.get().await?.execute(text, values).await.map_err(explained)
    }

    async fn current(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let text = format!("SELECT value FROM {} WHERE name = $1 AND expires_at > now()", self.table);
        let row: Option<Row> = self.get().await?.query_opt(&text, &[&name]).await.map_err(explained)?;
        row.map(|row| row.try_get(0).map_err(explained)).transpose()
    }

    /// Removes expired records, at one write in 256. A later write removes the rest.
    async fn sweep(&self) -> Result<()> {
        let mut byte = [1];
        if getrandom::fill(&mut byte).is_ok() && byte == [0] {
            let old = format!(
                "SELECT name FROM {} WHERE expires_at < now() LIMIT 1000 FOR UPDATE SKIP LOCKED",
                self.table
            );
            self.execute(&format!("DELETE FROM {} WHERE name IN ({old})", self.table), &[]).await?;
        }
        Ok(())
    }
}

impl<F> std::fmt::Debug for Postgres<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Postgres").field("table", &self.table).finish_non_exhaustive()
    }
}

impl<F, G, C, E> Backend for Postgres<F>
where
    F: Fn() -> G + Send + Sync,
    G: Future<Output = std::result::Result<C, E>> + Send,
    C: Deref<Target = Client> + Send + Sync,
    E: std::error::Error + Send + Sync + 'static,
{
    async fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.current(name).await
    }

    async fn swap(
        &self,
        name: &str,
        expect: Option<&[u8]>,
        value: Option<&[u8]>,
        life: Duration,
        _turn: Turn<'_>,
    ) -> Result<Swapped> {
        let table = &self.table;
        let life = i64::try_from(life.as_millis()).unwrap_or(i64::MAX).max(1);
        let end = "now() + $4::bigint * interval '1 millisecond'";
        let changed = match (value, expect) {
            (None, expect) => {
                let text = format!("DELETE FROM {table} WHERE name = $1 AND revision = $2");
                self.execute(&text, &[&name, &expect.unwrap_or_default()]).await?
            }
            (Some(value), None) => {
                let text = format!(
                    "INSERT INTO {table} AS held (name, value, revision, expires_at, grp) VALUES ($1, $2, $3, {end}, $5) \
                     ON CONFLICT (name) DO UPDATE SET value = excluded.value, revision = excluded.revision, \
                     expires_at = excluded.expires_at WHERE held.expires_at <= now()"
                );
                self.execute(&text, &[&name, &value, &revision(value), &life, &owner(name)]).await?
            }
            (Some(value), Some(expect)) => {
                let text = format!(
                    "UPDATE {table} SET value = $2, revision = $3, expires_at = {end}, grp = $5 \
                     WHERE name = $1 AND revision = $6"
                );
                self.execute(&text, &[&name, &value, &revision(value), &life, &owner(name), &expect]).await?
            }
        };
        if changed > 0 {
            // Acknowledge the write also if the sweep fails or takes long. A later write sweeps again.
            let _ = tokio::time::timeout(SWEEP, self.sweep()).await;
            return Ok(Swapped::Done);
        }
        let current = self.current(name).await?;
        Ok(if value.is_none() && current.is_none() { Swapped::Done } else { Swapped::Overtaken(current) })
    }

    async fn remove(&self, name: &str) -> Result<u64> {
        let table = &self.table;
        let find =
            format!("SELECT name, revision FROM {table} WHERE (name = $1 OR grp = $1) AND lease IS NULL");
        // A statement that waited for a lock deletes no record that was written meanwhile; the next look finds that record.
        let text = format!(
            "DELETE FROM {table} AS held USING unnest($1::text[], $2::bytea[]) AS old(name, revision) \
             WHERE held.name = old.name AND held.revision = old.revision"
        );
        let mut removed = 0;
        for look in 0.. {
            let rows = self.get().await?.query(&find, &[&name]).await.map_err(explained)?;
            if rows.is_empty() {
                break;
            }
            if look == LOOKS {
                return Err(outrun());
            }
            let found: std::result::Result<Vec<(String, Vec<u8>)>, _> =
                rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect();
            let (names, revisions): (Vec<_>, Vec<_>) = found.map_err(explained)?.into_iter().unzip();
            removed += self.execute(&text, &[&names, &revisions]).await?;
        }
        Ok(removed)
    }
}

fn unreachable() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "The database cannot be reached through its client. Check that it is up and that the client is connected",
    )
}

/// Returns the store's error. Codes: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn explained(error: tokio_postgres::Error) -> Error {
    let Some(state) = error.code().map(SqlState::code) else { return unreachable().caused_by(error) };
    let (kind, text) = match state.as_bytes() {
        b"25006" => {
            (ErrorKind::ReadOnly, "The database takes no writes: it is a replica, or set to read only")
        }
        b"53100" | b"53200" => (ErrorKind::OutOfMemory, "The disk or the memory of the database is full"),
        [b'2', b'8', ..] => {
            (ErrorKind::Unauthorized, "The database refuses the user name or password of this client")
        }
        b"42501" => (
            ErrorKind::Unauthorized,
            "The database does not allow this user to use the table of the records. Grant it: SELECT, INSERT, UPDATE, DELETE",
        ),
        [b'4', b'2', ..] => (
            ErrorKind::Unsupported,
            "The table of the records is not as this release needs it. Create it with Postgres::migrate",
        ),
        [b'2', b'2' | b'3', ..] => (ErrorKind::InvalidInput, "The database refuses a value of the store"),
        _ => return unreachable().caused_by(error),
    };
    Error::new(kind, format!("{text} ({state})")).caused_by(error)
}
