//! Explores the lock protocol exhaustively: every order of the steps of these processes, each of which may be killed
//! before any system call. Asserts of each world which properties hold and which do not, so that `docs/proofs.md`
//! stays true.
#![expect(clippy::print_stdout, reason = "the counts are part of the evidence")]

use std::collections::BTreeSet;

use tokenkeep_proofs::lock_model::explore;
use tokenkeep_proofs::lock_model::ours::{Fault, STEALS};
use tokenkeep_proofs::lock_model::sibling::Kind::{Dotnet, Existence, Go, Portalocker};
use tokenkeep_proofs::lock_model::{
    ALL_GET_IN, Human, NO_FAILURE, NO_FOREIGN_UNLINK, NO_SLIPPED_UNLINK, OURS_EXCLUDE_OURS,
    OURS_EXCLUDE_SIBLINGS, SURVIVOR_GETS_IN, World,
};

/// The properties that stray unlinks break: the sibling lock file no longer shows that we hold the lock, and at the
/// release the file can change between the check and the unlink.
const STRAY: &[&str] = &[NO_SLIPPED_UNLINK, OURS_EXCLUDE_SIBLINGS];

/// Explores `world` and checks that exactly the properties in `broken` do not hold.
fn expect(title: &str, world: &World, broken: &[&str]) {
    let report = explore::everything(world.clone());
    println!(
        "{title}: {} states, {} steps, at most {} deep, {:.1?}",
        report.states, report.steps, report.depth, report.took
    );
    let found: BTreeSet<&str> = report.broken.keys().copied().collect();
    let expected = broken.iter().copied().collect();
    let story = found.difference(&expected).next().map(|name| report.broken[name].join("\n  "));
    assert_eq!(found, expected, "{title}: not as expected\n  {}", story.unwrap_or_default());
}

/// Prints the shortest path that breaks `property`.
fn show(title: &str, world: &World, property: &'static str) {
    let Some(story) = explore::shortest(world, property, 45) else {
        panic!("{title}: {property:?} cannot be broken any more; the documentation says that it can");
    };
    println!("{title}: {property:?} breaks in {} steps:\n  {}", story.len(), story.join("\n  "));
}

#[test]
fn our_processes_exclude_each_other_and_none_waits_for_the_dead() {
    expect("ours alone", &World::of(4, &[]), &[]);
    expect("without hard links", &World::of(4, &[]).without_hard_links(), &[]);
}

#[test]
fn ours_and_one_kind_of_sibling_exclude_each_other() {
    expect("JavaScript", &World::of(3, &[Existence]), &[]);
    expect("two JavaScript", &World::of(3, &[Existence; 2]), &[]);
    expect(".NET", &World::of(3, &[Dotnet]), &[]);
    expect("two .NET", &World::of(2, &[Dotnet; 2]), &[]);
    expect("JavaScript, without hard links", &World::of(3, &[Existence; 2]).without_hard_links(), &[]);
    expect("two .NET, without hard links", &World::of(2, &[Dotnet; 2]).without_hard_links(), &[]);
}

#[test]
fn siblings_that_unlink_after_they_unlocked_are_excluded_when_they_do_both_without_a_pause() {
    expect("Go", &World::of(3, &[Go]).with_brisk_siblings(), &[]);
    expect("portalocker", &World::of(3, &[Portalocker]).with_brisk_siblings(), &[]);
}

#[test]
fn stray_unlinks_never_let_two_of_ours_in() {
    expect("JavaScript, stray", &World::of(3, &[Existence]).with_stray_unlinks(), STRAY);
    expect(".NET, stray", &World::of(3, &[Dotnet]).with_stray_unlinks(), STRAY);
    expect("Go, stray", &World::of(3, &[Go]).with_stray_unlinks(), STRAY);
    let poor = World::of(3, &[Dotnet]).with_stray_unlinks().without_hard_links();
    expect(".NET, stray, without hard links", &poor, STRAY);
    let mixed = World::of(2, &[Existence, Dotnet]).with_stray_unlinks();
    expect("JavaScript and .NET, stray", &mixed, STRAY);
}

#[test]
fn a_person_may_remove_the_private_lock_file() {
    let tidy = |world: World| world.with_human(Human::Tidy);
    let rash = |world: World| world.with_human(Human::Rash);
    expect("tidy person, JavaScript", &tidy(World::of(3, &[Existence])), &[]);
    expect("tidy person, .NET", &tidy(World::of(2, &[Dotnet])), &[]);
    expect("tidy person, stray", &tidy(World::of(3, &[Existence]).with_stray_unlinks()), STRAY);
    expect("rash person, JavaScript", &rash(World::of(2, &[Existence])), &[]);
    // A link of ours can then be on a file with .NET's pid; we give up that file when that process ends.
    expect("rash person, .NET", &rash(World::of(2, &[Dotnet])), &[ALL_GET_IN]);
}

/// Without flock, the lock file of a dead process cannot be held while it is taken over.
#[test]
fn without_flock_exclusion_holds_until_a_process_dies() {
    let poor = |world: World| world.without_flock();
    expect("without flock or kills", &poor(World::of(3, &[Existence])).without_kills(), &[]);
    expect("without flock, one of ours", &poor(World::of(1, &[Existence])), &[]);
    let all = [ALL_GET_IN, NO_SLIPPED_UNLINK, OURS_EXCLUDE_OURS, OURS_EXCLUDE_SIBLINGS, SURVIVOR_GETS_IN];
    expect("without flock, two of ours", &poor(World::of(2, &[Existence])), &all);
}

