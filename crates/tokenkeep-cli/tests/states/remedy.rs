//! Carries out the remedy that an error names, as a person would who reads it.

use std::process::Command;

use crate::entrance::{Entrance, Failure};
use crate::state::Scene;

pub(crate) fn carry_out(scene: &mut Scene<'_>, error: &Failure) {
    let remedy = error.remedy.as_str();
    assert!(!remedy.is_empty(), "{scene}: {error:?} has no remedy");
    // A line to paste into a shell.
    if let Some((_, line)) = remedy.split_once("mv '") {
        let mut quoted = line.split('\'').step_by(2);
        let (from, to) = (quoted.next().unwrap(), quoted.next().unwrap());
        let moved = Command::new("mv").args([from, to]).status().unwrap();
        assert!(moved.success(), "{scene}: {remedy}");
        return;
    }
    match () {
        () if remedy.contains("Unlock the keyring") => scene.unlock(),
        // In the program whose cache it is.
        () if remedy.to_lowercase().contains("sign in again") => {
            // It may be in the way of another error, with a remedy of its own.
            for _ in 0..4 {
                match Entrance::Program.enter(scene).error() {
                    None => return,
                    Some(next) => carry_out(scene, &next),
                }
            }
            panic!("{scene}: {remedy}");
        }
        () if remedy.contains(".fallback([Store::PlaintextFile])") => scene.fallback = true,
        () if remedy.contains("Install and start gnome-keyring") => scene.start_keyring(),
        () if error.code == "busy" => {
            if let Some(holder) = scene.holder.take() {
                holder.kill();
            }
            scene.end_sibling();
        }
        () => panic!("{scene}: nobody knows how to carry out the remedy of {error:?}"),
    }
}
