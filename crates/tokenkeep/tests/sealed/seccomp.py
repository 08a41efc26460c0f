"""Runs a program whose calls to the kernel's key service fail: seccomp.py ERRNO PROGRAM ARGUMENT...

A real seccomp filter, as container runtimes install one.
"""
import ctypes
import os
import platform
import struct
import sys

PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, SECCOMP_MODE_FILTER = 22, 38, 2
RET_ERRNO, RET_ALLOW = 0x00050000, 0x7FFF0000
LOAD_WORD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
KEY_CALLS = {"x86_64": (248, 249, 250), "aarch64": (217, 218, 219)}[platform.machine()]


def instruction(code, value, if_true=0, if_false=0):
    return struct.pack("HBBI", code, if_true, if_false, value)


# The first word of a filter's input is the number of the call.
program = instruction(LOAD_WORD, 0)
for left, number in reversed(list(enumerate(reversed(KEY_CALLS)))):
    program += instruction(JUMP_IF_EQUAL, number, if_true=left + 1)
program += instruction(RETURN, RET_ALLOW)
program += instruction(RETURN, RET_ERRNO | int(sys.argv[1]))


class Filter(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_char_p)]


libc = ctypes.CDLL(None, use_errno=True)
filter_program = Filter(len(program) // 8, program)
for call in (
    (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
    (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(filter_program), 0, 0),
):
    if libc.prctl(*call) != 0:
        sys.exit(f"seccomp.py: {os.strerror(ctypes.get_errno())}")
os.execvp(sys.argv[2], sys.argv[2:])
