//! Prints the accounts that other programs sign in or out, one line each: `+` added, `-` removed, `*` changed.
//!
//! ```sh
//! cargo run --example watch -- ~/.my-app/cache.json    # ends with its standard input
//! ```
#![expect(clippy::print_stdout, reason = "this is its output")]

use std::error::Error;
use std::io::Read;

use tokenkeep::TokenCache;
use tokenkeep::storage::FilePersistence;
use tokenkeep::watch::{CacheChanged, WatchedAccount};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1).ok_or("usage: watch CACHE-FILE")?;
    let cache = TokenCache::new(FilePersistence::new(path)?);
    let _watcher = cache.watch(|event| match event {
        Ok(CacheChanged { added, removed, changed, .. }) => {
            for (sign, accounts) in [('+', added), ('-', removed), ('*', changed)] {
                accounts.iter().for_each(|account| println!("{sign} {}", name(account)));
            }
        }
        Err(error) => println!("! {error}"),
    })?;
    println!("watching");
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

fn name(account: &WatchedAccount) -> &str {
    account.username.as_deref().unwrap_or(&account.home_account_id)
}
