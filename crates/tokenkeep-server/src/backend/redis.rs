//! Redis and Valkey, over the connection that the program has. One script compares and sets, on every server since Redis 2.6.

use std::time::Duration;

use ::redis::aio::ConnectionLike;
use ::redis::{ErrorKind as Kind, FromRedisValue, RedisError, Script, ServerErrorKind, Value};

use super::{Backend, LOOKS, Swapped, Turn, outrun, owner};
use crate::{Error, ErrorKind, Result};

/// The script of a conditional write. The npm package has the same, which a test compares.
const SWAP: &str = include_str!("redis/swap.lua");
/// The script that finds a record and those that belong to it, each with its revision.
const FIND: &str = include_str!("redis/find.lua");
/// The script that removes them, unless they have changed.
const REMOVE: &str = include_str!("redis/remove.lua");
/// How many records one call removes.
const AT_ONCE: usize = 500;

/// Keeps records in Redis or Valkey, over a connection of the crate `redis` that can be cloned: `MultiplexedConnection`,
/// `ConnectionManager`, or that of a cluster. The connection stays the program's: its address, its encryption, its reconnecting.
///
/// ```no_run
/// use tokenkeep_server::{KeyRing, TokenStore, backend::Redis};
///
/// # async fn open() -> Result<(), Box<dyn std::error::Error>> {
/// let client = redis::Client::open("redis://127.0.0.1:6379")?;
/// let backend = Redis::new(client.get_multiplexed_async_connection().await?);
/// let store = TokenStore::new("shop", backend, KeyRing::from_environment("TOKENKEEP_KEYS")?)?;
/// # drop(store);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Redis<C> {
    connection: C,
}

impl<C: ConnectionLike + Clone + Send + Sync> Redis<C> {
    /// Keeps records over `connection`. Connects to nothing.
    ///
    /// ```no_run
    /// # fn over(connection: redis::aio::MultiplexedConnection) {
    /// let backend = tokenkeep_server::backend::Redis::new(connection);
    /// # drop(backend);
    /// # }
    /// ```
    pub fn new(connection: C) -> Self {
        Self { connection }
    }

    /// Runs a script by its name; a server that does not know it is told.
    async fn run(&self, text: &str, keys: &[&str], values: &[&[u8]]) -> Result<Value> {
        let name = Script::new(text).get_hash().to_owned();
        let command = |verb: &str, script: &str| {
            let mut command = ::redis::cmd(verb);
            command.arg(script).arg(keys.len());
            for word in keys.iter().map(|key| key.as_bytes()).chain(values.iter().copied()) {
                command.arg(word);
            }
            command
        };
        let mut connection = self.connection.clone();
        let answer = connection.req_packed_command(&command("EVALSHA", &name)).await;
        let answer = match answer.and_then(Value::extract_error) {
            Err(error) if error.kind() == Kind::Server(ServerErrorKind::NoScript) => {
                connection.req_packed_command(&command("EVAL", text)).await.and_then(Value::extract_error)
            }
            answer => answer,
        };
        answer.map_err(explained)
    }
}

impl<C> std::fmt::Debug for Redis<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redis")
    }
}

