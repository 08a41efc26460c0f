//! The bare lock, for persistences that a program brought along.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use napi::bindgen_prelude::Env;
use napi_derive::napi;
use tokenkeep::{CacheLock, options::WaitOptions};

use crate::channel::{Channel, Link};
use crate::failure::{Failure, Thrown};
use crate::guard::{Place, guard, quietly};
use crate::holds::{Held, Holds};
use crate::reply::Reply;
use crate::turns::line_up;

/// The lock beside a path.
#[napi]
#[allow(missing_debug_implementations)] // Only JavaScript has one in hand.
pub struct Lock {
    link: Arc<Link>,
    lock: CacheLock,
    /// Taken first, where several paths share what is locked.
    outer: Option<CacheLock>,
    path: PathBuf,
}

#[napi]
impl Lock {
    /// The lock beside the absolute `path`.
    #[napi(constructor)]
    pub fn new(channel: &Channel, path: String) -> Result<Self, Thrown> {
        guard(Place::Export, || Self::of(channel.link(), Path::new(&path), None))
            .map_err(Failure::into_exception)
    }

    /// Waits for the lock; answers with the number of the hold.
    #[napi]
    pub fn acquire(&self, env: Env, call: u32, limit: u32) -> Result<(), Thrown> {
        let (lock, outer) = (self.lock.clone(), self.outer.clone());
        let ticket =
            guard(Place::Export, || Ok(self.link.ticket(&env, call)?)).map_err(Failure::into_exception)?;
        line_up(&self.path, Duration::from_millis(limit.into()), ticket, move |link, wait| {
            let start = Instant::now();
            let outer = outer.map(|outer| outer.acquire(wait)).transpose()?;
            let limit = wait.limit.saturating_sub(start.elapsed());
            let guard = lock.acquire(&WaitOptions { limit, ..wait.clone() })?;
            Ok(Reply::Number(Holds::insert(link, Held::Lock { guard, _outer: outer })?))
        });
        Ok(())
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
        Ok(Self { link: Arc::clone(link), lock: CacheLock::new(path)?, outer, path: path.to_owned() })
    }
}

/// Drops a hold on a thread of the pool, because releasing touches files, and answers then.
pub(crate) fn release(link: &Arc<Link>, env: &Env, call: u32, hold: u32) -> Result<(), Thrown> {
    let ticket = guard(Place::Export, || Ok(link.ticket(env, call)?)).map_err(Failure::into_exception)?;
    let held = link.holds().take(hold);
    // Without a thread it is dropped with the closure, which releases as well.
    ticket.work(move |_| {
        quietly(Place::Release, || drop(held));
        Ok(Reply::Nothing)
    });
    Ok(())
}
