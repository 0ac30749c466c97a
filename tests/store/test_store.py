"""A store gives each write a revision, refuses those who come late, and shows what is on disk."""

import pytest

from k3py.store.store import Conflict, StoreClosed
from tests.store.conftest import Aside, busy, delete, live, put


def test_a_write_is_told_its_revision_before_it_makes_its_bytes(store):
    record = store.write("/pods/a", lambda revision: b"I am %d" % revision, after=0)
    assert record == (1, "/pods/a", b"I am 1", None, 1)
    assert store.get("/pods/a").value == b"I am 1"


def test_an_update_knows_what_it_replaced_and_when_that_was_created(store):
    first = put(store, "/pods/a", "old")
    second = put(store, "/pods/a", "new", after=first.revision)
    assert (second.previous, second.created) == (b"old", first.revision)


def test_of_two_writers_that_saw_the_same_revision_one_loses(store):
    seen = put(store, "/pods/a", after=0)
    winner = put(store, "/pods/a", "2", after=seen.revision)
    with pytest.raises(Conflict) as conflict:
        put(store, "/pods/a", "3", after=seen.revision)
    assert conflict.value.live.revision == winner.revision
    assert live(store) == {"/pods/a": "2"}


def test_what_exists_cannot_be_created(store):
    put(store, "/pods/a", after=0)
    with pytest.raises(Conflict, match="/pods/a is at revision 1"):
        put(store, "/pods/a", after=0)


@pytest.mark.parametrize("after", [None, 0, 7])
def test_what_is_not_there_cannot_be_deleted(store, after):
    with pytest.raises(Conflict, match="/pods/a is not there"):
        delete(store, "/pods/a", after=after)


def test_a_deleted_key_can_be_created_again_and_is_another_one(store):
    put(store, "/pods/a", "1")
    gone = delete(store, "/pods/a")
    again = put(store, "/pods/a", "2", after=0)
    assert (gone.value, gone.previous, gone.created) == (None, b"1", 1)
    assert (again.revision, again.created, again.previous) == (3, 3, None)


def test_a_refused_write_uses_up_no_revision(store):
    put(store, "/pods/a")
    with pytest.raises(Conflict):
        put(store, "/pods/a", after=0)
    with pytest.raises(ZeroDivisionError):
        store.write("/pods/b", lambda revision: b"%d" % (revision // 0), after=0)
    assert put(store, "/pods/b").revision == 2


def test_a_list_is_in_key_order_and_only_of_its_prefix(store):
    for key in ("/pods/b", "/nodes/z", "/pods/a", "/podsets/a", "/pods/c"):
        put(store, key)
    page = store.list("/pods/")
    assert [record.key for record in page.records] == ["/pods/a", "/pods/b", "/pods/c"]
    assert (page.revision, page.remaining) == (5, 0)


def test_a_list_can_be_read_page_by_page(store):
    for n in range(5):
        put(store, f"/pods/{n}")
    put(store, "/services/a")
    page = store.list("/pods/", limit=2)
    assert [record.key for record in page.records] == ["/pods/0", "/pods/1"]
    assert page.remaining == 3
    page = store.list("/pods/", start="/pods/1\0", limit=2)
    assert [record.key for record in page.records] == ["/pods/2", "/pods/3"]
    assert page.remaining == 1
    assert store.list("/pods/", start="/pods/9", limit=2).records == []


def test_nothing_is_visible_before_it_is_on_disk(store, opened):
    put(store, "/pods/a", "1")
    watch = store.watch("", since=1)
    with busy(opened.path):
        write = Aside(lambda: put(store, "/pods/a", "2"))
        assert write.is_waiting()
        assert live(store) == {"/pods/a": "1"}
        assert store.revision == 1
        assert watch.next(0) is None
    assert write.get().revision == 2
    assert live(store) == {"/pods/a": "2"}
    assert watch.next(0).revision == 2


def test_writers_that_wait_together_are_committed_together(store, opened):
    with busy(opened.path):
        first = Aside(lambda: put(store, "/pods/first"))
        assert first.is_waiting()
        others = [Aside(lambda n=n: put(store, f"/pods/{n}")) for n in range(20)]
        assert others[-1].is_waiting()
        before = _wal_frames(opened.path)
    assert sorted(other.get().revision for other in others) == list(range(2, 22))
    # 21 commits of their own would write at least a page each.
    assert _wal_frames(opened.path) - before < 10


def test_a_writer_behind_an_unsettled_write_learns_how_that_ended(store, opened):
    seen = put(store, "/pods/a", "1")
    with busy(opened.path):
        first = Aside(lambda: put(store, "/pods/a", "2", after=seen.revision))
        assert first.is_waiting()
        late = Aside(lambda: put(store, "/pods/a", "3", after=seen.revision))
        assert late.is_waiting()
        already_lost = Aside(lambda: put(store, "/pods/a", "4", after=77))
        assert not already_lost.is_waiting(1)
    with pytest.raises(Conflict) as conflict:
        late.get()
    assert conflict.value.live.value == b"2"
    assert first.get().revision == conflict.value.live.revision


def test_writers_who_do_not_mind_follow_each_other_in_one_batch(store, opened):
    with busy(opened.path):
        blocker = Aside(lambda: put(store, "/pods/other"))
        assert blocker.is_waiting()
        calls = []
        for step in (lambda: put(store, "/a", "1"), lambda: delete(store, "/a")) * 2:
            calls.append(Aside(step))
            assert calls[-1].is_waiting()
    created, deleted, again, gone = [call.get() for call in calls]
    assert [r.revision for r in (created, deleted, again, gone)] == [2, 3, 4, 5]
    assert (deleted.previous, again.previous, again.created) == (b"1", None, 4)
    assert store.get("/a") is None


def test_the_store_takes_no_writes_before_its_start_nor_after_its_end(opened, tmp_path):
    store = opened()
    store.close()
    store.close()
    with pytest.raises(StoreClosed):
        put(store, "/pods/a")
    with pytest.raises(StoreClosed):
        store.flush()


def test_a_stopping_group_ends_the_store_after_its_users(tmp_path):
    from k3py.base import threads
    from k3py.store.store import Store

    store = Store(tmp_path / "state.db")
    group = threads.Group("test")
    store.start(group)
    last_words = []

    def user(stop):
        stop.wait()
        last_words.append(put(store, "/leases/mine", "released"))

    group.start("user", user)
    group.stop()
    store.close()
    assert group.failure is None
    assert [record.revision for record in last_words] == [1]


def test_five_thousand_keys_are_listed_quickly_and_in_order(store, clock):
    import time

    names = [f"/pods/{n * 7919 % 5000:05}" for n in range(5000)]
    started = time.perf_counter()
    for name in names:
        put(store, name, durable=False)
    assert [r.key for r in store.list("/pods/").records] == sorted(names)
    assert time.perf_counter() - started < 2


def _wal_frames(path):
    return path.with_name(path.name + "-wal").stat().st_size // 1048
