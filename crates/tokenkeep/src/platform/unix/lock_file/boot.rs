//! Tells which machine wrote a lock file, and since which start. A lock that was never released outlives its process
//! here and, on a shared file system, its machine.

use crate::platform::lock_record::{Author, Record};
use crate::platform::process::{self, Life};

impl Record {
    /// Returns whether a process of this machine since its last start certainly wrote it.
    pub(crate) fn is_of_this_boot(&self) -> bool {
        self.boot().is_some_and(|boot| boot == process::boot_id())
    }

    /// Returns whether a process of another machine, or of this one before its last start, certainly wrote it.
    pub(crate) fn is_of_another_boot(&self) -> bool {
        process::boot_id() != process::UNKNOWN_BOOT
            && self.boot().is_some_and(|boot| boot != process::boot_id())
    }

    fn boot(&self) -> Option<&str> {
        let boot = self.field(4).filter(|boot| *boot != process::UNKNOWN_BOOT)?;
        (self.author() == Author::Ours).then_some(boot)
    }

    /// Returns whether our own record names a process of this machine that has ended.
    pub(crate) fn is_dead_here(&self) -> bool {
        let Some(pid) = self.pid().filter(|_| self.is_of_this_boot()) else { return false };
        process::life(pid) == Life::Dead
            || process::start(pid).is_some_and(|start| self.field(3) != Some(&start.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::platform::lock_record;

    #[test]
    fn our_own_record_is_of_this_boot_and_of_a_living_process() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&lock_record::own()).unwrap();
        let record = Record::read(&file);
        assert!(record.is_of_this_boot());
        assert!(!record.is_of_another_boot());
        assert!(!record.is_dead_here());
    }
}
