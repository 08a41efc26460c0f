//! Work that is due at a time.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Wake;
use std::time::{Duration, Instant};

use crate::threads::pool;
use crate::threads::timer::{self, Alarm};

/// Work that is due; see [`after`]. Dropping it cancels the work, if that has not begun.
///
/// ```
/// use std::time::Duration;
/// use tokenkeep::nonblocking::{Timer, after};
///
/// # fn main() -> std::io::Result<()> {
/// let timer: Timer = after(Duration::from_secs(10), || println!("the client took too long"))?;
/// drop(timer); // it was in time
/// # Ok(())
/// # }
/// ```
#[must_use = "the work is cancelled when the timer is dropped"]
pub struct Timer {
    _alarm: Alarm,
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Timer")
    }
}

/// Runs `work` once `delay` has passed, on a thread of the pool, unless the [`Timer`] is dropped before. It needs no
/// runtime, and runs while the threads of the program stand still.
///
/// ```
/// use std::{sync::mpsc, time::Duration};
///
/// let (done, wait) = mpsc::channel();
/// let timer = tokenkeep::nonblocking::after(Duration::from_millis(1), move || drop(done.send("due")))?;
/// assert_eq!(wait.recv(), Ok("due"));
/// # drop(timer);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// When the system gives no thread for it.
pub fn after(delay: Duration, work: impl FnOnce() + Send + 'static) -> io::Result<Timer> {
    let due = Arc::new(Due(Mutex::new(Some(Box::new(work)))));
    let now = Instant::now();
    // A delay beyond what the clock can name is one whose end no program sees.
    let time = now.checked_add(delay).unwrap_or(now + Duration::from_secs(60 * 60 * 24 * 365));
    Ok(Timer { _alarm: timer::wake_at(time, due.into())? })
}

struct Due(Mutex<Option<Box<dyn FnOnce() + Send>>>);

impl Wake for Due {
    fn wake(self: Arc<Self>) {
        let work = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(work) = work {
            // Without a thread it is dropped, and with it what it would have ended.
            drop(pool::run(work));
        }
    }
}
