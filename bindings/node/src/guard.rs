//! The one gate that panics do not pass.
//!
//! A panic that unwound into Node would abort the process, and one in a thread would leave a promise unsettled for
//! ever. [`guard`] turns it into a failure, on which the JavaScript side acts as on any other.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::failure::Failure;

/// Runs `work`; a panic in it becomes a failure of kind `panic`.
pub(crate) fn guard<T>(place: Place, work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    // State that the work shares is behind locks that poisoning does not stop, or is dropped with it.
    catch_unwind(AssertUnwindSafe(|| {
        place.trip();
        work()
    }))
    .unwrap_or_else(|panic| Err(Failure::panicked(place, panic.as_ref())))
}

/// Runs `work` whose result is not waited for. A panic in it has been printed by then; what it was about is over.
pub(crate) fn quietly(place: Place, work: impl FnOnce()) {
    let _ = guard(place, || {
        work();
        Ok(())
    });
}

/// Where JavaScript or a thread enters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A function or method that JavaScript calls.
    Export,
    /// Work that answers a call.
    Work,
    /// An answer on its way to JavaScript, on JavaScript's thread.
    Answer,
    /// An event on its way out of the core.
    Event,
    /// Something that was due at a time.
    Timer,
    /// The release of a hold.
    Release,
    /// The end of a JavaScript thread.
    Close,
}

#[cfg(not(feature = "panic-test"))]
impl Place {
    fn trip(self) {}
}

#[cfg(feature = "panic-test")]
pub(crate) mod tripping {
    use std::sync::Mutex;

    use napi_derive::napi;

    use super::Place;

    static TRAP: Mutex<Option<String>> = Mutex::new(None);

    impl Place {
        pub(super) fn trip(self) {
            let armed = {
                let mut trap = TRAP.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                trap.take_if(|place| *place == format!("{self:?}")).is_some()
            };
            assert!(!armed, "injected at {self:?}");
        }
    }

    /// Makes the next entry at `place` panic.
    #[napi]
    pub fn panic_at(place: String) {
        *TRAP.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(place);
    }

    /// Whether the trap set last has sprung.
    #[napi]
    pub fn panicked() -> bool {
        TRAP.lock().unwrap_or_else(std::sync::PoisonError::into_inner).is_none()
    }
}
