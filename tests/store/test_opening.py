"""What is not a whole store of a version we know is refused, with the reason, and left alone."""

import os
import sqlite3
import stat

import pytest

from k3py.store import errors, schema
from k3py.store.store import Store
from tests.store.conftest import live, put


def test_everything_is_there_after_a_restart(store, opened):
    put(store, "/pods/a", "1")
    put(store, "/pods/b", "2")
    put(store, "/pods/b", "3")
    store.close()
    again = opened()
    assert live(again) == {"/pods/a": "1", "/pods/b": "3"}
    assert again.get("/pods/b").created == 2
    assert put(again, "/pods/c").revision == 4


def test_a_clean_end_leaves_one_file_that_only_its_owner_can_read(store, opened):
    put(store, "/pods/a")
    store.close()
    assert sorted(os.listdir(opened.folder)) == ["state.db", "state.db.lock"]
    assert stat.S_IMODE(opened.path.stat().st_mode) == 0o600


def test_every_commit_waits_for_the_disk(tmp_path):
    # That a killed process loses nothing shows only that the kernel had it; this is for power.
    db = schema.connect(tmp_path / "state.db", owner=True)
    full = 2
    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert db.execute("PRAGMA synchronous").fetchone() == (full,)
    db.close()


def test_a_store_makes_the_folder_it_lies_in(tmp_path, opened):
    assert put(opened(tmp_path / "a" / "b" / "state.db"), "/pods/a").revision == 1


def test_two_processes_cannot_have_one_store(store, opened):
    with pytest.raises(errors.InUse, match="another process has this datastore open"):
        Store(opened.path)
    store.close()
    Store(opened.path).close()


def test_a_file_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("not a database at all, but long enough to have a header " * 20)
    with pytest.raises(errors.Foreign, match=r"notes.txt: this is not a k3py datastore"):
        Store(path)
    assert path.read_text().startswith("not a database")


def test_a_database_of_another_program_is_refused(tmp_path):
    path = tmp_path / "other.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE kine (id INTEGER PRIMARY KEY)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(errors.Foreign):
        Store(path)
    assert path.read_bytes() == before


def test_a_folder_is_refused(tmp_path):
    with pytest.raises((errors.Unusable, IsADirectoryError)):
        Store(tmp_path)


def test_a_store_of_a_newer_version_is_refused(store, opened):
    put(store, "/pods/a")
    store.close()
    _execute(opened.path, f"PRAGMA user_version = {schema.VERSION + 1}")
    with pytest.raises(errors.Newer, match="a newer k3py made this datastore"):
        Store(opened.path)


def test_a_damaged_store_is_refused(store, opened):
    for n in range(200):
        put(store, f"/pods/{n}", "x" * 500, durable=False)
    store.close()
    with opened.path.open("r+b") as file:
        file.seek(20 * schema.PAGE_BYTES)
        file.write(b"\xff" * 40 * schema.PAGE_BYTES)
    with pytest.raises(errors.Damaged, match="the datastore is damaged"):
        Store(opened.path)


def test_a_store_that_lost_its_end_is_refused(store, opened):
    for n in range(200):
        put(store, f"/pods/{n}", "x" * 500, durable=False)
    store.close()
    os.truncate(opened.path, opened.path.stat().st_size // 2)
    with pytest.raises(errors.Damaged):
        Store(opened.path)


def test_a_refused_file_is_not_held(tmp_path):
    path = tmp_path / "state.db"
    path.write_text("something else " * 100)
    with pytest.raises(errors.Foreign):
        Store(path)
    path.unlink()
    Store(path).close()


def test_a_half_made_file_is_made_anew(tmp_path):
    path = tmp_path / "state.db"
    path.touch()
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA page_size = {schema.PAGE_BYTES}")
    db.execute("PRAGMA journal_mode = WAL")
    db.close()
    Store(path).close()


def test_a_migration_that_fails_leaves_the_file_as_it_was(store, opened, monkeypatch):
    put(store, "/pods/a")
    store.close()

    def broken(db):
        db["log"].add_column("colour", str)
        raise OSError("power cut")

    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, broken))
    monkeypatch.setattr(schema, "VERSION", schema.VERSION + 1)
    with pytest.raises(OSError, match="power cut"):
        Store(opened.path)
    monkeypatch.undo()
    assert live(opened()) == {"/pods/a": "x"}


def _execute(path, statement):
    db = sqlite3.connect(path)
    db.execute(statement)
    db.commit()
    db.close()
