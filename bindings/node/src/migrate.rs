//! Moving what one cache holds into another.

use napi::bindgen_prelude::Env;
use napi_derive::napi;
use tokenkeep::moving;

use crate::cache::Cache;
use crate::channel::Channel;
use crate::failure::{Failure, Thrown};
use crate::guard::{Place, guard};
use crate::reply::Reply;

/// Moves everything that `from` holds into `to`, waiting at most `limit` milliseconds for their locks, and answers with
/// what it did; with `plan`, with what it would do.
#[napi]
pub fn migrate(
    env: Env,
    channel: &Channel,
    call: u32,
    from: &Cache,
    to: &Cache,
    plan: bool,
    limit: u32,
) -> Result<(), Thrown> {
    let call =
        guard(Place::Export, || Ok(channel.link().call(&env, call)?)).map_err(Failure::into_exception)?;
    let ends = || Ok((from.core()?, to.core()?));
    let (from, to) = guard(Place::Export, ends).map_err(Failure::into_exception)?;
    call.work(move |link| {
        let wait = link.wait(limit);
        let outcome = match plan {
            true => moving::plan(&from, &to),
            false => moving::migrate_waiting(&from, &to, &wait),
        };
        Ok(Reply::Migration(Box::new(outcome?)))
    });
    Ok(())
}
