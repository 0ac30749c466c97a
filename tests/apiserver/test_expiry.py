"""Events go an hour after they last happened."""

from datetime import timedelta

from k3py import kinds
from k3py.api import times
from k3py.apiserver import expiry
from k3py.base.clock import SYSTEM
from k3py.testing.clock import FakeClock


def event(name, last):
    about = {"kind": "Pod", "namespace": "default", "name": "x"}
    metadata = {"name": name, "namespace": "default"}
    return {"metadata": metadata, "involvedObject": about, "lastTimestamp": times.stamp(last)}


def test_an_event_lives_an_hour_from_its_last_time(client, store):
    now = SYSTEM.now()
    client.create(kinds.EVENT, event("old", now - timedelta(minutes=61)))
    client.create(kinds.EVENT, event("new", now - timedelta(minutes=59)))
    assert expiry.expire(store, FakeClock(now)) == 1
    left = client.list(kinds.EVENT).items
    assert [obj["metadata"]["name"] for obj in left] == ["new"]
