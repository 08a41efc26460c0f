//! One cache, as JavaScript uses it. Methods with a call number answer under it over the channel.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use napi::bindgen_prelude::{Buffer, Either, Either3, Env, Null, Undefined};
use napi_derive::napi;
use tokenkeep::nonblocking::{NonblockingWrite, Operation};
use tokenkeep::{
    Backend, Persistence, Secret, TokenCache, WriteAccess,
    options::{Durability, OnDamage, WaitOptions},
    storage::{FilePersistence, KeystorePersistence, StoreKind},
};

use crate::channel::Channel;
use crate::encrypted::{self, KeyPlace, Supply, explain};
use crate::events::listener;
use crate::failure::{Failure, Thrown, outcome};
use crate::guard::{Place, guard, quietly};
use crate::holds::Hold;
use crate::keystore;
use crate::link::{Call, Link};
use crate::lock::{Lock, release};
use crate::proposal::{Base, Proposal};
use crate::reply::{Reply, View};

/// A token cache in one place.
#[napi]
#[allow(missing_debug_implementations)] // Only JavaScript has one in hand.
pub struct Cache {
    link: Arc<Link>,
    cache: TokenCache,
    path: PathBuf,
    /// What can be prepared: the cache file. A keystore's marker is prepared as a file of its own.
    file: Option<FilePersistence>,
    /// The same, where it is a keystore's item.
    item: Option<KeystorePersistence>,
    /// Where passphrases are to be put, where JavaScript has to ask for them.
    supplies: Vec<Supply>,
}

#[napi]
impl Cache {
    /// A cache in a plaintext file, whose writes are `synced` to the disk or not. Its events carry the number `source`.
    #[napi(factory)]
    pub fn file(channel: &Channel, source: u32, path: String, synced: bool) -> Result<Self, Thrown> {
        guard(Place::Export, || {
            let listener = listener(channel.link(), source);
            let file = FilePersistence::new(PathBuf::from(path))?;
            let file = file.durability(durability(synced)).on_event(listener.clone());
            Ok(Self::over(channel, Arc::new(file.clone()), listener, Some(file)))
        })
        .map_err(Failure::into_exception)
    }

    /// A cache in a file encrypted with `key`, under the name `partition`, whose writes are `synced` or not. Its events carry the number `source`.
    #[napi(factory)]
    pub fn encrypted_file(
        channel: &Channel,
        source: u32,
        path: String,
        partition: String,
        key: KeyPlace,
        synced: bool,
    ) -> Result<Self, Thrown> {
        guard(Place::Export, || {
            let listener = listener(channel.link(), source);
            let (file, supply) = encrypted::file(Path::new(&path), partition, key)?;
            let file = file.durability(durability(synced)).on_event(listener.clone());
            let mut cache = Self::over(channel, Arc::new(file.clone()), listener, Some(file));
            cache.supplies.extend(supply);
            Ok(cache)
        })
        .map_err(Failure::into_exception)
    }

    /// A cache in an item of the Secret Service, with its marker at `path`. A prompt may stand for `prompt_limit`
    /// milliseconds; 0 allows none. Encrypted files under the name `partition` with one of `stand_ins` as their key, which
    /// may have been written to `path` while the keystore was away, are taken in. Its events carry the number `source`.
    #[napi(factory)]
    #[allow(clippy::too_many_arguments)] // What JavaScript has in one object.
    pub fn secret_service(
        channel: &Channel,
        source: u32,
        path: String,
        service: String,
        account: String,
        prompt_limit: u32,
        partition: String,
        stand_ins: Vec<KeyPlace>,
    ) -> Result<Self, Thrown> {
        guard(Place::Export, || {
            let listener = listener(channel.link(), source);
            let path = Path::new(&path);
            let mut item = keystore::secret_service(path, &service, &account, prompt_limit)?;
            let mut supplies = Vec::new();
            for key in stand_ins {
                let (file, supply) = encrypted::file(path, partition.clone(), key)?;
                item = item.stand_in(file)?;
                // One for each, so that JavaScript can count them.
                supplies.push(supply.unwrap_or_default());
            }
            let item = item.on_event(listener.clone());
            let mut cache = Self::over(channel, Arc::new(item.clone()), listener, None);
            cache.item = Some(item);
            cache.supplies = supplies;
            Ok(cache)
        })
        .map_err(Failure::into_exception)
    }

