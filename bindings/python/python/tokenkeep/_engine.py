"""How a token cache reads and writes a persistence: one of this package natively, any other through its own methods."""

from __future__ import annotations

import time
from typing import Optional, Protocol, Tuple

from . import _native
from ._lock import CrossPlatLock
from ._logging import drain
from ._persistence import BasePersistence, _NativePersistence, decoded
from .errors import PersistenceNotFound

#: A file time younger than this may still change without a difference, in seconds.
_COARSE = 0.01

Found = Tuple[float, Optional[str]]


class Access(Protocol):
    """The right to write once."""

    def content(self) -> Found:
        """Returns the newest content and its number."""
        ...

    def commit(self, text: str) -> float:
        """Stores the content and returns its number."""
        ...

    def set_aside(self, reason: str) -> None:
        """Keeps a copy of content that is of no use."""
        ...

    def release(self) -> None:
        """Ends the write. Nothing happens after a commit."""
        ...


class Engine(Protocol):
    """A persistence, as a token cache needs it."""

    def found(self, number: Optional[float]) -> Optional[Found]:
        """Returns the content and its number, unless it still has this number."""
        ...

    def begin(self, limit: float) -> Access:
        """Takes the lock within ``limit`` seconds."""
        ...

    def is_older(self, one: float, other: Optional[float]) -> bool:
        """Whether content of the number ``one`` is certainly older than that of ``other``."""
        ...


class NativeEngine:
    """Over a native store: one look at the file's status while nothing changes."""

    def __init__(self, persistence: _NativePersistence) -> None:
        self.persistence = persistence

    def found(self, number: Optional[float]) -> Optional[Found]:
        try:
            found = self.persistence._store.snapshot_if_changed(None if number is None else int(number))
        except BaseException:
            drain()
            raise
        if found is None:
            # Nothing was read, so that nothing has happened.
            return None
        drain()
        return found[0], self._text(found[1])

    def begin(self, limit: float) -> Access:
        try:
            return _NativeAccess(self, self.persistence._store.begin(limit))
        finally:
            drain()

    def is_older(self, one: float, other: Optional[float]) -> bool:
        # 0 has no place in the order.
        return one != 0 and other is not None and one < other

    def _text(self, content: Optional[bytes]) -> Optional[str]:
        return None if content is None else decoded(content, self.persistence.get_location())


class _NativeAccess:
    def __init__(self, engine: NativeEngine, write: _native.Write) -> None:
        self._engine = engine
        self._write = write

    def content(self) -> Found:
        number, content = self._write.content()
        return number, self._engine._text(content)

    def commit(self, text: str) -> float:
        try:
            return self._write.commit(text.encode("utf-8"))
        finally:
            drain()

    def set_aside(self, reason: str) -> None:
        try:
            self._write.set_aside(reason)
        finally:
            drain()

    def release(self) -> None:
        self._write.release()


class ForeignEngine:
    """Over the four methods of a program's own persistence, under the lock beside it."""

    def __init__(self, persistence: BasePersistence, lock_location: str) -> None:
        self._persistence = persistence
        self._lock_location = lock_location

    def found(self, number: Optional[float]) -> Optional[Found]:
        try:
            # The time first: a write between the two is then noticed by the next look.
            modified = self._persistence.time_last_modified()
            if modified == number and time.time() - modified > _COARSE:
                return None
            return modified, self._persistence.load()
        except PersistenceNotFound:
            return None if number == 0 else (0, None)

    def begin(self, limit: float) -> Access:
        lock = CrossPlatLock(self._lock_location, timeout=limit)
        lock.__enter__()
        return _ForeignAccess(self, lock)

    def is_older(self, one: float, other: Optional[float]) -> bool:
        return False


class _ForeignAccess:
    def __init__(self, engine: ForeignEngine, lock: CrossPlatLock) -> None:
        self._engine = engine
        self._lock: Optional[CrossPlatLock] = lock

    def content(self) -> Found:
        return self._engine.found(None) or (0, None)

    def commit(self, text: str) -> float:
        persistence = self._engine._persistence
        try:
            persistence.save(text)
            return persistence.time_last_modified()
        finally:
            self.release()

    def set_aside(self, reason: str) -> None:
        # The persistence has no other place for it: the write replaces it.
        pass

    def release(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.__exit__()
