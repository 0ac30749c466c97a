"""A small HTTP/1.1 client on a socket: one request, its answer as it comes, or an upgrade."""

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from k3py.api import errors

_CHUNK = 64 * 1024
_LARGEST_HEAD = 64 * 1024


class Answer(NamedTuple):
    code: int
    headers: list[tuple[str, str]]

    def header(self, name: str) -> str:
        return next((v for n, v in self.headers if n.lower() == name), "")


@dataclass
class Upstream:
    """An answered request. `rest` is what was read beyond the answer's head."""

    connection: Any
    answer: Answer
    rest: bytes

    def body(self) -> Iterator[bytes]:
        """The answer's body without its framing."""
        if self.answer.code in (204, 304):
            return
        if self.answer.header("transfer-encoding").lower() == "chunked":
            yield from self._chunks()
            return
        length = self.answer.header("content-length")
        left = int(length) if length.isascii() and length.isdigit() else None
        while left is None or left > 0:
            piece = self._some()
            if not piece:
                return
            yield piece if left is None else piece[:left]
            left = None if left is None else left - len(piece)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.connection.shutdown(2)
        with contextlib.suppress(OSError):
            self.connection.close()

    def _chunks(self) -> Iterator[bytes]:
        while True:
            size = self._line().partition(b";")[0].strip()
            left = int(size or b"0", 16)
            if left == 0:
                return
            while left:
                piece = self._some()
                if not piece:
                    return
                taken, self.rest = piece[:left], piece[left:]
                left -= len(taken)
                yield taken
            self._line()

    def _line(self) -> bytes:
        while b"\n" not in self.rest:
            piece = self._receive()
            if not piece or len(self.rest) > _LARGEST_HEAD:
                return b""
            self.rest += piece
        line, _, self.rest = self.rest.partition(b"\n")
        return line

    def _some(self) -> bytes:
        piece, self.rest = self.rest, b""
        return piece or self._receive()

    def _receive(self) -> bytes:
        try:
            found: bytes = self.connection.recv(_CHUNK)
        except OSError:
            return b""
        return found


def open_upstream(connection: Any, head: bytes, body: Iterable[bytes] = ()) -> Upstream:
    """Send a request and read the head of its answer. Raises InternalError."""
    try:
        connection.sendall(head)
        for piece in body:
            connection.sendall(piece)
        found = b""
        while b"\r\n\r\n" not in found:
            piece = connection.recv(_CHUNK)
            if not piece or len(found) > _LARGEST_HEAD:
                raise OSError("no answer")
            found += piece
        first, _, rest = found.partition(b"\r\n\r\n")
        return Upstream(connection, _parsed(first), rest)
    except (OSError, ValueError) as failed:
        connection.close()
        raise errors.InternalError(f"error dialing backend: {failed}") from failed


def _parsed(head: bytes) -> Answer:
    status, *lines = head.decode("latin-1").split("\r\n")
    code = int(status.split(" ")[1])
    pairs = (line.partition(":") for line in lines)
    return Answer(code, [(name.strip(), value.strip()) for name, _, value in pairs])
