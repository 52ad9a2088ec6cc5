"""Take from this process what a computation does not need: files, network, other processes, time and memory.

This module runs in the child process, on the standard library alone, and before any code of an answer.
"""

import ctypes
import os
import platform
import signal
import struct

MEMORY_BYTES = 512 * 2**20
_NO_NEW_PRIVILEGES, _SECCOMP, _FILTER = 38, 22, 2
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050001, 0x80000000
"""What the kernel does with a system call: carry it out, refuse it as not permitted, or end the process."""
# By machine: the kernel's number of the architecture, and the system calls that a computation needs. None of them opens
# a file or a socket, starts a process or signals one: read, write, close, fstat, lseek, mmap, mprotect, munmap, brk,
# rt_sigaction, rt_sigprocmask, rt_sigreturn, sched_yield, mremap, madvise, nanosleep, getpid, clock_gettime,
# clock_getres, clock_nanosleep, gettimeofday, getrusage, times, exit, exit_group, futex, sigaltstack, restart_syscall,
# getrandom, rseq.
# fmt: off
CALLS = {
    "x86_64": (0xC000003E, (
        0, 1, 3, 5, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 28, 35, 39, 228, 229, 230, 96, 98, 100, 60, 231, 202, 131,
        219, 318, 334,
    )),
    "aarch64": (0xC00000B7, (
        63, 64, 57, 80, 62, 222, 226, 215, 214, 134, 135, 139, 124, 216, 233, 101, 172, 113, 114, 115, 169, 165, 153,
        93, 94, 98, 132, 128, 278, 293,
    )),
}
# fmt: on


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def limit(cpu_seconds: int, wall_seconds: int) -> None:
    """Limit the process's time, memory and files; it cannot raise a limit afterwards.

    Args:
        cpu_seconds: Seconds of computing after which the kernel ends the process.
        wall_seconds: Seconds on the clock after which it ends, too, if its parent is no longer there to end it.
    """
    import resource  # only Unix has it, and recipes are read elsewhere, too

    limits = {
        resource.RLIMIT_CPU: cpu_seconds,
        resource.RLIMIT_AS: MEMORY_BYTES,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
    }
    for name, most in limits.items():
        # The kernel signals the soft limit of time by a signal of its own, and the hard one as others end processes.
        resource.setrlimit(name, (most, most + 1 if name == resource.RLIMIT_CPU else most))
    signal.alarm(wall_seconds)


def lock() -> str:
    """Refuse all system calls but those of a computation; return why that is not possible, if so."""
    if platform.machine() not in CALLS or struct.calcsize("P") != 8:
        return f"no list of system calls for {platform.machine()}"
    libc = ctypes.CDLL(None, use_errno=True)
    instructions = _filter(*CALLS[platform.machine()])
    text = ctypes.create_string_buffer(b"".join(instructions))
    program = _Program(len(instructions), ctypes.addressof(text))
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) or libc.prctl(_SECCOMP, _FILTER, ctypes.byref(program), 0, 0):
        return f"the kernel takes no filter of system calls ({os.strerror(ctypes.get_errno())})"
    return _still_open()


def _filter(architecture: int, allowed: tuple[int, ...]) -> list[bytes]:
    """Return the filter as instructions for the kernel: the architecture, then each call, then the refusal."""
    steps = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, architecture), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, 0)]
    for number in allowed:
        steps += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ALLOW)]
    steps.append((_RETURN, 0, 0, _REFUSE))
    return [struct.pack("HBBI", *step) for step in steps]


def _still_open() -> str:
    """Return that a folder can still be opened, which would mean that the filter does not hold."""
    try:
        os.close(os.open("/", os.O_RDONLY))
    except PermissionError:
        return ""
    return "the filter of system calls has no effect"
