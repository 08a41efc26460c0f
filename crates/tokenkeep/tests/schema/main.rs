//! What the token cache's text means: merging, removing an account, telling whole from torn.
#![allow(clippy::unwrap_used)] // Helpers are tests too.

mod hostile;
mod merge_table;
mod preservation;
mod properties;
mod put;
mod removal;
mod support;
mod views;
mod whole;
