"""Disks that let a process down, made by the kernel: from one moment on, its system calls fail.

A seccomp filter answers for the kernel, so that Python, SQLite, Arrow and FAISS, and the decode
workers too, meet the very errors of a full or read-only disk. Needs Linux, and no rights.
"""

import ctypes
import errno
import os
import platform
import struct

# Numbers of system calls and the architecture's own (linux/audit.h), by machine.
_MACHINES = {
    "x86_64": (
        0xC000003E,
        {
            "write": 1,
            "pwrite64": 18,
            "writev": 20,
            "pwritev": 296,
            "open": 2,
            "openat": 257,
            "rename": 82,
            "renameat": 264,
            "renameat2": 316,
            "mkdir": 83,
            "mkdirat": 258,
            "unlink": 87,
            "unlinkat": 263,
            "ftruncate": 77,
            "fallocate": 285,
        },
        317,
    ),
    "aarch64": (
        0xC00000B7,
        {
            "write": 64,
            "pwrite64": 68,
            "writev": 66,
            "pwritev": 70,
            "openat": 56,
            "renameat": 38,
            "renameat2": 276,
            "mkdirat": 34,
            "unlinkat": 35,
            "ftruncate": 46,
            "fallocate": 47,
        },
        277,
    ),
}
_OPEN_FLAGS_ARGUMENT = {"open": 1, "openat": 2}
_WRITING = ("write", "pwrite64", "writev", "pwritev", "fallocate")
_NAMING = ("rename", "renameat", "renameat2", "mkdir", "mkdirat", "unlink", "unlinkat")

FAULTS = {
    "full": (errno.ENOSPC, _WRITING),
    "read-only": (errno.EROFS, (*_WRITING, *_NAMING, "ftruncate", *_OPEN_FLAGS_ARGUMENT)),
    "locked": (errno.EACCES, (*_NAMING, *_OPEN_FLAGS_ARGUMENT)),
}
"""Full: nothing can be written. Read-only: nor made, renamed or removed. Locked: what is open can
be written, as where the rights of the folders were taken away."""

# Instructions of the Berkeley packet filter (linux/filter.h, linux/seccomp.h).
_LOAD, _EQUAL, _MORE, _ANY_BIT, _ANSWER = 0x20, 0x15, 0x25, 0x45, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
_SET_NO_NEW_PRIVILEGES, _SET_FILTER, _ALL_THREADS = 38, 1, 1


def let_the_disk_down(fault: str) -> None:
    """From now on, in all threads of this process and its children to come."""
    number, calls = FAULTS[fault]
    architecture, numbers, seccomp = _MACHINES[platform.machine()]
    program = _instruction(_LOAD, _ARCHITECTURE)
    program += _instruction(_EQUAL, architecture, 1, 0)
    program += _instruction(_ANSWER, _ALLOW)
    for name in calls:
        if name in numbers:
            program += _one_call(name, numbers[name], _ERRNO | number)
    program += _instruction(_ANSWER, _ALLOW)
    code = ctypes.create_string_buffer(program)
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
    if libc.syscall(seccomp, _SET_FILTER, _ALL_THREADS, header):
        raise OSError(ctypes.get_errno(), "seccomp")


def _one_call(name: str, number: int, answer: int) -> bytes:
    """Answers for one system call where its arguments say that it writes to a disk."""
    body = b""
    if name in _OPEN_FLAGS_ARGUMENT:
        # Only what makes a file: what is there may be opened for writing, as /dev/null must.
        body += _instruction(_LOAD, _ARGUMENTS + 8 * _OPEN_FLAGS_ARGUMENT[name])
        body += _instruction(_ANY_BIT, os.O_CREAT, 0, 1)
    elif name in {"write", "writev"}:
        body += _instruction(_LOAD, _ARGUMENTS)
        body += _instruction(_MORE, 2, 0, 1)  # standard output and error are no disk
    body += _instruction(_ANSWER, answer)
    head = _instruction(_LOAD, _NUMBER) + _instruction(_EQUAL, number, 0, len(body) // 8)
    return head + body


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, value)
