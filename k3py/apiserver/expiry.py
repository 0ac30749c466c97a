"""Events are for people, and people look soon: an hour after the last time, they go."""

from datetime import timedelta

import orjson

from k3py.api import times
from k3py.api.objects import Object
from k3py.apiserver import keys
from k3py.base import threads
from k3py.base.clock import SYSTEM, Clock
from k3py.base.log import Log
from k3py.kinds import EVENT
from k3py.store.errors import Conflict, StoreFailed
from k3py.store.store import Store

log = Log("k3py.apiserver.expiry")

LIFE = timedelta(hours=1)
_ROUND_SECONDS = 300.0
_TIMES = ("lastTimestamp", "eventTime", "firstTimestamp")


def run(store: Store, stop: threads.Stop, clock: Clock = SYSTEM) -> None:
    """Remove old events now and then, until `stop` is set."""
    while not clock.wait(stop, _ROUND_SECONDS):
        try:
            expire(store, clock)
        except StoreFailed as failed:
            log.warning("old events stay for now", why=failed)


def expire(store: Store, clock: Clock = SYSTEM) -> int:
    """Remove the events that are old; how many there were."""
    now, gone = clock.now(), 0
    for record in store.list(keys.prefix(EVENT)).records:
        assert record.value is not None
        if now - times.parse(_moment(orjson.loads(record.value))) > LIFE:
            try:
                # Should the removal be lost in a power cut, the next round repeats it.
                store.write(record.key, None, after=record.revision, durable=False)
                gone += 1
            except Conflict:
                continue  # it happened again just now
    return gone


def _moment(event: Object) -> str:
    """The last time an event happened."""
    found = [event.get(field) for field in _TIMES]
    found.append((event.get("series") or {}).get("lastObservedTime"))
    return max(filter(None, found), default=str(event["metadata"]["creationTimestamp"]))
