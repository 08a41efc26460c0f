//! The channel that one JavaScript thread opens to the addon.

use std::sync::Arc;
use std::time::Duration;

use napi::bindgen_prelude::{Env, Function};
use napi_derive::napi;

use crate::failure::{Failure, Thrown};
use crate::guard::{Place, guard, quietly};
use crate::link::{Arguments, Link};

/// One JavaScript thread's channel.
#[napi]
#[allow(missing_debug_implementations)] // Only JavaScript has one in hand.
pub struct Channel {
    link: Arc<Link>,
}

#[napi]
impl Channel {
    /// Opens the channel; `dispatch` is called with every answer.
    #[napi(constructor)]
    pub fn new(env: Env, dispatch: Function<'_, Arguments, ()>) -> Result<Self, Thrown> {
        let link =
            guard(Place::Export, || Ok(Link::open(env, &dispatch)?)).map_err(Failure::into_exception)?;
        Ok(Self { link })
    }

    /// Cancels all waits, releases every lock, and waits at most so long for work under way.
    #[napi]
    pub fn close(&self, milliseconds: u32) {
        quietly(Place::Close, || self.link.close(Duration::from_millis(milliseconds.into())));
    }
}

impl Channel {
    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.link
    }
}
