"""Errors. Each has the stable code of the core in ``kind`` and the remedy in ``remedy``; docs/errors.md explains every code."""

from __future__ import annotations

import errno

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Optional, Sequence

__all__ = [
    "DamagedError", "Error", "InternalError", "InvalidInputError", "KeyGoneError", "LockError", "MissingKeyError",
    "NotSupportedError", "PermissionDeniedError", "PersistenceDecryptionError", "PersistenceEncryptionError",
    "PersistenceError", "PersistenceNotFound", "StoreError", "StoreLockedError", "StoreTimeoutError",
    "StoreUnavailableError", "UnknownFormatError", "UnprotectedError", "WrongKeyError",
]


class Error(Exception):
    """Any error of tokenkeep."""

    #: The code of the core, such as ``busy``; ``None`` for an error that a program made itself.
    kind: Optional[str] = None
    #: The part of the message that says what to do.
    remedy: Optional[str] = None
    #: The file that the error is about.
    path: Optional[str] = None
    #: The number of the operating system's error.
    os_code: Optional[int] = None


class InvalidInputError(Error, ValueError):
    """An argument is not valid."""


class InternalError(Error):
    """tokenkeep has a fault. The process goes on, and the cache is as it was."""


class PersistenceError(OSError, Error):
    """A store failed. The arguments are those of ``msal_extensions``."""

    _text: Optional[str] = None

    def __init__(
        self, err_no: Optional[int] = None, message: Optional[str] = None, location: Optional[str] = None
    ) -> None:
        super().__init__(err_no, message, location)

    def __str__(self) -> str:
        return super().__str__() if self._text is None else self._text


class PersistenceNotFound(PersistenceError):
    """Nothing is stored yet."""

    def __init__(
        self, err_no: Optional[int] = None, message: Optional[str] = None, location: Optional[str] = None
    ) -> None:
        super().__init__(errno.ENOENT, message or "Persistence not found", location)


class PermissionDeniedError(PersistenceError, PermissionError):
    """The operating system refused access to a file or a folder."""


class NotSupportedError(PersistenceError):
    """This system does not have the store or the operation."""


class LockError(PersistenceError, RuntimeError):
    """The lock was not free within the time limit. The message names the process that has it."""


class PersistenceEncryptionError(PersistenceError):
    """The content could not be encrypted."""


class PersistenceDecryptionError(PersistenceError):
    """The content could not be decrypted."""


class DamagedError(PersistenceDecryptionError):
    """The content is no token cache, was altered, or ends too early."""


class MissingKeyError(PersistenceDecryptionError):
    """The key is not there. The content is unharmed and is not overwritten."""


class WrongKeyError(PersistenceDecryptionError):
    """The content has another key. It is not overwritten."""


class KeyGoneError(PersistenceDecryptionError):
    """The key was in the memory of the kernel and is lost."""


class UnknownFormatError(PersistenceDecryptionError):
    """A newer release wrote the content. It is not overwritten."""


class UnprotectedError(PersistenceDecryptionError):
    """A file that must be private is not."""


class StoreError(PersistenceError, RuntimeError):
    """The keyring failed."""


class StoreLockedError(StoreError):
    """The keyring is locked."""


class StoreTimeoutError(StoreError):
    """The keyring did not answer in time."""


class StoreUnavailableError(Error, RuntimeError, ImportError):
    """There is no keyring. Only constructors raise it; ``except ImportError`` catches it, as for ``msal_extensions``."""


_CLASSES = {
    "busy": LockError,
    "damaged": DamagedError,
    "key_gone": KeyGoneError,
    "missing_key": MissingKeyError,
    "not_supported": NotSupportedError,
    "permission_denied": PermissionDeniedError,
    "store_locked": StoreLockedError,
    "store_timeout": StoreTimeoutError,
    "truncated": DamagedError,
    "unknown_format": UnknownFormatError,
    "unprotected": UnprotectedError,
    "wrong_key": WrongKeyError,
}

_STORE = ("ambiguous", "store_failed", "store_unavailable")


def from_native(
    kind: str,
    text: str,
    remedy: Optional[str],
    path: Optional[str],
    os_code: Optional[int],
    causes: Sequence[str],
) -> Error:
    """Makes the exception for an error of the core. Called by the native module."""
    error: Error
    if kind == "invalid_input":
        error = InvalidInputError(text)
    elif kind == "panic":
        error = InternalError(text)
    else:
        made = (StoreError if kind in _STORE else _CLASSES.get(kind, PersistenceError))(os_code, text, path)
        made._text = text
        error = made
    error.kind, error.remedy, error.path, error.os_code = kind, remedy, path, os_code
    cause: Optional[Error] = None
    for words in reversed(causes):
        outer = Error(words)
        outer.__cause__ = cause
        cause = outer
    error.__cause__ = cause
    return error


def unavailable(error: StoreError) -> Error:
    """The error of a constructor for a keyring that is not there; any other error stays."""
    if error.kind != "store_unavailable":
        return error
    raised = StoreUnavailableError(str(error))
    raised.kind, raised.remedy, raised.path = error.kind, error.remedy, error.path
    return raised
