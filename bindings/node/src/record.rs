//! Sealed records of `tokenkeep/server`. The database's own client is JavaScript's, so that these calls compute and
//! return at once: each takes microseconds for a user's cache.

use std::time::{Duration, SystemTime};

use napi::bindgen_prelude::{Buffer, BufferSlice, Env, Object, Unknown};
use napi_derive::napi;
use tokenkeep::key_source::Key;
use tokenkeep::schema::{self, Change};
use tokenkeep::{Error, ErrorKind, Result, Secret, record};

use crate::failure::{Failure, Thrown};
use crate::guard::{Place, guard};
use crate::reply::Text;

/// Whose tokens a record holds.
#[napi]
#[allow(missing_debug_implementations)] // Only JavaScript has one in hand.
pub struct Partition(record::Partition);

#[napi]
impl Partition {
    /// A partition of a `kind`: `user`, `obo`, `app`, `key`, or a word of the program's own. `other` is the caller of
    /// an `obo` and the tenant of an `app`.
    #[napi(constructor)]
    pub fn new(prefix: String, kind: String, text: String, other: Option<String>) -> Result<Self, Thrown> {
        answer(|| {
            let partition = match kind.as_str() {
                "user" => record::Partition::user(&prefix, &text),
                "obo" => record::Partition::on_behalf_of(&prefix, &text, other.as_deref()),
                "app" => record::Partition::app(&prefix, &text, other.as_deref().unwrap_or_default()),
                "key" => record::Partition::key_ring(&prefix),
                own => record::Partition::own(&prefix, own, &text),
            };
            Ok(Self(partition?))
        })
    }

    /// The name of the record.
    #[napi]
    pub fn record_name(&self) -> Result<String, Thrown> {
        answer(|| Ok(self.0.name()))
    }

    /// Seals `content`; the times are milliseconds since 1970.
    #[napi]
    pub fn seal<'env>(
        &self,
        env: &'env Env,
        key: Buffer,
        content: String,
        written: f64,
        expires: f64,
    ) -> Result<BufferSlice<'env>, Thrown> {
        answer(|| {
            let content = Secret::from(content);
            let times = record::Times { written: time(written)?, expires: time(expires)? };
            let sealed = record::seal(&self.0, &key_of(&key)?, content.expose(), times)?;
            Ok(BufferSlice::copy_from(env, sealed)?)
        })
    }

    /// The content of a record, opened with the key of `keys` that it names.
    #[napi]
    pub fn open<'env>(
        &self,
        env: &'env Env,
        keys: Vec<Buffer>,
        record: Buffer,
    ) -> Result<Unknown<'env>, Thrown> {
        answer(|| {
            let (_, content) = record::open(&self.0, &keys_of(&keys)?, &record)?;
            Ok(Text::of(&content)?.to_js(env)?)
        })
    }

    /// A look through a cache as of `now`, in milliseconds since 1970.
    #[napi]
    pub fn survey<'env>(&self, env: &'env Env, content: String, now: f64) -> Result<Object<'env>, Thrown> {
        answer(|| {
            let content = Secret::from(content);
            let found = record::survey(&self.0, content.expose(), time(now)?)?;
            let mut object = Object::new(env)?;
            let pruned = found.content != content;
            if pruned {
                object.set("content", Text::of(&found.content)?.to_js(env)?)?;
            }
            object.set("foreign", count(found.foreign))?;
            object.set("isEmpty", found.is_empty)?;
            object.set("isRefreshable", found.is_refreshable)?;
            if let Some(end) = found.last_expiry {
                object.set("lastExpiry", milliseconds(end))?;
            }
            Ok(object)
        })
    }
}

/// The content of the record that is stored under `name`, whatever its partition.
#[napi]
pub fn open_record(
    env: &Env,
    name: String,
    keys: Vec<Buffer>,
    record: Buffer,
) -> Result<Unknown<'_>, Thrown> {
    answer(|| {
        let (_, content) = record::open_named(&name, &keys_of(&keys)?, &record)?;
        Ok(Text::of(&content)?.to_js(env)?)
    })
}

/// The record that is stored under `name`, sealed anew with `key`.
#[napi]
pub fn reseal_record(
    env: &Env,
    name: String,
    keys: Vec<Buffer>,
    key: Buffer,
    record: Buffer,
) -> Result<BufferSlice<'_>, Thrown> {
    answer(|| {
        let sealed = record::reseal(&name, &keys_of(&keys)?, &key_of(&key)?, &record)?;
        Ok(BufferSlice::copy_from(env, sealed)?)
    })
}

/// The identifier of a key in the header of the records that it seals.
#[napi]
pub fn record_key_id(env: &Env, key: Buffer) -> Result<BufferSlice<'_>, Thrown> {
    answer(|| Ok(BufferSlice::copy_from(env, record::Partition::key_id(&key_of(&key)?).bytes())?))
}

/// Applies the change from `base` to `ours` to `theirs`, at once.
#[napi]
pub fn merge_caches(
    env: &Env,
    held: Option<String>,
    base: Option<String>,
    ours: String,
    theirs: Option<String>,
) -> Result<Object<'_>, Thrown> {
    answer(|| {
        let [held, base, theirs] = [held, base, theirs].map(|text| text.map(Secret::from));
        let ours = Secret::from(ours);
        let change = Change {
            held: held.as_ref().map(Secret::expose),
            base: base.as_ref().map(Secret::expose),
            ours: ours.expose(),
            disturbed: false,
        };
        let merged = schema::merge(&change, theirs.as_ref().map(Secret::expose))?;
        let mut object = Object::new(env)?;
        object.set("content", Text::of(&merged.content)?.to_js(env)?)?;
        object.set("unchanged", merged.unchanged)?;
        object.set("dropped", count(merged.dropped))?;
        Ok(object)
    })
}

fn answer<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Thrown> {
    guard(Place::Export, work).map_err(Failure::into_exception)
}

fn key_of(bytes: &[u8]) -> Result<Key> {
    let mut copy: [u8; 32] = bytes
        .try_into()
        .map_err(|_| Error::new(ErrorKind::InvalidInput, "The key of a record has not 32 bytes"))?;
    Ok(Key::new(&mut copy))
}

fn keys_of(keys: &[Buffer]) -> Result<Vec<Key>> {
    keys.iter().map(|key| key_of(key)).collect()
}

fn time(milliseconds: f64) -> Result<SystemTime> {
    Duration::try_from_secs_f64(milliseconds / 1_000.0)
        .ok()
        .and_then(|after| SystemTime::UNIX_EPOCH.checked_add(after))
        .ok_or_else(|| Error::new(ErrorKind::InvalidInput, "A time of a record is no time after 1970"))
}

#[allow(clippy::cast_precision_loss)] // Exact for 285,000 years.
fn milliseconds(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |after| after.as_millis() as f64)
}

fn count(entries: usize) -> u32 {
    u32::try_from(entries).unwrap_or(u32::MAX)
}
