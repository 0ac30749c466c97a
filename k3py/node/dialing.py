"""TCP connections that begin in a pod's network namespace."""

import ctypes
import os
import queue
import socket
from pathlib import Path

from k3py.base import threads

_CLONE_NEWNET = 0x4000_0000
_SECONDS = 5
_libc = ctypes.CDLL(None, use_errno=True)


def connect(port: int, netns: Path | None) -> socket.socket:
    """A connection to the loopback's `port` as seen from `netns` (None: the node's own).

    A socket stays in the namespace it was made in, so a thread that enters it and ends
    with it is enough. Raises OSError.
    """
    if netns is None:
        return _loopback(port)
    answer: queue.SimpleQueue[socket.socket | OSError] = queue.SimpleQueue()

    def work() -> None:
        try:
            _enter(netns)
            answer.put(_loopback(port))
        except OSError as failed:
            answer.put(failed)

    threads.spawn("dial", work)
    found = answer.get()
    if isinstance(found, OSError):
        raise found
    return found


def _enter(netns: Path) -> None:
    handle = os.open(netns, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.setns(handle, _CLONE_NEWNET) != 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error))
    finally:
        os.close(handle)


def _loopback(port: int) -> socket.socket:
    try:
        return socket.create_connection(("127.0.0.1", port), _SECONDS)
    except OSError:
        try:
            return socket.create_connection(("::1", port), _SECONDS)
        except OSError:
            pass
        raise
