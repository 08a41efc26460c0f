//! The lock between processes (being written).

/// Proof that the lock is held.
#[derive(Debug)]
pub struct LockGuard(());
