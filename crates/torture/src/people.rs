//! Signs accounts in and out as fast as the disk allows, for tests of watching.

use std::path::Path;

use tokenkeep::schema::{Change, remove_account};
use tokenkeep::{TokenCache, options::Durability, storage::FilePersistence};

use crate::Outcome;

/// Signs in NAME0, NAME1, ...; signs those with an odd number out again.
pub(crate) fn come_and_go(path: &Path, name: &str, count: usize) -> Outcome<()> {
    let persistence = FilePersistence::new(path)?.durability(Durability::Cached);
    let cache = TokenCache::new(persistence);
    for number in 0..count {
        let home = format!("{name}{number}.tenant");
        let entry = format!(
            r#"{{"Account":{{"{home}-key":{{"home_account_id":"{home}","environment":"login.windows.net","username":"{name}{number}"}}}}}}"#
        );
        cache.begin_write()?.commit_change(&Change::additions(entry.as_bytes()))?;
        if number % 2 == 1 {
            let write = cache.begin_write()?;
            let removal = remove_account(write.content().unwrap_or(b"{}"), &home)?;
            write.commit(removal.content.expose())?;
        }
    }
    Ok(())
}
