//! Ctrl-C: a wait ends at once, a change is finished or was never begun.
//!
//! The library's own writes are whole whenever a process ends, so nothing here protects them. What is avoided is ending
//! between two steps of one command, which its next run would have to finish.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use tokenkeep::options::Cancel;

use crate::exit::Code;
use crate::platform;

/// How long a change that is under way may take to end; a second Ctrl-C does not wait.
const GRACE: Duration = Duration::from_secs(6);

/// What arrives this soon after the first is the same key press: the terminal tells every process that stands at it, and npx's
/// script, which cannot know that, passes on what it is told. Nobody decides anew in so short a time.
const ECHO: Duration = Duration::from_millis(500);

/// Thrown by Ctrl-C. Commands that only look end at once; those that change something give its [`Cancel`] to their waits.
#[derive(Debug)]
pub(crate) struct Interrupt {
    cancel: Cancel,
}

impl Interrupt {
    /// From here on Ctrl-C does not end the process by itself, but with the code 130.
    pub(crate) fn install() -> Self {
        let cancel = Cancel::new();
        let presses = Presses { cancel: cancel.clone(), first: Mutex::new(None) };
        platform::on_interrupt(move || presses.one());
        Self { cancel }
    }

    /// For a wait that Ctrl-C is to end.
    pub(crate) fn cancel(&self) -> Cancel {
        self.cancel.clone()
    }
}

/// What has been pressed so far.
#[derive(Debug)]
struct Presses {
    cancel: Cancel,
    first: Mutex<Option<Instant>>,
}

impl Presses {
    fn one(&self) {
        self.cancel.cancel();
        // Nothing can fail while it is held.
        let Ok(mut first) = self.first.lock() else { return };
        match Press::after(first.map(|first| first.elapsed())) {
            Press::First => {
                *first = Some(Instant::now());
                // Whatever ends because of it ends the process, and this thread with it.
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

/// What a Ctrl-C means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Press {
    First,
    /// The first one once more.
    Echo,
    /// Do not wait for what is under way.
    Impatient,
}

impl Press {
    /// So long after the first one, if there was one.
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
    fn one_key_press_that_arrives_by_two_ways_is_one_and_a_later_one_is_impatience() {
        assert_eq!(Press::after(None), Press::First);
        assert_eq!(Press::after(Some(Duration::from_millis(40))), Press::Echo);
        assert_eq!(Press::after(Some(Duration::from_secs(1))), Press::Impatient);
    }
}
