//! Asks before a removal: with a question on a terminal, elsewhere by demanding `--yes`.

use std::io::{self, IsTerminal};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use tokenkeep::{Error, ErrorKind};

use crate::arguments::Change;
use crate::exit::{Failure, Outcome};
use crate::interrupt::Interrupt;

/// How often an open question checks for Ctrl-C.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Asks `question` unless the arguments have the answer.
///
/// # Errors
/// Usage if there is no terminal to ask on; failed if the answer is no; interrupted.
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
    // A read cannot be cancelled, so a thread reads. It ends with the process.
    let (answers, answered) = mpsc::channel();
    let read = move || {
        let mut line = String::new();
        let outcome = io::stdin().read_line(&mut line).map(|_| line);
        // After Ctrl-C the receiver is gone.
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

/// Fails if Ctrl-C was pressed: the last check before a change.
///
/// # Errors
/// Interrupted.
pub(crate) fn require_wanted(interrupt: &Interrupt) -> Outcome<()> {
    match interrupt.cancel().is_cancelled() {
        true => Err(Error::new(ErrorKind::Cancelled, "Interrupted; nothing was changed").into()),
        false => Ok(()),
    }
}
