"""Puts this package in the place of ``msal_extensions`` in a running program."""

from __future__ import annotations

import contextlib
import importlib
import sys
from types import ModuleType
from typing import Dict, Iterator, List, Optional

NAME = "msal_extensions"
SUBMODULES = ("cache_lock", "filelock", "libsecret", "persistence", "token_cache")
#: The modules that import on one system alone.
OF_SYSTEMS = {"darwin": "osx", "win32": "windows"}

_before: Optional[Dict[str, ModuleType]] = None


def submodules() -> List[str]:
    """The names of the modules that import on this system."""
    return [*SUBMODULES, *(name for system, name in OF_SYSTEMS.items() if system == sys.platform)]


def _ours() -> Dict[str, ModuleType]:
    here = f"{__package__}.{NAME}"
    modules = {NAME: importlib.import_module(here)}
    for name in submodules():
        modules[f"{NAME}.{name}"] = importlib.import_module(f"{here}.{name}")
    return modules


def _present() -> Dict[str, ModuleType]:
    return {name: module for name, module in sys.modules.items() if name.split(".")[0] == NAME}


def install(*, force: bool = False) -> None:
    """Makes ``import msal_extensions`` give this package, for the whole process: for azure-identity, before its first credential.

    >>> import tokenkeep
    >>> with tokenkeep.installed(force=True):
    ...     import msal_extensions
    >>> msal_extensions.PersistedTokenCache is tokenkeep.PersistedTokenCache
    True

    :param force: Replace the original although the program has imported it already.
    :raises RuntimeError: where it has, and ``force`` is not given.
    """
    global _before
    if _before is not None:
        return
    present = _present()
    if present and not force:
        raise RuntimeError(
            f"The program has imported msal_extensions already ({', '.join(sorted(present))}). "
            "Call tokenkeep.install() before that, or install(force=True)"
        )
    for name in present:
        del sys.modules[name]
    sys.modules.update(_ours())
    _before = present


def uninstall() -> None:
    """Takes back :func:`install`."""
    global _before
    if _before is None:
        return
    for name in _present():
        del sys.modules[name]
    sys.modules.update(_before)
    _before = None


@contextlib.contextmanager
def installed(*, force: bool = False) -> Iterator[None]:
    """:func:`install` for the duration of a ``with`` block."""
    install(force=force)
    try:
        yield
    finally:
        uninstall()
