//! One cache, as JavaScript uses it. Methods with a call number answer under it over the channel.

use std::sync::{Arc, OnceLock};

use napi::bindgen_prelude::{Buffer, Either, Either3, Env, Null, Undefined};
use napi_derive::napi;
use tokenkeep::nonblocking::Operation;
use tokenkeep::options::{OnDamage, Refused, WaitOptions};
use tokenkeep::storage::StoreKind;
use tokenkeep::{Config, ErrorKind, Secret, TokenCache, WriteAccess, inspect};

use crate::channel::Channel;
use crate::events::listener;
use crate::failure::{Failure, Thrown, outcome};
use crate::guard::{Place, guard, quietly};
use crate::holds::Hold;
use crate::key::{Answer, Supply};
use crate::link::{Call, Link};
use crate::lock::{Lock, release};
use crate::options::CacheOptions;
use crate::proposal::{Base, Proposal};
use crate::reply::{Reply, View};

/// A token cache in one of the stores that its options name.
#[napi]
#[allow(missing_debug_implementations)] // Only JavaScript has one in hand.
pub struct Cache {
    link: Arc<Link>,
    config: Config,
    /// The cache from its first use on: as [`Cache::open`] opened it, or else in the first store, unverified.
    cache: Arc<OnceLock<TokenCache>>,
    /// Whether a look at the store is quick, which its file system decides; known from the first read or write on.
    quick: Arc<OnceLock<bool>>,
    /// Where passphrases are put that JavaScript has to ask for, by the number of the key.
    supplies: Vec<Supply>,
}

#[napi]
impl Cache {
    /// The cache of these options. Nothing is opened yet.
    #[napi(constructor)]
    pub fn new(channel: &Channel, options: CacheOptions) -> Result<Self, Thrown> {
        guard(Place::Export, || {
            let listener = listener(channel.link(), options.source);
            let (config, supplies) = options.into_config()?;
            let config = config.on_event(listener);
            Ok(Self {
                link: Arc::clone(channel.link()),
                config,
                cache: Arc::default(),
                quick: Arc::default(),
                supplies,
            })
        })
        .map_err(Failure::into_exception)
    }

    /// Opens the first store that works: creates its file where `create`, proves it and imports what other stores left
    /// where `verify`. Answers with the number of the store and with those that were tried in vain; a passphrase that has to
    /// be asked for is a failure of the call. `limit` is for the lock, in milliseconds.
    #[napi]
    pub fn open(&self, env: Env, call: u32, create: bool, verify: bool, limit: u32) -> Result<(), Thrown> {
        let (config, opened) = (self.config.clone().create(create).verify(verify), Arc::clone(&self.cache));
        self.work(&env, call, move |link| {
            let WaitOptions { limit, cancel } = link.wait(limit);
            let config = config.lock_limit(limit);
            let config = match cancel {
                Some(cancel) => config.cancel(cancel),
                None => config,
            };
            match config.choose() {
                Ok(choice) => {
                    // One that is in use already is the same store, and goes on to be used.
                    let _ = opened.set(choice.cache);
                    Ok(Reply::opened(Some(choice.number), &choice.attempts))
                }
                Err(Refused { attempts, .. }) => match attempts.last() {
                    Some(last) if last.error.kind() == ErrorKind::Cancelled => Err(Failure::of(&last.error)),
                    _ => Ok(Reply::opened(None, &attempts)),
                },
            }
        })
    }

    /// The lock that a write of this cache takes, without the write.
    #[napi]
    pub fn lock(&self) -> Result<Lock, Thrown> {
        guard(Place::Export, || {
            let cache = self.core()?;
            let persistence = cache.persistence();
            let outer = match persistence.kind() {
                StoreKind::Item { lock } => Some(lock),
                _ => None,
            };
            Lock::of(&self.link, persistence.path(), outer)
        })
        .map_err(Failure::into_exception)
    }

    /// Whether nothing newer than `generation` is stored: one look, at once. Never where the look may have to wait for another
    /// machine, because it is on JavaScript's thread.
    #[napi]
    pub fn is_current(&self, generation: f64) -> bool {
        if self.quick.get() != Some(&true) {
            return false;
        }
        guard(Place::Export, || Ok(self.core()?.is_current(whole(generation)))).unwrap_or(false)
    }

