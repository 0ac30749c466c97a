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

from k3py import __version__
from k3py.base import clock as clocks
from k3py.base import commands, threads
from k3py.base.backoff import Backoff
from k3py.base.clock import SYSTEM, Clock
from k3py.base.log import Log

log = Log("k3py.daemon")
WITHOUT_AGENT = "--disable-agent"
"""What a server that runs no pods says of itself in its pid file."""
_TRIES, _PAUSE_SECONDS = 20, 0.05


class AlreadyRunning(Exception):
    """Another process holds the role; the message says which."""


class Running(NamedTuple):
    pid: int
    argv: tuple[str, ...]
    version: str = ""


def claim(path: Path, argv: Sequence[str]) -> None:
    """Hold the role that `path` stands for until this process ends. Raises AlreadyRunning."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _lock(handle, path)
    except BaseException:
        os.close(handle)
        raise
    os.ftruncate(handle, 0)
    about = {"version": __version__, "argv": list(argv)}
    os.write(handle, f"{os.getpid()}\n{json.dumps(about)}\n".encode())
    # Kept open on purpose: the kernel frees the lock when this process ends, however it ends.


def running(path: Path) -> Running | None:
    """Who holds the role, if anybody does."""
    try:
        with path.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                pid, about = file.read().splitlines()
                content = json.loads(about)
                return Running(int(pid), tuple(content["argv"]), str(content.get("version", "")))
    except (FileNotFoundError, ValueError, KeyError):
        pass
    return None


def _lock(handle: int, path: Path) -> None:
    """Whoever asks `running` holds the lock for a moment, too: that is waited for."""
    for _ in range(_TRIES):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if holder := running(path):
                raise AlreadyRunning(
                    f"the {path.stem} is already running here, as process {holder.pid}. "
                    "See: k3py status"
                ) from None
            clocks.sleep(_PAUSE_SECONDS)
        else:
            return
    raise AlreadyRunning(f"{path} is locked by another process. See: k3py status")


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

    An agent that outlived an earlier server is adopted when it is of the same version and
    runs with the same arguments, and replaced when it does not.
    """

    def __init__(
        self,
        argv: Sequence[str],
        pid_file: Path,
        *,
        program: Sequence[str] = (),
        clock: Clock = SYSTEM,
    ) -> None:
        self._argv, self._pid_file, self._clock = tuple(argv), pid_file, clock
        self._program = tuple(program) or executable()
        self._backoff: Backoff[str] = Backoff(0.5, 30)
        self._woken = os.eventfd(0, os.EFD_CLOEXEC)
        self.process: commands.Process | None = None  # none while one is adopted

    def run(self, stop: threads.Stop) -> None:
        """Until `stop` is set and `wake` was called; the agent lives on."""
        while not stop.is_set():
            begun = self._clock.monotonic()
            pid = self._adopted()
            if not (self._watched(pid) if pid else self._started()):
                return
            if self._clock.monotonic() - begun > 60:
                self._backoff.forget("agent")
            delay = self._backoff.next("agent")
            log.warning("the node agent ended, starting it again", after=f"{delay:g}s")
            self._clock.wait(stop, delay)

    def wake(self) -> None:
        """Let `run` look whether it should stop."""
        os.eventfd_write(self._woken, 1)

    def _adopted(self) -> int | None:
        holder = running(self._pid_file)
        if holder is None:
            return None
        if (holder.version, holder.argv) == (__version__, self._argv):
            log.info("node agent adopted", pid=holder.pid)
            return holder.pid
        log.info("node agent is replaced", pid=holder.pid, version=holder.version)
        terminate(self._pid_file, seconds=10)
        return None

    def _started(self) -> bool:
        self.process = commands.start(*self._program, *self._argv, output=2)
        log.info("node agent started", pid=self.process.pid)
        ended = self._watched(self.process.pid)
        if ended:
            self.process.wait()
        return ended

    def _watched(self, pid: int) -> bool:
        """Wait for the process to end; False when `wake` was called before."""
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            return True
        try:
            ready, _, _ = select.select([handle, self._woken], [], [])
            return self._woken not in ready
        finally:
            os.close(handle)


def _ended(handle: int, seconds: float) -> bool:
    return bool(select.select([handle], [], [], seconds)[0])