    /// A cache in an item of the macOS Keychain; everything else as [`Cache::secret_service`].
    #[napi(factory)]
    pub fn keychain(
        channel: &Channel,
        source: u32,
        path: String,
        service: String,
        account: String,
        prompt_limit: u32,
    ) -> Result<Self, Thrown> {
        guard(Place::Export, || {
            let listener = listener(channel.link(), source);
            let item = keystore::keychain(Path::new(&path), &service, &account, prompt_limit)?;
            Ok(Self::over(channel, Arc::new(item.on_event(listener.clone())), listener, None))
        })
        .map_err(Failure::into_exception)
    }

    /// A cache in a file that Windows encrypts for the user or, with `machine`, for everybody on this machine. Its events
    /// carry the number `source`.
    #[napi(factory)]
    pub fn data_protection(
        channel: &Channel,
        source: u32,
        path: String,
        machine: bool,
        entropy: Option<String>,
    ) -> Result<Self, Thrown> {
        guard(Place::Export, || {
            let listener = listener(channel.link(), source);
            let entropy = entropy.map(zeroize::Zeroizing::new);
            let entropy = entropy.as_ref().map(|entropy| entropy.as_str());
            let file = keystore::data_protection(Path::new(&path), machine, entropy)?;
            let file = file.on_event(listener.clone());
            Ok(Self::over(channel, Arc::new(file.clone()), listener, Some(file)))
        })
        .map_err(Failure::into_exception)
    }

    /// The lock that a write of this cache takes, without the write.
    #[napi]
    pub fn lock(&self) -> Result<Lock, Thrown> {
        let outer = match self.cache.persistence().kind() {
            StoreKind::Item { lock } => Some(lock),
            _ => None,
        };
        guard(Place::Export, || Lock::of(&self.link, &self.path, outer)).map_err(Failure::into_exception)
    }

    /// Whether nothing newer than `generation` is stored: one look, at once.
    #[napi]
    pub fn is_current(&self, generation: f64) -> bool {
        guard(Place::Export, || Ok(self.cache.is_current(whole(generation)))).unwrap_or(false)
    }

    /// Creates what has to exist before the cache is used.
    #[napi]
    pub fn prepare(&self, env: Env, call: u32) -> Result<(), Thrown> {
        let file = self.file.clone();
        self.work(&env, call, move |_| {
            if let Some(file) = file {
                file.prepare()?;
            }
            Ok(Reply::Nothing)
        })
    }

    /// Answers with what is stored, as far as it is not `known`; with `force` even when the store looks unchanged.
    #[napi]
    pub fn read(&self, env: Env, call: u32, known: f64, force: bool, keys: bool) -> Result<(), Thrown> {
        let cache = self.cache.clone();
        self.work(&env, call, move |_| {
            if force {
                cache.forget();
            }
            Ok(Reply::Snapshot(View::of(&cache.snapshot()?, whole(known), keys)))
        })
    }

    /// Answers with the bytes that are stored, or null; read under `hold` where that is not 0.
    #[napi]
    pub fn load_bytes(&self, env: Env, call: u32, hold: u32) -> Result<(), Thrown> {
        let cache = self.cache.clone();
        self.work(&env, call, move |link| {
            if hold == 0 {
                return Ok(Reply::Bytes(cache.read()?));
            }
            link.holds()
                .with(hold, |held| Ok(Reply::Bytes(cache.persistence().load(Some(held.guard()))?.content)))
        })
    }

    /// Waits for the lock; answers with a hold and what is stored, as far as it is not `known`. Where `strict`, damage
    /// met under the hold is an error instead of being set aside.
    #[napi]
    #[allow(clippy::too_many_arguments)] // One call, because each costs a crossing.
    pub fn begin(
        &self,
        env: Env,
        call: u32,
        known: f64,
        force: bool,
        keys: bool,
        limit: u32,
        strict: bool,
    ) -> Result<(), Thrown> {
        let cache = self.ruled(strict);
        self.operate(
            &env,
            call,
            move |link| {
                if force {
                    cache.forget();
                }
                cache.nonblocking().begin_write_waiting(&link.wait(limit))
            },
            move |link, access| {
                let access = access.into_blocking();
                let view = View::of(access.snapshot(), whole(known), keys);
                Ok(Reply::Hold(link.holds().insert(Hold::Write(access))?, view))
            },
        )
    }

