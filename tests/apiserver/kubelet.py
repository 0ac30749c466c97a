"""A node's server that only pretends: it says what it was asked, and echoes what it is sent."""

import contextlib
import socket
import ssl
import threading


class FakeKubelet:
    """Answers logs with two chunks, and upgrades by switching and echoing; keeps all heads."""

    def __init__(self, folder) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.crt", folder / "server.key")
        context.load_verify_locations(folder / "ca.crt")
        context.verify_mode = ssl.CERT_REQUIRED
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.heads: list[str] = []
        self.hung_up = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, plain) -> None:
        with (
            contextlib.suppress(OSError),
            self._context.wrap_socket(plain, server_side=True) as connection,
        ):
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(65536)
            first, _, _rest = head.partition(b"\r\n\r\n")
            self.heads.append(first.decode())
            self._answer(connection, first.decode().splitlines()[0].split()[1], first.decode())

    def _answer(self, connection, path: str, head: str) -> None:
        if path.startswith("/containerLogs"):
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"6\r\nhello\n\r\n"
            )
            if "follow=true" in path:
                with contextlib.suppress(OSError):
                    connection.recv(1)
                self.hung_up.set()
                return
            connection.sendall(b"6\r\nworld\n\r\n0\r\n\r\n")
        elif "refused" in path:
            connection.sendall(
                b"HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno!"
            )
        elif "Upgrade:" in head:
            connection.sendall(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: SPDY/3.1\r\n"
                b"Connection: Upgrade\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\nhi"
            )
            while piece := connection.recv(65536):
                connection.sendall(piece)
        else:
            body = path.encode()
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
            )
