"""How much of the past is kept: in memory for watches that reconnect, on disk a while longer."""

from collections import deque
from itertools import takewhile

from k3py.store.record import Record

# In memory: whichever of these is reached first.
RECENT_RECORDS = 2000
RECENT_BYTES = 4 << 20
RECENT_SECONDS = 300.0
# On disk: both.
KEPT_REVISIONS = 1000
KEPT_SECONDS = 300.0
# Compaction waits for so many revisions to forget, and takes so many rows at a time.
WORTH_COMPACTING = 1000
CHUNK_ROWS = 200
CHECK_SECONDS = 60.0

_MARK_SECONDS = 15.0


class Recent:
    """The newest records: every one after revision `floor`."""

    def __init__(self, floor: int) -> None:
        self.floor = floor
        self._records: deque[tuple[float, Record]] = deque()
        self._bytes = 0

    def add(self, record: Record, now: float) -> None:
        self._records.append((now, record))
        self._bytes += _size(record)
        while self._is_too_much(now):
            _, oldest = self._records.popleft()
            self._bytes -= _size(oldest)
            self.floor = oldest.revision

    def since(self, prefix: str, revision: int) -> list[Record]:
        newest_first = (record for _, record in reversed(self._records))
        newer = takewhile(lambda record: record.revision > revision, newest_first)
        return [record for record in newer if record.key.startswith(prefix)][::-1]

    def _is_too_much(self, now: float) -> bool:
        return bool(self._records) and (
            len(self._records) > RECENT_RECORDS
            or self._bytes > RECENT_BYTES
            or self._records[0][0] < now - RECENT_SECONDS
        )


class Ages:
    """Roughly when revisions were written: enough to say which are old."""

    def __init__(self, revision: int, now: float) -> None:
        self._marks = deque([(now, revision)])
        self._old = 0

    def note(self, revision: int, now: float) -> None:
        """`revision` is the newest, as of `now`."""
        if not self._marks or now >= self._marks[-1][0] + _MARK_SECONDS:
            self._marks.append((now, revision))

    def old(self, now: float) -> int:
        """Up to this revision all is older than KEPT_SECONDS."""
        while self._marks and self._marks[0][0] <= now - KEPT_SECONDS:
            self._old = self._marks.popleft()[1]
        return self._old


def compaction_target(*, compacted: int, revision: int, settled: int, old: int) -> int:
    """Up to which revision to forget history now; 0: not worth it yet.

    Never past `settled`: a row that reaches the disk later must not land in what is compacted.
    """
    target = min(revision - KEPT_REVISIONS, settled, old)
    return target if target - compacted >= WORTH_COMPACTING else 0


def may_need_compaction(compacted: int, revision: int) -> bool:
    """Whether time alone can make a compaction worth it."""
    return revision - KEPT_REVISIONS - compacted >= WORTH_COMPACTING


def _size(record: Record) -> int:
    return len(record.value or b"") + len(record.previous or b"")
