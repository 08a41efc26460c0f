//! A change is never taken for none, whatever the grain of a store's times; and each of the rules is needed.
#![expect(clippy::print_stdout, reason = "the counts are part of the evidence")]

use std::collections::BTreeSet;

use tokenkeep_proofs::belief_model::{NOTHING_OVERWRITTEN, NOTHING_STALE, Reader, Store, World, explore};

fn expect(store: Store, reader: Reader, writer_reads: bool, broken: &[&str]) {
    let world = World { store, reader, writer_reads };
    let (states, found) = explore(world);
    println!("{world:?}: {states} states, broken: {found:?}");
    assert_eq!(found, broken.iter().copied().collect::<BTreeSet<_>>(), "{world:?}");
}

#[test]
fn nothing_is_overwritten_or_stale_on_a_file_system_with_any_grain() {
    for grain in 1..=3 {
        expect(Store::File(grain), Reader::OlderThanAStep, true, &[]);
    }
}

#[test]
fn nothing_is_overwritten_or_stale_in_a_store_with_a_clock_of_its_own() {
    for longest in 1..=3 {
        expect(Store::Custom(longest), Reader::SameFor(longest), true, &[]);
    }
}

#[test]
fn the_former_rule_holds_only_where_the_times_are_as_fine_as_the_clock() {
    let both = &[NOTHING_OVERWRITTEN, NOTHING_STALE];
    expect(Store::File(1), Reader::OlderThanTheClock, false, &[]);
    expect(Store::File(2), Reader::OlderThanTheClock, false, both);
    expect(Store::Custom(2), Reader::Always, false, both);
}

#[test]
fn a_writer_that_reads_overwrites_nothing_even_where_readers_believe_too_much() {
    for store in [Store::File(1), Store::File(3), Store::Custom(3)] {
        expect(store, Reader::Always, true, &[NOTHING_STALE]);
    }
}

#[test]
fn a_version_that_was_the_same_for_less_than_a_step_is_not_believed_rightly() {
    expect(Store::Custom(3), Reader::SameFor(1), true, &[NOTHING_STALE]);
}
