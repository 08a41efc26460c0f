//! The kernel's side: two names in a directory, the inodes behind them, and flock.

use super::{PROCESSES, Process};

/// A file, whether it has a name or not.
pub type Ino = u8;

/// Two names, and two open files for each process at most.
const INODES: usize = 2 + 2 * PROCESSES;

/// A name in the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// `<cache>.tk-lock`
    Private,
    /// `<cache>.lockfile`
    Sibling,
}

/// What a lock file says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Record {
    /// Nothing.
    #[default]
    Empty,
    /// A process of ours wrote it; which one is never asked where there is flock. Where there is none, a dead one.
    Ours,
    /// This process of a sibling wrote it, or of ours where there is no flock, and lives.
    Living(u8),
    /// A process of a sibling wrote it that is dead.
    Dead,
}

/// One file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Inode {
    record: Record,
    /// The open file that holds the flock: a process, and which of its two.
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
    /// The file of this name.
    pub fn named(&self, which: Which) -> Option<Ino> {
        self.names[which as usize]
    }

    /// Gives a file this name, which must be free.
    pub fn link(&mut self, which: Which, ino: Ino) {
        self.names[which as usize] = Some(ino);
    }

    /// Takes the name away; the file lives on as long as somebody has it open.
    pub fn unlink(&mut self, which: Which) {
        self.names[which as usize] = None;
    }

    /// Creates an empty file of this name.
    pub fn create(&mut self, which: Which) -> Ino {
        let ino = self.used;
        self.used += 1;
        self.inodes[usize::from(ino)] = Inode::default();
        self.link(which, ino);
        ino
    }

    /// The file of this name, created if there is none.
    pub fn open_or_create(&mut self, which: Which) -> Ino {
        self.named(which).unwrap_or_else(|| self.create(which))
    }

    /// What the file says.
    pub fn record(&self, ino: Ino) -> Record {
        self.inodes[usize::from(ino)].record
    }

    /// Writes the file.
    pub fn write(&mut self, ino: Ino, record: Record) {
        self.inodes[usize::from(ino)].record = record;
    }

    /// The process that holds the file's flock.
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

    /// What the kernel does when a process ends.
    pub fn release_all(&mut self, process: u8) {
        for inode in &mut self.inodes {
            if inode.flock.is_some_and(|flock| flock.0 == process) {
                inode.flock = None;
            }
        }
    }

    /// Whatever this process wrote is now the record of a dead one.
    pub fn bury(&mut self, process: u8, dead: Record) {
        for inode in &mut self.inodes {
            if inode.record == Record::Living(process) {
                inode.record = dead;
            }
        }
    }

    /// Two processes of the same kind change names.
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

    /// Drops files without name and opener and numbers the others in the order in which they are met.
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
