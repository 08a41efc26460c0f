//! Tokens for the Azure SDK from a cache: what is asked of whom, how often, and what happens when things fail.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

mod crowd;
mod dropped;
mod executor;
mod failures;
mod msal;
mod persistent;
