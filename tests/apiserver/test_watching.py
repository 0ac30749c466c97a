"""Lists show what is there, watches what changes, and neither loses anything between."""

import orjson
import pytest

from k3py import kinds
from k3py.api import errors
from k3py.api.objects import Key
from k3py.apiserver import watching
from k3py.store.store import Compacted


def config_map(name, **labels):
    return {"metadata": {"name": name, "namespace": "default", "labels": labels}}


@pytest.fixture
def three(client):
    """Three config maps, of which b is green."""
    colours = {"a": "red", "b": "green", "c": "red"}
    return [client.create(kinds.CONFIG_MAP, config_map(n, colour=c)) for n, c in colours.items()]


def names(items):
    return [orjson.loads(item)["metadata"]["name"] for item in items]


def told(stream, count):
    """The next `count` events as (type, name)."""
    events = iter(stream)
    found = []
    for _ in range(count):
        change = next(events)
        found.append((change.type, orjson.loads(change.value)["metadata"].get("name", "")))
    stream.close()
    return found


def test_a_list_is_selected_by_labels_and_fields(ask, three):
    def listed(**selectors):
        return names(ask("list", kinds.CONFIG_MAP, "default", **selectors).items)

    assert listed() == ["a", "b", "c"]
    assert listed(labels="colour=red") == ["a", "c"]
    assert listed(labels="colour in (red, green),colour!=red") == ["b"]
    assert listed(labels="!colour") == []
    assert listed(fields="metadata.name=b") == ["b"]
    assert listed(fields="metadata.name!=b") == ["a", "c"]
    assert names(ask("list", kinds.CONFIG_MAP, fields="metadata.name=b").items) == ["b"]


def test_a_long_list_comes_in_pages(ask, three):
    first = ask("list", kinds.CONFIG_MAP, "default", limit=2)
    assert (names(first.items), first.remaining) == (["a", "b"], 1)
    second = ask("list", kinds.CONFIG_MAP, "default", limit=2, continue_=first.continue_)
    assert (names(second.items), second.continue_) == (["c"], "")
    assert second.revision == first.revision


def test_a_filtered_list_comes_in_full_pages(ask, three):
    first = ask("list", kinds.CONFIG_MAP, "default", limit=1, labels="colour=red")
    assert (names(first.items), first.remaining) == (["a"], None)
    second = ask(
        "list",
        kinds.CONFIG_MAP,
        "default",
        limit=1,
        labels="colour=red",
        continue_=first.continue_,
    )
    assert names(second.items) == ["c"]


def test_a_token_that_is_too_old_says_how_to_go_on(ask, three, store, monkeypatch):
    first = ask("list", kinds.CONFIG_MAP, "default", limit=2)

    def compacted(prefix, since):
        raise Compacted(since)

    monkeypatch.setattr(store, "watch", compacted)
    with pytest.raises(errors.Expired) as refused:
        ask("list", kinds.CONFIG_MAP, "default", limit=2, continue_=first.continue_)
    again = refused.value.status()["metadata"]["continue"]
    rest = ask("list", kinds.CONFIG_MAP, "default", limit=2, continue_=again)
    assert names(rest.items) == ["c"]


@pytest.mark.parametrize("token", ["x", "e30", "bm90IGpzb24", "////"])
def test_a_forged_token_is_refused(ask, token):
    with pytest.raises(errors.BadRequest, match="continue key is not valid"):
        ask("list", kinds.CONFIG_MAP, "default", continue_=token)


def test_a_revision_from_the_future_is_refused(ask, store):
    with pytest.raises(errors.Timeout, match="Too large resource version"):
        ask("list", kinds.CONFIG_MAP, since=str(store.revision + 1000))
    with pytest.raises(errors.BadRequest):
        ask("list", kinds.CONFIG_MAP, since="new")


def test_a_watch_without_a_revision_begins_with_the_state(ask, three, client):
    stream = ask("watch", kinds.CONFIG_MAP, "default")
    client.create(kinds.CONFIG_MAP, config_map("d"))
    assert told(stream, 4) == [("ADDED", n) for n in "abcd"]


