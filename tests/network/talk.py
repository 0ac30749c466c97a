"""A tiny program for both ends of a conversation, run inside the namespaces of tests.

    talk.py serve NAME ADDRESS PORT...       answers "NAME saw CLIENT" over TCP and UDP
    talk.py ask tcp|udp HOST PORT [BYTES]    prints the answer, or "refused", "timeout" …

Imports only what starts quickly: many of these run in a test.
"""

import selectors
import socket
import sys


def serve(name, address, *ports):
    selector = selectors.DefaultSelector()
    for port in map(int, ports):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            listener = socket.socket(socket.AF_INET, kind)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((address, port))
            if kind == socket.SOCK_STREAM:
                listener.listen(16)
            selector.register(listener, selectors.EVENT_READ)
    print("serving", flush=True)
    while True:
        for key, _ in selector.select():
            listener = key.fileobj
            if listener.type == socket.SOCK_STREAM:
                connection, client = listener.accept()
                connection.sendall(f"{name} saw {client[0]}".encode())
                connection.close()
            else:
                _, client = listener.recvfrom(65536)
                listener.sendto(f"{name} saw {client[0]}".encode(), client)


def ask(protocol, host, port, size="4"):
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as connection:
        connection.settimeout(3)
        connection.setsockopt(socket.IPPROTO_IP, 10, 2)  # never fragment
        try:
            connection.connect((host, int(port)))
            connection.send(b"x" * int(size))
            print(connection.recv(4096).decode())
        except ConnectionRefusedError:
            print("refused")
        except TimeoutError:
            print("timeout")
        except OSError as failure:
            print(failure.strerror)


if __name__ == "__main__":
    {"serve": serve, "ask": ask}[sys.argv[1]](*sys.argv[2:])
