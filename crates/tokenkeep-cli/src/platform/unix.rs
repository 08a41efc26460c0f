//! What Linux and macOS have in common: signals.

use signal_hook::consts::SIGINT;
use signal_hook::iterator::Signals;

/// Calls `pressed` for every Ctrl-C. Failing leaves the system's own reaction, which ends the process.
pub(crate) fn on_interrupt(pressed: impl Fn() + Send + 'static) {
    let Ok(mut signals) = Signals::new([SIGINT]) else { return };
    let listening = move || signals.forever().for_each(|_| pressed());
    drop(std::thread::Builder::new().name("signals".to_owned()).spawn(listening));
}
