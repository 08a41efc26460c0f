"""One process of a crowd: signs people in, one after another, and writes down each that was acknowledged.

Started again after a kill, it goes on after the last one it wrote down.
"""

import os
import sys
import time

from conftest import event

from tokenkeep import FilePersistence, PersistedTokenCache


def acknowledged(journal):
    """The people of a journal, each with the seconds that the sign-in took. A kill can cut the last line."""
    if not os.path.exists(journal):
        return []
    with open(journal, encoding="ascii") as lines:
        return [(user, float(seconds)) for user, seconds in (line.split() for line in lines if line.endswith("\n"))]


def main(path, journal, number, count):
    cache = PersistedTokenCache(FilePersistence(path))
    told = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for one in range(len(acknowledged(journal)), int(count)):
        user = f"u{number}x{one}"
        began = time.monotonic()
        cache.add(event(user))
        os.write(told, f"{user} {time.monotonic() - began:.6f}\n".encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
