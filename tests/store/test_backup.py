"""A copy is one moment of a working store; what is restored goes on, and never back."""

import shutil
import stat

import pytest

from k3py.store import backup, errors
from k3py.store.store import Compacted
from tests.store.conftest import live, put


@pytest.fixture
def snapshot(tmp_path):
    return tmp_path / "snapshots" / "one.db"


def test_a_working_store_can_be_copied(store, opened, snapshot):
    put(store, "/pods/a", "1")
    put(store, "/leases/n", "1", durable=False)
    store.flush()
    backup.copy(opened.path, snapshot)
    put(store, "/pods/a", "2")
    assert live(opened(snapshot)) == {"/leases/n": "1", "/pods/a": "1"}
    assert stat.S_IMODE(snapshot.stat().st_mode) == 0o600
    assert live(store) == {"/leases/n": "1", "/pods/a": "2"}


def test_a_restored_store_holds_the_copy_and_tells_all_watches_to_list_again(
    store, opened, snapshot
):
    put(store, "/pods/a", "1")
    backup.copy(opened.path, snapshot)
    for n in range(5):
        put(store, "/pods/a", str(n))
    store.close()
    backup.restore(snapshot, opened.path)
    again = opened()
    assert live(again) == {"/pods/a": "1"}
    assert again.revision > store.revision
    for seen in (0, 1, 6):
        with pytest.raises(Compacted):
            again.watch("", since=seen)
    assert put(again, "/pods/b").revision > store.revision
    assert snapshot.exists()


def test_the_same_copy_restored_twice_does_not_give_revisions_twice(store, opened, snapshot):
    put(store, "/pods/a")
    backup.copy(opened.path, snapshot)
    store.close()
    backup.restore(snapshot, opened.path)
    first = opened()
    last = put(first, "/pods/b").revision
    first.close()
    backup.restore(snapshot, opened.path)
    second = opened()
    assert live(second) == {"/pods/a": "x"}
    assert second.revision > last


def test_a_restore_replaces_a_damaged_store_and_the_log_beside_it(store, opened, snapshot):
    put(store, "/pods/a", "1")
    backup.copy(opened.path, snapshot)
    for n in range(50):
        put(store, f"/pods/{n}", "x" * 500)
    cut = opened.folder / "cut" / "state.db"
    cut.parent.mkdir()
    cut.write_bytes(b"damaged " * 500)
    log = cut.with_name("state.db-wal")
    shutil.copy(opened.path.with_name(log.name), log)
    backup.restore(snapshot, cut)
    assert not log.exists()
    assert live(opened(cut)) == {"/pods/a": "1"}


def test_a_store_in_use_is_not_replaced(store, opened, snapshot):
    put(store, "/pods/a")
    backup.copy(opened.path, snapshot)
    with pytest.raises(errors.InUse):
        backup.restore(snapshot, opened.path)


@pytest.mark.parametrize("content", [b"", b"no snapshot " * 200])
def test_what_is_no_copy_is_not_restored(store, opened, snapshot, content):
    put(store, "/pods/a")
    store.close()
    snapshot.parent.mkdir()
    snapshot.write_bytes(content)
    with pytest.raises(errors.Foreign, match=str(snapshot)):
        backup.restore(snapshot, opened.path)
    assert live(opened()) == {"/pods/a": "x"}
    assert [file.name for file in opened.folder.glob(".*")] == []


def test_there_is_nothing_to_copy_where_there_is_no_store(tmp_path, snapshot):
    with pytest.raises(errors.Unusable):
        backup.copy(tmp_path / "nothing.db", snapshot)
    assert not snapshot.exists()
    assert not (tmp_path / "nothing.db").exists()
