//! The bare lock, for persistences that a program brought along.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use napi::bindgen_prelude::Env;
use napi_derive::napi;
use tokenkeep::{CacheLock, LockGuard, options::WaitOptions};

use crate::channel::Channel;
use crate::failure::{Failure, Thrown, outcome};
use crate::guard::{Place, guard, quietly};
use crate::holds::Hold;
use crate::link::{Call, Link};
use crate::reply::Reply;

/// The lock beside a path, or within this process.
#[napi]
#[allow(missing_debug_implementations)] // Only JavaScript has one in hand.
pub struct Lock {
    link: Arc<Link>,
    lock: CacheLock,
    /// Taken first, where several paths share what is locked.
    outer: Option<CacheLock>,
}

#[napi]
impl Lock {
    /// The lock beside the absolute `path`.
    #[napi(constructor)]
    pub fn new(channel: &Channel, path: String) -> Result<Self, Thrown> {
        guard(Place::Export, || Self::of(channel.link(), Path::new(&path), None))
            .map_err(Failure::into_exception)
    }

    /// The lock within this process called `name`.
    #[napi(factory)]
    pub fn within(channel: &Channel, name: String) -> Result<Self, Thrown> {
        guard(Place::Export, || {
            let link = Arc::clone(channel.link());
            Ok(Self { link, lock: CacheLock::private(name), outer: None })
        })
        .map_err(Failure::into_exception)
    }

    /// Waits for the lock; answers with the number of the hold.
    #[napi]
    pub fn acquire(&self, env: Env, call: u32, limit: u32) -> Result<(), Thrown> {
        guard(Place::Export, || {
            let call = self.link.call(&env, call)?;
            let wait = self.link.wait(limit);
            let lock = self.lock.clone();
            match &self.outer {
                None => take(call, &lock, &wait, None),
                Some(outer) => {
                    let start = Instant::now();
                    outer.acquire_nonblocking(&wait).then(move |outer| match outcome(outer) {
                        Ok(outer) => {
                            let limit = wait.limit.saturating_sub(start.elapsed());
                            take(call, &lock, &WaitOptions { limit, ..wait }, Some(outer.into_blocking()));
                        }
                        Err(failure) => call.finish(|_| Err(failure)),
                    });
                }
            }
            Ok(())
        })
        .map_err(Failure::into_exception)
    }

    /// Ends the hold's expiry; `false` when it has expired already.
    #[napi]
    pub fn pin(&self, hold: u32) -> bool {
        guard(Place::Export, || Ok(self.link.holds().pin(hold))).unwrap_or(false)
    }

    /// Gives up a hold; answers when the lock is free.
    #[napi]
    pub fn release(&self, env: Env, call: u32, hold: u32) -> Result<(), Thrown> {
        release(&self.link, &env, call, hold)
    }
}

impl Lock {
    /// The lock beside `path`, and before it the one beside `outer`.
    pub(crate) fn of(link: &Arc<Link>, path: &Path, outer: Option<&Path>) -> Result<Self, Failure> {
        let outer = outer.map(CacheLock::new).transpose()?;
        Ok(Self { link: Arc::clone(link), lock: CacheLock::new(path)?, outer })
    }
}

/// Answers `call` with a hold of `lock`, and of `outer`.
fn take(call: Call, lock: &CacheLock, wait: &WaitOptions, outer: Option<LockGuard>) {
    lock.acquire_nonblocking(wait).then(move |guard| {
        call.finish(|link| {
            let guard = outcome(guard)?.into_blocking();
            Ok(Reply::Number(link.holds().insert(Hold::Lock { guard, _outer: outer })?))
        });
    });
}

/// Drops a hold on a thread of the pool, because releasing touches files, and answers then.
pub(crate) fn release(link: &Arc<Link>, env: &Env, call: u32, hold: u32) -> Result<(), Thrown> {
    let call = guard(Place::Export, || Ok(link.call(env, call)?)).map_err(Failure::into_exception)?;
    let hold = link.holds().take(hold);
    // Without a thread it is dropped with the closure, which releases as well.
    call.work(move |_| {
        quietly(Place::Release, || drop(hold));
        Ok(Reply::Nothing)
    });
    Ok(())
}
