"""The events of the core as records of ``logging``."""

from __future__ import annotations

import logging

from . import _native

logger = logging.getLogger("tokenkeep")


def drain() -> None:
    """Logs what has happened since the last call, in the thread of the caller."""
    for level, text in _native.take_events():
        logger.log(level, text)
