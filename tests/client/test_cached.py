"""A CachedClient reads caches, writes through, and can wait for its own writes."""

import threading

import pytest

from k3py import kinds
from k3py.api import errors
from k3py.api.objects import Key
from k3py.base import threads
from k3py.client.cached import CachedClient
from k3py.client.informer import Informers
from k3py.testing.client import FakeClient, FakeInformers

WEB = Key("home", "web")


def test_it_reads_what_the_cache_has():
    client, cached = connected(settings("web", {"app": "web"}), settings("db", {"app": "db"}))
    client.get = client.list = None
    assert cached.get(kinds.CONFIG_MAP, WEB)["metadata"]["name"] == "web"
    found = cached.list(kinds.CONFIG_MAP, "home", labels="app=db").items
    assert [obj["metadata"]["name"] for obj in found] == ["db"]
    with pytest.raises(errors.NotFound):
        cached.get(kinds.CONFIG_MAP, Key("home", "other"))


def test_kinds_without_an_informer_are_read_from_the_api():
    client, cached = connected()
    client.put(kinds.SECRET, settings("web"))
    assert cached.get(kinds.SECRET, WEB)


def test_settling_waits_until_the_cache_shows_own_writes():
    client = FakeClient((kinds.CONFIG_MAP, settings("web")))
    informers = Informers(client)
    informers.of(kinds.CONFIG_MAP)
    group = threads.Group("test")
    informers.start(group)
    assert informers.wait_synced(5)
    cached = CachedClient(client, informers)
    try:
        for number in range(20):
            cached.patch(kinds.CONFIG_MAP, WEB, {"data": {"n": str(number)}})
            assert cached.settle(5)
            assert cached.get(kinds.CONFIG_MAP, WEB)["data"] == {"n": str(number)}
        cached.delete(kinds.CONFIG_MAP, WEB)
        assert cached.settle(5)
        with pytest.raises(errors.NotFound):
            cached.get(kinds.CONFIG_MAP, WEB)
    finally:
        group.stop(seconds=5)


def test_settling_gives_up_when_the_cache_stands_still_and_only_once():
    client = FakeClient()
    informers = Informers(client)
    informers.of(kinds.CONFIG_MAP).replace([], 0)
    cached = CachedClient(client, informers)
    cached.create(kinds.CONFIG_MAP, settings("web"))
    assert not cached.settle(0.01)
    assert cached.settle(0)


def test_all_workers_wait_for_a_write_of_any():
    client = FakeClient()
    informers = Informers(client)
    informer = informers.of(kinds.CONFIG_MAP)
    informer.replace([], 0)
    cached = CachedClient(client, informers)
    made = cached.create(kinds.CONFIG_MAP, settings("web"))
    settled = []
    workers = [threading.Thread(target=lambda: settled.append(cached.settle(5))) for _ in "ab"]
    for worker in workers:
        worker.start()
    assert not settled
    informer.cache.put(made)
    for worker in workers:
        worker.join(5)
    assert settled == [True, True]


def connected(*objects):
    client = FakeClient(*((kinds.CONFIG_MAP, obj) for obj in objects))
    informers = FakeInformers(client)
    informers.of(kinds.CONFIG_MAP)
    return client, CachedClient(client, informers)


def settings(name, labels=None):
    return {"metadata": {"name": name, "namespace": "home", "labels": labels or {}}}
