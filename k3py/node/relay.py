"""Carrying bytes between one client and what it talks to, in one thread.

A TLS connection must not be read and written by two threads at once (Python's SSLSocket then
corrupts it), so each connection has one loop over all its sockets. An end that does not take
what it is sent makes the others wait, so memory stays bounded.
"""

import contextlib
import selectors
import socket
import ssl
from collections.abc import Callable

_CHUNK = 64 << 10
_FULL = 1 << 20

OnData = Callable[[bytes], object]
OnEnd = Callable[[], object]


class End:
    """One socket of a relay. `on_end` is called once: on its end of file or its failure."""

    def __init__(self, relay: "Relay", sock: socket.socket, on_data: OnData, on_end: OnEnd) -> None:
        self.sock = sock
        self.on_data, self.on_end = on_data, on_end
        self.readable = True  # until end of file
        self._relay = relay
        self._out = bytearray()
        self._finishing = False
        self._closed = False

    @property
    def is_full(self) -> bool:
        return len(self._out) > _FULL

    @property
    def is_closed(self) -> bool:
        return self._closed

    def send(self, data: bytes) -> None:
        if not self._closed and not self._finishing:
            self._out += data
            self.flush()

    def finish(self) -> None:
        """Half-close once all is sent: no more will come from here."""
        self._finishing = True
        self.flush()

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self.readable = False
            self._relay.forget(self)
            with contextlib.suppress(OSError):
                self.sock.close()

    def flush(self) -> None:
        """Send what the socket takes now."""
        try:
            while self._out and not self._closed:
                sent = self.sock.send(memoryview(self._out)[:_CHUNK].tobytes())
                del self._out[:sent]
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            pass
        except OSError:
            self._failed()
            return
        if self._finishing and not self._out and not self._closed:
            with contextlib.suppress(OSError):
                self._shut()

    def events(self, *, paused: bool) -> int:
        wanted = selectors.EVENT_WRITE if self._out else 0
        return wanted | (selectors.EVENT_READ if self.readable and not paused else 0)

    def read(self) -> None:
        """Pass on what has arrived; for TLS, all that is already decrypted too."""
        while self.readable:
            try:
                data = self.sock.recv(_CHUNK)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            except OSError:
                self._failed()
                return
            if not data:
                self.readable = False
                self.on_end()
                return
            self.on_data(data)
            if not isinstance(self.sock, ssl.SSLSocket) or not self.sock.pending():
                return

    def _shut(self) -> None:
        if isinstance(self.sock, ssl.SSLSocket):
            self.close()  # TLS has no half-close that clients agree on
        else:
            self.sock.shutdown(socket.SHUT_WR)

    def _failed(self) -> None:
        ended = self.readable
        self.close()
        if ended:
            self.on_end()


class Relay:
    """The loop. Callbacks run in its thread and may add, send to and close ends."""

    def __init__(self) -> None:
        self._ends: list[End] = []
        self._stopped = False

    def add(self, sock: socket.socket, on_data: OnData, on_end: OnEnd) -> End:
        sock.setblocking(False)
        end = End(self, sock, on_data, on_end)
        self._ends.append(end)
        return end

    def forget(self, end: End) -> None:
        if end in self._ends:
            self._ends.remove(end)

    def stop(self) -> None:
        """End `run` once everything that was sent has been taken, or at once if nobody takes."""
        self._stopped = True

    def run(self, *, idle_seconds: float) -> None:
        """Relay until stopped, until nothing is left, or until nothing moves for so long."""
        while self._ends and not (self._stopped and not self._unsent()):
            if not self._turn(5 if self._stopped else idle_seconds):
                break
        for end in [*self._ends]:
            end.close()

    def _unsent(self) -> bool:
        return any(end.events(paused=True) for end in self._ends)

    def _turn(self, seconds: float) -> bool:
        """Wait for and do one round; False when nothing happened in time."""
        paused = {end: any(o.is_full for o in self._ends if o is not end) for end in self._ends}
        with selectors.DefaultSelector() as selector:
            for end, wait in paused.items():
                if events := end.events(paused=wait):
                    selector.register(end.sock, events, end)
            if not selector.get_map():
                return False
            ready = selector.select(seconds)
        for key, events in ready:
            end = key.data
            if events & selectors.EVENT_WRITE:
                end.flush()
            if events & selectors.EVENT_READ and not end.is_closed:
                end.read()
        return bool(ready)
