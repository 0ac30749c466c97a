"""Informers show what the API has, without a gap, through whatever happens to the watch."""

import threading

import pytest

from k3py import kinds
from k3py.api import errors, meta
from k3py.api.objects import Key, Listing
from k3py.base import threads
from k3py.client.cache import Cache
from k3py.client.informer import Informer, Informers
from k3py.testing.client import FakeClient


def test_the_cache_follows_creations_changes_and_deletions(following):
    client = FakeClient((kinds.CONFIG_MAP, settings("a")))
    informer = following(Informer(client, kinds.CONFIG_MAP))
    assert names(informer) == ["a"]
    client.create(kinds.CONFIG_MAP, settings("b"))
    client.patch(kinds.CONFIG_MAP, Key("home", "a"), {"data": {"color": "red"}})
    client.delete(kinds.CONFIG_MAP, Key("home", "b"))
    assert informer.cache.wait_for(client.revision, 5)
    assert names(informer) == ["a"]
    assert informer.cache.get(Key("home", "a"))["data"] == {"color": "red"}


def test_handlers_are_told_what_was_and_what_is(following):
    client = FakeClient((kinds.CONFIG_MAP, settings("a")))
    told = []
    informer = Informer(client, kinds.CONFIG_MAP)
    informer.subscribe(lambda old, new: told.append((data(old), data(new))))
    following(informer)
    client.patch(kinds.CONFIG_MAP, Key("home", "a"), {"data": {"x": "1"}})
    client.delete(kinds.CONFIG_MAP, Key("home", "a"))
    assert informer.cache.wait_for(client.revision, 5)
    with informer._telling:
        assert told == [(None, {}), ({}, {"x": "1"}), ({"x": "1"}, None)]


def test_a_late_handler_is_told_of_all_there_is(following):
    informer = following(Informer(FakeClient((kinds.CONFIG_MAP, settings("a"))), kinds.CONFIG_MAP))
    told = []
    informer.subscribe(lambda old, new: told.append(meta.key(new)))
    assert told == [Key("home", "a")]


def test_a_handler_that_fails_keeps_nobody_from_hearing(following, caplog):
    informer = Informer(FakeClient((kinds.CONFIG_MAP, settings("a"))), kinds.CONFIG_MAP)
    told = []
    informer.subscribe(lambda old, new: 1 / 0)
    informer.subscribe(lambda old, new: told.append(new))
    following(informer)
    assert len(told) == 1


def test_changes_between_list_and_watch_are_seen(following):
    class Racing(FakeClient):
        def watch(self, kind, namespace="", **more):
            if not self.all(kind):
                self.put(kind, settings("between"))
            return super().watch(kind, namespace, **more)

    client = Racing()
    informer = following(Informer(client, kinds.CONFIG_MAP))
    assert informer.cache.wait_for(1, 5)
    assert names(informer) == ["between"]


def test_an_expired_revision_makes_it_list_again_and_tell_the_difference(following):
    class Forgetful(FakeClient):
        def watch(self, kind, namespace="", **more):
            if self.revision == 2:
                self.remove(kind, Key("home", "a"))
                self.put(kind, settings("c"))
                self.forget_history()
            return super().watch(kind, namespace, **more)

    client = Forgetful((kinds.CONFIG_MAP, settings("a")), (kinds.CONFIG_MAP, settings("b")))
    told = []
    informer = Informer(client, kinds.CONFIG_MAP)
    informer.subscribe(lambda old, new: told.append((name(old), name(new))))
    following(informer)
    assert informer.cache.wait_for(4, 5)
    with informer._telling:
        assert told == [(None, "a"), (None, "b"), ("a", None), (None, "c")]


def test_a_namesake_found_when_listing_again_was_told_as_a_change():
    """Who counts by uid (the scheduler, the garbage collector) then kept the old one for ever."""
    informer = Informer(FakeClient(), kinds.CONFIG_MAP)
    informer.replace([known("a", "one", 1)], 1)
    told = []
    informer.subscribe(lambda old, new: told.append((uid(old), uid(new))))
    informer.replace([known("a", "two", 5)], 5)
    assert told == [(None, "one"), ("one", None), (None, "two")]


def test_a_server_set_back_to_a_backup_was_never_followed_again(following):
    """Its revisions are lower than those we know; it refuses to watch from one it never had."""

    class SetBack(FakeClient):
        def watch(self, kind, namespace="", *, since, **more):
            if since > self.revision:
                raise errors.Timeout(f"Too large resource version: {since}")
            return super().watch(kind, namespace, since=since, **more)

    informer = Informer(SetBack((kinds.CONFIG_MAP, settings("a"))), kinds.CONFIG_MAP)
    informer.replace([known("b", "b", 900)], 1000)
    synced = threading.Event()
    informer.subscribe(lambda old, new: new and name(new) == "a" and synced.set())
    following(informer)
    assert synced.wait(5)
    assert names(informer) == ["a"]
    assert informer.cache.revision == 1


