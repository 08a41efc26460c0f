//! Answers as JavaScript gets them.

use std::path::PathBuf;

use napi::bindgen_prelude::{Array, BufferSlice, Env, JsValue, Object, ToNapiValue, Unknown};
use tokenkeep::moving::Migration;
use tokenkeep::options::Attempt;
use tokenkeep::{Error, ErrorKind, Info, Result, Secret, Snapshot, schema, storage::OldCopy};
use zeroize::Zeroizing;

use crate::failure::Failure;

/// What a call is answered with.
pub(crate) enum Reply {
    Nothing,
    Flag(bool),
    Number(u32),
    Bytes(Option<Secret>),
    Keys(Vec<EntryKey>),
    Info(Info),
    Snapshot(View),
    Hold(u32, View),
    Merged(Text, Option<Vec<EntryKey>>, Option<Failure>),
    Event(Told),
    Migration(Box<Migration>),
    /// The number of the store that was opened, and those that were tried in vain.
    Opened(Option<usize>, Vec<Tried>),
}

/// An event, and which cache it is of.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) source: u32,
    pub(crate) kind: &'static str,
    pub(crate) message: String,
    pub(crate) path: Option<PathBuf>,
    pub(crate) copy: Option<String>,
    /// Where content was, and where it is.
    pub(crate) moved: Option<(Info, Info)>,
}

impl Told {
    fn to_object<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        let mut object = Object::new(env)?;
        object.set("source", self.source)?;
        object.set("kind", self.kind)?;
        object.set("message", &self.message)?;
        if let Some(path) = &self.path {
            object.set("path", path.to_string_lossy().as_ref())?;
        }
        if let Some(copy) = &self.copy {
            object.set("copy", copy)?;
        }
        if let Some((from, to)) = &self.moved {
            object.set("from", info_object(env, from)?)?;
            object.set("to", info_object(env, to)?)?;
        }
        Ok(object)
    }
}

/// A store that was tried in vain, as [`Attempt`].
pub(crate) struct Tried {
    store: usize,
    prepared: bool,
    failure: Failure,
}

impl Tried {
    fn to_object<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        let mut object = Object::new(env)?;
        object.set("store", number(self.store as u64))?;
        object.set("prepared", self.prepared)?;
        object.set("failure", self.failure.to_object(env)?)?;
        Ok(object)
    }
}

/// A snapshot as far as the caller does not know it.
pub(crate) struct View {
    generation: u64,
    /// `None` where the caller has it already.
    content: Option<Option<Text>>,
    /// Whether there is content that no string can hold.
    unreadable: bool,
    keys: Option<Vec<EntryKey>>,
}

/// In UTF-16.
type EntryKey = Vec<u16>;

impl View {
    /// The snapshot for a caller that has seen the generation `known`.
    pub(crate) fn of(snapshot: &Snapshot, known: u64, keys: bool) -> Self {
        let content = (snapshot.generation != known).then_some(snapshot.content.as_ref());
        let keys = content.filter(|_| keys).map(|content| keys_of(content.map(Secret::expose)));
        let text = content.map(|content| content.map(Text::of).transpose());
        let (content, unreadable) = match text {
            Some(Ok(text)) => (Some(text), false),
            Some(Err(_)) => (Some(None), true),
            None => (None, false),
        };
        Self { generation: snapshot.generation, content, unreadable, keys }
    }

    /// The snapshot for a caller that has just handed in `ours`.
    ///
    /// # Errors
    /// `Damaged` for content that is no text.
    pub(crate) fn after(snapshot: &Snapshot, ours: &Secret, keys: bool) -> Result<Self> {
        let stored = snapshot.content.as_ref().filter(|stored| *stored != ours);
        let content = stored.map(|stored| Text::of(stored).map(Some)).transpose()?;
        let keys = keys.then(|| keys_of(Some(ours.expose())));
        Ok(Self { generation: snapshot.generation, content, unreadable: false, keys })
    }

    fn to_object<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        let mut object = Object::new(env)?;
        object.set("generation", number(self.generation))?;
        match &self.content {
            Some(Some(text)) => object.set("content", text.to_js(env)?)?,
            Some(None) => object.set("content", napi::bindgen_prelude::Null)?,
            None => {}
        }
        if self.unreadable {
            object.set("unreadable", true)?;
        }
        if let Some(keys) = &self.keys {
            object.set("keys", list(env, keys)?)?;
        }
        Ok(object)
    }
}

/// The key of every entry; none for content that is no token cache.
pub(crate) fn keys_of(content: Option<&[u8]>) -> Vec<EntryKey> {
    content.map(schema::entry_keys).unwrap_or_default()
}

/// Content on its way into a string. The work that its length costs is done before it gets to JavaScript's thread.
pub(crate) enum Text {
    /// Needs no decoding, which is several times faster.
    Ascii(Secret),
    Unicode(Zeroizing<String>),
}

