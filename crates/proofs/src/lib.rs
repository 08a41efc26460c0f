//! Proofs about tokenkeep that ordinary tests cannot give. Not published. `docs/proofs.md` has the results.
//!
//! - [`lock_model`]: the lock protocol as a state machine, one system call per step, explored exhaustively.
//! - [`belief_model`]: when content is taken for unchanged, over stores with coarse times.
//! - [`history`], [`linear`]: recorded operations of real processes on a real cache, checked for linearizability;
//!   [`workload`] runs the operations, [`accounts`] reads and writes the cache, [`clocked`] is a store with a clock of its own.

pub mod accounts;
pub mod belief_model;
pub mod clocked;
pub mod history;
pub mod linear;
pub mod lock_model;
pub mod workload;

/// Reproducible pseudo-random numbers: splitmix64.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Creates a generator; the same seed gives the same numbers.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns a number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    /// Returns an index below `length`, or 0 if `length` is 0.
    pub fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length.max(1) as u64)).unwrap_or_default()
    }

    /// Returns true once in `times`.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}
