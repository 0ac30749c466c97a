"""The parts of DNS messages that a forwarder must understand, read with suspicion.

Queries come from any program in any pod, answers from any resolver: nothing here trusts a
length or a pointer. Messages we make ourselves are made by dnslib.
"""

import struct
from dataclasses import dataclass

NO_ERROR, FORMAT_ERROR, SERVER_FAILURE, NO_SUCH_NAME, NOT_IMPLEMENTED, REFUSED = range(6)

_HEADER = struct.Struct("!HHHHHH")
_RESPONSE, _OPCODE, _TRUNCATED, _DESIRED, _AVAILABLE = 0x8000, 0x7800, 0x0200, 0x0100, 0x0080
_OPT = 41
_LONGEST_NAME = 255
# What fits into one packet on any path (DNS flag day 2020).
_LARGEST_UDP = 1232
_SMALLEST_UDP = 512


class Malformed(Exception):
    """A message that is not one. `code` is what to answer; None: nothing."""

    def __init__(self, code: int | None) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class Query:
    """A message that asks one question."""

    id: int
    recursion_desired: bool
    labels: tuple[bytes, ...]
    type: int
    class_: int
    question: bytes  # as sent
    has_edns: bool
    udp_size: int

    @property
    def name(self) -> str:
        """In small letters, without the last dot. Bytes that are not ASCII match no name."""
        return b".".join(self.labels).lower().decode("latin-1")


def parse_query(packet: bytes) -> Query:
    """Raises Malformed."""
    if len(packet) < _HEADER.size:
        raise Malformed(None)
    id_, flags, questions, answers, authorities, additional = _HEADER.unpack_from(packet)
    if flags & _RESPONSE:
        raise Malformed(None)  # never answer an answer: two such servers would never end
    if flags & _OPCODE:
        raise Malformed(NOT_IMPLEMENTED)
    if questions != 1 or answers or authorities:
        raise Malformed(FORMAT_ERROR)
    labels, end = _read_name(packet, _HEADER.size)
    if len(packet) < end + 4:
        raise Malformed(FORMAT_ERROR)
    type_, class_ = struct.unpack_from("!HH", packet, end)
    size = _edns_size(packet, end + 4) if additional else None
    return Query(
        id=id_,
        recursion_desired=bool(flags & _DESIRED),
        labels=labels,
        type=type_,
        class_=class_,
        question=packet[_HEADER.size : end + 4],
        has_edns=size is not None,
        udp_size=min(max(size or 0, _SMALLEST_UDP), _LARGEST_UDP),
    )


def refusal(packet: bytes, code: int) -> bytes:
    """The shortest answer there is to a query: its header, its question if whole, and a code."""
    id_, flags = struct.unpack_from("!HH", packet)
    try:
        question = parse_query(packet).question
    except Malformed:
        question = b""
    flags = flags & (_OPCODE | _DESIRED) | _RESPONSE | _AVAILABLE | code
    return _HEADER.pack(id_, flags, 1 if question else 0, 0, 0, 0) + question


def with_id(packet: bytes, id_: int) -> bytes:
    return struct.pack("!H", id_) + packet[2:]


def answers(packet: bytes, query: Query, id_: int) -> bool:
    """Whether a packet from a resolver answers `query`, which was sent to it as `id_`."""
    if len(packet) < _HEADER.size:
        return False
    got, flags, questions, *_ = _HEADER.unpack_from(packet)
    echoed = packet[_HEADER.size : _HEADER.size + len(query.question)]
    same = questions == 1 and echoed.lower() == query.question.lower()
    return got == id_ and bool(flags & _RESPONSE) and same


def code(packet: bytes) -> int:
    return packet[3] & 0x0F


def is_truncated(packet: bytes) -> bool:
    return bool(struct.unpack_from("!H", packet, 2)[0] & _TRUNCATED)


def lifetimes(packet: bytes) -> list[int]:
    """Where in an answer the lifetimes of its records stand. Raises Malformed."""
    _, _, questions, *counts = _HEADER.unpack_from(packet)
    at = _HEADER.size
    for _ in range(questions):
        at = _skip_name(packet, at) + 4
    found = []
    for _ in range(sum(counts)):
        at = _skip_name(packet, at)
        if len(packet) < at + 10:
            raise Malformed(FORMAT_ERROR)
        type_, _, _, length = struct.unpack_from("!HHIH", packet, at)
        if type_ != _OPT:  # whose lifetime is none
            found.append(at + 4)
        at += 10 + length
    if at > len(packet):
        raise Malformed(FORMAT_ERROR)
    return found


def _read_name(packet: bytes, at: int) -> tuple[tuple[bytes, ...], int]:
    """A name without pointers, as questions have it, and where it ends."""
    labels: list[bytes] = []
    start = at
    while at < len(packet) and at - start < _LONGEST_NAME:
        length = packet[at]
        if length == 0:
            return tuple(labels), at + 1
        if length > 63:
            break
        labels.append(packet[at + 1 : at + 1 + length])
        at += 1 + length
    raise Malformed(FORMAT_ERROR)


def _skip_name(packet: bytes, at: int) -> int:
    while at < len(packet):
        length = packet[at]
        if length == 0:
            return at + 1
        if length >= 0xC0:  # a pointer ends a name
            return at + 2
        at += 1 + length
    raise Malformed(FORMAT_ERROR)


def _edns_size(packet: bytes, at: int) -> int | None:
    """The size that the query's OPT record offers, where that is its first additional record."""
    if len(packet) >= at + 11 and packet[at] == 0:
        type_, size = struct.unpack_from("!HH", packet, at + 1)
        if type_ == _OPT:
            return int(size)
    return None
