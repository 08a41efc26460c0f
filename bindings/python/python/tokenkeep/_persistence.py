"""The persistences of ``msal_extensions``, over the native stores."""

from __future__ import annotations

import abc
import hashlib
import os
import sys
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple, Union

from . import _fork, _native, _policy  # noqa: F401  (the fork handler)
from ._agents import not_supported, text
from ._logging import drain
from .errors import DamagedError, InvalidInputError, PersistenceNotFound, StoreError, unavailable

StrPath = Union[str, "os.PathLike[str]"]

#: How long a bare ``save`` waits for the lock, in seconds.
_SAVE = 5.0

_NOT_YET = "Persistence not initialized. You can recover by calling a save() first."


def _mkdir_p(path: str) -> None:
    if path:
        os.makedirs(path, exist_ok=True)


def _auto_hash(input_string: str) -> str:
    return hashlib.sha256(input_string.encode("utf-8")).hexdigest()


class BasePersistence(abc.ABC):
    """What a token cache needs of a store."""

    #: Whether the content is encrypted.
    is_encrypted = False

    @abc.abstractmethod
    def save(self, content: str) -> None:
        """Stores the content."""
        raise NotImplementedError

    @abc.abstractmethod
    def load(self) -> str:
        """Returns the content.

        :raises PersistenceNotFound: where nothing is stored.
        """
        raise NotImplementedError

    @abc.abstractmethod
    def time_last_modified(self) -> float:
        """Returns the time of the last change, in seconds since 1970.

        :raises PersistenceNotFound: where nothing is stored.
        """
        raise NotImplementedError

    @abc.abstractmethod
    def get_location(self) -> str:
        """Returns the path of the file, or of the file that marks a keyring's item."""
        raise NotImplementedError


class _NativePersistence(BasePersistence):
    """A persistence whose content is in a store of the core."""

    _location: str
    _opened: Optional[Tuple[str, _native.Store]] = None

    def _open(self) -> _native.Store:
        """Opens the store."""
        raise NotImplementedError

    @property
    def _store(self) -> _native.Store:
        # A subclass may have changed the place.
        opened = self._opened
        if opened is None or opened[0] != self._location:
            try:
                opened = (self._location, self._open())
            finally:
                drain()
            self._opened = opened
        return opened[1]

    def save(self, content: str) -> None:
        """Replaces the content as a whole. Needs no lock around it; under a ``CrossPlatLock`` of this process it takes none."""
        if not isinstance(content, str):
            raise TypeError(f"content is a str, not {type(content).__name__}")
        try:
            self._store.save(content.encode("utf-8"), _SAVE)
        finally:
            drain()

    def load(self) -> str:
        """Returns the content, never half of a write.

        :raises PersistenceNotFound: where nothing is stored.
        :raises DamagedError: where the content is not UTF-8.
        """
        try:
            content = self._store.load()
        finally:
            drain()
        if content is None:
            raise self._not_found()
        return decoded(content, self._location)

    def _not_found(self) -> PersistenceNotFound:
        return PersistenceNotFound(message=_NOT_YET, location=self._location)

    def time_last_modified(self) -> float:
        """Returns the time of the last write, in seconds since 1970."""
        try:
            return os.path.getmtime(self._location)
        except FileNotFoundError:
            raise PersistenceNotFound(message=_NOT_YET, location=self._location) from None

    def get_location(self) -> str:
        """Returns the path as it was given, with ``~`` expanded."""
        return self._location

    def info(self) -> "StoreInfo":
        """Returns which store is in use, how it is protected, and where it is."""
        return StoreInfo(*self._store.info())

    def __getstate__(self) -> Dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_opened"}


class StoreInfo:
    """The store in use.

    ``backend`` is ``plaintext-file``, ``encrypted-file``, ``dpapi-file``, ``keychain``, ``secret-service`` or ``memory``;
    ``protection`` says by what the content is protected, such as ``os-user`` or ``plaintext``.
    """

    def __init__(self, backend: str, protection: str, survives_reboot: bool, location: str) -> None:
        self.backend = backend
        self.protection = protection
        self.survives_reboot = survives_reboot
        self.location = location

    def __repr__(self) -> str:
        return f"StoreInfo({self.backend!r}, {self.protection!r}, {self.survives_reboot!r}, {self.location!r})"


def decoded(content: bytes, location: str) -> str:
    """Returns the text of a content."""
    try:
        # Not "utf-8-sig", which is imported at its first use: too late for a program that is ending.
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        # Not its message: it would quote the content.
        error = DamagedError(None, "The content is not UTF-8. Move the file away and sign in again", location)
        error.kind = "damaged"
        raise error from None
    return text[1:] if text.startswith("\ufeff") else text