    /// Answers with what is stored, as far as it is not `known`; with `force` even when the store looks unchanged.
    #[napi]
    pub fn read(&self, env: Env, call: u32, known: f64, force: bool, keys: bool) -> Result<(), Thrown> {
        let (cache, quick) = (self.opened()?, Arc::clone(&self.quick));
        self.work(&env, call, move |_| {
            learn(&quick, &cache);
            if force {
                cache.forget();
            }
            Ok(Reply::Snapshot(View::of(&cache.snapshot()?, whole(known), keys)))
        })
    }

    /// Answers with the bytes that are stored, or null; read under `hold` where that is not 0.
    #[napi]
    pub fn load_bytes(&self, env: Env, call: u32, hold: u32) -> Result<(), Thrown> {
        let cache = self.opened()?;
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
        let (cache, quick) = (self.ruled(strict)?, Arc::clone(&self.quick));
        let looked_at = cache.clone();
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
                learn(&quick, &looked_at);
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
            Ok(Reply::Snapshot(View::after(&snapshot, &proposal.ours, keys)?))
        };
        if hold == 0 {
            let cache = self.ruled(strict)?.nonblocking();
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
        let cache = self.opened()?;
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
        let cache = self.opened()?;
        if hold == 0 {
            let clear = move |link: &Link| cache.nonblocking().clear_waiting(&link.wait(limit));
            return self.operate(&env, call, clear, |_, removed| Ok(Reply::Flag(removed)));
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

    /// Whether anything ever needed the passphrase of the key with this number.
    #[napi]
    pub fn wanted(&self, key: u32) -> bool {
        let wanted = || Ok(self.supplies.get(key as usize).is_some_and(Supply::was_wanted));
        guard(Place::Export, wanted).unwrap_or(false)
    }

    /// Makes the passphrase of a key known that a failed operation wanted, or, with nothing, unknown again. Null: the
    /// program cannot give it, and operations fail for want of the key instead of asking.
    #[napi]
    pub fn supply(&self, key: u32, passphrase: Either3<String, Null, Undefined>) {
        quietly(Place::Export, || {
            if let Some(supply) = self.supplies.get(key as usize) {
                supply.set(match passphrase {
                    Either3::A(passphrase) => Answer::Given(passphrase.into()),
                    Either3::B(Null) => Answer::Refused,
                    Either3::C(()) => Answer::Unknown,
                });
            }
        });
    }

    /// Answers what kind of place this is.
    #[napi]
    pub fn info(&self, env: Env, call: u32) -> Result<(), Thrown> {
        let cache = self.opened()?;
        self.work(&env, call, move |_| Ok(Reply::Info(cache.info())))
    }
}

impl Cache {
    /// The cache under the rule for damage that a caller wants.
    fn ruled(&self, strict: bool) -> Result<TokenCache, Thrown> {
        Ok(self.opened()?.on_damage(if strict { OnDamage::Fail } else { OnDamage::SetAside }))
    }

    fn opened(&self) -> Result<TokenCache, Thrown> {
        guard(Place::Export, || self.core()).map_err(Failure::into_exception)
    }

    pub(crate) fn core(&self) -> Result<TokenCache, Failure> {
        if let Some(cache) = self.cache.get() {
            return Ok(cache.clone());
        }
        let first = self.config.clone().create(false).verify(false).open()?;
        Ok(self.cache.get_or_init(|| first).clone())
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
        let start = || {
            start(&self.link).then(move |result| {
                call.finish(|link| outcome(result).and_then(|result| work(link, result)));
            });
            Ok(())
        };
        guard(Place::Export, start).map_err(Failure::into_exception)
    }
}

/// Finds out once whether the file system of a cache answers at once. Off JavaScript's thread: a server that is away does not.
fn learn(quick: &OnceLock<bool>, cache: &TokenCache) {
    quick.get_or_init(|| !inspect::file_system(cache.persistence().path()).remote);
}

/// Generations are small whole numbers on both sides of the border.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn whole(number: f64) -> u64 {
    number as u64
}
