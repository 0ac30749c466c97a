"""The store's file: how it is made, recognised, migrated and locked.

    log    every version of every key; the row's id is its revision
    meta   how far revisions are reserved, settled and compacted
    gaps   revisions that a crash may have made meaningless

The log has no second index: live values are kept in memory, so a commit only appends.
With pages of 1 KiB it writes about half of what a key index and 4 KiB pages would.
"""

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from k3py.store import errors

# "k3py", in the place where `file` and SQLite look for whose file this is.
APPLICATION_ID = 0x6B337079
PAGE_BYTES = 1024
# At most so much in the write-ahead log before it is worked into the file.
WAL_PAGES = 1024
BUSY_SECONDS = 10.0


def _create(db: Any) -> None:
    db["log"].create(
        {
            "revision": int,
            "key": str,
            "deleted": int,  # 1: a deletion; then value is what was deleted if no row holds it
            "created": int,
            "replaces": int,  # the row on disk that this one outdates, 0: none
            "settled": int,  # every revision up to here was on disk when this row was
            "value": bytes,  # last, for SQLite reads a row from its beginning
        },
        pk="revision",
    )
    db["meta"].create({"name": str, "revision": int}, pk="name")
    db["gaps"].create({"after": int, "upto": int}, pk="upto")


# The n-th brings a file from version n to n + 1, in a transaction of its own.
MIGRATIONS = (_create,)
VERSION = len(MIGRATIONS)


def connect(path: Path, *, owner: bool = False) -> sqlite3.Connection:
    """A connection to the store at `path`. Raises Unusable.

    The `owner`, who must hold it exclusively, makes the file if there is none, brings it to
    this version, and looks through all of it if nobody closed it the last time.
    """
    if owner:
        _make_private(path)
    unclean = _size(path.with_name(path.name + "-wal")) > 0
    try:
        db = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=rw",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=BUSY_SECONDS,
        )
    except sqlite3.Error as failure:
        raise errors.Unusable(path, str(failure)) from failure
    try:
        _prepare(db, path, owner=owner)
        if owner and unclean:
            check(db, path)
    except sqlite3.DatabaseError as failure:
        db.close()
        raise _refusal(path, failure) from failure
    except BaseException:
        db.close()
        raise
    return db


def check(db: sqlite3.Connection, path: Path) -> None:
    """Read the whole file and raise Damaged unless it is intact."""
    try:
        found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as failure:
        raise errors.Damaged(path, f"the datastore is damaged: {failure}") from failure
    if found != "ok":
        raise errors.Damaged(path, f"the datastore is damaged: {found}")


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the store at `path` for this process alone. Raises InUse."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(path.name + ".lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as taken:
            raise errors.InUse(path, "another process has this datastore open") from taken
        yield


def _prepare(db: sqlite3.Connection, path: Path, *, owner: bool) -> None:
    version = _version(db, path)
    if not version and not owner:
        raise errors.Foreign(path, "this is not a k3py datastore")
    for pragma in (
        f"page_size = {PAGE_BYTES}",  # heeded by an empty file only
        "journal_mode = WAL",
        "synchronous = FULL",
        f"wal_autocheckpoint = {WAL_PAGES}",
        f"journal_size_limit = {4 * WAL_PAGES * PAGE_BYTES}",
        "secure_delete = FAST",  # Debian's default would rewrite every page that is freed
        "cache_size = -512",
        "temp_store = MEMORY",
    ):
        db.execute(f"PRAGMA {pragma}")
    if owner and version < VERSION:
        _migrate(db, version)


def _version(db: sqlite3.Connection, path: Path) -> int:
    """The version of the file, 0: empty. Raises Foreign and Newer."""
    owner = db.execute("PRAGMA application_id").fetchone()[0]
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    is_empty = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    if owner != APPLICATION_ID and not (is_empty and owner == 0):
        raise errors.Foreign(path, "this is not a k3py datastore")
    if version > VERSION:
        why = f"a newer k3py made this datastore (format {version}, this one knows {VERSION})"
        raise errors.Newer(path, why)
    return version


def _migrate(db: sqlite3.Connection, version: int) -> None:
    # Only here: reading and writing an up-to-date file does without its 2 MB and 30 ms.
    import sqlite_utils

    for number, migration in enumerate(MIGRATIONS[version:], start=version + 1):
        db.execute("BEGIN IMMEDIATE")
        try:
            migration(sqlite_utils.Database(db))
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {number}")
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise


def _refusal(path: Path, failure: sqlite3.DatabaseError) -> errors.Unusable:
    code = (getattr(failure, "sqlite_errorcode", None) or 0) & 0xFF
    if code == sqlite3.SQLITE_NOTADB:
        return errors.Foreign(path, "this is not a k3py datastore")
    if code == sqlite3.SQLITE_CORRUPT:
        return errors.Damaged(path, f"the datastore is damaged: {failure}")
    return errors.Unusable(path, str(failure))


def _make_private(path: Path) -> None:
    """An empty file for its owner's eyes, if there is none: Secrets will be in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