class FilePersistence(_NativePersistence):
    """Keeps the content in a plaintext file of mode 0600, which is replaced as a whole.

    :param location: The file. Its folder is created.
    :param durability: ``"synced"``: what is written is on the disk before the call returns. ``"cached"``: the operating system
        writes it later, as for ``msal_extensions``; quicker, and a crash of the machine can undo the last writes.
    """

    _synced = True

    def __init__(self, location: StrPath, *, durability: str = "synced") -> None:
        if durability not in ("synced", "cached"):
            raise InvalidInputError(f"durability is 'synced' or 'cached', not {durability!r}")
        self._synced = durability == "synced"
        if not location:
            raise ValueError("Requires a file path")
        path = os.fspath(location)
        if not isinstance(path, str):
            raise TypeError(f"location is a str or a path, not {type(location).__name__}")
        self._location = os.path.expanduser(path)
        _mkdir_p(os.path.dirname(self._location))

    def _open(self) -> _native.Store:
        return _native.Store.file(os.path.abspath(self._location), self._synced)

    def touch(self) -> None:
        """Sets the time of the file, and creates it."""
        Path(self._location).touch()


class FilePersistenceWithDataProtection(FilePersistence):
    """Keeps the content in a file that Windows encrypts for the user.

    :param location: The file.
    :param entropy: A text that a program must know to decrypt.
    :raises NotSupportedError: on other systems.
    """

    is_encrypted = True
    _entropy: str

    def __init__(self, location: StrPath, entropy: str = "") -> None:
        if sys.platform != "win32":
            raise not_supported("Windows' data protection exists on Windows alone")
        super().__init__(location)
        self._entropy = entropy

    def _open(self) -> _native.Store:
        return _native.Store.data_protection(os.path.abspath(self._location), self._entropy)


class _KeyringPersistence(_NativePersistence):
    """Content in an item of a keyring, beside a file that marks its changes."""

    is_encrypted = True

    def __init__(self, signal_location: StrPath) -> None:
        self._file_persistence = FilePersistence(signal_location)
        self._location = self._file_persistence.get_location()
        self._given = os.fspath(signal_location)

    def _opened_now(self) -> None:
        """Opens the store, so that a keyring that is not there fails the constructor."""
        try:
            self._store
        except StoreError as error:
            raise unavailable(error) from error.__cause__
        self.is_encrypted = self.info().protection != "plaintext"


class KeychainPersistence(_KeyringPersistence):
    """Keeps the content in the macOS Keychain.

    :param signal_location: The file that marks the changes of the item.
    :param service_name: The service of the item. Default: ``msal-extensions``.
    :param account_name: The account of the item. Default: the SHA-256 of ``signal_location``, in hexadecimal.
    """

    _service_name: str
    _account_name: str

    def __init__(
        self, signal_location: StrPath, service_name: Optional[str] = None, account_name: Optional[str] = None
    ) -> None:
        if sys.platform != "darwin":
            raise not_supported("The Keychain exists on macOS alone")
        super().__init__(signal_location)
        self._service_name = service_name or "msal-extensions"
        self._account_name = account_name or _auto_hash(self._given)
        self._opened_now()

    def _open(self) -> _native.Store:
        place = os.path.abspath(self._location)
        return _native.Store.keychain(place, self._service_name, self._account_name, _policy.prompt_seconds())

    def _not_found(self) -> PersistenceNotFound:
        place = f"Service:{self._service_name} Account:{self._account_name}"
        message = "Keychain persistence not initialized. You can recover by call a save() first."
        return PersistenceNotFound(message=message, location=place)


class LibsecretPersistence(_KeyringPersistence):
    """Keeps the content in the Secret Service of the session (GNOME Keyring, KWallet, KeePassXC). Needs neither libsecret nor
    PyGObject.

    :param signal_location: The file that marks the changes of the item.
    :param schema_name: The schema of the item. Default: the SHA-256 of ``signal_location``, in hexadecimal.
    :param attributes: The attributes of the item. Numbers and truth values count as their text.
    :param label: The name of the item in password programs.
    :param attribute_types: Accepted and not needed.
    :param collection: ``None`` or ``"default"``.
    :raises StoreUnavailableError: where there is no Secret Service and no fallback is configured.
    :raises StoreLockedError: where it is locked, and nobody may be asked or nobody answers.
    """

    def __init__(
        self,
        signal_location: StrPath,
        schema_name: Optional[str] = None,
        attributes: Optional[Mapping[str, object]] = None,
        label: str = "",
        attribute_types: Optional[Mapping[str, object]] = None,
        collection: Optional[str] = None,
    ) -> None:
        if not sys.platform.startswith("linux"):
            raise ImportError("The Secret Service exists on Linux alone")
        if collection not in (None, "default"):
            raise not_supported("Items are kept in the default collection alone. Leave collection out")
        super().__init__(signal_location)
        self._schema_name = schema_name
        self._attributes = {name: text(value) for name, value in (attributes or {}).items()}
        self._label = label
        self._opened_now()

    def _open(self) -> _native.Store:
        return _native.Store.libsecret(
            os.path.abspath(self._location),
            self._given,
            self._schema_name,
            list(self._attributes.items()),
            self._label,
            _policy.prompt_seconds(),
            _policy.fallbacks(),
            None,
        )

    def _not_found(self) -> PersistenceNotFound:
        return PersistenceNotFound(
            message="Keyring persistence not initialized. You can recover by call a save() first."
        )


