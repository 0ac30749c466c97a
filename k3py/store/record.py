"""What the store holds: versions of keys, and pages of them."""

from typing import NamedTuple


class Record(NamedTuple):
    """One version of one key."""

    revision: int
    key: str
    value: bytes | None
    """None: the key was deleted here."""
    previous: bytes | None
    """The value before, None: created here. Told by writes and watches, left out of reads."""
    created: int
    """The revision that created this incarnation of the key."""


class Page(NamedTuple):
    """Live records in key order, as they were at `revision`; `remaining` come after them."""

    records: list[Record]
    revision: int
    remaining: int
