"""``python -m tokenkeep``: what this Python has, and the wheel in the place of the original."""

from __future__ import annotations

import argparse
import importlib.metadata
import sys
from typing import List, Optional

from . import shim
from ._native import __version__

_PACKAGES = ("msal", "msal-extensions", "azure-identity", "portalocker", "PyGObject")


def _installed(name: str) -> Optional[str]:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _doctor() -> int:
    """Prints the facts, and what to do."""
    print(f"tokenkeep {__version__}, native module loaded, Python {sys.version.split()[0]}")
    for name in _PACKAGES:
        print(f"{name}: {_installed(name) or 'not installed'}")
    found = _installed("msal-extensions")
    if found is not None and "+tokenkeep" not in found:
        print(
            "warning: programs that import msal_extensions use the original, which loses sign-ins when processes share a cache. "
            "Call tokenkeep.install() in your program, or put the shim in its place: "
            "python -m tokenkeep shim --out . && pip install ./msal_extensions-*+tokenkeep*.whl"
        )
        return 3
    return 0


def main(arguments: Optional[List[str]] = None) -> int:
    """Runs a command and returns its exit code: 0 done, 2 wrong arguments, 3 a finding."""
    parser = argparse.ArgumentParser(prog="python -m tokenkeep", description="tokenkeep for Python")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("doctor", help="shows what this Python has, and what to do")
    made = commands.add_parser("shim", help="writes a wheel that takes the place of msal-extensions 1.3.1")
    made.add_argument("--out", default=".", help="the folder for the wheel; default: this one")
    given = parser.parse_args(arguments)
    if given.command == "doctor":
        return _doctor()
    print(shim.write(given.out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
