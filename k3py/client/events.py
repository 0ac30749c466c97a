"""Event objects: what happened, for a person to read; counted rather than repeated.

`event` only notes what is to be said and returns. `run` says it: it creates an Event the
first time and raises the count of that one afterwards. An object that has more to say than
a person can read loses what is over its allowance. While the API is away it is all kept.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol

from k3py.api import errors, meta, times
from k3py.api.kind import Kind
from k3py.api.objects import Key, Object
from k3py.base import threads
from k3py.base.clock import SYSTEM, Clock
from k3py.base.log import Log
from k3py.client.client import Client
from k3py.kinds import EVENT

NORMAL, WARNING = "Normal", "Warning"

_REMEMBERED = 512
_WAITING = 1024
# Kubernetes' own allowance for what one component says of one object.
_BURST, _SECONDS_EACH = 25, 300
_MESSAGE_LENGTH = 1024
AWAY_SECONDS = 10
"""How long to wait for an API that does not answer."""
log = Log("k3py.client.events")


class Events(Protocol):
    """Where a component says what happened."""

    def event(
        self, kind: Kind, obj: Object, type_: str, reason: str, message: str, *, field: str = ""
    ) -> None:
        """Note it; never blocks, never raises. `type_` is NORMAL or WARNING.

        `field` is the part of the object that it is about, as `spec.containers{web}`.
        """


class _Saying(NamedTuple):
    component: str
    namespace: str
    name: str
    uid: str
    kind: str
    field: str
    type: str
    reason: str
    message: str


@dataclass
class _Said:
    """An Event as it was last written, and what has been said again since."""

    about: Object
    first: datetime
    last: datetime
    key: Key | None = None
    count: int = 0
    unsaid: int = 0


@dataclass
class _Allowance:
    left: float = _BURST
    since: float = field(default=0.0)


class Recorder:
    """Says things in the name of `component` (on `host`)."""

    def __init__(
        self, client: Client, component: str, host: str = "", *, clock: Clock = SYSTEM
    ) -> None:
        self._client, self._component, self._host, self._clock = client, component, host, clock
        self._unique = 0
        self._noted = threading.Event()
        self._lock = threading.Lock()  # guards the three below
        self._said: OrderedDict[_Saying, _Said] = OrderedDict()
        self._waiting: OrderedDict[_Saying, None] = OrderedDict()
        self._allowances: OrderedDict[str, _Allowance] = OrderedDict()

    def of(self, component: str) -> Events:
        """The voice of another component, which this recorder writes for, too."""
        return _Voice(self, component)

    def event(
        self, kind: Kind, obj: Object, type_: str, reason: str, message: str, *, field: str = ""
    ) -> None:
        self.say(self._component, kind, obj, type_, reason, message, field=field)

    def say(
        self,
        component: str,
        kind: Kind,
        obj: Object,
        type_: str,
        reason: str,
        message: str,
        *,
        field: str,
    ) -> None:
        """Like `event`, in the name of `component`."""
        about = meta.reference(kind, obj) | ({"fieldPath": field} if field else {})
        saying = _Saying(
            component,
            about.get("namespace", "default"),
            about["name"],
            about.get("uid", ""),
            about["kind"],
            field,
            type_,
            reason,
            message[:_MESSAGE_LENGTH],
        )
        now = self._clock.now()
        with self._lock:
            if len(self._waiting) >= _WAITING or not self._may_say(saying):
                return
            said = self._said.setdefault(saying, _Said(about, now, now))
            said.about, said.last = about, now
            said.unsaid += 1
            self._said.move_to_end(saying)
            while len(self._said) > _REMEMBERED:
                self._waiting.pop(self._said.popitem(last=False)[0], None)
            self._waiting[saying] = None
        self._noted.set()

    def run(self, stop: threads.Stop) -> None:
        def wake() -> None:
            stop.wait()
            self._noted.set()

        threads.spawn("events/stop", wake)
        while not stop.is_set():
            self._noted.wait()
            self._noted.clear()
            if not self.flush():
                self._clock.wait(stop, AWAY_SECONDS)
                self._noted.set()

    def flush(self) -> bool:
        """Write everything that was noted; False when the API is away and some of it waits."""
        while True:
            with self._lock:
                if not self._waiting:
                    return True
                saying = self._waiting.popitem(last=False)[0]
                said = self._said[saying]
                more, said.unsaid = said.unsaid, 0
                said.count += more
            try:
                self._write(saying, said)
            except (errors.ServiceUnavailable, errors.Timeout):
                self._keep(saying, said, more)
                return False
            except errors.ApiError as failure:
                tell = log.debug if errors.is_namespace_terminating(failure) else log.warning
                tell("event not written", reason=saying.reason, why=failure)

    def _keep(self, saying: _Saying, said: _Said, more: int) -> None:
        """It was not said after all: it is the next to be."""
        with self._lock:
            said.count, said.unsaid = max(0, said.count - more), said.unsaid + more
            if self._said.get(saying) is said:
                self._waiting[saying] = None
                self._waiting.move_to_end(saying, last=False)

    def _write(self, saying: _Saying, said: _Said) -> None:
        if said.key is not None:
            try:
                change = {"count": said.count, "lastTimestamp": times.stamp(said.last)}
                self._client.patch(EVENT, said.key, change)
                return
            except errors.NotFound:  # it was old, and is gone: what comes now is a new one
                said.count, said.first = 1, said.last
        done = self._client.create(EVENT, self._object(saying, said))
        said.key = meta.key(done)

    def _object(self, saying: _Saying, said: _Said) -> Object:
        source = {"component": saying.component} | ({"host": self._host} if self._host else {})
        self._unique = max(self._unique + 1, int(said.last.timestamp() * 1_000_000) * 1000)
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"namespace": saying.namespace, "name": f"{saying.name}.{self._unique:x}"},
            "involvedObject": said.about,
            "reason": saying.reason,
            "message": saying.message,
            "source": source,
            "firstTimestamp": times.stamp(said.first),
            "lastTimestamp": times.stamp(said.last),
            "count": said.count,
            "type": saying.type,
            "eventTime": None,
            "reportingComponent": saying.component,
            "reportingInstance": self._host,
        }

    def _may_say(self, saying: _Saying) -> bool:
        """Whether the object has allowance left: 25 at once, one more every five minutes."""
        now = self._clock.monotonic()
        about = f"{saying.component} {saying.kind}/{saying.namespace}/{saying.name}/{saying.uid}"
        allowance = self._allowances.setdefault(about, _Allowance(since=now))
        self._allowances.move_to_end(about)
        while len(self._allowances) > _REMEMBERED:
            self._allowances.popitem(last=False)
        passed = now - allowance.since
        allowance.left = min(_BURST, allowance.left + passed / _SECONDS_EACH)
        allowance.since = now
        if allowance.left < 1:
            return False
        allowance.left -= 1
        return True


class _Voice(NamedTuple):
    recorder: Recorder
    component: str

    def event(
        self, kind: Kind, obj: Object, type_: str, reason: str, message: str, *, field: str = ""
    ) -> None:
        self.recorder.say(self.component, kind, obj, type_, reason, message, field=field)
