"""The names of ``msal_extensions.windows``. As there, it imports on Windows alone."""

import sys

if sys.platform != "win32":
    raise ImportError("DPAPI exists on Windows alone")

from tokenkeep._agents import WindowsDataProtectionAgent as WindowsDataProtectionAgent
