"""The lock between processes."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Optional, Type, Union

from . import _fork, _native  # noqa: F401  (the fork handler)
from ._logging import drain

#: How long ``msal_extensions`` waits, in seconds.
TIMEOUT = 5.0


class CrossPlatLock:
    """A lock that threads, processes and the sibling libraries share.

    A process that dies releases it. Not re-entrant: a second ``with`` in the same process waits like any other.

    >>> import tempfile
    >>> with CrossPlatLock(tempfile.gettempdir() + "/example.lockfile"):
    ...     pass  # nobody else is here

    :param lockfile_path: The lock file, of any name. It exists while the lock is held.
    :param timeout: How long to wait, in seconds. Default: 5.
    :raises LockError: on entering, after the timeout. The message names the process that has the lock.
    """

    def __init__(self, lockfile_path: "Union[str, os.PathLike[str]]", *, timeout: float = TIMEOUT) -> None:
        self._lockpath = lockfile_path
        self._timeout = timeout
        self._held: Optional[_native.Lock] = None

    def __enter__(self) -> "CrossPlatLock":
        lock = _native.Lock(os.path.abspath(os.fspath(self._lockpath)))
        try:
            lock.acquire(self._timeout)
        finally:
            drain()
        self._held = lock
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]] = None,
        error: Optional[BaseException] = None,
        trace: Optional[TracebackType] = None,
    ) -> None:
        lock, self._held = self._held, None
        if lock is not None:
            lock.release()

    def __getstate__(self) -> dict[str, object]:
        if self._held is not None:
            raise TypeError("a CrossPlatLock that is held cannot be pickled")
        return dict(self.__dict__)
