"""The names of ``msal_extensions.libsecret``. It imports everywhere, without PyGObject."""

from .._agents import LibSecretAgent as LibSecretAgent, trial_run as trial_run
