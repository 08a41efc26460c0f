//! The schema of the token cache: merging, removing an account, telling whole content from truncated content.
#![allow(clippy::disallowed_methods, reason = "a test arranges files by path")]
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
