//! Asking before something is taken away: on a terminal a question, elsewhere `--yes`.

use std::io::{self, IsTerminal};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use tokenkeep::{Error, ErrorKind};

use crate::arguments::Change;
use crate::exit::{Failure, Outcome};
use crate::interrupt::Interrupt;

/// How soon Ctrl-C is noticed while a question is open.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Asks `question` unless the answer was given beforehand.
///
/// # Errors
/// Of usage where nobody can be asked; of failure when the answer is no; of interruption.
pub(crate) fn ask(question: &str, change: &Change, interrupt: &Interrupt) -> Outcome<()> {
    if change.yes {
        return Ok(());
    }
    if !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
        return Err(Failure::usage(format!(
            "{question} There is no terminal to ask on: add --yes, or --dry-run to see what would be done"
        )));
    }
    eprint!("{question} [y/N] ");
    // Reading cannot be given up, so that it is left to a thread that ends with the process.
    let (answers, answered) = mpsc::channel();
    let read = move || {
        let mut line = String::new();
        let outcome = io::stdin().read_line(&mut line).map(|_| line);
        // Nobody listens any more after Ctrl-C.
        drop(answers.send(outcome));
    };
    std::thread::Builder::new().name("question".to_owned()).spawn(read).map_err(|error| {
        Failure::declined(format!("Nothing was changed, as nobody could be asked: {error}"))
    })?;
    loop {
        match answered.recv_timeout(LOOK_AGAIN) {
            Ok(Ok(line)) if ["y", "yes"].contains(&line.trim().to_ascii_lowercase().as_str()) => {
                return Ok(());
            }
            Ok(Ok(_)) | Err(RecvTimeoutError::Disconnected) => {
                return Err(Failure::declined("Nothing was changed"));
            }
            Ok(Err(error)) => return Err(Failure::declined(format!("The answer cannot be read: {error}"))),
            Err(RecvTimeoutError::Timeout) => {
                if interrupt.cancel().is_cancelled() {
                    eprintln!();
                }
                require_wanted(interrupt)?;
            }
        }
    }
}

/// Fails if Ctrl-C was pressed: the last moment before something is changed.
///
/// # Errors
/// Of interruption.
pub(crate) fn require_wanted(interrupt: &Interrupt) -> Outcome<()> {
    match interrupt.cancel().is_cancelled() {
        true => Err(Error::new(ErrorKind::Cancelled, "Interrupted; nothing was changed").into()),
        false => Ok(()),
    }
}
