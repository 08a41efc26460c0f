#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

pub mod backend;
mod error;
mod keys;
mod lifetime;
mod record;
mod store;

pub use error::{Error, ErrorKind, Result};
pub use keys::KeyRing;
pub use lifetime::Lifetimes;
pub use record::Record;
pub use store::TokenStore;
