"""Single items and blobs: the helpers of the modules ``libsecret``, ``osx`` and ``windows`` of the original."""

from __future__ import annotations

import secrets
import sys
from types import TracebackType
from typing import Mapping, Optional, Type

from . import _native, _policy
from .errors import NotSupportedError, PersistenceError, StoreError, unavailable


class LibSecretAgent:
    """An item of the Secret Service. Needs neither libsecret nor PyGObject.

    :param schema_name: The schema of the item.
    :param attributes: The attributes of the item. Numbers and truth values count as their text.
    :param label: The name of the item in password programs.
    :param attribute_types: Accepted and not needed.
    :param collection: ``None`` or ``"default"``.
    """

    def __init__(
        self,
        schema_name: str,
        attributes: Optional[Mapping[str, object]],
        label: str = "",
        attribute_types: Optional[Mapping[str, object]] = None,
        collection: Optional[str] = None,
    ) -> None:
        if collection not in (None, "default"):
            raise not_supported("Items are kept in the default collection alone. Leave collection out")
        pairs = [(name, text(value)) for name, value in (attributes or {}).items()]
        self._item = _native.Item.libsecret(schema_name, pairs, label, _policy.prompt_seconds())

    def save(self, data: str) -> bool:
        """Creates the item, or replaces its secret.

        :raises StoreUnavailableError: where there is no Secret Service.
        """
        try:
            self._item.save(data.encode())
        except StoreError as error:
            raise unavailable(error) from error.__cause__
        return True

    def load(self) -> Optional[str]:
        """Returns the secret; ``None`` where there is no item."""
        try:
            secret = self._item.load()
        except StoreError as error:
            raise unavailable(error) from error.__cause__
        return None if secret is None else secret.decode()

    def clear(self) -> bool:
        """Removes the item; returns whether there was one."""
        try:
            return self._item.clear()
        except StoreError as error:
            raise unavailable(error) from error.__cause__


def trial_run() -> None:
    """Stores an item, reads it and removes it.

    :raises RuntimeError: where the Secret Service does not work. It names the remedy.
    """
    # A name of its own, because trials of several processes would remove each other's item.
    agent = LibSecretAgent("tokenkeep trial", {"trial": secrets.token_hex(16)})
    agent.save("trial")
    try:
        if agent.load() != "trial":
            raise RuntimeError("The Secret Service gave back another secret than was stored")
    finally:
        agent.clear()


class KeychainError(PersistenceError):
    """The Keychain refused. ``exit_status`` is the status of the Security framework."""

    ACCESS_DENIED = -128
    NO_SUCH_KEYCHAIN = -25294
    NO_DEFAULT = -25307
    ITEM_NOT_FOUND = -25300

    exit_status: Optional[int]

    def __init__(self, exit_status: Optional[int], message: str = "") -> None:
        super().__init__(exit_status, message or f"status {exit_status}")
        self.exit_status = exit_status
        self.message = message or f"status {exit_status}"


class Keychain:
    """The default Keychain of macOS, for ``with Keychain() as keychain:``."""

    def __init__(self, filename: Optional[str] = None) -> None:
        if filename is not None:
            raise not_supported("Items are kept in the default keychain alone. Leave filename out")

    def __enter__(self) -> Keychain:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        pass

    def get_generic_password(self, service: str, account_name: str) -> str:
        """Returns the secret of an item.

        :raises KeychainError: where there is no such item, or the Keychain refuses.
        """
        try:
            secret = self._item(service, account_name).load()
        except StoreError as error:
            raise KeychainError(error.os_code, str(error)) from error
        if secret is None:
            raise KeychainError(KeychainError.ITEM_NOT_FOUND)
        return secret.decode()

    def set_generic_password(self, service: str, account_name: str, value: str) -> None:
        """Creates an item, or replaces its secret.

        :raises KeychainError: where the Keychain refuses.
        """
        try:
            self._item(service, account_name).save(value.encode())
        except StoreError as error:
            raise KeychainError(error.os_code, str(error)) from error

    @staticmethod
    def _item(service: str, account: str) -> _native.Item:
        return _native.Item.keychain(service, account, _policy.prompt_seconds())


class WindowsDataProtectionAgent:
    """Encrypts texts for the signed-in Windows user.

    :param entropy: A second secret that decryption needs. It is stored nowhere.
    """

    def __init__(self, entropy: Optional[str] = None) -> None:
        self._entropy = entropy or ""

    def protect(self, message: str) -> bytes:
        """Returns the encrypted text."""
        return self._ask(message.encode(), True)

    def unprotect(self, cipher_text: bytes) -> str:
        """Returns the text that :meth:`protect` encrypted."""
        return self._ask(cipher_text, False).decode()

    def _ask(self, content: bytes, encrypts: bool) -> bytes:
        if sys.platform != "win32":
            raise not_supported("DPAPI exists on Windows alone")
        return _native.data_protection(content, self._entropy, encrypts)


def text(value: object) -> str:
    """An attribute as its text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def not_supported(words: str) -> NotSupportedError:
    """The error for a system, or a parameter, that is not supported."""
    error = NotSupportedError(None, words)
    error.kind = "not_supported"
    return error
