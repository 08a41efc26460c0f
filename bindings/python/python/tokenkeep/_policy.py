"""Settings of the process: fallbacks and prompts, for programs whose libraries have no option for them."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, List, Optional, Sequence

from . import _native
from .errors import InvalidInputError

if TYPE_CHECKING:
    from ._persistence import Key

#: How long a person may take to answer a prompt, in seconds.
_PERSON = 120.0

_configured: Optional[List["Optional[Key]"]] = None
_prompt = "auto"


def configure(*, fallback: "Optional[Sequence[Optional[Key]]]" = None, prompt: Optional[str] = None) -> None:
    """Sets what a keyring's persistence does where the keyring does not work, for this process.

    :param fallback: Keys of encrypted files, tried in order. Default: none, so that the constructor fails. ``TOKENKEEP_FALLBACK``
        in the environment says the same: ``encrypted-file:key-file=/run/secrets/cache-key``,
        ``encrypted-file:key-variable=NAME``, ``encrypted-file:kernel-keyring=NAME``,
        ``encrypted-file:passphrase-variable=NAME`` or ``encrypted-file:portal``.
    :param prompt: ``"auto"``: the keyring may ask its user if there is a display. ``"never"``, ``"always"``.
    """
    global _configured, _prompt
    if prompt is not None:
        if prompt not in ("auto", "never", "always"):
            raise InvalidInputError(f"prompt is 'auto', 'never' or 'always', not {prompt!r}")
        _prompt = prompt
    if fallback is not None:
        _configured = list(fallback)


def prompt_seconds() -> float:
    """How long a prompt may stand, in seconds; 0: there is none."""
    if _prompt == "never":
        return 0.0
    display = bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    if sys.platform == "darwin":
        display = not os.environ.get("SSH_CONNECTION")
    return _PERSON if _prompt == "always" or display else 0.0


def fallbacks() -> "List[Optional[_native.Key]]":
    """The keys of the encrypted files to try."""
    from ._persistence import Key, kernel_keyring, key_file, key_variable, passphrase_variable, portal

    if _configured is not None:
        return [None if key is None else key.native() for key in _configured]
    text = os.environ.get("TOKENKEEP_FALLBACK", "")
    if text == "":
        return []
    makers = {
        "key-file": key_file,
        "key-variable": key_variable,
        "kernel-keyring": kernel_keyring,
        "passphrase-variable": passphrase_variable,
    }
    store, _, source = text.partition(":")
    if text == "encrypted-file:portal":
        return [portal().native()]
    kind, _, name = source.partition("=")
    if store != "encrypted-file" or kind not in makers or name == "":
        raise InvalidInputError(
            "TOKENKEEP_FALLBACK is encrypted-file: followed by key-file=PATH, key-variable=NAME, kernel-keyring=NAME, "
            f"passphrase-variable=NAME or portal, not {text!r}"
        )
    key: Key = makers[kind](name)
    return [key.native()]
