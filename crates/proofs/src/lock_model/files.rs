//! The kernel: two names in a directory, their inodes, and flock.

use super::{PROCESSES, Process};

/// A file, with or without a name.
pub type Ino = u8;

/// Two names, and at most two open files for each process.
const INODES: usize = 2 + 2 * PROCESSES;

/// A name in the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// `<cache>.tk-lock`
    Private,
    /// `<cache>.lockfile`
    Sibling,
}

/// The content of a lock file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Record {
    /// Empty.
    #[default]
    Empty,
    /// Written by a process of ours. With flock the model never needs to know which one; without flock it is a dead
    /// one.
    Ours,
    /// Written by this living process: of a sibling, or of ours where there is no flock.
    Living(u8),
    /// Written by a dead process of a sibling.
    Dead,
}

/// One file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Inode {
    record: Record,
    /// The open file that holds the flock: the process, and which of its two files.
    flock: Option<(u8, bool)>,
}

/// All files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Files {
    names: [Option<Ino>; 2],
    inodes: [Inode; INODES],
    used: u8,
}

impl Files {
    /// Returns the file with this name.
    pub fn named(&self, which: Which) -> Option<Ino> {
        self.names[which as usize]
    }

    /// Gives a file this name, which must be free.
    pub fn link(&mut self, which: Which, ino: Ino) {
        self.names[which as usize] = Some(ino);
    }

    /// Removes the name; the file lives while a process has it open.
    pub fn unlink(&mut self, which: Which) {
        self.names[which as usize] = None;
    }

    /// Creates an empty file with this name.
    pub fn create(&mut self, which: Which) -> Ino {
        let ino = self.used;
        self.used += 1;
        self.inodes[usize::from(ino)] = Inode::default();
        self.link(which, ino);
        ino
    }

    /// Returns the file with this name; creates it if there is none.
    pub fn open_or_create(&mut self, which: Which) -> Ino {
        self.named(which).unwrap_or_else(|| self.create(which))
    }

    /// Returns the content of the file.
    pub fn record(&self, ino: Ino) -> Record {
        self.inodes[usize::from(ino)].record
    }

    /// Writes the file.
    pub fn write(&mut self, ino: Ino, record: Record) {
        self.inodes[usize::from(ino)].record = record;
    }

    /// Returns the process that holds the flock of the file.
    pub fn holder(&self, ino: Ino) -> Option<u8> {
        self.inodes[usize::from(ino)].flock.map(|flock| flock.0)
    }

    /// `flock(LOCK_EX | LOCK_NB)` on the open file `second` of `process`.
    pub fn flock(&mut self, ino: Ino, process: u8, second: bool) -> bool {
        let flock = &mut self.inodes[usize::from(ino)].flock;
        if flock.is_some_and(|holder| holder != (process, second)) {
            return false;
        }
        *flock = Some((process, second));
        true
    }

    /// `LOCK_UN`, or the close of the open file `second` of `process`.
    pub fn unlock(&mut self, ino: Ino, process: u8, second: bool) {
        let flock = &mut self.inodes[usize::from(ino)].flock;
        if *flock == Some((process, second)) {
            *flock = None;
        }
    }

    /// Does what the kernel does when a process ends.
    pub fn release_all(&mut self, process: u8) {
        for inode in &mut self.inodes {
            if inode.flock.is_some_and(|flock| flock.0 == process) {
                inode.flock = None;
            }
        }
    }

    /// Marks each record of this process as one of a dead process.
    pub fn bury(&mut self, process: u8, dead: Record) {
        for inode in &mut self.inodes {
            if inode.record == Record::Living(process) {
                inode.record = dead;
            }
        }
    }

    /// Exchanges the numbers of two processes of the same kind.
    pub fn exchange(&mut self, one: u8, other: u8) {
        let swap = |process: &mut u8| {
            if *process == one {
                *process = other;
            } else if *process == other {
                *process = one;
            }
        };
        for inode in &mut self.inodes {
            if let Some((process, _)) = &mut inode.flock {
                swap(process);
            }
            if let Record::Living(process) = &mut inode.record {
                swap(process);
            }
        }
    }

    /// Drops files without name and opener, and numbers the others in the order of first use.
    pub fn renumber(&mut self, processes: &mut [Process; PROCESSES]) {
        let old = self.inodes;
        let mut map: [Option<Ino>; INODES] = [None; INODES];
        let mut used = 0;
        let mut inodes = [Inode::default(); INODES];
        let mut meet = |place: &mut Option<Ino>| {
            if let Some(ino) = place {
                let from = usize::from(*ino);
                let to = *map[from].get_or_insert_with(|| {
                    inodes[usize::from(used)] = old[from];
                    used += 1;
                    used - 1
                });
                *ino = to;
            }
        };
        self.names.iter_mut().for_each(&mut meet);
        for process in processes {
            meet(&mut process.private);
            meet(&mut process.sibling);
        }
        self.inodes = inodes;
        self.used = used;
    }
}
