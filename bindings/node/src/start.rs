//! Everything that creating a cache in a keystore's item asks of the system, in one call: each way to a thread and back
//! costs a starting program as much as the work does.

use std::time::Duration;

use napi::bindgen_prelude::Env;
use napi_derive::napi;
use tokenkeep::{Persistence, options::WaitOptions, storage::FilePersistence};

use crate::cache::Cache;
use crate::failure::{Failure, Thrown};
use crate::reply::Reply;

#[napi]
impl Cache {
    /// Prepares the marker of a keystore's item, then verifies the item, as [`Cache::verify`] does. Answers with what is
    /// wrong with it, if anything is, and then, where `or_file` asks for that, whether a plaintext file works in its place.
    #[napi]
    pub fn start(&self, env: Env, call: u32, limit: u32, or_file: bool) -> Result<(), Thrown> {
        let item = self.item().cloned();
        self.work(&env, call, move |_| {
            let item = item.ok_or_else(|| Failure::new("internal", "This cache is in no item"))?;
            item.prepare()?;
            let wait = WaitOptions::within(Duration::from_millis(limit.into()));
            let Err(refused) = item.verify().and_then(|()| item.take_in(&wait)) else {
                return Ok(Reply::Start { refused: None, file: false });
            };
            // What goes wrong with it is found again, and told, when the program's own file is opened.
            let works = || FilePersistence::new(item.path())?.verify();
            Ok(Reply::Start { refused: Some(refused.into()), file: or_file && works().is_ok() })
        })
    }
}
