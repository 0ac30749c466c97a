"""One process of each role on a machine, known by a locked file.

Its first line is the pid, its second how the process was started.
"""

import contextlib
import fcntl
import json
import os
import select
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from k3py.base import commands, threads
from k3py.base.backoff import Backoff
from k3py.base.clock import SYSTEM, Clock
from k3py.base.log import Log

log = Log("k3py.daemon")


class AlreadyRunning(Exception):
    """Another process holds the role; the message says which."""


class Running(NamedTuple):
    pid: int
    argv: tuple[str, ...]


def claim(path: Path, argv: Sequence[str]) -> None:
    """Hold the role that `path` stands for until this process ends. Raises AlreadyRunning."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        holder = running(path)
        raise AlreadyRunning(
            f"it is already running here, as process {holder.pid if holder else 'unknown'}. "
            "See: k3py status"
        ) from None
    os.ftruncate(handle, 0)
    os.write(handle, f"{os.getpid()}\n{json.dumps(list(argv))}\n".encode())
    # Kept open on purpose: the kernel frees the lock when this process ends, however it ends.


def running(path: Path) -> Running | None:
    """Who holds the role, if anybody does."""
    try:
        with path.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                pid, argv = file.read().splitlines()
                return Running(int(pid), tuple(json.loads(argv)))
    except (FileNotFoundError, ValueError):
        pass
    return None


def terminate(path: Path, *, seconds: float) -> bool:
    """Ask the holder of a role to end, and make it end after `seconds`; whether there was one."""
    holder = running(path)
    if holder is None:
        return False
    with contextlib.suppress(ProcessLookupError):
        handle = os.pidfd_open(holder.pid)
        try:
            signal.pidfd_send_signal(handle, signal.SIGTERM)
            if not _ended(handle, seconds):
                log.warning("process does not end, killing it", pid=holder.pid)
                signal.pidfd_send_signal(handle, signal.SIGKILL)
                _ended(handle, 5)
        finally:
            os.close(handle)
    return True


def executable() -> tuple[str, ...]:
    """How to run k3py again, as this process runs it."""
    if getattr(sys, "frozen", False):
        return (sys.executable,)
    return (sys.executable, "-m", "k3py")


class Child:
    """The node agent beside a server: started, watched, and started again when it ends.

    An agent that outlived an earlier server is adopted when it runs with the same arguments,
    and replaced when it does not.
    """

    def __init__(self, argv: Sequence[str], pid_file: Path, clock: Clock = SYSTEM) -> None:
        self._argv, self._pid_file, self._clock = tuple(argv), pid_file, clock
        self._backoff: Backoff[str] = Backoff(0.5, 30)

    def run(self, stop: threads.Stop) -> None:
        while not stop.is_set():
            pid = self._adopted() or self._started()
            begun = self._clock.monotonic()
            if _watch(pid, stop):
                return
            if self._clock.monotonic() - begun > 60:
                self._backoff.forget("agent")
            delay = self._backoff.next("agent")
            log.warning("the node agent ended, starting it again", pid=pid, after=f"{delay:g}s")
            self._clock.wait(stop, delay)

    def stop(self) -> None:
        """End the agent; its containers run on."""
        terminate(self._pid_file, seconds=10)

    def _adopted(self) -> int | None:
        holder = running(self._pid_file)
        if holder is None:
            return None
        if holder.argv == self._argv:
            log.info("node agent adopted", pid=holder.pid)
            return holder.pid
        terminate(self._pid_file, seconds=10)
        return None

    def _started(self) -> int:
        process = commands.start(*executable(), *self._argv, output=2)
        log.info("node agent started", pid=process.pid)
        return process.pid


def _watch(pid: int, stop: threads.Stop) -> bool:
    """Wait for the process to end (False) or for `stop` (True)."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        while not stop.is_set():
            if _ended(handle, 2):
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
                return False
        return True
    finally:
        os.close(handle)


def _ended(handle: int, seconds: float) -> bool:
    return bool(select.select([handle], [], [], seconds)[0])
