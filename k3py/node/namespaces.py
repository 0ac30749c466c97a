"""Kernel namespaces that live on without a process, pinned by a bind mount."""

import ctypes
import fcntl
import os
import queue
import socket
import struct
import threading
from collections.abc import Mapping
from pathlib import Path

from k3py.base import threads
from k3py.node import mounts

_CLONE = {"net": 0x4000_0000, "ipc": 0x0800_0000, "uts": 0x0400_0000}
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1

_libc = ctypes.CDLL(None, use_errno=True)


def pin(wanted: Mapping[str, Path], sysctls: Mapping[str, str]) -> None:
    """Make new namespaces ("net", "ipc") and pin each at its path; then set `sysctls` in them.

    It happens in a thread that ends with it, because a thread cannot go back. The loopback
    of a new network namespace is brought up. Raises OSError.
    """
    answer: queue.SimpleQueue[Exception | None] = queue.SimpleQueue()

    def work() -> None:
        try:
            _pin(wanted, sysctls)
            answer.put(None)
        except Exception as failed:
            answer.put(failed)

    threads.spawn("namespaces", work)
    failed = answer.get()
    if failed:
        raise failed


def _pin(wanted: Mapping[str, Path], sysctls: Mapping[str, str]) -> None:
    flags = sum(_CLONE[kind] for kind in wanted)
    if flags and _libc.unshare(flags) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"new namespaces are refused: {os.strerror(error)}")
    task = threading.get_native_id()
    if "net" in wanted:
        _loopback_up()
    for kind, path in wanted.items():
        path.touch(mode=0o600)
        mounts.bind(f"/proc/self/task/{task}/ns/{kind}", path)
    for name, value in sysctls.items():
        Path("/proc/sys", name.replace(".", "/")).write_text(value)


def _loopback_up() -> None:
    request = struct.Struct("16sh14x")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        answer = fcntl.ioctl(sock, _SIOCGIFFLAGS, request.pack(b"lo", 0))
        flags = request.unpack(answer)[1]
        fcntl.ioctl(sock, _SIOCSIFFLAGS, request.pack(b"lo", flags | _IFF_UP))
