//! The part that Linux and macOS share: signals.

use signal_hook::consts::SIGINT;
use signal_hook::iterator::Signals;

/// Calls `pressed` for every Ctrl-C. If that cannot be installed, Ctrl-C ends the process.
pub(crate) fn on_interrupt(pressed: impl Fn() + Send + 'static) {
    let Ok(mut signals) = Signals::new([SIGINT]) else { return };
    let listening = move || signals.forever().for_each(|_| pressed());
    drop(std::thread::Builder::new().name("signals".to_owned()).spawn(listening));
}
