//! That something is still going on, told on a terminal when it takes longer than a person expects. No spinner: one line
//! that counts seconds and goes away.

use std::io::{self, IsTerminal};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Shorter work is not spoken of.
const PATIENCE: Duration = Duration::from_millis(700);
const STEP: Duration = Duration::from_secs(1);

/// Shown until it is dropped.
#[derive(Debug)]
pub(crate) struct Progress(Option<(Sender<()>, JoinHandle<()>)>);

impl Progress {
    /// `what` is being done, as in `Moving`. Says nothing where standard error is no terminal.
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
        // Without a thread for it nothing is told, and the work is done all the same.
        let telling = std::thread::Builder::new().name("progress".to_owned()).spawn(telling);
        Self(telling.ok().map(|telling| (end, telling)))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((end, telling)) = self.0.take() {
            drop(end);
            // It has nothing to hand over; joined so that its line is gone before the next is printed.
            drop(telling.join());
        }
    }
}
