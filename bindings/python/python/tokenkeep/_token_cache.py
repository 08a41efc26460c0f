"""The token cache of msal over a persistence."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from typing import Any, Dict, Generator, Iterator, List, Optional, Tuple

import msal

from . import _fork
from ._engine import Access, Engine, ForeignEngine, NativeEngine
from ._lock import CrossPlatLock
from ._logging import logger
from ._persistence import BasePersistence, StrPath, _mkdir_p, is_untouched
from .errors import DamagedError, LockError

#: How long a write waits for other processes, in seconds.
LOCK_TIMEOUT = 10.0

#: How often, and how many seconds apart, a persistence of the program's own is read.
_READS = 3
_BETWEEN_READS = 0.5

#: What a query names that is for one access token.
_NAMED = frozenset(("client_id", "environment", "home_account_id", "realm"))

#: One call of ``modify``.
_Change = Tuple[str, Optional[Dict[str, Any]], Optional[Dict[str, Any]]]


class _Local(threading.local):
    """What one thread is doing."""

    #: The write that has begun.
    access: Optional[Access] = None
    #: The changes in it.
    changes: List[_Change]
    #: The expired tokens that a search has met.
    expired: Optional[List[_Change]] = None


class PersistedTokenCache(msal.SerializableTokenCache):
    """A token cache that threads, processes and programs of other languages share.

    A sign-in is one write: lock, read, change, save. A search waits for no lock and reads the store only if it changed.

    >>> import tempfile
    >>> from tokenkeep.msal_extensions import FilePersistence
    >>> cache = PersistedTokenCache(FilePersistence(tempfile.mkdtemp() + "/cache.json"))
    >>> list(cache.search(cache.CredentialType.ACCOUNT))
    []

    :param persistence: The store.
    :param lock_location: The lock file. Default: the location of the persistence and ``.lockfile``, which every library uses.
    :param lock_timeout: How long a write waits for other processes, in seconds. Default: 10.
    :param on_damage: ``"set_aside"``: a write keeps a copy of content that is no token cache, and goes on. ``"fail"``: it raises
        :class:`DamagedError`.
    """

    _cache: Any

    def __init__(
        self,
        persistence: BasePersistence,
        lock_location: Optional[StrPath] = None,
        *,
        lock_timeout: float = LOCK_TIMEOUT,
        on_damage: str = "set_aside",
    ) -> None:
        super().__init__()
        if on_damage not in ("set_aside", "fail"):
            raise ValueError(f"on_damage is 'set_aside' or 'fail', not {on_damage!r}")
        beside = persistence.get_location() + ".lockfile"
        self._lock_location = os.path.expanduser(os.fspath(lock_location)) if lock_location else beside
        _mkdir_p(os.path.dirname(self._lock_location))
        self._persistence = persistence
        self._native: Optional[NativeEngine] = None
        self.is_encrypted = persistence.is_encrypted
        self._lock_timeout = lock_timeout
        self._on_damage = on_damage
        #: Whether the program named another lock than that of the cache.
        self._has_own_lock = self._lock_location != beside
        self._forget()
        _fork.remember(self)

    def _forget(self) -> None:
        #: The number of the content in memory; none: it is read at the next look.
        self._number: Optional[float] = None
        #: The newest content that was in memory. Older content, read before and delivered later, is not taken.
        self._newest: Optional[float] = None
        #: The number of the content that was looked at last.
        self._looked: Optional[float] = None
        self._stamp_time = 0.0
        #: The threads that have left the lock of the memory and store what it held.
        self._committing = 0
        #: Changes that could not be stored.
        self._unsaved: List[_Change] = []
        self._local = _Local()

    def _after_fork_in_child(self) -> None:
        # Another thread of the parent may have had the lock.
        self._lock = threading.RLock()
        unsaved = self._unsaved
        self._forget()
        self._unsaved = unsaved

    @property
    def _engine(self) -> Engine:
        # Looked at each time: tests and programs replace methods.
        persistence = self._persistence
        if not is_untouched(persistence):
            return ForeignEngine(persistence, self._lock_location)
        if self._native is None or self._native.persistence is not persistence:
            self._native = NativeEngine(persistence)  # type: ignore[arg-type]
        return self._native

    @property
    def _last_sync(self) -> float:
        return self._stamp_time

    @_last_sync.setter
    def _last_sync(self, seconds: float) -> None:
        # A subclass says that what was looked at last is in memory.
        self._stamp_time = seconds
        self._number = self._looked

    def _reload_if_necessary(self) -> None:
        """Reads the store into memory if it changed.

        :raises json.JSONDecodeError: where the content is no token cache.
        """
        engine = self._engine
        access = self._local.access
        found = engine.found(self._number) if access is None else access.content()
        if found is None:
            return
        number, text = found
        with self._lock:
            if access is None and (self._committing or engine.is_older(number, self._newest)):
                # The memory is newer than what was read.
                return
            self._looked = number
            if number != self._number or number == 0:
                self._deserialize_whole(text)
                self._is_in_memory(number)
                for change in self._unsaved:
                    super().modify(*change)

    def _is_in_memory(self, number: float) -> None:
        self._number = self._looked = number
        self._newest = number if self._newest is None else max(number, self._newest)
        self._stamp_time = time.time()

    def _deserialize_whole(self, text: Optional[str]) -> None:
        """Like ``deserialize``, but the memory stays where the content is no token cache."""
        before = self._cache
        try:
            self.deserialize(text)
            if not isinstance(self._cache, dict):
                raise json.JSONDecodeError("The content is no token cache", "", 0)
        except Exception:
            self._cache = before
            raise

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Several changes as one write.

        >>> import tempfile
        >>> from tokenkeep.msal_extensions import FilePersistence
        >>> cache = PersistedTokenCache(FilePersistence(tempfile.mkdtemp() + "/cache.json"))
        >>> with cache.transaction():
        ...     pass  # cache.add(...), cache.remove_account(...)

        :raises LockError: after the timeout; nothing has changed.
        """
        if self._local.access is not None:
            yield
            return
        with self._begun(self._lock_timeout):
            yield

    @contextlib.contextmanager
    def _begun(self, limit: float) -> Iterator[None]:
        local = self._local
        # The order everywhere: the program's own lock file, the lock of the cache, the lock of the memory.
        own = CrossPlatLock(self._lock_location, timeout=limit) if self._is_apart() else contextlib.nullcontext()
        with own:
            access = self._engine.begin(limit)
            try:
                with self._lock:
                    local.access, local.changes = access, []
                    try:
                        self._reload_for_write(access)
                        yield
                    except BaseException:
                        # The memory may hold half of the changes.
                        self._number = None
                        raise
                    finally:
                        local.access = None
                    if not local.changes and not self._unsaved:
                        return
                    text = self._text()
                    self._committing += 1
                self._commit(access, text, local.changes)
            finally:
                access.release()

    def _is_apart(self) -> bool:
        return self._has_own_lock and isinstance(self._engine, NativeEngine)

    def _reload_for_write(self, access: Access) -> None:
        try:
            self._reload_if_necessary()
        except (ValueError, DamagedError) as error:
            if self._on_damage == "fail":
                if isinstance(error, DamagedError):
                    raise
                place = self._persistence.get_location()
                damaged = DamagedError(None, f"The content of {place} is no token cache. Move the file away", place)
                damaged.kind = "damaged"
                raise damaged from None
            access.set_aside("it is no token cache")
            logger.warning("The token cache at %s could not be read. A copy is kept", self._persistence.get_location())
            self.deserialize(None)
            for change in self._unsaved:
                super().modify(*change)

    def _commit(self, access: Access, text: str, changes: List[_Change]) -> None:
        unsaved = self._unsaved
        try:
            number = access.commit(text)
        except BaseException:
            with self._lock:
                self._committing -= 1
                # The store is read again, and the changes are made again.
                self._number = None
                self._unsaved = self._unsaved + changes
            raise
        with self._lock:
            self._committing -= 1
            # Another thread may have stored more meanwhile, and this content with it.
            if self._newest is None or number >= self._newest:
                self._is_in_memory(number)
            self._unsaved = [change for change in self._unsaved if change not in unsaved]

    def _text(self) -> str:
        if type(self).serialize is not msal.SerializableTokenCache.serialize:
            text: str = self.serialize()
        else:
            text = json.dumps(self._cache, separators=(",", ":"))
        self.has_state_changed = False
        return text

    def modify(
        self,
        credential_type: str,
        old_entry: Optional[Dict[str, Any]],
        new_key_value_pairs: Optional[Dict[str, Any]] = None,
    ) -> None:
        """Changes an entry, or removes it, in one write."""
        change: _Change = (credential_type, old_entry, new_key_value_pairs)
        if self._local.expired is not None:
            # msal removes expired tokens while it searches. That must not write.
            self._local.expired.append(change)
            return
        with self.transaction():
            super().modify(credential_type, old_entry, new_key_value_pairs=new_key_value_pairs)
            self._local.changes.append(change)

    def add(self, event: Dict[str, Any], **kwargs: Any) -> None:
        """Adds the tokens of a sign-in, in one write."""
        with self.transaction():
            super().add(event, **kwargs)
        self.has_state_changed = True

    def search(
        self,
        credential_type: str,
        target: Optional[List[str]] = None,
        query: Optional[Dict[str, Any]] = None,
        **kwargs: Any,
    ) -> Generator[Dict[str, Any], None, None]:
        """Returns the entries that match. Waits for no lock, and holds none while its caller works."""
        try:
            self._reload_if_necessary()
        except Exception:
            if isinstance(self._engine, NativeEngine):
                raise
            self._reload_patiently()
        if credential_type != self.CredentialType.ACCESS_TOKEN:
            return _each(list(super().search(credential_type, target=target, query=query, **kwargs)))
        if not target or not isinstance(query, dict) or not _NAMED <= query.keys():
            return _each(self._tokens(target, query, kwargs))
        # msal finds a token whose key is known at once, and then looks through all others, which few callers want.
        self._local.expired = []
        try:
            looking = super().search(credential_type, target=target, query=query, **kwargs)
            first = next(looking, None)
            # It may have the lock.
            looking.close()
        finally:
            self._local.expired = None
        if first is None:
            return _each(self._tokens(target, query, kwargs))
        return self._first_and_others(first, target, query, kwargs)

    def _first_and_others(
        self, first: Dict[str, Any], target: List[str], query: Dict[str, Any], options: Dict[str, Any]
    ) -> Generator[Dict[str, Any], None, None]:
        yield first
        yield from [entry for entry in self._tokens(target, query, options) if entry != first]

    def _tokens(
        self, target: Optional[List[str]], query: Optional[Dict[str, Any]], options: Dict[str, Any]
    ) -> List[Dict[str, Any]]:
        """Returns the access tokens that match, and removes the expired ones."""
        kind = self.CredentialType.ACCESS_TOKEN
        # What msal removes while it searches is removed afterwards: a search must not write.
        expired: List[_Change] = []
        self._local.expired = expired
        try:
            found = list(super().search(kind, target=target, query=query, **options))
        finally:
            self._local.expired = None
        if expired:
            self._remove(expired)
        return found

    def _reload_patiently(self) -> None:
        """Reloads after a failure: a program's own persistence may be read while another program writes it."""
        for left in reversed(range(_READS - 1)):
            time.sleep(_BETWEEN_READS)
            try:
                return self._reload_if_necessary()
            except Exception:
                if left == 0:
                    raise

    def _remove(self, expired: List[_Change]) -> None:
        """Removes expired tokens, unless another process is writing: the next search or write does it then."""
        if self._local.access is not None:
            for change in expired:
                self.modify(*change)
            return
        try:
            with self._begun(0.0):
                for change in expired:
                    self.modify(*change)
        except LockError:
            pass
        except Exception as error:
            # The search itself has succeeded.
            logger.warning("Expired tokens could not be removed: %s", error)

    def __reduce__(self) -> Tuple[Any, ...]:
        own = self._lock_location if self._has_own_lock else None
        return _restored, (type(self), self._persistence, own, self._lock_timeout, self._on_damage)


def _each(entries: List[Dict[str, Any]]) -> Generator[Dict[str, Any], None, None]:
    # A generator, as msal's: programs close it.
    yield from entries


def _restored(
    kind: type, persistence: BasePersistence, lock_location: Optional[str], timeout: float, on_damage: str
) -> PersistedTokenCache:
    return kind(persistence, lock_location, lock_timeout=timeout, on_damage=on_damage)  # type: ignore[no-any-return]