#[test]
fn the_protocol_breaks_only_the_known_properties() {
    let stray = World::of(1, &[Existence]).with_stray_unlinks();
    show("stray unlink: a sibling enters beside us", &stray, OURS_EXCLUDE_SIBLINGS);
    show("stray unlink between the look and the unlink", &stray, NO_SLIPPED_UNLINK);
    show(
        "siblings that do not respect each other",
        &World::of(1, &[Existence, Dotnet]),
        OURS_EXCLUDE_SIBLINGS,
    );
    show(
        "two Go processes and the late unlink",
        &World::of(1, &[Go, Go]).with_brisk_siblings(),
        OURS_EXCLUDE_SIBLINGS,
    );
    show(
        "one Go process, interrupted between two adjacent calls",
        &World::of(2, &[Go]),
        OURS_EXCLUDE_SIBLINGS,
    );
    let poor = World::of(1, &[Go]).with_brisk_siblings().without_hard_links();
    show("Go, without hard links: ours interrupted", &poor, OURS_EXCLUDE_SIBLINGS);
    let frozen = World::of(1, &[Existence]).with_freezing_siblings();
    show("JavaScript, frozen before it wrote its pid", &frozen, OURS_EXCLUDE_SIBLINGS);
    let both = World::of(2, &[Existence]).with_stray_unlinks().with_human(Human::Rash);
    let poor = World::of(2, &[Existence]).without_flock();
    show("without flock: two take over at once", &poor, OURS_EXCLUDE_OURS);
    show("a person and a stray unlink together", &both, OURS_EXCLUDE_OURS);
}

#[test]
fn every_step_of_our_program_is_explored() {
    let worlds = [
        World::of(2, &[Existence]).with_human(Human::Tidy),
        World::of(1, &[Dotnet]).without_hard_links(),
        World::of(2, &[Existence]).without_flock(),
    ];
    assert_eq!(explore::unreached(&worlds), BTreeSet::from([STEALS]));
}

/// Checks that the checker finds a fault in a world where the correct protocol holds.
fn caught(fault: Fault, world: World, property: &'static str) {
    let title = format!("{fault:?}");
    let sound = explore::everything(world.clone());
    assert!(!sound.broken.contains_key(property), "{title}: broken even without the fault");
    show(&title, &world.with_fault(fault), property);
}

#[test]
fn skipping_the_check_of_the_private_file_after_flock_is_caught() {
    let world = World::of(2, &[Existence]).with_stray_unlinks().with_human(Human::Tidy);
    caught(Fault::SkipPrivateRecheck, world, OURS_EXCLUDE_OURS);
}

#[test]
fn skipping_the_check_of_a_lock_file_that_was_taken_over_is_caught() {
    caught(Fault::SkipTakeOverRecheck, World::of(1, &[Dotnet; 2]), OURS_EXCLUDE_SIBLINGS);
}

#[test]
fn skipping_the_check_of_the_link_is_caught() {
    caught(Fault::SkipLinkRecheck, World::of(2, &[]).with_human(Human::Rash), OURS_EXCLUDE_OURS);
}

#[test]
fn unlinking_in_order_to_steal_is_caught() {
    let stray = World::of(1, &[Existence]).with_stray_unlinks();
    caught(Fault::UnlinkToSteal, stray, NO_FOREIGN_UNLINK);
    caught(Fault::UnlinkToStealUnlocked, World::of(1, &[Dotnet]), OURS_EXCLUDE_SIBLINGS);
}

#[test]
fn creating_the_lock_file_without_the_private_lock_is_caught() {
    caught(Fault::NoPrivateLock, World::of(2, &[Existence]).with_stray_unlinks(), OURS_EXCLUDE_OURS);
}

#[test]
fn unlinking_without_a_check_is_caught() {
    caught(Fault::UnlinkUnseen, World::of(1, &[Existence]).with_stray_unlinks(), NO_FOREIGN_UNLINK);
}

#[test]
fn unlocking_before_unlinking_is_caught() {
    caught(Fault::UnlockBeforeUnlink, World::of(2, &[Existence]), OURS_EXCLUDE_SIBLINGS);
}

#[test]
fn taking_a_free_flock_for_death_is_caught() {
    caught(Fault::TrustFreeFlock, World::of(1, &[Existence]), OURS_EXCLUDE_SIBLINGS);
}

#[test]
fn using_a_file_that_another_process_locked_is_caught() {
    caught(Fault::UseUnlocked, World::of(1, &[Dotnet]).without_hard_links(), OURS_EXCLUDE_SIBLINGS);
}

#[test]
fn failing_because_a_link_was_lost_is_caught() {
    caught(Fault::FailOnLostLink, World::of(1, &[Existence]).with_stray_unlinks(), NO_FAILURE);
}

#[test]
fn taking_over_without_a_pause_is_caught() {
    caught(Fault::NoPause, World::of(2, &[Go]).with_brisk_siblings(), OURS_EXCLUDE_SIBLINGS);
}

/// The large worlds: `cargo xtask torture`, or `TOKENKEEP_TORTURE=1`.
#[test]
fn larger_worlds_break_no_other_property() {
    if std::env::var_os("TOKENKEEP_TORTURE").is_none() {
        expect("three kinds", &World::of(1, &[Existence, Dotnet, Go]), STRAY);
        return;
    }
    expect("five of ours", &World::of(5, &[]), &[]);
    expect("three .NET", &World::of(2, &[Dotnet; 3]), &[]);
    expect("two .NET, three of ours", &World::of(3, &[Dotnet; 2]), &[]);
    let all = World::of(2, &[Existence, Dotnet, Go]);
    expect("all kinds, stray", &all.with_stray_unlinks(), STRAY);
    let rash = World::of(3, &[Existence]).with_human(Human::Rash);
    expect("rash person, three of ours, JavaScript", &rash, &[]);
}
