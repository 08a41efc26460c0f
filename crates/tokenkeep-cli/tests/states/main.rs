//! The table of states: every state of the cache file, the keyring's item and the lock, at every entrance of the library.
//!
//! Each cell works, or is one typed error whose remedy is carried out here and after which the same call works. The page
//! `docs/states.md` is the table; `TOKENKEEP_BLESS=1 cargo test -p tokenkeep-cli --test states` writes it anew. `cargo test` makes
//! some of the rows; with `TOKENKEEP_TORTURE`, all.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on fails, and a process tells its parent what happened"
)]

#[path = "../common/caches.rs"]
mod caches;
#[path = "../common/holder.rs"]
mod holder;
#[path = "../../../tokenkeep/tests/support/keyring.rs"]
mod keyring;

mod entrance;
mod page;
mod remedy;
mod state;

use entrance::Entrance;
use page::Table;
use state::{File, Item, Lock, Scene, Sessions};

/// Enters; carries out the remedies of errors until it works. Returns the outcome in the words of the page.
fn cell(scene: &mut Scene<'_>, entrance: Entrance) -> String {
    let first = entrance.enter(scene);
    let mut outcome = first;
    let mut words = outcome.words();
    // Each error may show the next one, such as a file in the way once the keyring is unlocked.
    for _ in 0..4 {
        let Some(error) = outcome.error() else {
            entrance.check(scene, &outcome);
            return words;
        };
        remedy::carry_out(scene, &error);
        outcome = entrance.enter(scene);
        if let Some(next) = outcome.error() {
            assert_ne!(next, error, "{entrance:?} in {scene}: the remedy does not help");
            words = format!("{words}, then `{}`", next.code);
        }
    }
    panic!("{entrance:?} in {scene}: too many remedies: {words}");
}

#[test]
fn every_state_of_file_and_item_works_at_every_entrance_or_after_the_remedy_of_its_error() {
    let tables = in_parallel(Entrance::ALL.to_vec(), |entrance, sessions| {
        let mut table = Table::new(entrance.title(), Item::ALL.map(Item::words).as_slice());
        let files = if page::is_whole() { &File::ALL[..] } else { &File::QUICK };
        for &file in files {
            let cells =
                Item::ALL.map(|item| cell(&mut Scene::new(sessions, file, item, Lock::Free), entrance));
            table.row(file.words(), &cells);
        }
        table
    });
    page::compare("states", &tables);
}

#[test]
fn every_state_of_the_lock_works_at_every_entrance_or_after_the_remedy_of_its_error() {
    let pairs = Lock::ALL.iter().flat_map(|lock| [(*lock, File::Marker), (*lock, File::Cache)]).collect();
    let rows = in_parallel(pairs, |(lock, file), sessions| {
        Entrance::ALL.map(|entrance| cell(&mut Scene::new(sessions, file, Item::One, lock), entrance))
    });
    let tables: Vec<Table> = [File::Marker, File::Cache]
        .into_iter()
        .enumerate()
        .map(|(at, file)| {
            let mut table = Table::new(file.place(), &Entrance::ALL.map(Entrance::title));
            for (lock, cells) in Lock::ALL.iter().zip(rows.chunks(2)) {
                table.row(lock.words(), &cells[at]);
            }
            table
        })
        .collect();
    page::compare("locks", &tables);
}

/// Does the work for each of these, each with sessions of its own; the results are in their order.
fn in_parallel<T: Copy + Send, R: Send>(all: Vec<T>, work: impl Fn(T, &Sessions) -> R + Sync) -> Vec<R> {
    std::thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> =
            all.into_iter().map(|each| scope.spawn(move || work(each, &Sessions::start()))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}
