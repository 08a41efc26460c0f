"""The names of ``msal_extensions.token_cache``."""

import logging
import os  # noqa: F401
import time  # noqa: F401

import msal  # noqa: F401

from .._token_cache import (
    PersistedTokenCache as PersistedTokenCache,
)
from ..errors import (
    PersistenceNotFound as PersistenceNotFound,
)
from .cache_lock import (
    CrossPlatLock as CrossPlatLock,
    LockError as LockError,
)

logger = logging.getLogger(__name__)