class EncryptedFilePersistence(_NativePersistence):
    """Keeps the content in an encrypted file, for machines without a keyring.

    :param location: The file.
    :param key: Where its key comes from, such as ``key_file("/run/secrets/cache-key")``.
    :param partition: The name of the cache inside the encryption. A file of another partition does not open.
    """

    is_encrypted = True

    def __init__(self, location: StrPath, key: "Key", partition: str = "token_cache") -> None:
        self._location = os.path.expanduser(os.fspath(location))
        _mkdir_p(os.path.dirname(self._location))
        self._key = key
        self._partition = partition
        self._store  # opens and verifies it

    def _open(self) -> _native.Store:
        return _native.Store.encrypted_file(
            os.path.abspath(self._location), self._key.native(), self._partition
        )


class Key:
    """The source of the key of an encrypted file: made by :func:`key_file`, :func:`key_variable`, :func:`kernel_keyring`,
    :func:`passphrase_variable` and :func:`portal`."""

    def __init__(self, kind: str, name: str) -> None:
        self._kind = kind
        self._name = name

    def native(self) -> _native.Key:
        """The key, as the native module knows it."""
        if self._kind == "portal":
            return _native.Key.portal()
        makers = {
            "file": _native.Key.file,
            "variable": _native.Key.variable,
            "kernel": _native.Key.kernel,
            "passphrase-variable": _native.Key.passphrase_variable,
        }
        return makers[self._kind](self._name)

    def __repr__(self) -> str:
        return f"Key({self._kind!r}, {self._name!r})"


def key_file(path: StrPath) -> Key:
    """A key of 32 random bytes in a private file."""
    return Key("file", os.path.abspath(os.path.expanduser(os.fspath(path))))


def key_variable(name: str) -> Key:
    """A key of 32 random bytes, as base64 or hexadecimal, in an environment variable."""
    return Key("variable", name)


def kernel_keyring(name: str) -> Key:
    """A random key in the memory of the Linux kernel. A restart loses it."""
    return Key("kernel", name)


def passphrase_variable(name: str) -> Key:
    """A key derived from the passphrase in an environment variable."""
    return Key("passphrase-variable", name)


def portal() -> Key:
    """The secret that the desktop's portal keeps for a sandboxed program, such as a Flatpak."""
    return Key("portal", "")


def build_encrypted_persistence(location: StrPath) -> BasePersistence:
    """Returns the encrypted persistence of this system: DPAPI, Keychain or Secret Service.

    :raises RuntimeError: on a system without one.
    """
    if sys.platform.startswith("win"):
        return FilePersistenceWithDataProtection(location)
    if sys.platform.startswith("darwin"):
        return KeychainPersistence(location)
    if sys.platform.startswith("linux"):
        return LibsecretPersistence(location)
    raise RuntimeError(f"Unsupported platform: {sys.platform}")


_METHODS = ("save", "load", "time_last_modified", "get_location")
_SAVE_OF_OURS, _LOAD_OF_OURS, _TIME_OF_OURS, _LOCATION_OF_OURS = (getattr(_NativePersistence, name) for name in _METHODS)


def is_untouched(persistence: BasePersistence) -> bool:
    """Whether the persistence is of this package and no method of it is replaced, so that the native store may be used."""
    if not isinstance(persistence, _NativePersistence):
        return False
    # Each search asks. Comparisons one by one are the quickest.
    kind, own = type(persistence), persistence.__dict__
    return (
        kind.save is _SAVE_OF_OURS
        and kind.load is _LOAD_OF_OURS
        and kind.time_last_modified is _TIME_OF_OURS
        and kind.get_location is _LOCATION_OF_OURS
        and "save" not in own
        and "load" not in own
        and "time_last_modified" not in own
        and "get_location" not in own
    )
