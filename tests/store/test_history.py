"""The past is kept for a while, then forgotten in small steps; what is live never is."""

import sqlite3

import pytest

from k3py.store import history
from k3py.store.history import Ages, Recent, compaction_target
from k3py.store.record import Record
from k3py.store.store import Compacted
from tests.store.conftest import delete, drain, live, put, until

ENOUGH = history.KEPT_REVISIONS + history.WORTH_COMPACTING


@pytest.mark.parametrize(
    ("compacted", "revision", "settled", "old", "target"),
    [
        (0, 1500, 1500, 1500, 0),  # not worth it
        (0, 2000, 2000, 2000, 1000),  # a thousand revisions stay
        (0, 9000, 9000, 3000, 3000),  # the young ones stay
        (0, 9000, 2500, 9000, 2500),  # nothing that may yet reach the disk
        (7500, 9000, 9000, 9000, 0),
    ],
)
def test_what_to_compact(compacted, revision, settled, old, target):
    facts = {"compacted": compacted, "revision": revision, "settled": settled, "old": old}
    assert compaction_target(**facts) == target


def test_revisions_grow_old():
    ages = Ages(10, now=0)
    ages.note(20, now=100)
    ages.note(30, now=101)  # too soon after the other to be told apart
    ages.note(40, now=200)
    kept = history.KEPT_SECONDS
    assert [ages.old(kept + now) for now in (-1, 0, 99, 100, 150, 200, 900)] == [
        0,
        10,
        10,
        20,
        20,
        40,
        40,
    ]


def test_recent_records_are_bounded_by_count_size_and_age():
    recent = Recent(0)
    for revision in range(1, history.RECENT_RECORDS + 11):
        recent.add(_record(revision), now=0)
    assert recent.floor == 10
    recent.add(_record(5000, b"x" * (history.RECENT_BYTES - 100)), now=0)
    assert recent.floor > 1900
    recent.add(_record(5001), now=history.RECENT_SECONDS + 1)
    assert recent.floor == 5000
    assert [r.revision for r in recent.since("", 0)] == [5001]


def test_history_beyond_the_memory_comes_from_the_disk(store):
    for n in range(3):
        put(store, f"/pods/{n}", "1")
    delete(store, "/pods/1")
    put(store, "/pods/0", "2")
    put(store, "/nodes/n")
    _forget_in_memory(store)
    watch = store.watch("/pods/", since=2)
    assert _next(watch, 3) == [
        Record(3, "/pods/2", b"1", None, 3),
        Record(4, "/pods/1", None, b"1", 2),
        Record(5, "/pods/0", b"2", b"1", 1),
    ]


def test_a_watch_goes_on_where_it_was_before_a_restart(store, opened):
    put(store, "/pods/a", "1")
    put(store, "/pods/a", "2")
    delete(store, "/pods/a")
    put(store, "/pods/a", "3")
    store.close()
    watch = opened().watch("/pods/", since=1)
    told = [(record.revision, record.value, record.previous) for record in _next(watch, 3)]
    assert told == [(2, b"2", b"1"), (3, None, b"2"), (4, b"3", None)]


def test_old_history_is_compacted_and_what_is_live_stays(store, opened, clock):
    put(store, "/pods/old", "still here")
    put(store, "/pods/gone")
    delete(store, "/pods/gone")
    put(store, "/pods/busy", "0")
    _pass_revisions(store, ENOUGH)
    store.flush()
    put(store, "/pods/busy", "last")
    until(lambda: clock.advance(10) or _is_compacted(store))
    until(lambda: _rows(opened.path, "/pods/gone") == 0)  # watches are told before rows go
    assert _rows(opened.path, "/pods/old") == 1
    store.close()
    again = opened()
    assert _is_compacted(again)
    assert live(again, "/pods/") == {"/pods/busy": "last", "/pods/old": "still here"}
    with pytest.raises(Compacted):
        again.watch("", since=3)
    assert drain(again.watch("/pods/", since=again.revision - 1)) == [
        f"/pods/busy=last@{again.revision}"
    ]


def test_young_history_is_not_compacted(store, clock):
    _pass_revisions(store, ENOUGH)
    for _ in range(4):
        clock.advance(history.CHECK_SECONDS)
        put(store, "/pods/a")
    assert not _is_compacted(store)


def _record(revision, value=b"x"):
    return Record(revision, "/pods/a", value, None, revision)


def _next(watch, count):
    return [watch.next(1) for _ in range(count)]


def _pass_revisions(store, count, **options):
    """Many revisions, of which few reach the disk: that is quick."""
    for n in range(count):
        put(store, "/leases/n", str(n), **{"durable": False, **options})


def _forget_in_memory(store):
    _pass_revisions(store, history.RECENT_RECORDS)


def _is_compacted(store):
    try:
        store.watch("", since=0).close()
    except Compacted:
        return True
    return False


def _rows(path, key):
    db = sqlite3.connect(path)
    try:
        return db.execute("SELECT count(*) FROM log WHERE key = ?", (key,)).fetchone()[0]
    finally:
        db.close()
