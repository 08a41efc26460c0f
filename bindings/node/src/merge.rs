//! The merge, for persistences that a program brought along.

use napi::bindgen_prelude::Env;
use napi_derive::napi;
use tokenkeep::schema::{self, Change};
use tokenkeep::{ErrorKind, Secret};

use crate::channel::Channel;
use crate::failure::{Failure, Thrown};
use crate::guard::{Place, guard};
use crate::reply::{Reply, Text, keys_of};

/// Applies the change from `base` to `ours` to `theirs`, which is also what `base` was made from unless `held` is given.
#[napi]
#[allow(clippy::too_many_arguments)] // One call, because each costs a crossing.
pub fn merge(
    env: Env,
    channel: &Channel,
    call: u32,
    held: Option<String>,
    base: Option<String>,
    ours: String,
    theirs: Option<String>,
    disturbed: bool,
    keys: bool,
) -> Result<(), Thrown> {
    let call =
        guard(Place::Export, || Ok(channel.link().call(&env, call)?)).map_err(Failure::into_exception)?;
    call.work(move |_| {
        let bytes = |text: &Option<String>| text.as_deref().map(|text| Secret::from(text.as_bytes()));
        let (held, base, theirs) = (bytes(&held), bytes(&base), bytes(&theirs));
        let ours = Secret::from(ours.into_bytes());
        let change = Change {
            held: held.as_ref().map(Secret::expose),
            base: base.as_ref().map(Secret::expose),
            ours: ours.expose(),
            disturbed,
        };
        let (content, conflict) = if schema::is_msal_cache(ours.expose()) {
            let merged = match schema::merge(&change, theirs.as_ref().map(Secret::expose)) {
                // What a program's own persistence holds is that program's: what is no cache is replaced, as ever.
                Err(error) if error.kind() == ErrorKind::Damaged => {
                    schema::merge(&Change::additions(ours.expose()), None)?
                }
                merged => merged?,
            };
            let conflict = merged.conflict().map(Failure::from);
            (merged.content, conflict)
        } else {
            (ours.clone(), None)
        };
        let keys = keys.then(|| keys_of(Some(ours.expose())));
        Ok(Reply::Merged(Text::of(&content)?, keys, conflict))
    });
    Ok(())
}

/// The key of every entry of a cache; none for content that is no token cache.
#[napi]
pub fn keys(env: Env, channel: &Channel, call: u32, text: String) -> Result<(), Thrown> {
    let call =
        guard(Place::Export, || Ok(channel.link().call(&env, call)?)).map_err(Failure::into_exception)?;
    call.work(move |_| {
        let text = Secret::from(text.into_bytes());
        Ok(Reply::Keys(keys_of(Some(text.expose()))))
    });
    Ok(())
}
