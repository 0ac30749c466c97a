"""What the engine shows, and what changed.

Exits are seen at once, through a descriptor of each container's process; the engine is asked
how it ended, again and again until it knows. Every few minutes everything is listed, in case
something was missed. Asking first, at the start, is how a restarted agent adopts what runs.
"""

import contextlib
import os
import select
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from k3py.base import threads
from k3py.base.clock import SYSTEM, Clock
from k3py.base.log import Log
from k3py.node import cgroups
from k3py.node.cgroups import Cgroups
from k3py.node.runtime.runtime import Container, Runtime, RuntimeFailed, State

RELIST_SECONDS = 300.0
RETRY_SECONDS = 2.0
# A process is gone before its monitor has written how; after this long nobody will.
PATIENCE_SECONDS = 4.0
KILLED = 137

log = Log("k3py.node.observer")


@dataclass
class _Watched:
    """The process of a running container. `oom` counts its cgroup's kills."""

    container: Container
    pidfd: int
    oom: int | None


@dataclass
class _Ending:
    """A container whose process is gone, and of which the engine does not know it yet."""

    since: float
    next: float
    delay: float = 0.005


class Observer:
    """`changed(pod uid)` is called from the observer's thread when a container has changed.

    `marks` is a folder for the ids of containers that ran out of memory: the engine of a
    machine with cgroups version 1 does not say so itself.
    """

    def __init__(
        self,
        runtime: Runtime,
        groups: Cgroups,
        marks: Path,
        changed: Callable[[str], None],
        *,
        clock: Clock = SYSTEM,
    ) -> None:
        self._runtime, self._groups, self._marks = runtime, groups, marks
        self._changed, self._clock = changed, clock
        self.listed = threading.Event()
        self._list_now = threading.Event()
        self._lock = threading.Lock()  # guards the three below
        self._containers: dict[str, dict[str, Container]] = {}
        self._watched: dict[int, _Watched] = {}
        self._ending: dict[str, _Ending] = {}
        self._poll = select.epoll()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poll.register(self._wake, select.EPOLLIN)

    # --- what others ask

    def containers(self, uid: str) -> tuple[Container, ...]:
        with self._lock:
            return tuple(self._containers.get(uid, {}).values())

    def uids(self) -> set[str]:
        """Every pod that has containers."""
        with self._lock:
            return {uid for uid, found in self._containers.items() if found}

    def look(self, container_id: str) -> Container | None:
        """Ask the engine about one container now. Raises RuntimeFailed."""
        found = self._runtime.inspect(container_id)
        if found is None:
            self.removed(container_id)
            return None
        if found.is_running and not self._watch(found):
            return self._keep_asking(found)
        return self._note(found)

    def failed(self, container: Container, reason: str, message: str, code: int) -> None:
        """Remember how a container ended that the engine never started."""
        now = self._clock.now()
        self._note(
            replace(
                container,
                state=State.EXITED,
                exit_code=code,
                reason=reason,
                message=message,
                finished=now,
            )
        )

    def removed(self, container_id: str) -> None:
        with self._lock:
            for found in self._containers.values():
                found.pop(container_id, None)
            self._containers = {uid: found for uid, found in self._containers.items() if found}
            self._ending.pop(container_id, None)
        (self._marks / container_id).unlink(missing_ok=True)

    def relist(self) -> None:
        """Learn everything anew; what is as it was is not touched. Raises RuntimeFailed."""
        there = {c.id: c for c in self._runtime.containers()}
        with self._lock:
            known = {c.id: c for found in self._containers.values() for c in found.values()}
        for gone in known.keys() - there.keys():
            self.removed(gone)
            self._changed(known[gone].pod_uid)
        for container_id, container in there.items():
            before = known.get(container_id)
            if before is None or self._differs(before, container):
                now = self.look(container_id)
                if now and now != before:
                    self._changed(now.pod_uid)
        self.listed.set()

    def refresh(self) -> None:
        """List again as soon as may be: something may have happened that nobody saw."""
        self._list_now.set()
        os.eventfd_write(self._wake, 1)

    # --- the loop

    def run(self, stop: threads.Stop) -> None:
        def wake() -> None:
            stop.wait()
            os.eventfd_write(self._wake, 1)

        threads.spawn("observer/stop", wake)
        next_list = 0.0
        while not stop.is_set():
            if self._list_now.is_set() or self._clock.monotonic() >= next_list:
                self._list_now.clear()
                next_list = self._clock.monotonic() + self._relist_or_retry()
            for descriptor, _ in self._poll.poll(self._timeout(next_list)):
                self._on_ready(descriptor)
            self._ask_about_endings()

    def _relist_or_retry(self) -> float:
        try:
            self.relist()
        except RuntimeFailed as failed:
            log.warning("containers not listed, will retry", why=failed)
            return RETRY_SECONDS
        return RELIST_SECONDS

    def _timeout(self, next_list: float) -> float:
        with self._lock:
            moments = [next_list, *(e.next for e in self._ending.values())]
        return max(0.0, min(moments) - self._clock.monotonic())

    def _on_ready(self, descriptor: int) -> None:
        if descriptor == self._wake:
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(self._wake)
            return
        with self._lock:
            watched = self._watched.pop(descriptor, None)
        self._poll.unregister(descriptor)
        os.close(descriptor)
        if watched:
            if watched.oom is not None:
                self._mark_oom(watched)
            self._expect(watched.container.id)

    def _mark_oom(self, watched: _Watched) -> None:
        """Now, for the cgroup goes as soon as the monitor has cleaned up."""
        assert watched.oom is not None
        try:
            if cgroups.oom_kills(watched.oom):
                self._marks.mkdir(parents=True, exist_ok=True)
                (self._marks / watched.container.id).touch()
        except OSError as failed:
            log.warning("out-of-memory kill not noted", why=failed)
        finally:
            os.close(watched.oom)

    def _expect(self, container_id: str) -> None:
        now = self._clock.monotonic()
        with self._lock:
            self._ending.setdefault(container_id, _Ending(now, now))

    def _ask_about_endings(self) -> None:
        now = self._clock.monotonic()
        with self._lock:
            due = [(i, e) for i, e in self._ending.items() if e.next <= now]
        for container_id, ending in due:
            try:
                found = self._runtime.inspect(container_id)
            except RuntimeFailed as failed:
                log.warning("container not inspected, will retry", id=container_id, why=failed)
                ending.next = self._clock.monotonic() + RETRY_SECONDS
                continue
            self._settle(container_id, ending, found, now)

    def _settle(
        self, container_id: str, ending: _Ending, found: Container | None, now: float
    ) -> None:
        if found is None:
            self._forget_ending(container_id)
            self.removed(container_id)
        elif not found.is_running or self._watch(found):
            self._forget_ending(container_id)
            self._changed(self._note(found).pod_uid)
        elif now - ending.since > PATIENCE_SECONDS:
            self._forget_ending(container_id)
            self._changed(self._note(_lost(found, self._clock.now())).pod_uid)
        else:
            ending.delay = min(0.5, ending.delay * 2)
            ending.next = now + ending.delay

    def _keep_asking(self, found: Container) -> Container:
        """Its process is gone and the engine calls it running: say so for a moment longer."""
        self._expect(found.id)
        os.eventfd_write(self._wake, 1)
        return self._note(found)

    def _forget_ending(self, container_id: str) -> None:
        with self._lock:
            self._ending.pop(container_id, None)

    # --- keeping

    def _note(self, container: Container) -> Container:
        if container.state is State.EXITED and (self._marks / container.id).exists():
            container = replace(container, oom_killed=True)
        with self._lock:
            self._containers.setdefault(container.pod_uid, {})[container.id] = container
        return container

    def _watch(self, container: Container) -> bool:
        """See the end of its process; False when that has come already."""
        with self._lock:
            if any(w.container.id == container.id for w in self._watched.values()):
                return True
        try:
            pidfd = os.pidfd_open(container.pid)
        except ProcessLookupError:
            return False
        with self._lock:
            self._watched[pidfd] = _Watched(container, pidfd, self._open_oom(container.pid))
        self._poll.register(pidfd, select.EPOLLIN)
        return True

    def _open_oom(self, pid: int) -> int | None:
        file = self._groups.oom_file(pid)
        with contextlib.suppress(OSError):
            return os.open(file, os.O_RDONLY | os.O_CLOEXEC) if file else None
        return None

    def _differs(self, before: Container, listed: Container) -> bool:
        with self._lock:
            ending = listed.id in self._ending
        if ending or before.reason:
            return False
        return before.state is not listed.state or before.pid != listed.pid


def _lost(container: Container, now: datetime) -> Container:
    return replace(
        container,
        state=State.EXITED,
        exit_code=KILLED,
        finished=now,
        reason="ContainerStatusUnknown",
        message="The container could not be located when the pod was terminated",
    )
