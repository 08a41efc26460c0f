//! The bare lock, for persistences that a program brought along.

use std::path::PathBuf;
use std::time::Duration;

use napi::bindgen_prelude::Env;
use napi_derive::napi;
use tokenkeep::CacheLock;

use crate::channel::{Channel, Link};
use crate::failure::{Failure, Thrown};
use crate::guard::{Place, guard, quietly};
use crate::holds::{Held, Holds};
use crate::pool;
use crate::reply::Reply;
use crate::turns::line_up;
use std::sync::Arc;

/// The lock beside a path.
#[napi]
#[allow(missing_debug_implementations)] // Only JavaScript has one in hand.
pub struct Lock {
    link: Arc<Link>,
    lock: CacheLock,
    path: PathBuf,
}

#[napi]
impl Lock {
    /// The lock beside the absolute `path`.
    #[napi(constructor)]
    pub fn new(channel: &Channel, path: String) -> Result<Self, Thrown> {
        let path = PathBuf::from(path);
        let lock = guard(Place::Export, || Ok(CacheLock::new(&path)?)).map_err(Failure::into_exception)?;
        Ok(Self { link: Arc::clone(channel.link()), lock, path })
    }

    /// Waits for the lock; answers with the number of the hold.
    #[napi]
    pub fn acquire(&self, env: Env, call: u32, limit: u32) -> Result<(), Thrown> {
        let lock = self.lock.clone();
        let ticket =
            guard(Place::Export, || Ok(self.link.ticket(&env, call)?)).map_err(Failure::into_exception)?;
        line_up(&self.path, Duration::from_millis(limit.into()), ticket, move |link, wait| {
            let guard = lock.acquire(wait)?;
            Ok(Reply::Number(Holds::insert(link, Held::Lock(guard))?))
        });
        Ok(())
    }

    /// Ends the hold's expiry; `false` when it has expired already.
    #[napi]
    pub fn pin(&self, hold: u32) -> bool {
        guard(Place::Export, || Ok(self.link.holds().pin(hold))).unwrap_or(false)
    }

    /// Gives up a hold.
    #[napi]
    pub fn release(&self, hold: u32) {
        release(&self.link, hold);
    }
}

/// Drops a hold on a thread of the pool: releasing touches files.
pub(crate) fn release(link: &Arc<Link>, hold: u32) {
    quietly(Place::Export, || {
        if let Some(held) = link.holds().take(hold) {
            // Without a thread it is dropped here, which releases as well.
            let _ = pool::run(move || quietly(Place::Release, || drop(held)));
        }
    });
}