def test_a_server_that_refuses_is_asked_again(following):
    class Starting(FakeClient):
        asked = 0

        def list(self, kind, namespace="", **more):
            self.asked += 1
            if self.asked == 1:
                raise errors.ServiceUnavailable("starting")
            return super().list(kind, namespace, **more)

    informer = following(Informer(Starting((kinds.CONFIG_MAP, settings("a"))), kinds.CONFIG_MAP))
    assert names(informer) == ["a"]


def test_a_watch_that_ends_is_resumed_where_it_ended(following):
    client = FakeClient((kinds.CONFIG_MAP, settings("a")))
    lists = []
    client.list = lambda *args, **more: lists.append(args) or FakeClient.list(client, *args, **more)
    informer = following(Informer(client, kinds.CONFIG_MAP))
    informer.close()
    client.put(kinds.CONFIG_MAP, settings("b"))
    assert informer.cache.wait_for(client.revision, 5)
    assert names(informer) == ["a", "b"]
    assert len(lists) == 1


def test_bookmarks_advance_the_revision():
    informer = Informer(FakeClient(), kinds.CONFIG_MAP)
    informer.replace([], 5)
    informer.apply(bookmark(9))
    assert informer.cache.revision == 9


def test_long_lists_come_in_pages(following):
    class Counting(FakeClient):
        pages = 0

        def list(self, kind, namespace="", **more) -> Listing:
            self.pages += 1
            return super().list(kind, namespace, **more | {"limit": 2})

    client = Counting(*((kinds.CONFIG_MAP, settings(f"s{i}")) for i in range(5)))
    informer = following(Informer(client, kinds.CONFIG_MAP))
    assert len(informer.cache.list()) == 5
    assert client.pages == 3


def test_a_field_selector_shows_only_what_it_selects(following):
    client = FakeClient((kinds.CONFIG_MAP, settings("a")), (kinds.CONFIG_MAP, settings("b")))
    informer = following(Informer(client, kinds.CONFIG_MAP, fields="metadata.name=b"))
    assert names(informer) == ["b"]


def test_managed_fields_are_not_kept():
    informer = Informer(FakeClient(), kinds.CONFIG_MAP)
    obj = settings("a")
    obj["metadata"]["managedFields"] = [{"manager": "kubectl"}]
    informer.replace([obj], 1)
    assert "managedFields" not in informer.cache.list()[0]["metadata"]


def test_informers_are_shared_and_start_whenever_they_are_asked_for():
    client = FakeClient((kinds.CONFIG_MAP, settings("a")))
    informers = Informers(client)
    early = informers.of(kinds.CONFIG_MAP)
    assert informers.of(kinds.CONFIG_MAP) is early
    group = threads.Group("test")
    informers.start(group)
    late = informers.of(kinds.SECRET)
    assert informers.wait_synced(5)
    assert late.is_synced
    group.stop(seconds=5)
    assert not any(thread.name.startswith("test/") for thread in threading.enumerate())


def test_an_index_finds_objects_by_what_they_contain_as_they_change():
    cache = Cache()
    cache.replace([settings("a", color="red")], 1)
    cache.add_index("color", lambda obj: obj["data"].values())
    cache.put(settings("b", color="red"))
    assert [name(obj) for obj in cache.by("color", "red")] == ["a", "b"]
    cache.put(settings("a", color="blue"))
    cache.remove(settings("b"))
    assert cache.by("color", "red") == []
    assert cache.values("color") == {"blue"}


def test_the_cache_lists_by_namespace():
    cache = Cache()
    cache.replace([settings("a"), settings("b", namespace="work")], 1)
    assert [name(obj) for obj in cache.list("work")] == ["b"]
    assert len(cache.list()) == 2


@pytest.fixture
def following():
    stop = threading.Event()
    running = []

    def follow(informer):
        thread = threading.Thread(target=informer.run, args=(stop,))
        thread.start()
        running.append(thread)
        assert informer.wait_synced(5)
        return informer

    yield follow
    stop.set()
    for thread in running:
        thread.join(5)
        assert not thread.is_alive()


def settings(name_, namespace="home", **content):
    about = {"name": name_, "namespace": namespace, "resourceVersion": "1"}
    return {"metadata": about, "data": content}


def known(name_, uid_, revision):
    obj = settings(name_)
    return obj | {"metadata": obj["metadata"] | {"uid": uid_, "resourceVersion": str(revision)}}


def bookmark(revision):
    from k3py.api.objects import Event

    return Event("BOOKMARK", {"metadata": {"resourceVersion": str(revision)}})


def name(obj):
    return obj and obj["metadata"]["name"]


def uid(obj):
    return obj and obj["metadata"]["uid"]


def data(obj):
    return obj and obj.get("data")


def names(informer):
    return sorted(map(name, informer.cache.list()))
