"""Streams come and go within one SPDY connection."""

import struct
import zlib

import pytest

from k3py.base import spdy


def test_a_stream_is_opened_answered_and_carries_bytes_both_ways():
    peer = Peer()
    peer.open(1, {"streamtype": "data", "port": "80"})
    (stream,) = peer.streams
    assert stream.headers["port"] == "80"
    got = []
    peer.data(1, b"kept until somebody listens")
    stream.listen(got.append, lambda: got.append(None))
    peer.data(1, b" more", fin=True)
    assert got == [b"kept until somebody listens", b" more", None]
    peer.sent.clear()
    stream.write(b"answer")
    stream.close()
    stream.close()
    assert bytes(peer.sent) == struct.pack(">II", 1, 6) + b"answer" + struct.pack(">II", 1, 1 << 24)


def test_headers_of_many_streams_share_one_compression():
    peer = Peer()
    for number in (1, 3, 5):
        peer.open(number, {"streamtype": "error", "requestid": str(number)})
    assert [s.headers["requestid"] for s in peer.streams] == ["1", "3", "5"]


def test_a_ping_is_answered():
    peer = Peer()
    peer.control(6, struct.pack(">I", 7))
    assert bytes(peer.sent) == struct.pack(">HHII", 0x8003, 6, 4, 7)


def test_bytes_may_arrive_one_by_one():
    peer = Peer(piecewise=True)
    peer.open(1, {"streamtype": "data"})
    assert len(peer.streams) == 1


@pytest.mark.parametrize(
    "frame",
    [
        struct.pack(">HHI", 0x8003, 1, 4) + b"\0\0\0\1",
        struct.pack(">HHI", 0x8003, 1, 14) + b"\0" * 10 + b"junk",
        struct.pack(">II", 1, 0xFFFFFF),
        struct.pack(">HHI", 0x8003, 3, 0),
    ],
)
def test_garbage_ends_the_connection(frame):
    with pytest.raises(spdy.ProtocolError):
        Peer().session.feed(frame)


def test_too_many_streams_end_the_connection():
    peer = Peer()
    for number in range(1, 2001, 2):
        peer.open(number, {})
    with pytest.raises(spdy.ProtocolError, match="too many streams"):
        peer.open(2001, {})


class Peer:
    """The opening side, with as much of the protocol as a test needs."""

    def __init__(self, *, piecewise=False):
        self.sent, self.streams = bytearray(), []
        self.session = spdy.Session(self.sent.extend, self.streams.append)
        self._piecewise = piecewise
        self._deflate = zlib.compressobj(9, zlib.DEFLATED, 15, 8, 0, spdy.DICTIONARY)

    def open(self, number, headers):
        block = struct.pack(">I", len(headers))
        for text in (part for pair in headers.items() for part in pair):
            block += struct.pack(">I", len(text)) + text.encode()
        packed = self._deflate.compress(block) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        self.control(1, struct.pack(">IIH", number, 0, 0) + packed)

    def data(self, number, data, *, fin=False):
        self._feed(struct.pack(">II", number, fin << 24 | len(data)) + data)

    def control(self, kind, payload):
        self._feed(struct.pack(">HHI", 0x8003, kind, len(payload)) + payload)

    def _feed(self, frame):
        if self._piecewise:
            for index in range(len(frame)):
                self.session.feed(frame[index : index + 1])
        else:
            self.session.feed(frame)
