"""A wheel with the name of ``msal-extensions`` and the code of this package, for programs that cannot be changed.

It satisfies ``msal-extensions==1.3.1``: a local version counts as the version before its ``+``. No index takes such a version,
so that only the user can make it.
"""

from __future__ import annotations

import base64
import hashlib
import os
import zipfile
from typing import Dict, Union

from ._native import __version__

#: The version whose interface this is.
ORIGINAL = "1.3.1"

_INIT = '''"""The package tokenkeep under the name of the one that it replaces."""

import importlib
import sys

import tokenkeep.msal_extensions as _ours
from tokenkeep.takeover import submodules

for _name in submodules():
    sys.modules[f"{__name__}.{_name}"] = importlib.import_module(f"tokenkeep.msal_extensions.{_name}")
sys.modules[__name__] = _ours
'''


def version() -> str:
    """The version of the wheel."""
    return f"{ORIGINAL}+tokenkeep.{__version__}"


def write(folder: "Union[str, os.PathLike[str]]") -> str:
    """Writes the wheel into a folder and returns its path. The same version always gives the same bytes.

    >>> import tempfile
    >>> os.path.basename(write(tempfile.mkdtemp())).startswith("msal_extensions-1.3.1+tokenkeep.")
    True
    """
    name = f"msal_extensions-{version()}"
    info = f"{name}.dist-info"
    files: Dict[str, str] = {
        "msal_extensions/__init__.py": _INIT,
        f"{info}/METADATA": (
            "Metadata-Version: 2.1\n"
            "Name: msal-extensions\n"
            f"Version: {version()}\n"
            "Summary: tokenkeep in the place of msal-extensions. Made on this machine.\n"
            "License: MIT\n"
            "Requires-Python: >=3.9\n"
            f"Requires-Dist: tokenkeep =={__version__}\n"
            "Requires-Dist: msal <2,>=1.29\n"
        ),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tokenkeep\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = f"{info}/RECORD"
    lines = [f"{path},sha256={_digest(text)},{len(text.encode())}" for path, text in files.items()]
    files[record] = "\n".join([*lines, f"{record},,"]) + "\n"
    path = os.path.join(os.fspath(folder), f"{name}-py3-none-any.whl")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for member, text in files.items():
            entry = zipfile.ZipInfo(member)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            wheel.writestr(entry, text)
    return path


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
