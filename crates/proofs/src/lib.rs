//! Proofs about tokenkeep that ordinary tests cannot give. Not published; `docs/proofs.md` tells what they found.
//!
//! - [`lock_model`]: the lock protocol as a state machine, one system call per step, explored exhaustively.
//! - [`history`], [`linear`]: what real processes did to a real cache, recorded and checked for linearizability;
//!   [`workload`] is what they do, [`accounts`] how their cache looks.

pub mod accounts;
pub mod history;
pub mod linear;
pub mod lock_model;
pub mod workload;

/// Numbers that look random and can be had again: splitmix64.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Dice that always fall the same way for the same seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    /// A place in something that is so long, or 0 when it is empty.
    pub fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length.max(1) as u64)).unwrap_or_default()
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}
