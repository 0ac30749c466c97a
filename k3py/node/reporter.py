"""Statuses to the API: the newest of each pod, by one thread.

A status on its way to another is not worth a write: what says that a pod only begins waits
for a moment, and a newer one takes its place. When the server is away, the newest of each
pod waits for it.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from k3py.api import errors, meta
from k3py.api.objects import Key, Object
from k3py.base import threads
from k3py.base.backoff import Backoff
from k3py.base.clock import SYSTEM, Clock
from k3py.base.log import Log
from k3py.client.client import Client
from k3py.kinds import POD
from k3py.node import status as statuses

# How long a status that is not final may wait for a better one.
PATIENCE_SECONDS = 0.4

log = Log("k3py.node.reporter")


@dataclass
class _Waiting:
    key: Key
    base: Mapping[str, Any]
    status: Object
    due: float
    ends: bool = False


@dataclass(frozen=True)
class _Sent:
    """What was last written, and the pod's revision with it."""

    status: Object
    revision: int


class Reporter:
    """`finished(uid)` is called when a pod has been deleted from the API."""

    def __init__(
        self,
        client: Client,
        *,
        finished: Callable[[str], None] = lambda _uid: None,
        clock: Clock = SYSTEM,
    ) -> None:
        self._client, self._finished, self._clock = client, finished, clock
        self._noted = threading.Event()
        self._lock = threading.Lock()  # guards the two below
        self._waiting: dict[str, _Waiting] = {}
        self._sent: dict[str, _Sent] = {}
        self._backoff: Backoff[str] = Backoff(0.5, 10)

    def report(self, pod: Object, status: Object, *, urgent: bool = True) -> None:
        """Write `status`, unless the API has it already. Never blocks."""
        self._note(pod, status, ends=False, delay=0.0 if urgent else PATIENCE_SECONDS)

    def finish(self, pod: Object, status: Object) -> None:
        """Write the last status, then delete the pod from the API: nothing of it is left here."""
        self._note(pod, status, ends=True, delay=0.0)

    def run(self, stop: threads.Stop) -> None:
        def wake() -> None:
            stop.wait()
            self._noted.set()

        threads.spawn("reporter/stop", wake)
        while not stop.is_set():
            seconds = self.flush()
            self._clock.wait(self._noted, seconds)
            self._noted.clear()

    def flush(self) -> float | None:
        """Write what is due; seconds until the next is, None when nothing waits."""
        while True:
            with self._lock:
                uid = min(self._waiting, key=lambda u: self._waiting[u].due, default=None)
                if uid is None:
                    return None
                seconds = self._waiting[uid].due - self._clock.monotonic()
                if seconds > 0:
                    return seconds
                waiting = self._waiting.pop(uid)
            try:
                self._write(uid, waiting)
                self._backoff.forget(uid)
            except (errors.NotFound, errors.Conflict, errors.Invalid) as refused:
                self._drop(uid, waiting, refused)
            except errors.ApiError as failed:
                self._keep(uid, waiting, failed)

    def _note(self, pod: Object, status: Object, *, ends: bool, delay: float) -> None:
        uid = meta.uid(pod)
        due = self._clock.monotonic() + delay
        with self._lock:
            before = self._waiting.get(uid)
            if before:
                due, ends = min(due, before.due), ends or before.ends
            sent = self._sent.get(uid)
            # What the API says counts only when it is newer than what we wrote.
            base = pod.get("status") or {}
            if sent and meta.revision(pod) <= sent.revision:
                base = sent.status
            if before is None and not ends and not statuses.change(base, status):
                return
            self._waiting[uid] = _Waiting(meta.key(pod), base, status, due, ends)
        self._noted.set()

    def _write(self, uid: str, waiting: _Waiting) -> None:
        change = statuses.change(waiting.base, waiting.status)
        if change:
            body = {"metadata": {"uid": uid}, "status": change}
            done = self._client.patch(POD, waiting.key, body, subresource="status")
            with self._lock:
                self._sent[uid] = _Sent(waiting.status, meta.revision(done))
        if waiting.ends:
            self._client.delete(POD, waiting.key, grace=0, uid=uid)
            self._end(uid)

    def _drop(self, uid: str, waiting: _Waiting, refused: errors.ApiError) -> None:
        if isinstance(refused, errors.Invalid):
            log.error("status refused", pod=waiting.key, why=refused)
            if waiting.ends and waiting.status != waiting.base:
                # The pod must go all the same.
                waiting.status = dict(waiting.base)
                with self._lock:
                    self._waiting[uid] = waiting
                return
        if waiting.ends:
            self._end(uid)

    def _end(self, uid: str) -> None:
        with self._lock:
            self._sent.pop(uid, None)
            self._waiting.pop(uid, None)
        self._finished(uid)

    def _keep(self, uid: str, waiting: _Waiting, failed: errors.ApiError) -> None:
        seconds = self._backoff.next("")
        log.warning("status not written, will retry", pod=waiting.key, why=failed)
        with self._lock:
            newer = self._waiting.setdefault(uid, waiting)
            newer.due = self._clock.monotonic() + seconds
            newer.ends = newer.ends or waiting.ends