def test_a_watch_from_a_revision_tells_what_came_after(ask, three, client):
    since = three[0]["metadata"]["resourceVersion"]
    stream = ask("watch", kinds.CONFIG_MAP, "default", since=since)
    client.delete(kinds.CONFIG_MAP, Key("default", "b"))
    assert told(stream, 3) == [("ADDED", "b"), ("ADDED", "c"), ("DELETED", "b")]


def test_what_begins_or_ceases_to_match_is_added_or_deleted(ask, three, client, store):
    stream = ask(
        "watch", kinds.CONFIG_MAP, "default", since=str(store.revision), labels="colour=red"
    )
    for name, colour in (("b", "red"), ("a", "green"), ("c", "red")):
        patch = {"metadata": {"labels": {"colour": colour, "x": name}}}
        client.patch(kinds.CONFIG_MAP, Key("default", name), patch)
    assert told(stream, 3) == [("ADDED", "b"), ("DELETED", "a"), ("MODIFIED", "c")]


def test_a_deletion_carries_its_own_revision(ask, three, client, store):
    stream = ask("watch", kinds.CONFIG_MAP, "default", since=str(store.revision))
    client.delete(kinds.CONFIG_MAP, Key("default", "a"))
    change = next(iter(stream))
    assert orjson.loads(change.value)["metadata"]["resourceVersion"] == str(store.revision)


def test_one_object_can_be_watched_by_name(ask, three, client, store):
    stream = ask("watch", kinds.CONFIG_MAP, "default", "b", since=str(store.revision))
    for name in ("a", "b"):
        client.patch(kinds.CONFIG_MAP, Key("default", name), {"data": {"x": "y"}})
    assert told(stream, 1) == [("MODIFIED", "b")]


def test_a_streamed_list_ends_with_a_bookmark(ask, three):
    stream = ask(
        "watch",
        kinds.CONFIG_MAP,
        "default",
        initial_events=True,
        bookmarks=True,
        match="NotOlderThan",
    )
    events = iter(stream)
    assert [next(events).type for _ in range(4)] == ["ADDED"] * 3 + ["BOOKMARK"]
    stream.close()
    with pytest.raises(errors.BadRequest, match="sendInitialEvents requires"):
        ask("watch", kinds.CONFIG_MAP, initial_events=True)


def test_a_watch_ends_in_time(ask):
    assert list(ask("watch", kinds.CONFIG_MAP, "default", timeout=0.01)) == []


def test_bookmarks_come_to_who_wants_them(ask, monkeypatch, store):
    monkeypatch.setattr(watching, "BOOKMARK_SECONDS", 0.01)
    stream = ask("watch", kinds.CONFIG_MAP, bookmarks=True, timeout=5)
    change = next(iter(stream))
    assert change.type == "BOOKMARK"
    metadata = orjson.loads(change.value)["metadata"]
    assert metadata["resourceVersion"] == str(store.revision)
    stream.close()


def test_a_bookmark_never_overtakes_what_has_come_already(ask, monkeypatch, client):
    stream = iter(ask("watch", kinds.CONFIG_MAP, bookmarks=True, timeout=5))
    client.create(kinds.CONFIG_MAP, config_map("first"))
    assert next(stream).type == "ADDED"
    client.create(kinds.CONFIG_MAP, config_map("second"))
    monkeypatch.setattr(watching.Stream, "_bookmark_is_due", lambda _self: True)
    monkeypatch.setattr(watching.Stream, "_patience", lambda _self: 0.0)
    assert [next(stream).type, next(stream).type] == ["ADDED", "BOOKMARK"]


def test_a_watch_from_a_compacted_revision_is_told_so(ask, store, monkeypatch, client):
    def compacted(prefix, since):
        raise Compacted(since)

    monkeypatch.setattr(store, "watch", compacted)
    (change,) = ask("watch", kinds.CONFIG_MAP, since="1")
    assert change.type == "ERROR"
    assert orjson.loads(change.value)["code"] == 410
    with pytest.raises(errors.Expired):
        list(client.watch(kinds.CONFIG_MAP, since=1))
