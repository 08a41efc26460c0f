//! The process that holds the flock of a file, as far as the system tells.
//!
//! flock works on a descriptor that can only read. Another user who may open a sibling's lock file can hold its flock for
//! ever, so a busy flock alone is no evidence of a process of this user.

use super::super::files::{self, Status};
use crate::platform::os;

/// The holder of a busy flock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FlockHolder {
    /// A process that a user of this lock started, or root.
    Known(u32),
    /// Only processes of other users.
    Stranger,
    /// The system does not tell: no such list, another machine or container.
    Untold,
}

impl FlockHolder {
    pub(super) fn of(status: &Status) -> Self {
        let users: Vec<(u32, Option<u32>)> = os::flock_holders(files::identity(status))
            .into_iter()
            .map(|pid| (pid, os::user_of(pid)))
            .collect();
        let trusted = |user: u32| user == 0 || user == status.uid() || user == files::effective_user();
        if let Some((pid, _)) = users.iter().find(|(_, user)| user.is_some_and(trusted)) {
            return Self::Known(*pid);
        }
        // A process that has ended meanwhile is not told either.
        match !users.is_empty() && users.iter().all(|(_, user)| user.is_some()) {
            true => Self::Stranger,
            false => Self::Untold,
        }
    }
}
