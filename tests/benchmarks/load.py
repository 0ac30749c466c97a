"""The load: a client in a process of its own, as thin as one in Python can be.

Requests are bytes made beforehand and answers are counted, not understood, so that what is
measured is the server. It reads a task as JSON from standard input, and prints a result:

    {"server": …, "kind": "requests", "request": …, "clients": 16, "seconds": 3}
    {"server": …, "kind": "fan-out", "watch": …, "request": …, "watchers": 500, "rounds": 10}

`server` is {"port", "ca", "certificate", "key"}; in a `request` %N is another number each time.
"""

import json
import select
import socket
import ssl
import sys
import threading
import time
from itertools import count
from statistics import median, quantiles

ANSWER_SECONDS = 30
HEAD_END = b"\r\n\r\n"


class Connection:
    """One kept-alive connection to 127.0.0.1, with a client certificate."""

    def __init__(self, server):
        context = ssl.create_default_context(cafile=server["ca"])
        context.load_cert_chain(server["certificate"], server["key"])
        plain = socket.create_connection(("127.0.0.1", server["port"]), timeout=ANSWER_SECONDS)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = context.wrap_socket(plain, server_hostname="localhost")

    def ask(self, request):
        """The body of the answer, which must be one of success, with a Content-Length."""
        self.socket.sendall(request)
        return self.answer()

    def answer(self):
        head, body = self.head()
        _, found, rest = head.lower().partition(b"content-length:")
        if not found:
            raise RuntimeError(f"the answer has no length: {head!r}")
        length = int(rest.partition(b"\r\n")[0])
        parts, seen = [body], len(body)
        while seen < length:
            parts.append(self._receive())
            seen += len(parts[-1])
        return b"".join(parts)

    def head(self):
        """What an answer starts with, and what already came of its body."""
        received = b""
        while HEAD_END not in received:
            received += self._receive()
        head, _, body = received.partition(HEAD_END)
        if head[9:10] != b"2":
            raise RuntimeError(f"{head.decode()}: {body[:500].decode(errors='replace')}")
        return head, body

    def _receive(self):
        received = self.socket.recv(1 << 18)
        if not received:
            raise RuntimeError("the server closed the connection")
        return received


def requests(server, request, clients, seconds):
    """Answers per second, and how long one took, by `clients` that each wait for their answer."""
    numbers, taken, failures = count(), [], []
    start, template = threading.Barrier(clients), request.encode()
    connections = [Connection(server) for _ in range(clients)]

    def work(connection):
        try:
            start.wait()
            ends = time.perf_counter() + seconds
            while (began := time.perf_counter()) < ends:
                connection.ask(_numbered(template, next(numbers)))
                taken.append(time.perf_counter() - began)
        except Exception as failure:
            failures.append(failure)

    workers = [threading.Thread(target=work, args=(c,), daemon=True) for c in connections]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if failures:
        raise failures[0]
    return {
        "per second": len(taken) / seconds,
        "median ms": median(taken) * 1000,
        "p99 ms": quantiles(taken, n=100)[98] * 1000,
    }


def fan_out(server, watch, request, watchers, rounds):
    """From sending a write to each of the watchers being told: the median, and the last."""
    writer = Connection(server)
    poll, by_number = select.epoll(), {}
    for _ in range(watchers):
        connection = Connection(server)
        connection.socket.sendall(watch.encode())
        connection.head()
        connection.socket.setblocking(False)
        by_number[connection.socket.fileno()] = connection.socket
        poll.register(connection.socket, select.EPOLLIN)
    everything, lasts = [], []
    for number in range(rounds):
        began = time.perf_counter()
        writer.socket.sendall(_numbered(request.encode(), number))
        delays = _told(poll, by_number, _marker(number), began)
        writer.answer()
        everything += delays
        lasts.append(max(delays))
    return {"median ms": median(everything) * 1000, "last ms": median(lasts) * 1000}


def _told(poll, sockets, marker, began):
    """Seconds since `began` until each of the sockets showed `marker`."""
    received, delays = dict.fromkeys(sockets, b""), []
    while len(delays) < len(sockets):
        ready = poll.poll(ANSWER_SECONDS)
        if not ready:
            raise RuntimeError(f"only {len(delays)} of {len(sockets)} watches were told")
        for number, _ in ready:
            had = marker in received[number]
            received[number] += _available(sockets[number])
            if not had and marker in received[number]:
                delays.append(time.perf_counter() - began)
    return delays


def _available(connection):
    parts = []
    try:
        while part := connection.recv(1 << 16):
            parts.append(part)
    except ssl.SSLWantReadError:
        return b"".join(parts)
    raise RuntimeError("the server ended a watch")


def _numbered(template, number):
    return template.replace(b"%N", b"%06d" % number)


def _marker(number):
    return b'-%06d"' % number


def main():
    task = json.load(sys.stdin)
    run = {"requests": requests, "fan-out": fan_out}[task.pop("kind")]
    json.dump(run(**task), sys.stdout)


if __name__ == "__main__":
    main()
