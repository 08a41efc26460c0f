//! Ctrl-C: a wait ends at once; a change that has begun is finished.
//!
//! The library's writes are atomic at any kill, so nothing here protects them. This file avoids an end between two
//! steps of one command, which the next run would have to finish.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use tokenkeep::options::Cancel;

use crate::exit::Code;
use crate::platform;

/// How long a change that has begun may take to finish; a second Ctrl-C does not wait.
const GRACE: Duration = Duration::from_secs(6);

/// A second signal within this time belongs to the same key press: the terminal signals every process in the
/// foreground, and npx's script passes its own signal on. No user presses the key again so soon.
const ECHO: Duration = Duration::from_millis(500);

/// The flag that Ctrl-C sets. Commands that only read end at once; commands that change content pass its [`Cancel`]
/// to their waits.
#[derive(Debug)]
pub(crate) struct Interrupt {
    cancel: Cancel,
}

impl Interrupt {
    /// Installs the handler: from here on Ctrl-C ends the process only through it, with the code 130.
    pub(crate) fn install() -> Self {
        let cancel = Cancel::new();
        let presses = Presses { cancel: cancel.clone(), first: Mutex::new(None) };
        platform::on_interrupt(move || presses.one());
        Self { cancel }
    }

    /// Returns the flag for a wait that Ctrl-C must end.
    pub(crate) fn cancel(&self) -> Cancel {
        self.cancel.clone()
    }
}

/// The presses so far.
#[derive(Debug)]
struct Presses {
    cancel: Cancel,
    first: Mutex<Option<Instant>>,
}

impl Presses {
    fn one(&self) {
        self.cancel.cancel();
        // No code panics while it holds this lock.
        let Ok(mut first) = self.first.lock() else { return };
        match Press::after(first.map(|first| first.elapsed())) {
            Press::First => {
                *first = Some(Instant::now());
                // The process usually ends because of the cancellation, and this thread with it.
                let late = || {
                    std::thread::sleep(GRACE);
                    std::process::exit(Code::Interrupted as i32);
                };
                drop(std::thread::Builder::new().name("interrupted".to_owned()).spawn(late));
            }
            Press::Echo => {}
            Press::Impatient => std::process::exit(Code::Interrupted as i32),
        }
    }
}

/// The meaning of a Ctrl-C.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Press {
    First,
    /// A second signal of the same key press.
    Echo,
    /// Do not wait for the change that has begun.
    Impatient,
}

impl Press {
    /// Classifies a signal by the time since the first one, if there was one.
    fn after(first: Option<Duration>) -> Self {
        match first {
            None => Self::First,
            Some(since) if since < ECHO => Self::Echo,
            Some(_) => Self::Impatient,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_signal_of_the_same_key_press_is_ignored_and_a_later_one_does_not_wait() {
        assert_eq!(Press::after(None), Press::First);
        assert_eq!(Press::after(Some(Duration::from_millis(40))), Press::Echo);
        assert_eq!(Press::after(Some(Duration::from_secs(1))), Press::Impatient);
    }
}