    /// Merges the change from `base` to `ours` into the store, under `hold`, or 0 for a lock of its own.
    ///
    /// `base` was made from `held`. Under a hold, null means the held content, for either, and the hold decides what becomes of
    /// damage; otherwise `strict` does.
    #[napi]
    #[allow(clippy::too_many_arguments)] // One call, because each costs a crossing.
    pub fn commit(
        &self,
        env: Env,
        call: u32,
        hold: u32,
        held: Option<String>,
        base: Either3<String, Null, Undefined>,
        ours: String,
        disturbed: bool,
        keys: bool,
        limit: u32,
        strict: bool,
    ) -> Result<(), Thrown> {
        let base = match base {
            Either3::A(text) => Base::Text(text.into()),
            Either3::B(Null) => Base::Held,
            Either3::C(()) => Base::Unknown,
        };
        let held = held.map(Secret::from);
        let proposal = Proposal { held, base, ours: ours.into(), disturbed };
        let answer = move |access: WriteAccess| {
            let snapshot = proposal.commit(access)?;
            Ok(Reply::Snapshot(View::after(&snapshot, &proposal.ours, keys)))
        };
        if hold == 0 {
            let cache = self.ruled(strict).nonblocking();
            let begin = move |link: &Link| cache.begin_write_waiting(&link.wait(limit));
            return self.operate(&env, call, begin, move |_, access| answer(access.into_blocking()));
        }
        self.work(&env, call, move |link| match link.holds().take(hold) {
            Some(Hold::Write(access)) => answer(access),
            Some(Hold::Lock { .. }) | None => Err(Failure::expired()),
        })
    }

    /// Stores `contents` as they are, under `hold`, or 0 for a lock of its own.
    #[napi]
    pub fn replace(
        &self,
        env: Env,
        call: u32,
        hold: u32,
        contents: Either<String, Buffer>,
        limit: u32,
    ) -> Result<(), Thrown> {
        let contents = match contents {
            Either::A(text) => Secret::from(text),
            Either::B(bytes) => Secret::from(&*bytes),
        };
        let cache = self.cache.clone();
        if hold == 0 {
            let replace = move |link: &Link| cache.nonblocking().replace(contents, &link.wait(limit));
            return self.operate(&env, call, replace, |_, _| Ok(Reply::Nothing));
        }
        self.work(&env, call, move |link| {
            link.holds().with(hold, |held| {
                cache.persistence().save(held.guard(), contents.expose())?;
                cache.forget();
                Ok(Reply::Nothing)
            })
        })
    }

    /// Removes what is stored, under `hold`, or 0 for a lock of its own; answers whether anything was.
    #[napi]
    pub fn remove(&self, env: Env, call: u32, hold: u32, limit: u32) -> Result<(), Thrown> {
        let cache = self.cache.clone();
        if hold == 0 {
            let begin = move |link: &Link| cache.nonblocking().begin_write_waiting(&link.wait(limit));
            let delete =
                |_: &Link, access: NonblockingWrite| Ok(Reply::Flag(access.into_blocking().delete()?));
            return self.operate(&env, call, begin, delete);
        }
        self.work(&env, call, move |link| {
            link.holds().with(hold, |held| {
                let removed = cache.persistence().delete(held.guard())?;
                cache.forget();
                Ok(Reply::Flag(removed))
            })
        })
    }

    /// Keeps a copy of held content that is of no use, and goes on as if nothing were stored.
    #[napi]
    pub fn set_aside(&self, env: Env, call: u32, hold: u32, reason: String) -> Result<(), Thrown> {
        self.work(&env, call, move |link| {
            link.holds().with(hold, |held| match held {
                Hold::Write(access) => Ok(access.set_aside(&reason).map(|()| Reply::Nothing)?),
                Hold::Lock { .. } => Err(Failure::expired()),
            })
        })
    }

    /// Gives up a hold; answers when the lock is free.
    #[napi]
    pub fn release(&self, env: Env, call: u32, hold: u32) -> Result<(), Thrown> {
        release(&self.link, &env, call, hold)
    }

