"""Container logs: reading, following, in the format of the Container Runtime Interface.

2026-01-01T00:00:00.000000001Z stdout F a whole line
2026-01-01T00:00:00.000000002Z stderr P a part of a line that goes on in the next
"""

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from k3py.api import times
from k3py.base.clock import SYSTEM, Clock

_POLL_SECONDS = 0.2
_BLOCK = 64 << 10


@dataclass(frozen=True)
class Query:
    """What of a log is wanted: Kubernetes' PodLogOptions.

    `tail` in lines and `limit` in bytes, None for all; `since` leaves older lines out.
    """

    follow: bool = False
    tail: int | None = None
    since: datetime | None = None
    timestamps: bool = False
    limit: int | None = None
    stream: str = "All"


def read(
    path: Path,
    query: Query,
    *,
    ended: threading.Event,
    gone: threading.Event,
    clock: Clock = SYSTEM,
) -> Iterator[bytes]:
    """The log's text, line by line. With `follow`, goes on until `ended` (the container is
    finished) and all is read, or until `gone` (nobody reads any more).
    """
    left = query.limit
    for line in _wanted(path, query, ended, gone, clock):
        if left is not None:
            line = line[:left]
            left -= len(line)
        if line:
            yield line
        if left == 0:
            return


def tail_text(path: Path, *, lines: int, size: int) -> str:
    """The last `lines` lines, at most `size` bytes of them: a termination message."""
    never = threading.Event()
    text = b"".join(read(path, Query(tail=lines), ended=never, gone=never))
    return text[-size:].decode(errors="replace")


def _wanted(
    path: Path, query: Query, ended: threading.Event, gone: threading.Event, clock: Clock
) -> Iterator[bytes]:
    for raw in _lines(path, query, ended, gone, clock):
        line = _shown(raw, query)
        if line is not None:
            yield line


def _shown(raw: bytes, query: Query) -> bytes | None:
    """A line of the file as the reader wants it; None when it does not."""
    stamp, _, rest = raw.partition(b" ")
    stream, _, rest = rest.partition(b" ")
    flag, _, text = rest.partition(b" ")
    if query.stream != "All" and stream.decode(errors="replace") != query.stream.lower():
        return None
    if query.since is not None and _is_before(stamp, query.since):
        return None
    if flag == b"P":
        text = text.removesuffix(b"\n")
    return stamp + b" " + text if query.timestamps else text


def _is_before(stamp: bytes, since: datetime) -> bool:
    """Nanoseconds are cut to the microseconds that a datetime has."""
    text = stamp.decode(errors="replace")
    head, dot, fraction = text.partition(".")
    digits = "".join(c for c in fraction[:9] if c.isdigit())
    zone = fraction[len(digits) :] if dot else ""
    try:
        return times.parse(f"{head}.{digits[:6].ljust(6, '0')}{zone}" if dot else text) < since
    except ValueError:
        return False


def _lines(
    path: Path, query: Query, ended: threading.Event, gone: threading.Event, clock: Clock
) -> Iterator[bytes]:
    """Whole lines, from the start or the tail to the end; following, also those that come."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    try:
        if query.tail is not None:
            file.seek(_start_of_tail(file, query.tail))
        begun = b""
        while not gone.is_set():
            over = ended.is_set()  # asked first: what was written before the end is read
            begun += file.readline()
            if begun.endswith(b"\n"):
                yield begun
                begun = b""
            elif _was_replaced(file, path):
                file.close()
                file = path.open("rb")
            elif over or not query.follow:
                break
            else:
                clock.wait(gone, _POLL_SECONDS)
        if begun:
            yield begun + b"\n"
    finally:
        file.close()


def _was_replaced(file: BinaryIO, path: Path) -> bool:
    """Whether the log was rotated and all of the old file is read: the name is another's now."""
    try:
        return os.fstat(file.fileno()).st_ino != path.stat().st_ino
    except FileNotFoundError:
        return False


def _start_of_tail(file: BinaryIO, count: int) -> int:
    """The offset of the last `count` lines, reading from the end. A last line without its end
    counts too."""
    position = end = file.seek(0, os.SEEK_END)
    if not count or not end:
        return end
    file.seek(end - 1)
    missing = count + (file.read(1) == b"\n")
    while position > 0:
        size = min(_BLOCK, position)
        position -= size
        file.seek(position)
        block = file.read(size)
        index = len(block)
        while (index := block.rfind(b"\n", 0, index)) >= 0:
            missing -= 1
            if not missing:
                return position + index + 1
    return 0
