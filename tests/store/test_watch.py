"""A watch tells the past, then the future, and leaves nothing out between."""

import threading
from itertools import islice

import pytest

from k3py.store.store import Compacted
from k3py.store.watch import LIMIT
from tests.store.conftest import Aside, delete, drain, put


def test_a_watch_tells_the_past_then_the_future_of_its_prefix(store):
    past = put(store, "/pods/a")
    watch = store.watch("/pods/", since=0)
    put(store, "/nodes/n")
    future = put(store, "/pods/b")
    assert list(islice(watch, 2)) == [past, future]


def test_a_watch_begins_after_its_revision(store):
    put(store, "/pods/a")
    delete(store, "/pods/a")
    put(store, "/pods/b")
    assert drain(store.watch("", since=1)) == ["/pods/a=gone@2", "/pods/b=x@3"]
    assert drain(store.watch("", since=3)) == []


def test_a_deletion_shows_what_was_deleted(store):
    put(store, "/pods/a", "1")
    watch = store.watch("", since=1)
    delete(store, "/pods/a")
    assert watch.next(0).previous == b"1"


def test_a_watch_opened_while_others_write_misses_nothing(store):
    def writer():
        for n in range(200):
            put(store, f"/pods/{n}")

    thread = threading.Thread(target=writer)
    thread.start()
    opened = [store.watch("/pods/", since=0) for _ in range(5)]
    thread.join()
    for watch in opened:
        assert [r.revision for r in islice(watch, 200)] == list(range(1, 201))


def test_who_waits_is_woken_by_the_next_record(store):
    watch = store.watch("", since=0)
    reader = Aside(watch.next)
    assert reader.is_waiting()
    put(store, "/pods/a")
    assert reader.get().key == "/pods/a"


def test_a_timeout_is_not_the_end(store):
    watch = store.watch("", since=0)
    assert watch.next(0) is None
    assert watch.next(-1) is None
    assert not watch.closed
    put(store, "/pods/a")
    assert watch.next(5).key == "/pods/a"


def test_closing_wakes_the_reader_and_ends_the_feed(store):
    put(store, "/pods/a")
    watch = store.watch("", since=1)
    reader = Aside(watch.next)
    assert reader.is_waiting()
    watch.close()
    assert reader.get() is None
    assert watch.closed
    put(store, "/pods/b")
    assert list(watch) == []
    watch.close()


def test_a_reader_that_cannot_keep_up_is_cut_off_and_others_are_not(store):
    stuck, other = store.watch("", since=0), store.watch("", since=0)
    for n in range(LIMIT + 1):
        put(store, f"/pods/{n}", durable=False)
        assert other.next(0).key == f"/pods/{n}"
    assert stuck.closed
    assert list(stuck) == []
    assert not other.closed


def test_a_long_past_does_not_count_as_falling_behind(store):
    for n in range(LIMIT + 100):
        put(store, f"/pods/{n}", durable=False)
    watch = store.watch("", since=0)
    put(store, "/pods/last")
    assert len(drain(watch)) == LIMIT + 101


def test_closing_the_store_ends_watches_after_what_they_have(store):
    watch = store.watch("", since=0)
    put(store, "/pods/a")
    store.close()
    assert [record.key for record in watch] == ["/pods/a"]
    assert watch.closed


def test_a_revision_that_never_was_is_refused(store):
    put(store, "/pods/a")
    with pytest.raises(Compacted):
        store.watch("", since=2)
