"""Keeps the token cache of msal safely on disk, shared by many processes and by other languages.

``tokenkeep.msal_extensions`` has the names of the package ``msal-extensions``.
"""

from __future__ import annotations

from ._native import __version__
from .errors import (
    Error, LockError, PersistenceDecryptionError, PersistenceEncryptionError, PersistenceError, PersistenceNotFound,
    StoreError, StoreLockedError, StoreUnavailableError,
)

# As in typing, whose import takes longer than all else here.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from ._lock import CrossPlatLock
    from ._persistence import (
        EncryptedFilePersistence, FilePersistence, FilePersistenceWithDataProtection, Key, KeychainPersistence,
        LibsecretPersistence, build_encrypted_persistence, kernel_keyring, key_file, key_variable, passphrase_variable,
        portal,
    )
    from ._policy import configure
    from ._token_cache import PersistedTokenCache
    from .takeover import install, installed, uninstall

__all__ = [
    "CrossPlatLock", "EncryptedFilePersistence", "Error", "FilePersistence", "FilePersistenceWithDataProtection", "Key",
    "KeychainPersistence", "LibsecretPersistence", "LockError", "PersistedTokenCache", "PersistenceDecryptionError",
    "PersistenceEncryptionError", "PersistenceError", "PersistenceNotFound", "StoreError", "StoreLockedError",
    "StoreUnavailableError", "__version__", "build_encrypted_persistence", "configure", "install", "installed",
    "kernel_keyring", "key_file", "key_variable", "passphrase_variable", "portal", "uninstall",
]

# msal is imported by the token cache alone, which takes a tenth of a second.
_LATER = {
    "_lock": ("CrossPlatLock",),
    "_persistence": (
        "EncryptedFilePersistence", "FilePersistence", "FilePersistenceWithDataProtection", "Key",
        "KeychainPersistence", "LibsecretPersistence", "build_encrypted_persistence", "kernel_keyring", "key_file",
        "key_variable", "passphrase_variable", "portal",
    ),
    "_policy": ("configure",),
    "_token_cache": ("PersistedTokenCache",),
    "takeover": ("install", "installed", "uninstall"),
}


def __getattr__(name: str) -> Any:
    import importlib

    for module, names in _LATER.items():
        if name in names:
            return getattr(importlib.import_module(f".{module}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
