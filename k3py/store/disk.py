"""The log on disk: what is in it at the start, and one transaction at a time after that.

Used by one thread at a time. Every call may block for as long as the disk does, and holds
no lock of ours meanwhile, so that it can run where it harms nobody.
"""

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from k3py.store import errors, schema
from k3py.store.record import Record


class Row(NamedTuple):
    """A record as it lies in the log; see schema for the columns."""

    revision: int
    key: str
    deleted: bool
    created: int
    replaces: int
    settled: int | None
    value: bytes | None


class Gap(NamedTuple):
    """Revisions between these two were perhaps seen and then lost with the power."""

    after: int
    upto: int


@dataclass(slots=True)
class Commit:
    """What one transaction writes; marks that are 0 stay as they are."""

    rows: list[Row] = field(default_factory=list)
    reserved: int = 0
    settled: int = 0
    gap: Gap | None = None

    def is_empty(self) -> bool:
        return not (self.rows or self.reserved or self.settled)


class Disk:
    """Marks that it knows, all revisions: up to `reserved` none is given to another record
    after a crash, up to `settled` all was on disk, up to `compacted` history is gone."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._held = contextlib.ExitStack()
        self._held.enter_context(schema.exclusive(path))
        try:
            self._db = schema.connect(path, owner=True)
        except BaseException:
            self._held.close()
            raise
        self.reserved = self.settled = self.compacted = 0
        self.gaps: list[Gap] = []

    def load(self) -> dict[str, Record]:
        """The live records by key; sets the marks. Raises Damaged."""
        try:
            marks = dict(self._db.execute("SELECT name, revision FROM meta"))
            self.gaps = [Gap(*row) for row in self._db.execute("SELECT after, upto FROM gaps")]
            newest, settled = self._db.execute(
                "SELECT coalesce(max(revision), 0), coalesce(max(settled), 0) FROM log"
            ).fetchone()
            live = self._live()
        except (sqlite3.DatabaseError, ValueError, TypeError) as failure:
            raise errors.Damaged(self.path, f"the datastore is damaged: {failure}") from failure
        self.reserved = max(newest, marks.get("reserved", 0))
        self.settled = max(settled, marks.get("settled", 0))
        self.compacted = marks.get("compacted", 0)
        return live

    def commit(self, commit: Commit) -> None:
        """Write all of it or nothing; on disk on return. Raises StoreFailed."""
        with self._transaction():
            self._db.executemany("INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?)", commit.rows)
            for name, revision in (("reserved", commit.reserved), ("settled", commit.settled)):
                if revision:
                    self._mark(name, revision)
            if commit.gap:
                self._db.execute("INSERT OR REPLACE INTO gaps VALUES (?, ?)", commit.gap)
        if commit.gap:
            self.gaps.append(commit.gap)
        self.reserved = commit.reserved or self.reserved

    def records(self, prefix: str, since: int, upto: int) -> list[Record]:
        """The logged records under `prefix` after `since`, on a connection of their own."""
        try:
            with contextlib.closing(schema.connect(self.path)) as db:
                rows = db.execute(
                    "SELECT log.revision, log.key, log.deleted, log.created, log.value, old.value"
                    " FROM log LEFT JOIN log old ON old.revision = log.replaces"
                    " WHERE log.revision > ? AND log.revision <= ?"
                    " AND substr(log.key, 1, ?) = ? ORDER BY log.revision",
                    (since, upto, len(prefix), prefix),
                )
                return [_record(*row) for row in rows]
        except (sqlite3.Error, errors.Unusable) as failure:
            raise errors.StoreFailed(f"could not read {self.path}: {failure}") from failure

    def chunk(self, target: int, size: int) -> int:
        """How far to compact in one step on the way to `target`: about `size` rows."""
        rows, last = self._db.execute(
            "SELECT count(*), max(revision) FROM"
            " (SELECT revision FROM log WHERE revision > ? AND revision <= ?"
            "  ORDER BY revision LIMIT ?)",
            (self.compacted, target, size),
        ).fetchone()
        return int(last) if rows == size else target

    def compact(self, upto: int) -> None:
        """Forget what rows up to `upto` replaced, and their deletions. Raises StoreFailed."""
        window = (self.compacted, upto)
        with self._transaction():
            self._db.execute(
                "DELETE FROM log WHERE revision IN (SELECT replaces FROM log"
                " WHERE revision > ? AND revision <= ? AND replaces > 0)",
                window,
            )
            self._db.execute(
                "DELETE FROM log WHERE revision > ? AND revision <= ? AND deleted", window
            )
            self._db.execute("DELETE FROM gaps WHERE upto <= ?", (upto,))
            self._mark("compacted", upto)
        self.compacted = upto
        self.gaps = [gap for gap in self.gaps if gap.upto > upto]

    def close(self) -> None:
        with self._held:
            self._db.close()

    def _live(self) -> dict[str, Record]:
        live: dict[str, Record] = {}
        for revision, key, deleted, created, value in self._db.execute(
            "SELECT revision, key, deleted, created, value FROM log ORDER BY revision"
        ):
            if deleted:
                live.pop(key, None)
            else:
                live[key] = Record(revision, key, value, None, created)
        return live

    def _mark(self, name: str, revision: int) -> None:
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, revision))

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield
            self._db.execute("COMMIT")
        except BaseException as failure:
            if self._db.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
            if isinstance(failure, sqlite3.Error):
                raise _failure(self.path, failure) from failure
            raise


def row(record: Record, *, base: int, on_disk: int, settled: int | None = None) -> Row:
    """`record`, which replaced revision `base`, while `on_disk` is the key's newest row."""
    value = record.value
    if value is None and base != on_disk:
        value = record.previous  # no row shows what was deleted: this one must
    deleted = record.value is None
    return Row(record.revision, record.key, deleted, record.created, on_disk, settled, value)


def _record(
    revision: int, key: str, deleted: int, created: int, value: bytes | None, old: bytes | None
) -> Record:
    if deleted:
        return Record(revision, key, None, old if value is None else value, created)
    return Record(revision, key, value, None if created == revision else old, created)


def _failure(path: Path, failure: sqlite3.Error) -> errors.StoreFailed:
    if failure.sqlite_errorcode & 0xFF == sqlite3.SQLITE_FULL:
        return errors.StoreFull(f"no room left on the disk of {path}")
    return errors.StoreFailed(f"could not write {path}: {failure}")


def gap_at(gaps: Iterable[Gap], revision: int) -> bool:
    """Whether `revision` lies in one of the gaps."""
    return any(gap.after < revision < gap.upto for gap in gaps)
