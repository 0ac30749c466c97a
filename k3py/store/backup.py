"""Copies of a store: taken while it works, and put back while it does not."""

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from k3py.store import errors, schema

# A restored store goes on so far ahead of every revision it is known to have given, that
# whoever remembers one from after the copy is told to list again.
AHEAD = 1_000_000


def copy(store: Path, target: Path) -> None:
    """Write what is on the disk of `store` to `target`, as of one moment, while it is in use.

    From any process. Lazy records are in it as far as they are on disk: see Store.flush.
    Raises Unusable and StoreFailed.
    """
    with _replacing(target) as part, contextlib.closing(schema.connect(store)) as db:
        try:
            db.execute("VACUUM INTO ?", (str(part),))
        except sqlite3.Error as failure:
            raise errors.StoreFailed(f"could not copy {store} to {target}: {failure}") from failure


def restore(snapshot: Path, store: Path) -> None:
    """Put the copy `snapshot` in place of `store`, which nobody may have open.

    Raises Unusable, with `store` untouched.
    """
    with schema.exclusive(store):
        newest = _newest(store)
        with _replacing(store) as part:
            shutil.copyfile(snapshot, part)
            _renew(part, snapshot, newest)
            # A log that was left beside the old file must not be taken for the new one's.
            for suffix in ("-wal", "-shm"):
                store.with_name(store.name + suffix).unlink(missing_ok=True)


def _renew(part: Path, snapshot: Path, newest: int) -> None:
    """Check the copy, and let it begin after everything that anybody may have seen."""
    try:
        db = schema.connect(part)
    except errors.Unusable as refusal:
        raise type(refusal)(snapshot, str(refusal).removeprefix(f"{part}: ")) from refusal
    with contextlib.closing(db):
        schema.check(db, snapshot)
        ahead = max(newest, _reached(db)) + AHEAD
        db.execute("DELETE FROM gaps")
        for name in ("reserved", "settled", "compacted"):
            db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, ahead))


def _newest(store: Path) -> int:
    """The last revision of a store that is to be replaced, 0 if it cannot tell."""
    try:
        with contextlib.closing(schema.connect(store)) as db:
            return _reached(db)
    except (errors.Unusable, sqlite3.Error):
        return 0


def _reached(db: sqlite3.Connection) -> int:
    return int(
        db.execute(
            "SELECT max((SELECT coalesce(max(revision), 0) FROM log),"
            " (SELECT coalesce(max(revision), 0) FROM meta))"
        ).fetchone()[0]
    )


@contextlib.contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    """A file to fill that then takes the place of `target`, whole, private and on disk."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    part.unlink(missing_ok=True)
    os.close(os.open(part, os.O_CREAT | os.O_EXCL, 0o600))
    try:
        yield part
        _sync(part)
        part.replace(target)
        _sync(target.parent)
    finally:
        part.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
