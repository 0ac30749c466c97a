"""A disk that takes no more fails those who write, and nothing else, for as long as it lasts."""

import contextlib
import resource

import pytest

from k3py.base import commands
from k3py.store import store as stores
from k3py.store.store import StoreFailed, StoreFull
from tests.store.conftest import Aside, busy, drain, live, put, until


def test_a_failed_write_says_so_and_leaves_everything_as_it_was(store, opened):
    seen = put(store, "/pods/a", "1")
    watch = store.watch("", since=1)
    with no_more_bytes(opened.path):
        with pytest.raises(StoreFailed, match=r"could not write .*state.db: disk I/O error"):
            put(store, "/pods/a", "2")
        assert live(store) == {"/pods/a": "1"}
        assert store.get("/pods/a") == seen
        assert drain(watch) == []
    after = put(store, "/pods/a", "3", after=seen.revision)
    assert drain(watch) == [f"/pods/a=3@{after.revision}"]
    assert live(opened.after_power_cut()) == {"/pods/a": "3"}


def test_all_who_waited_together_fail_together(store, opened):
    put(store, "/pods/a", "1")
    with no_more_bytes(opened.path):
        with busy(opened.path):
            first = Aside(lambda: put(store, "/pods/b"))
            assert first.is_waiting()
            behind = [Aside(lambda n=n: put(store, f"/pods/{n}")) for n in range(5)]
            on_top = Aside(lambda: put(store, "/pods/b", "2"))
            assert on_top.is_waiting()
        for write in (first, *behind, on_top):
            with pytest.raises(StoreFailed):
                write.get()
    assert live(store) == {"/pods/a": "1"}


def test_a_writer_behind_one_that_fails_gets_its_turn(store, opened):
    seen = put(store, "/pods/a", "1")
    with no_more_bytes(opened.path):
        with busy(opened.path):
            first = Aside(lambda: put(store, "/pods/a", "2", after=seen.revision))
            assert first.is_waiting()
            second = Aside(lambda: put(store, "/pods/a", "3", after=seen.revision))
            assert second.is_waiting()
        with pytest.raises(StoreFailed):
            first.get()
        with pytest.raises(StoreFailed):  # and not a Conflict with what never was
            second.get()
    assert put(store, "/pods/a", "4", after=seen.revision).previous == b"1"


def test_lazy_writes_go_on_although_the_disk_is_full(store, opened):
    put(store, "/leases/n", "1")
    with no_more_bytes(opened.path):
        assert put(store, "/leases/n", "2", durable=False).revision == 2
        with busy(opened.path):
            durable = Aside(lambda: put(store, "/pods/a"))
            assert durable.is_waiting()
            lazy = Aside(lambda: put(store, "/leases/n", "3", durable=False))
            based_on_it = Aside(lambda: put(store, "/pods/a", "2", durable=False))
            assert based_on_it.is_waiting()
        with pytest.raises(StoreFailed):
            durable.get()
        with pytest.raises(StoreFailed):
            based_on_it.get()
        assert lazy.get().previous == b"2"
    assert live(store) == {"/leases/n": "3"}
    store.close()
    assert live(opened()) == {"/leases/n": "3"}


def test_a_flush_that_fails_says_so_and_is_tried_again(store, opened, clock):
    put(store, "/leases/n", "1")
    put(store, "/leases/n", "2" * 5000, durable=False)
    with no_more_bytes(opened.path):
        with pytest.raises(StoreFailed):
            store.flush()
        assert store.get("/leases/n").revision == 2
    clock.advance(stores.RETRY_SECONDS)
    until(lambda: opened.after_power_cut().get("/leases/n").revision == 2)


def test_a_close_that_cannot_save_everything_says_so(store, opened):
    put(store, "/leases/n", "1")
    put(store, "/leases/n", "2" * 5000, durable=False)
    with no_more_bytes(opened.path), pytest.raises(StoreFailed):
        store.close()
    assert live(opened()) == {"/leases/n": "1"}


@pytest.mark.kernel
def test_a_full_disk_is_told_apart_and_can_be_emptied(small_disk, opened):
    store = opened(small_disk / "state.db")
    put(store, "/pods/a", "1")
    (small_disk / "ballast").write_bytes(b"x" * 400_000)
    written = 0
    with pytest.raises(StoreFull, match="no room left on the disk of"):  # noqa: PT012
        for written in range(1000):
            put(store, f"/pods/{written}", "x" * 3000)
    revision = store.revision
    for _ in range(stores.BLOCK // 100):
        with pytest.raises(StoreFull):
            put(store, "/pods/a", "x" * 3000)
    assert put(store, "/leases/n", durable=False).revision == revision + 1
    assert len(live(store)) == written + 2
    (small_disk / "ballast").unlink()
    assert put(store, "/pods/a", "2").revision == revision + 2
    store.close()
    again = live(opened(small_disk / "state.db"))
    assert len(again) == written + 2
    assert again["/pods/a"] == "2"


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    commands.run("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder))
    try:
        yield folder
    finally:
        commands.run("umount", "--lazy", str(folder))


@contextlib.contextmanager
def no_more_bytes(path):
    """While this lasts, no file of this process grows beyond what the log beside `path` has."""
    size = path.with_name(path.name + "-wal").stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
