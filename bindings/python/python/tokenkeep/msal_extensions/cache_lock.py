"""The names of ``msal_extensions.cache_lock``."""

import logging

from .._lock import (
    CrossPlatLock as CrossPlatLock,
)
from ..errors import (
    LockError as LockError,
)

logger = logging.getLogger(__name__)