impl<C: ConnectionLike + Clone + Send + Sync> Backend for Redis<C> {
    async fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let mut connection = self.connection.clone();
        let mut get = ::redis::cmd("GET");
        let answer = connection.req_packed_command(get.arg(name)).await.and_then(Value::extract_error);
        bytes(answer.map_err(explained)?)
    }

    async fn swap(
        &self,
        name: &str,
        expect: Option<&[u8]>,
        value: Option<&[u8]>,
        life: Duration,
        turn: Turn<'_>,
    ) -> Result<Swapped> {
        let (turns, group) = (format!("{name}:w"), owner(name).map(|owner| format!("{owner}:o")));
        let keys: Vec<&str> = [name, turns.as_str()].into_iter().chain(group.as_deref()).collect();
        let life = life.as_millis().max(1).to_string();
        let reserve = turn.reserve.as_millis().to_string();
        let values = [
            expect.unwrap_or_default(),
            value.unwrap_or_default(),
            life.as_bytes(),
            turn.id.as_bytes(),
            reserve.as_bytes(),
        ];
        match self.run(SWAP, &keys, &values).await? {
            Value::Int(1) => Ok(Swapped::Done),
            Value::Int(_) => Ok(Swapped::Busy),
            current => Ok(Swapped::Overtaken(bytes(current)?.filter(|current| !current.is_empty()))),
        }
    }

    async fn remove(&self, name: &str) -> Result<u64> {
        let group = format!("{name}:o");
        let mut removed = 0;
        for look in 0.. {
            let answer = self.run(FIND, &[name, &group], &[]).await?;
            let found: Vec<(String, Vec<u8>)> =
                FromRedisValue::from_redis_value(answer).map_err(|error| explained(error.into()))?;
            if found.is_empty() {
                break;
            }
            if look == LOOKS {
                return Err(outrun());
            }
            for some in found.chunks(AT_ONCE) {
                let records = some.iter().map(|(record, _)| record.as_str());
                let keys: Vec<&str> = [group.as_str()].into_iter().chain(records).collect();
                let revisions: Vec<&[u8]> = some.iter().map(|(_, revision)| revision.as_slice()).collect();
                let answer = self.run(REMOVE, &keys, &revisions).await?;
                removed += u64::from_redis_value(answer).map_err(|error| explained(error.into()))?;
            }
        }
        Ok(removed)
    }
}

fn bytes(value: Value) -> Result<Option<Vec<u8>>> {
    Option::from_redis_value(value).map_err(|error| explained(error.into()))
}

/// Returns the store's error. A message of a server may quote a command, so only its first word is shown.
fn explained(error: RedisError) -> Error {
    const ANSWERS: &[(&[&str], ErrorKind, &str)] = &[
        (&["READONLY"], ErrorKind::ReadOnly, "The database is a replica now, which takes no writes"),
        (
            &["OOM"],
            ErrorKind::OutOfMemory,
            "The memory of the database is full. Raise maxmemory, or set maxmemory-policy to volatile-ttl",
        ),
        (
            &["NOAUTH", "WRONGPASS"],
            ErrorKind::Unauthorized,
            "The database refuses the user name or password of this connection",
        ),
        (
            &["NOPERM"],
            ErrorKind::Unsupported,
            "The database does not allow its scripts or keys to this user. Allow them: ACL SETUSER NAME +@read +@write +eval \
             +evalsha +scan +info, and ~tk:* unless it has all keys",
        ),
        (&["CLUSTERDOWN", "TRYAGAIN"], ErrorKind::ClusterDown, "A part of the cluster has no master now"),
        (
            &["MOVED", "ASK", "CROSSSLOT"],
            ErrorKind::WrongClient,
            "The database is a cluster, and this connection is not one for clusters. Use a connection of redis::cluster_async",
        ),
        (
            &["WRONGTYPE"],
            ErrorKind::Damaged,
            "Something else than a record has the name of a record. Remove it, or give the store another name",
        ),
        (
            &["LOADING", "MASTERDOWN", "BUSY", "MISCONF"],
            ErrorKind::Unavailable,
            "The database takes no commands now",
        ),
    ];
    if error.is_timeout() {
        let text = "The database did not answer within the limit of its connection. Check that it is up and reachable";
        return Error::new(ErrorKind::Timeout, text).caused_by(error);
    }
    let code = error.code().unwrap_or_default().to_owned();
    let known = ANSWERS.iter().find(|(codes, ..)| codes.contains(&code.as_str()));
    let (kind, text) = known.map_or(
        (
            ErrorKind::Unavailable,
            "The database cannot be reached over its connection. Check that it is up".to_owned(),
        ),
        |(_, kind, text)| (*kind, format!("{text} ({code})")),
    );
    Error::new(kind, text).caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scripts_are_those_of_the_npm_package() {
        let node = include_str!("../../../../bindings/node/ts/server/backends/redis.ts");
        for script in [SWAP, FIND, REMOVE] {
            let script =
                script.lines().skip_while(|line| line.starts_with("--")).collect::<Vec<_>>().join("\n");
            assert!(!script.is_empty() && node.contains(&script), "{script}");
        }
    }
}
