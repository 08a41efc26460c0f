//! The threads of this process that are shared: a pool for work that may block, and a timer.

pub(crate) mod pool;
pub(crate) mod timer;

use std::sync::Arc;
use std::task::{Wake, Waker};
use std::thread::{self, Thread};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// A waker that unparks the calling thread.
pub(crate) fn unpark_me() -> Waker {
    Arc::new(Unpark(thread::current())).into()
}
