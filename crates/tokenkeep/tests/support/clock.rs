//! Measures how long an operation takes, so that an upper limit holds on a busy machine too.
//!
//! While the operation runs, a second thread takes naps of a millisecond and creates a file after each. A machine that
//! makes the operation wait for a processor or for the file system makes this thread wait as well. An upper limit
//! therefore counts naps, and a lower limit reads the clock. An operation that waits by itself, for a timer or for
//! another process, gains nothing: the naps go on.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

const NAP: Duration = Duration::from_millis(1);

/// How long an operation took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Took {
    /// The sum of the naps, for upper limits. Never more than `clock`.
    pub(crate) naps: Duration,
    /// By the clock, for lower limits.
    pub(crate) clock: Duration,
}

/// Runs `work` and returns its result and how long it took.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, Took) {
    /// Ends the naps, also when `work` panics.
    struct End<'a>(&'a AtomicBool);
    impl Drop for End<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let (ended, naps) = (AtomicBool::new(false), AtomicU32::new(0));
    std::thread::scope(|scope| {
        let began = Instant::now();
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                std::thread::sleep(NAP);
                drop(tempfile::tempfile());
                naps.fetch_add(1, Ordering::Relaxed);
            }
        });
        let _end = End(&ended);
        let result = work();
        let clock = began.elapsed();
        (result, Took { naps: NAP * naps.load(Ordering::Relaxed), clock })
    })
}
