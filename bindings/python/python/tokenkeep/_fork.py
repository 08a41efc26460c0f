"""A forked child gets threads, locks and caches of its own; the end of the interpreter is told to the native module."""

from __future__ import annotations

import atexit
import os
import weakref
from typing import Protocol

from . import _native


class _Forked(Protocol):
    def _after_fork_in_child(self) -> None: ...


_caches: "weakref.WeakSet[_Forked]" = weakref.WeakSet()


def remember(cache: _Forked) -> None:
    """Calls ``_after_fork_in_child`` of this object in every child."""
    _caches.add(cache)


def _in_child() -> None:
    _native.after_fork_in_child()
    for cache in list(_caches):
        cache._after_fork_in_child()


atexit.register(_native.interpreter_ends)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
