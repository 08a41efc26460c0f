//! Tokens for the Azure SDK from a cache: the requests that are made and their number, and the results of failures.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

mod crowd;
mod dropped;
mod executor;
mod failures;
mod msal;
mod numbers;
mod persistent;
mod shown;
mod taint;
