"""The names of ``msal_extensions.osx``. As there, it imports on macOS alone."""

import sys

if sys.platform != "darwin":
    raise ImportError("The Keychain exists on macOS alone")

from tokenkeep._agents import Keychain as Keychain, KeychainError as KeychainError
