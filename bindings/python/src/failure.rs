//! Errors of the core as exceptions of `tokenkeep.errors`, which knows the class of each code.

use std::error::Error as _;

use pyo3::prelude::*;

/// The module with the classes.
const ERRORS: &str = "tokenkeep.errors";

/// Returns the exception for an error of the core.
pub(crate) fn exception(py: Python<'_>, error: &tokenkeep::Error) -> PyErr {
    let path = error.path().map(|path| path.as_os_str().to_owned());
    let causes: Vec<String> =
        std::iter::successors(error.source(), |cause| (*cause).source()).map(ToString::to_string).collect();
    let text = error.to_string();
    made(py, (error.kind().code(), text, error.suggestion(), path, error.os_code(), causes))
}

/// Returns the exception for a panic.
pub(crate) fn panicked(py: Python<'_>, panic: &(dyn std::any::Any + Send)) -> PyErr {
    let words = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    let text = format!("tokenkeep has a fault, and the cache is as it was: {words}");
    let remedy = "Report it with this message";
    made(py, ("panic", text, Some(remedy), None::<std::ffi::OsString>, None::<i32>, Vec::<String>::new()))
}

type Parts<'a> = (&'a str, String, Option<&'a str>, Option<std::ffi::OsString>, Option<i32>, Vec<String>);

fn made(py: Python<'_>, parts: Parts<'_>) -> PyErr {
    match py.import(ERRORS).and_then(|errors| errors.call_method1("from_native", parts)) {
        Ok(exception) => PyErr::from_value(exception),
        Err(error) => error,
    }
}
