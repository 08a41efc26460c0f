//! Says on a terminal that work is still going on, if it takes longer than a user expects: one line that counts
//! seconds and disappears.

use std::io::{self, IsTerminal};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Work that is shorter gets no line.
const PATIENCE: Duration = Duration::from_millis(700);
const STEP: Duration = Duration::from_secs(1);

/// The line, shown until it is dropped.
#[derive(Debug)]
pub(crate) struct Progress(Option<(Sender<()>, JoinHandle<()>)>);

impl Progress {
    /// Shows that `what` is being done, for example `Moving`. Shows nothing if standard error is not a terminal.
    pub(crate) fn of(what: &'static str) -> Self {
        if !io::stderr().is_terminal() {
            return Self(None);
        }
        let (end, ended) = mpsc::channel();
        let began = Instant::now();
        let telling = move || {
            let (mut pause, mut shown) = (PATIENCE, false);
            while ended.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                eprint!(
                    "\r{what}, for {} s (Ctrl-C gives up, nothing gets lost) ",
                    began.elapsed().as_secs()
                );
                (pause, shown) = (STEP, true);
            }
            if shown {
                eprint!("\r\x1b[K");
            }
        };
        // Without a thread, the line is left out and the work goes on.
        let telling = std::thread::Builder::new().name("progress".to_owned()).spawn(telling);
        Self(telling.ok().map(|telling| (end, telling)))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((end, telling)) = self.0.take() {
            drop(end);
            // Wait for the thread, so that its line is gone before the next is printed.
            drop(telling.join());
        }
    }
}
