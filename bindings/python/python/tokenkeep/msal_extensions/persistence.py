"""The names of ``msal_extensions.persistence``; programs import further ones that stand in it by accident."""

import abc  # noqa: F401
import errno  # noqa: F401
import hashlib  # noqa: F401
import logging
import os
import sys  # noqa: F401
from abc import ABC  # noqa: F401
from pathlib import Path  # noqa: F401

from .._persistence import (
    BasePersistence as BasePersistence,
    FilePersistence as FilePersistence,
    FilePersistenceWithDataProtection as FilePersistenceWithDataProtection,
    KeychainPersistence as KeychainPersistence,
    LibsecretPersistence as LibsecretPersistence,
    _auto_hash as _auto_hash,
    _mkdir_p as _mkdir_p,
    build_encrypted_persistence as build_encrypted_persistence,
)
from ..errors import (
    PersistenceDecryptionError as PersistenceDecryptionError,
    PersistenceEncryptionError as PersistenceEncryptionError,
    PersistenceError as PersistenceError,
    PersistenceNotFound as PersistenceNotFound,
)

logger = logging.getLogger(__name__)


def _open(location: str) -> int:
    return os.open(location, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
