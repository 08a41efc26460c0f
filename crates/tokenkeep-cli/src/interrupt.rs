//! Ctrl-C: a wait ends at once, a change is finished or was never begun.
//!
//! The library's own writes are whole whenever a process ends, so nothing here protects them. What is avoided is ending
//! between two steps of one command, which its next run would have to finish.

use tokenkeep::options::Cancel;

/// Thrown by Ctrl-C. Commands that only look end at once; those that change something give its [`Cancel`] to their waits.
#[derive(Debug)]
pub(crate) struct Interrupt {
    cancel: Cancel,
}

impl Interrupt {
    /// From here on Ctrl-C does not end the process by itself, but with the code 130.
    pub(crate) fn install() -> Self {
        let cancel = Cancel::new();
        #[cfg(unix)]
        unix::listen(&cancel);
        Self { cancel }
    }

    /// For a wait that Ctrl-C is to end.
    pub(crate) fn cancel(&self) -> Cancel {
        self.cancel.clone()
    }
}

#[cfg(unix)]
mod unix {
    use std::time::Duration;

    use signal_hook::consts::SIGINT;
    use signal_hook::iterator::Signals;
    use tokenkeep::options::Cancel;

    use crate::exit::Code;

    /// How long a change that is under way may take to end; a second Ctrl-C does not wait.
    const GRACE: Duration = Duration::from_secs(6);

    /// Failing leaves the system's own reaction to Ctrl-C, which ends the process.
    pub(super) fn listen(cancel: &Cancel) {
        let Ok(mut signals) = Signals::new([SIGINT]) else { return };
        let cancel = cancel.clone();
        let listening = move || {
            let mut pressed = false;
            for _ in signals.forever() {
                cancel.cancel();
                if pressed {
                    std::process::exit(Code::Interrupted as i32);
                }
                pressed = true;
                // Whatever ends because of it ends the process, and this thread with it.
                let late = || {
                    std::thread::sleep(GRACE);
                    std::process::exit(Code::Interrupted as i32);
                };
                drop(std::thread::Builder::new().name("interrupted".to_owned()).spawn(late));
            }
        };
        drop(std::thread::Builder::new().name("signals".to_owned()).spawn(listening));
    }
}
