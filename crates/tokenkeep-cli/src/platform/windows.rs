//! The Windows parts. Windows encrypts caches in files, so there are no keystore items; Ctrl-C calls a function of
//! the process.

/// Calls `pressed` for every Ctrl-C and Ctrl-Break. Closing the console ends the process. If the handler cannot be
/// installed, Ctrl-C ends the process.
pub(crate) fn on_interrupt(pressed: impl FnMut() + Send + 'static) {
    drop(ctrlc::set_handler(pressed));
}