impl Text {
    /// # Errors
    /// `Damaged` for bytes that are not UTF-8: replaced by others, they would be written back as a part of a token.
    pub(crate) fn of(content: &Secret) -> Result<Self> {
        let bytes = content.expose();
        if bytes.is_ascii() {
            return Ok(Self::Ascii(content.clone()));
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Self::Unicode(Zeroizing::new(text.to_owned()))),
            Err(_) => {
                Err(Error::new(ErrorKind::Damaged, "The stored content is damaged: it is not text in UTF-8")
                    .remedy("Restore it from a copy, or sign in again after removing it"))
            }
        }
    }

    pub(crate) fn to_js<'env>(&self, env: &'env Env) -> napi::Result<Unknown<'env>> {
        let text = match self {
            Self::Ascii(content) => env.create_string_latin1(content.expose())?,
            Self::Unicode(content) => env.create_string(content.as_str())?,
        };
        Ok(text.to_unknown())
    }
}

impl Reply {
    pub(crate) fn opened(store: Option<usize>, attempts: &[Attempt]) -> Self {
        let tried = |attempt: &Attempt| Tried {
            store: attempt.number,
            prepared: attempt.prepared,
            failure: Failure::of(&attempt.error),
        };
        Self::Opened(store, attempts.iter().map(tried).collect())
    }

    /// The answer as a value of JavaScript.
    pub(crate) fn to_js<'env>(&self, env: &'env Env) -> napi::Result<Unknown<'env>> {
        match self {
            Self::Nothing => ().into_unknown(env),
            Self::Flag(flag) => flag.into_unknown(env),
            Self::Number(number) => number.into_unknown(env),
            Self::Bytes(None) => napi::bindgen_prelude::Null.into_unknown(env),
            // A copy: a `Buffer` would be memory of ours that JavaScript is lent, which Electron refuses.
            Self::Bytes(Some(bytes)) => BufferSlice::copy_from(env, bytes.expose())?.into_unknown(env),
            Self::Keys(keys) => Ok(list(env, keys)?.to_unknown()),
            Self::Info(info) => Ok(info_object(env, info)?.to_unknown()),
            Self::Snapshot(view) => Ok(view.to_object(env)?.to_unknown()),
            Self::Hold(hold, view) => {
                let mut object = view.to_object(env)?;
                object.set("hold", hold)?;
                Ok(object.to_unknown())
            }
            Self::Merged(text, keys, conflict) => {
                let mut object = Object::new(env)?;
                object.set("content", text.to_js(env)?)?;
                if let Some(keys) = keys {
                    object.set("keys", list(env, keys)?)?;
                }
                if let Some(conflict) = conflict {
                    object.set("conflict", conflict.to_object(env)?)?;
                }
                Ok(object.to_unknown())
            }
            Self::Event(told) => Ok(told.to_object(env)?.to_unknown()),
            Self::Migration(migration) => Ok(migration_object(env, migration)?.to_unknown()),
            Self::Opened(store, attempts) => {
                let mut object = Object::new(env)?;
                if let Some(store) = store {
                    object.set("store", number(*store as u64))?;
                }
                let length = u32::try_from(attempts.len()).unwrap_or(u32::MAX);
                let mut array = env.create_array(length)?;
                for (index, attempt) in (0..length).zip(attempts) {
                    array.set(index, attempt.to_object(env)?)?;
                }
                object.set("attempts", array)?;
                Ok(object.to_unknown())
            }
        }
    }
}

fn migration_object<'env>(env: &'env Env, migration: &Migration) -> napi::Result<Object<'env>> {
    let (old_copy, reason) = match &migration.old_copy {
        OldCopy::Nothing => ("nothing", None),
        OldCopy::Overwritten => ("overwritten", None),
        OldCopy::Released { reason } => ("released", Some(reason)),
        OldCopy::Emptied => ("emptied", None),
        // One that is newer than this addon: what is sure is that the place is empty.
        _ => ("emptied", None),
    };
    let mut object = Object::new(env)?;
    object.set("from", info_object(env, &migration.from)?)?;
    object.set("to", info_object(env, &migration.to)?)?;
    object.set("entries", number(migration.entries as u64))?;
    object.set("outdated", number(migration.outdated as u64))?;
    object.set("oldCopy", old_copy)?;
    if let Some(reason) = reason {
        object.set("reason", reason)?;
    }
    object.set("resumed", migration.resumed)?;
    Ok(object)
}

fn info_object<'env>(env: &'env Env, info: &Info) -> napi::Result<Object<'env>> {
    let mut object = Object::new(env)?;
    object.set("backend", info.backend.code())?;
    object.set("protection", info.protection.code())?;
    object.set("survivesReboot", info.survives_reboot)?;
    object.set("location", &info.location)?;
    object.set("crashSafe", info.crash_safe)?;
    if !info.owner_only {
        object.set("ownerOnly", false)?;
    }
    Ok(object)
}

fn list<'env>(env: &'env Env, keys: &[EntryKey]) -> napi::Result<Array<'env>> {
    let length = u32::try_from(keys.len()).unwrap_or(u32::MAX);
    let mut array = env.create_array(length)?;
    for (index, key) in (0..length).zip(keys) {
        array.set(index, env.create_string_utf16(key)?)?;
    }
    Ok(array)
}

/// Generations count writes one by one: a thousand a second would take 285,000 years to lose a digit here.
#[allow(clippy::cast_precision_loss)]
fn number(generation: u64) -> f64 {
    generation as f64
}
