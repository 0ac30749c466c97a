"""The store: keys with bytes, in memory to read, in one log on disk to last.

    write ──▶ pending ──▶ committer: one transaction for all ──▶ visible: get, list, watch
                │                                                    ▲
                └── not durable, and nothing pending before it ──────┘ … to the disk in minutes

Revisions are given in the order of the calls and become visible in that order. What is
acknowledged as durable is on disk; what is visible is on disk or lazy.
"""

import threading
from collections.abc import Callable
from pathlib import Path

from k3py.base import threads
from k3py.base.clock import SYSTEM, Clock
from k3py.base.log import Log
from k3py.store import batch as batches
from k3py.store import history
from k3py.store.batch import Batch, Write
from k3py.store.contents import Contents
from k3py.store.disk import Commit, Disk, Gap, gap_at
from k3py.store.errors import Compacted, Conflict, StoreClosed, StoreFailed, StoreFull
from k3py.store.lazy import LazyRecords
from k3py.store.record import Page, Record
from k3py.store.watch import Watch, Watches

__all__ = [
    "Compacted",
    "Conflict",
    "Page",
    "Record",
    "Store",
    "StoreClosed",
    "StoreFailed",
    "StoreFull",
    "Watch",
]

Records = list[Record]
Writes = list[Write]

FLUSH_SECONDS = 300.0
RETRY_SECONDS = 15.0
# Revisions that the disk promises at a time; a new block when half of one is used.
BLOCK = 5000

log = Log("k3py.store")


