"""SPDY/3.1 frames, as far as Kubernetes' streams use them.

Older kubectl speaks it for exec, attach and port-forward, and newer kubectl inside WebSocket
messages for port-forward. The session is the accepting side and does no I/O: bytes go in
through `feed` and out through `send`. Flow control is left out, as Kubernetes' own
implementation leaves it out.

    control frame  1 version(15) type(16) | flags(8) length(24) | payload
    data frame     0 stream(31)           | flags(8) length(24) | bytes

Source: "SPDY Protocol - Draft 3.1".
"""

import struct
import zlib
from collections.abc import Callable, Mapping

SYN_STREAM, SYN_REPLY, RST_STREAM, PING, GOAWAY, HEADERS = 1, 2, 3, 6, 7, 8
_FIN = 1
_CANCEL = 5
_LONGEST_FRAME = 1 << 20
_LONGEST_HEADERS = 64 << 10
_MOST_STREAMS = 1000

# The compression dictionary of the protocol: words with their lengths before them, then a tail.
_WORDS = (
    "options,head,post,put,delete,trace,accept,accept-charset,accept-encoding,"
    "accept-language,accept-ranges,age,allow,authorization,cache-control,connection,"
    "content-base,content-encoding,content-language,content-length,content-location,"
    "content-md5,content-range,content-type,date,etag,expect,expires,from,host,if-match,"
    "if-modified-since,if-none-match,if-range,if-unmodified-since,last-modified,location,"
    "max-forwards,pragma,proxy-authenticate,proxy-authorization,range,referer,retry-after,"
    "server,te,trailer,transfer-encoding,upgrade,user-agent,vary,via,warning,"
    "www-authenticate,method,get,status,200 OK,version,HTTP/1.1,url,public,set-cookie,"
    "keep-alive,origin"
)
_TAIL = (
    "1001012012022052063003023033043053063074024054064074084094104114124134144154164175025045"
    "05203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401"
    " Unauthorized403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 S"
    "ervice UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, We"
    "d, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xm"
    "l,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdc"
    "hcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)
_ENTRIES = (struct.pack(">I", len(word)) + word.encode() for word in _WORDS.split(","))
DICTIONARY = b"".join(_ENTRIES) + _TAIL.encode()


class ProtocolError(Exception):
    """The other side does not speak SPDY; the connection is of no further use."""


class Stream:
    """One of a connection's streams. What arrives before `on_data` is set is kept for it."""

    def __init__(self, session: "Session", number: int, headers: Mapping[str, str]) -> None:
        self.number, self.headers = number, headers
        self.ended = False
        self._session = session
        self._kept = bytearray()
        self._on_data: Callable[[bytes], object] | None = None
        self._on_end: Callable[[], object] | None = None
        self._closed = False

    def listen(self, on_data: Callable[[bytes], object], on_end: Callable[[], object]) -> None:
        """Call `on_data` for all that arrives, `on_end` once when no more will."""
        self._on_data, self._on_end = on_data, on_end
        if self._kept:
            kept, self._kept = bytes(self._kept), bytearray()
            on_data(kept)
        if self.ended:
            on_end()

    def write(self, data: bytes) -> None:
        for start in range(0, len(data), _LONGEST_FRAME // 2):
            self._session._send_data(self.number, data[start : start + _LONGEST_FRAME // 2], 0)

    def close(self) -> None:
        """Say that nothing more will be written."""
        if not self._closed:
            self._closed = True
            self._session._send_data(self.number, b"", _FIN)

    def _arrived(self, data: bytes, *, last: bool) -> None:
        if data:
            if self._on_data:
                self._on_data(data)
            elif len(self._kept) + len(data) > _LONGEST_FRAME:
                raise ProtocolError("too much data before the stream was ready")
            else:
                self._kept += data
        if last and not self.ended:
            self.ended = True
            if self._on_end:
                self._on_end()


class Session:
    """The accepting side of one connection; `on_stream` is called for each stream opened."""

    def __init__(
        self, send: Callable[[bytes], object], on_stream: Callable[[Stream], object]
    ) -> None:
        self._send, self._on_stream = send, on_stream
        self._streams: dict[int, Stream] = {}
        self._received = bytearray()
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)
        self._deflate = zlib.compressobj(
            zlib.Z_BEST_COMPRESSION, zlib.DEFLATED, zlib.MAX_WBITS, 8, 0, DICTIONARY
        )

    def feed(self, data: bytes) -> None:
        """Take in what arrived. Raises ProtocolError."""
        self._received += data
        received = self._received
        while len(received) >= 8:
            word, rest = struct.unpack_from(">II", received)
            flags, length = rest >> 24, rest & 0xFFFFFF
            if length > _LONGEST_FRAME:
                raise ProtocolError(f"a frame of {length} bytes")
            if len(received) < 8 + length:
                return
            payload = bytes(received[8 : 8 + length])
            del received[: 8 + length]
            if word & 0x80000000:
                self._control(word & 0xFFFF, flags, payload)
            elif stream := self._streams.get(word):
                stream._arrived(payload, last=bool(flags & _FIN))

    def end(self) -> None:
        """The connection is gone: nothing more arrives on any stream."""
        for stream in [*self._streams.values()]:
            stream._arrived(b"", last=True)

    def reset(self, stream: Stream) -> None:
        """Refuse or abandon a stream."""
        self._streams.pop(stream.number, None)
        self._send_control(RST_STREAM, struct.pack(">II", stream.number, _CANCEL))

    def _control(self, kind: int, flags: int, payload: bytes) -> None:
        try:
            match kind:
                case 1:
                    self._opened(flags, payload)
                case 3:
                    (number,) = struct.unpack_from(">I", payload)
                    if stream := self._streams.pop(number & 0x7FFFFFFF, None):
                        stream._arrived(b"", last=True)
                case 6:
                    self._send_control(PING, payload)
                case 8:
                    # Every header block goes through the one decompressor, wanted or not.
                    self._headers(payload[4:])
                case _:
                    pass  # SETTINGS, GOAWAY, WINDOW_UPDATE: nothing to do
        except (struct.error, zlib.error, UnicodeDecodeError) as wrong:
            raise ProtocolError(f"a malformed frame: {wrong}") from wrong

    def _opened(self, flags: int, payload: bytes) -> None:
        (number,) = struct.unpack_from(">I", payload)
        stream = Stream(self, number & 0x7FFFFFFF, self._headers(payload[10:]))
        if len(self._streams) >= _MOST_STREAMS:
            raise ProtocolError("too many streams")
        self._streams[stream.number] = stream
        block = self._deflate.compress(struct.pack(">I", 0))
        block += self._deflate.flush(zlib.Z_SYNC_FLUSH)
        self._send_control(SYN_REPLY, struct.pack(">I", stream.number) + block)
        self._on_stream(stream)
        if flags & _FIN:
            stream._arrived(b"", last=True)

    def _headers(self, block: bytes) -> dict[str, str]:
        raw = self._inflate.decompress(block, _LONGEST_HEADERS)
        if self._inflate.unconsumed_tail:
            raise ProtocolError("headers too long")
        (count,) = struct.unpack_from(">I", raw)
        offset, texts = 4, []
        for _ in range(2 * min(count, _LONGEST_HEADERS)):
            (length,) = struct.unpack_from(">I", raw, offset)
            texts.append(raw[offset + 4 : offset + 4 + length].decode())
            offset += 4 + length
        return dict(zip(texts[::2], texts[1::2], strict=True))

    def _send_data(self, number: int, data: bytes, flags: int) -> None:
        self._send(struct.pack(">II", number, flags << 24 | len(data)) + data)

    def _send_control(self, kind: int, payload: bytes) -> None:
        self._send(struct.pack(">HHI", 0x8003, kind, len(payload)) + payload)