    /// Writes, reads back and removes a probe beside the real place. What a weaker store left in that place is then taken
    /// in: encrypted, or moved into the item. That takes the lock within `limit`.
    #[napi]
    pub fn verify(&self, env: Env, call: u32, limit: u32) -> Result<(), Thrown> {
        let (cache, file, item) = (self.cache.clone(), self.file.clone(), self.item.clone());
        self.work(&env, call, move |_| {
            cache.persistence().verify()?;
            let wait = WaitOptions::within(Duration::from_millis(limit.into()));
            if let Some(file) = file.filter(|_| cache.info().backend == Backend::EncryptedFile) {
                file.encrypt_plaintext(&wait)?;
            }
            if let Some(item) = item {
                item.take_in(&wait)?;
            }
            Ok(Reply::Nothing)
        })
    }

    /// Whether anything ever needed the passphrase of the key with this number.
    #[napi]
    pub fn wanted(&self, key: u32) -> bool {
        let wanted = || Ok(self.supplies.get(key as usize).is_some_and(Supply::was_wanted));
        guard(Place::Export, wanted).unwrap_or(false)
    }

    /// Makes the passphrase of a key known that a failed operation wanted, or, with nothing, unknown again.
    #[napi]
    pub fn supply(&self, key: u32, passphrase: Option<String>) {
        quietly(Place::Export, || {
            if let Some(supply) = self.supplies.get(key as usize) {
                supply.set(passphrase);
            }
        });
    }

    /// Answers what kind of place this is.
    #[napi]
    pub fn info(&self, env: Env, call: u32) -> Result<(), Thrown> {
        let cache = self.cache.clone();
        self.work(&env, call, move |_| Ok(Reply::Info(cache.info())))
    }
}

impl Cache {
    fn over(
        channel: &Channel,
        persistence: Arc<dyn Persistence>,
        listener: impl Fn(&tokenkeep::event::Event) + Send + Sync + 'static,
        file: Option<FilePersistence>,
    ) -> Self {
        let path = persistence.path().to_owned();
        let cache =
            TokenCache::with_options(persistence, WaitOptions::default(), OnDamage::SetAside, listener);
        Self { link: Arc::clone(channel.link()), cache, path, file, item: None, supplies: Vec::new() }
    }

    /// The cache under the rule for damage that a caller wants.
    fn ruled(&self, strict: bool) -> TokenCache {
        self.cache.on_damage(if strict { OnDamage::Fail } else { OnDamage::SetAside })
    }

    pub(crate) fn core(&self) -> &TokenCache {
        &self.cache
    }

    /// Where it is a keystore's item.
    pub(crate) fn item(&self) -> Option<&KeystorePersistence> {
        self.item.as_ref()
    }

    pub(crate) fn supplies(&self) -> &[Supply] {
        &self.supplies
    }

    fn call(&self, env: &Env, call: u32) -> Result<Call, Thrown> {
        guard(Place::Export, || Ok(self.link.call(env, call)?)).map_err(Failure::into_exception)
    }

    /// Answers with the result of blocking `work`.
    pub(crate) fn work(
        &self,
        env: &Env,
        call: u32,
        work: impl FnOnce(&Arc<Link>) -> Result<Reply, Failure> + Send + 'static,
    ) -> Result<(), Thrown> {
        let supplies = self.supplies.clone();
        let work = move |link: &Arc<Link>| work(link).map_err(|failure| explain(failure, &supplies));
        self.call(env, call)?.work(work);
        Ok(())
    }

    /// Starts an operation of the core's that waits for the lock without a thread, and answers with what `work` makes of its
    /// result.
    fn operate<T: Send + 'static>(
        &self,
        env: &Env,
        call: u32,
        start: impl FnOnce(&Link) -> Operation<T>,
        work: impl FnOnce(&Link, T) -> Result<Reply, Failure> + Send + 'static,
    ) -> Result<(), Thrown> {
        let call = self.call(env, call)?;
        let supplies = self.supplies.clone();
        let start = || {
            start(&self.link).then(move |result| {
                call.finish(|link| {
                    let done = outcome(result).and_then(|result| work(link, result));
                    done.map_err(|failure| explain(failure, &supplies))
                });
            });
            Ok(())
        };
        guard(Place::Export, start).map_err(Failure::into_exception)
    }
}

fn durability(synced: bool) -> Durability {
    if synced { Durability::Synced } else { Durability::Cached }
}

/// Generations are small whole numbers on both sides of the border.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn whole(number: f64) -> u64 {
    number as u64
}