class Store:
    """One process's exclusive view of the file at `path`.

    Raises errors.Unusable if it cannot be opened. Reading works at once, writing after `start`.
    `flush_seconds` is how long a write that is not durable may be in memory only.
    """

    def __init__(
        self, path: Path, *, clock: Clock = SYSTEM, flush_seconds: float = FLUSH_SECONDS
    ) -> None:
        self._clock, self._flush_seconds = clock, flush_seconds
        self._disk = Disk(path)
        try:
            live = self._disk.load()
        except BaseException:
            self._disk.close()
            raise
        # Guards everything that follows. Held for moments, never while the disk works.
        self._lock = threading.Lock()
        self._contents = Contents(live)
        self._lazy = LazyRecords()
        self._watches = Watches()
        self._revision = self._assigned = self._disk.reserved
        self._reserved, self._compacted = self._disk.reserved, self._disk.compacted
        self._gaps = list(self._disk.gaps)
        self._new_gap: Gap | None = None
        if self._disk.settled < self._revision:
            self._new_gap = Gap(self._disk.settled, self._revision)
            self._gaps.append(self._new_gap)
        self._recent = history.Recent(self._revision)
        self._ages = history.Ages(self._revision, clock.monotonic())
        self._pending: dict[str, Write] = {}  # per key the newest that is not visible yet
        self._open = Batch()
        self._taken = Batch()  # what the committer has in hand
        self._committing = self._started = self._closing = False
        self._flush_at: float | None = None
        # Of the committer alone.
        self._work = threading.Event()
        self._ended = threading.Event()
        self._compact_at = 0.0
        self._complaint = ""

    @property
    def revision(self) -> int:
        """Of the newest visible record. Whoever reads it has been offered all up to it."""
        return self._revision

    def start(self, group: threads.Group) -> None:
        """Begin to take writes. Start it before its users: it ends after them."""
        self._started = True
        group.start("store", self._run, wake=self._finish)

    def close(self) -> None:
        """Bring what is lazy to the disk and let go of the file. Raises StoreFailed."""
        self._finish()
        if self._started:
            self._ended.wait()
        with self._lock:
            self._watches.end()
        threads.offload(self._disk.close)
        if self._open.failure:
            raise self._open.failure

    def get(self, key: str) -> Record | None:
        return self._contents.get(key)

    def list(self, prefix: str, *, start: str = "", limit: int = 0) -> Page:
        """The live records under `prefix`, from key `start` on, at most `limit` (0: all)."""
        with self._lock:
            records, remaining = self._contents.slice(prefix, start, limit)
            return Page(records, self._revision, remaining)

    def write(
        self,
        key: str,
        value: Callable[[int], bytes] | None,
        *,
        after: int | None,
        durable: bool = True,
    ) -> Record:
        """Replace what `key` holds, provided that this is still revision `after`.

        `after=0`: only if it holds nothing; None: whatever it holds. `value` gets the
        revision it will have and must neither block nor use the store; None deletes.
        Returns when the record is visible, and on disk if `durable`. Otherwise the disk has
        it within minutes, unless the power fails before; what was in between may never be.
        Raises Conflict, and StoreFull or StoreFailed when the disk does not take it.
        """
        key.encode()  # better an error here than for everybody in the batch
        while True:
            with self._lock:
                if self._closing or not self._started:
                    raise StoreClosed("the datastore is closed")
                ahead = self._pending.get(key)
                live = _live(ahead.record) if ahead else self._contents.get(key)
                if _is_allowed(live, after, deletes=value is None):
                    write = self._assign(key, value, live, durable=durable)
                    if self._may_show_at_once(write):
                        self._publish([write])
                        return write.record
                    self._enqueue(write)
                    break
                visible = self._contents.get(key)
                if not ahead or (after is not None and after != _revision(visible)):
                    raise Conflict(key, visible)
            # Someone is first, but that is not settled yet; nor could the caller see it.
            ahead.batch.done.wait()
        write.batch.done.wait()
        if write.failure:
            raise write.failure
        return write.record

    def flush(self) -> None:
        """Bring what is lazy to the disk now. Raises StoreFailed."""
        with self._lock:
            if self._closing or not self._started:
                raise StoreClosed("the datastore is closed")
            batch = self._open
            batch.wants_flush = True
        self._work.set()
        batch.done.wait()
        if batch.failure:
            raise type(batch.failure)(str(batch.failure))

    def watch(self, prefix: str, since: int) -> Watch:
        """Every record under `prefix` after revision `since`: the past, then the future.

        Where the past comes from the disk, lazy records that were soon replaced are left out.
        Raises Compacted.
        """
        watch = Watch(prefix, self._forget)
        with self._lock:
            if self._is_lost(since):
                raise Compacted(since)
            floor = self._recent.floor
            past = self._recent.since(prefix, since)
            lazy = self._lazy.between(prefix, since, floor)
            if self._closing:
                watch.end()
            else:
                self._watches.add(watch)
        if since < floor:
            try:
                past = self._older(prefix, since, floor, lazy) + past
            except BaseException:
                watch.close()
                raise
        watch.begin(past)
        return watch

    def _older(self, prefix: str, since: int, upto: int, lazy: Records) -> Records:
        """The past that has left the memory, in the order of revisions."""
        found = {record.revision: record for record in lazy}
        for record in threads.offload(self._disk.records, prefix, since, upto):
            found[record.revision] = record
        with self._lock:
            if self._is_lost(since):  # while we read
                raise Compacted(since)
        return [found[revision] for revision in sorted(found)]

    def _is_lost(self, since: int) -> bool:
        # A revision that we never reached is from another life of this file.
        return since < self._compacted or since > self._revision or gap_at(self._gaps, since)

    def _forget(self, watch: Watch) -> None:
        with self._lock:
            self._watches.discard(watch)

    # Writing, under the lock.

    def _assign(
        self, key: str, value: Callable[[int], bytes] | None, live: Record | None, *, durable: bool
    ) -> Write:
        revision = self._assigned + 1
        data = None if value is None else value(revision)
        self._assigned = revision
        previous, created = (live.value, live.created) if live else (None, revision)
        record = Record(revision, key, data, previous, created)
        return Write(record, _revision(live), durable, self._open)

    def _may_show_at_once(self, write: Write) -> bool:
        is_next = not self._committing and not self._open.writes
        return not write.durable and is_next and write.record.revision <= self._reserved

    def _enqueue(self, write: Write) -> None:
        self._pending[write.record.key] = write
        self._open.writes.append(write)
        if len(self._open.writes) == 1:
            self._work.set()

    def _publish(self, writes: Writes) -> None:
        now = self._clock.monotonic()
        for write in writes:
            record = write.record
            self._contents.put(record)
            if write.durable:
                self._lazy.discard(record.key)
            else:
                self._lazy.add(record, write.base)
            if self._pending.get(record.key) is write:
                del self._pending[record.key]
            self._recent.add(record, now)
            self._watches.offer(record)
            self._revision = record.revision
        self._ages.note(self._revision, now)
        if self._lazy and self._flush_at is None:
            self._flush_at = now + self._flush_seconds
            self._work.set()

    # The committer: the only user of the disk, but for those who read old history.

    def _run(self, _stop: threads.Stop) -> None:
        try:
            while not self._closing:
                self._clock.wait(self._work, self._patience())
                self._work.clear()
                self._commit_pending()
                self._flush_if_due()
                self._compact_if_due()
            self._commit_pending()
            self._settle()
        finally:
            self._abandon()

    def _finish(self) -> None:
        with self._lock:
            self._closing = True
        self._work.set()

    def _patience(self) -> float | None:
        """Seconds until there may be something to do; None: when somebody says so."""
        with self._lock:
            due = [self._flush_at] if self._flush_at is not None else []
            if history.may_need_compaction(self._compacted, self._revision):
                due.append(self._compact_at)
        return max(0.0, min(due) - self._clock.monotonic()) if due else None

    def _commit_pending(self) -> None:
        while batch := self._take():
            failure = self._commit(batch) if batch.writes else None
            if batch.wants_flush and not failure:
                failure = self._flush()
            batch.failure = failure
            batch.done.set()

    def _take(self) -> Batch | None:
        with self._lock:
            batch = self._open
            if not batch.writes and not batch.wants_flush:
                return None
            self._taken, self._open = batch, Batch()
            self._committing = True
            return batch

    def _commit(self, batch: Batch) -> StoreFailed | None:
        commit = Commit(batches.rows(batch.writes, self._contents, self._lazy))
        if commit.rows or batch.writes[-1].record.revision > self._reserved:
            self._reserve(commit)
        failure = self._to_disk(commit)
        with self._lock:
            if failure:
                self._roll_back(batch, failure)
            else:
                self._publish(batch.writes)
            self._committing = False
        return failure

    def _roll_back(self, batch: Batch, failure: StoreFailed) -> None:
        """Nothing of `batch` is on disk: fail it, and whatever was written in trust of it.

        Lazy writes need no disk, and go on if they stand on what is still true: nodes stay
        alive although the disk is full.
        """
        doomed, self._open = self._open, Batch()
        self._pending.clear()
        for write in batch.writes + doomed.writes:
            record = write.record
            stands = write.base == self._contents.revision(record.key)
            if not write.durable and stands and record.revision <= self._reserved:
                self._publish([write])
            else:
                write.failure = type(failure)(str(failure))
        if isinstance(failure, StoreFull):
            # Surely not on disk, unlike after an I/O error: these revisions are free again,
            # so that writers who try and try do not use up what is reserved for lazy ones.
            self._assigned = self._revision
        doomed.failure = failure
        doomed.done.set()

    def _flush_if_due(self) -> None:
        if self._flush_at is not None and self._clock.monotonic() >= self._flush_at:
            self._flush()

    def _flush(self) -> StoreFailed | None:
        with self._lock:
            self._committing = True
            commit = Commit(self._lazy.rows(), settled=self._revision)
        if commit.rows:
            self._reserve(commit)
        failure = self._to_disk(commit) if commit.rows else None
        with self._lock:
            self._committing = False
            if not failure:
                self._lazy.clear()
            self._flush_at = self._clock.monotonic() + RETRY_SECONDS if failure else None
        return failure

    def _settle(self) -> None:
        """Leave nothing in memory only, and no revision reserved for nothing."""
        with self._lock:
            revision = self._revision
            rows = self._lazy.rows()
            commit = Commit(rows, reserved=revision, settled=revision, gap=self._new_gap)
        if commit.rows or self._reserved != revision:
            self._open.failure = self._to_disk(commit)

    def _reserve(self, commit: Commit) -> None:
        """Have `commit` reserve more revisions, if it is time to."""
        if self._reserved - self._assigned < BLOCK // 2:
            commit.reserved = self._assigned + BLOCK
            commit.settled = commit.settled or (self._new_gap.upto if self._new_gap else 0)
            commit.gap = self._new_gap

    def _to_disk(self, commit: Commit) -> StoreFailed | None:
        """Commit, and say what failed; the log tells when that begins and when it ends."""
        if commit.is_empty():
            return None
        try:
            threads.offload(self._disk.commit, commit)
        except StoreFailed as failure:
            self._complain(str(failure))
            return failure
        self._complain("")
        self._reserved = commit.reserved or self._reserved
        if commit.gap:
            self._new_gap = None
        return None

    def _complain(self, complaint: str) -> None:
        if complaint and complaint != self._complaint:
            log.error("the datastore cannot be written", error=complaint)
        elif self._complaint and not complaint:
            log.info("the datastore can be written again")
        self._complaint = complaint

    def _compact_if_due(self) -> None:
        now = self._clock.monotonic()
        if now < self._compact_at:
            return
        self._compact_at = now + history.CHECK_SECONDS
        with self._lock:
            self._ages.note(self._revision, now)
            target = history.compaction_target(
                compacted=self._compacted,
                revision=self._revision,
                settled=(self._lazy.oldest() or self._revision + 1) - 1,
                old=self._ages.old(now),
            )
        while self._disk.compacted < target and not self._closing:
            upto = threads.offload(self._disk.chunk, target, history.CHUNK_ROWS)
            with self._lock:  # first, so that no watch relies on what is about to go
                self._compacted = upto
            try:
                threads.offload(self._disk.compact, upto)
            except StoreFailed as failure:
                self._complain(str(failure))
                return
            self._commit_pending()
        with self._lock:
            self._gaps = [gap for gap in self._gaps if gap.upto > self._compacted]

    def _abandon(self) -> None:
        """The committer ends: nobody may wait for it, whatever the reason."""
        with self._lock:
            self._closing = True
            for batch in (self._taken, self._open):
                for write in batch.writes:
                    if write.record.revision > self._revision:
                        write.failure = write.failure or StoreClosed("the datastore is closed")
                batch.done.set()
        self._ended.set()


def _live(record: Record) -> Record | None:
    return record if record.value is not None else None


def _revision(record: Record | None) -> int:
    return record.revision if record else 0


def _is_allowed(live: Record | None, after: int | None, *, deletes: bool) -> bool:
    if deletes and live is None:
        return False
    return after is None or after == _revision(live)
