"""Lazy writes are seen at once and in order; the disk has them later, and only the last."""

import pytest

from k3py.store import store as stores
from k3py.store.store import Compacted, Conflict
from tests.store.conftest import Aside, busy, delete, drain, live, put, until


def test_a_lazy_write_is_visible_at_once_and_touches_no_disk(store, opened):
    put(store, "/leases/n")
    watch = store.watch("", since=store.revision)
    with busy(opened.path):
        lazy = put(store, "/leases/n", "2", durable=False)
        assert live(store) == {"/leases/n": "2"}
        assert watch.next(0) == lazy


def test_a_lazy_write_waits_for_durable_ones_before_it(store, opened):
    put(store, "/leases/n", "1")
    watch = store.watch("", since=store.revision)
    with busy(opened.path):
        durable = Aside(lambda: put(store, "/pods/a"))
        assert durable.is_waiting()
        lazy = Aside(lambda: put(store, "/leases/n", "2", durable=False))
        assert lazy.is_waiting()
        assert drain(watch) == []
    assert [durable.get().revision, lazy.get().revision] == [2, 3]
    assert drain(watch) == ["/pods/a=x@2", "/leases/n=2@3"]


def test_a_lazy_write_is_compared_like_any_other(store):
    put(store, "/leases/n", "1")
    put(store, "/leases/n", "2", after=1, durable=False)
    with pytest.raises(Conflict):
        put(store, "/leases/n", "3", after=1, durable=False)
    with pytest.raises(Conflict):
        put(store, "/leases/n", "3", after=1)
    assert put(store, "/leases/n", "3", after=2).previous == b"2"


def test_lazy_writes_reach_the_disk_after_minutes(store, opened, clock):
    put(store, "/leases/n", "1")
    put(store, "/leases/n", "2", durable=False)
    assert live(opened.after_power_cut()) == {"/leases/n": "1"}
    clock.advance(stores.FLUSH_SECONDS)
    until(lambda: live(opened.after_power_cut()) == {"/leases/n": "2"})


def test_lazy_writes_reach_the_disk_when_the_store_is_closed(store, opened):
    put(store, "/leases/n", "1")
    put(store, "/leases/m", "1", durable=False)
    put(store, "/leases/n", "2", durable=False)
    delete(store, "/leases/m", durable=False)
    put(store, "/leases/o", "1", durable=False)
    store.close()
    again = opened()
    assert live(again) == {"/leases/n": "2", "/leases/o": "1"}
    assert again.revision == store.revision == 5


def test_lazy_writes_reach_the_disk_when_asked(store, opened):
    put(store, "/leases/n", "1")
    put(store, "/leases/n", "2", durable=False)
    store.flush()
    store.flush()
    assert live(opened.after_power_cut()) == {"/leases/n": "2"}


def test_a_durable_write_supersedes_a_lazy_one(store, opened):
    put(store, "/leases/n", "1")
    put(store, "/leases/n", "2", durable=False)
    put(store, "/leases/n", "3")
    assert live(opened.after_power_cut()) == {"/leases/n": "3"}
    store.flush()
    again = opened.after_power_cut()
    assert live(again) == {"/leases/n": "3"}
    assert drain(again.watch("", since=0)) == ["/leases/n=1@1", "/leases/n=3@3"]


def test_a_durable_deletion_supersedes_a_lazy_creation(store, opened):
    put(store, "/pods/a")
    put(store, "/events/e", "seen", durable=False)
    delete(store, "/events/e")
    assert live(opened.after_power_cut()) == {"/pods/a": "x"}
    store.close()
    last = opened().watch("/events/", since=2).next(0)
    assert (last.value, last.previous) == (None, b"seen")


def test_a_lazy_deletion_holds_after_a_restart(store, opened):
    put(store, "/events/e", "seen")
    delete(store, "/events/e", durable=False)
    assert store.get("/events/e") is None
    assert live(opened.after_power_cut()) == {"/events/e": "seen"}
    store.close()
    again = opened()
    assert live(again) == {}
    assert again.watch("", since=1).next(0).previous == b"seen"


def test_only_the_last_of_many_lazy_writes_is_logged(store, opened):
    put(store, "/leases/n", "first")
    for n in range(50):
        put(store, "/leases/n", str(n), durable=False)
    store.close()
    assert drain(opened().watch("", since=0)) == ["/leases/n=first@1", "/leases/n=49@51"]


def test_after_a_power_cut_no_revision_is_given_twice(store, opened):
    put(store, "/pods/a")
    for n in range(20):
        put(store, "/leases/n", str(n), durable=False)
    again = opened.after_power_cut()
    assert again.revision >= store.revision
    assert put(again, "/pods/b").revision > store.revision


def test_lazy_writes_alone_reserve_their_revisions_first(store, opened):
    for n in range(stores.BLOCK + 10):
        put(store, "/leases/n", str(n), durable=False)
    again = opened.after_power_cut()
    assert again.revision >= store.revision == stores.BLOCK + 10


def test_who_saw_what_a_power_cut_took_must_list_again(store, opened):
    put(store, "/pods/a")
    put(store, "/leases/n", durable=False)
    put(store, "/pods/b")
    again = opened.after_power_cut()
    # Revision 1 was before the lazy write; at 2 and 3 it could be seen.
    assert drain(again.watch("", since=1)) == ["/pods/b=x@3"]
    for seen in (2, 3):
        with pytest.raises(Compacted):
            again.watch("", since=seen)
    assert drain(again.watch("", since=again.revision)) == []


def test_it_is_still_known_after_the_next_power_cut(store, opened):
    put(store, "/pods/a")
    put(store, "/leases/n", durable=False)
    second = opened.after_power_cut()
    put(second, "/pods/b")
    third = opened.after_power_cut(opened.last)
    with pytest.raises(Compacted):
        third.watch("", since=2)
    assert drain(third.watch("", since=1)) == [f"/pods/b=x@{second.revision}"]
    assert drain(third.watch("", since=second.revision)) == []


def test_without_lazy_writes_a_power_cut_costs_no_watch_its_place(store, opened):
    put(store, "/pods/a")
    put(store, "/pods/b")
    again = opened.after_power_cut()
    assert drain(again.watch("", since=1)) == ["/pods/b=x@2"]
    assert drain(again.watch("", since=2)) == []


def test_lazy_records_that_left_the_memory_are_still_told(store, opened, clock):
    put(store, "/pods/a")
    put(store, "/leases/n", "1", durable=False)
    put(store, "/leases/m", "1", durable=False)
    clock.advance(200)
    put(store, "/leases/m", "2", durable=False)
    clock.advance(200)
    put(store, "/pods/b")
    told = drain(store.watch("", since=0))
    assert told[-1] == "/pods/b=x@5"
    assert {"/pods/a=x@1", "/leases/n=1@2", "/leases/m=2@4"} <= set(told)


def test_an_idle_store_does_not_write(store, opened, clock):
    put(store, "/pods/a")
    put(store, "/leases/n", durable=False)
    store.flush()
    before = _written(opened.path)
    for _ in range(10):
        clock.advance(1000)
        assert Aside(lambda: store.watch("", since=0).next(1)).get()
    assert _written(opened.path) == before


def _written(path):
    return [
        (file.stat().st_size, file.stat().st_mtime_ns)
        for file in (path, path.with_name(path.name + "-wal"))
    ]
