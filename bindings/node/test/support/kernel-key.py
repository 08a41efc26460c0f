"""Changes the kernel keyring: kernel-key.py remove NAME removes a key of tokenkeep from the user's persistent keyring.

Prints whether the key existed.
"""
import ctypes
import os
import platform
import sys

KEYCTL = {"x86_64": 250, "aarch64": 219}[platform.machine()]
UNLINK, SEARCH, GET_PERSISTENT = 9, 10, 22
PROCESS_KEYRING = -2

libc = ctypes.CDLL(None, use_errno=True)


def keyctl(operation, *arguments):
    result = libc.syscall(KEYCTL, operation, *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


verb, name = sys.argv[1:]
assert verb == "remove", verb
ring = keyctl(GET_PERSISTENT, -1, PROCESS_KEYRING)
try:
    key = keyctl(SEARCH, ring, b"user", b"tokenkeep:" + name.encode(), 0)
    keyctl(UNLINK, key, ring)
    print("removed")
except OSError as error:
    if error.errno != 126:  # ENOKEY
        raise
    print("absent")
