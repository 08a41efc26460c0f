//! Proofs about tokenkeep that ordinary tests cannot give. Not published; `docs/proofs.md` tells what they found.
//!
//! - [`lock_model`]: the lock protocol as a state machine, one system call per step, explored exhaustively.

pub mod lock_model;
