"""The names of the package ``msal-extensions`` 1.3.1."""

from .persistence import (
    FilePersistence, FilePersistenceWithDataProtection, KeychainPersistence, LibsecretPersistence,
    build_encrypted_persistence,
)
from .token_cache import CrossPlatLock, LockError, PersistedTokenCache

#: msal reads it: the version whose interface this is.
__version__ = "1.3.1"

__all__ = [
    "CrossPlatLock", "FilePersistence", "FilePersistenceWithDataProtection", "KeychainPersistence", "LibsecretPersistence",
    "LockError", "PersistedTokenCache", "build_encrypted_persistence",
]
