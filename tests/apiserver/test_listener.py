"""The listener: many connections, rude ones among them, and a clean end."""

import contextlib
import os
import socket
import ssl
import time

import pytest

from k3py import kinds
from tests.apiserver.processes import received, running


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(tmp_path_factory.mktemp("server")) as found:
        yield found


def test_a_certificate_says_who_comes(server):
    assert server.get("/api/v1/namespaces/default")[0] == 200
    code, body = server.get("/api/v1/namespaces/default", user="jane")
    assert code == 403
    assert b'User \\"jane\\" cannot get resource \\"namespaces\\"' in body
    assert server.get("/api/v1/namespaces/default", user=None)[0] == 401
    assert server.get("/version", user=None)[0] == 200


def test_a_certificate_of_another_authority_is_no_way_in(server, certificates):
    context = ssl.create_default_context(cafile=str(server.folder / "ca.crt"))
    context.load_cert_chain(certificates / "admin.crt", certificates / "admin.key")
    plain = socket.create_connection(("127.0.0.1", server.port), 10)
    answer = b""
    with contextlib.suppress(OSError), context.wrap_socket(plain, server_hostname="127.0.0.1") as c:
        c.sendall(b"GET /api HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = received(c)
    assert b" 200 " not in answer[:20]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("GET\r\n\r\n", b" 400 "),
        ("GET / HTTP/9.9\r\n\r\n", b" 400 "),
        (f"GET /{'x' * 70_000} HTTP/1.1\r\n\r\n", b" 414 "),
        ("POST /api/v1/namespaces HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", b" 400 "),
        ("POST /api/v1/nodes HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n", b" 413 "),
        ("BREW /version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b" 405 "),
        ("GET /api/v1/namespaces/a%2Fb HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b" 404 "),
        ("GET /api/v1/pods?labelSelector=" + "a%3Db%2C" * 400 + "a HTTP/1.1\r\nHost: x\r\n"
         "Connection: close\r\n\r\n", b" 200 "),
    ],
)  # fmt: skip
def test_a_strange_request_is_answered(server, text, code):
    assert code in server.request(text)[:40]


def test_endless_headers_are_not_read(server):
    answer = server.request("GET /version HTTP/1.1\r\nHost: x\r\nA: " + "x" * 500_000 + "\r\n\r\n")
    assert b" 200 " not in answer[:40]
    answer = server.request("GET /version HTTP/1.1\r\nHost: x\r\n" + "A: b\r\n" * 20_000 + "\r\n")
    assert b" 200 " not in answer[:40]
    assert "Traceback" not in (server.folder / "log").read_text()


def test_rude_clients_do_not_disturb_the_others(server):
    silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(20)]
    halves = [server.connect() for _ in range(20)]
    for half in halves:
        half.sendall(b"GET /version HT")
    garbage = socket.create_connection(("127.0.0.1", server.port))
    garbage.sendall(b"GET / HTTP/1.1\r\n\r\n" * 10)
    began = time.monotonic()
    assert server.get("/version")[0] == 200
    assert time.monotonic() - began < 1
    for one in (*silent, *halves, garbage):
        one.close()
    assert "Traceback" not in (server.folder / "log").read_text()


def test_a_chunked_body_is_read(server):
    body = b'{"metadata":{"name":"chunky"}}'
    head = (
        b"POST /api/v1/namespaces HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    )
    text = head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    assert b" 201 " in server.request(text.decode())[:40]


def test_a_watcher_that_leaves_is_forgotten(server):
    before = _open_files(server)
    path = "/api/v1/configmaps?watch=true&resourceVersion=0"
    watchers = [server.connect() for _ in range(10)]
    for watcher in watchers:
        watcher.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert b" 200 " in received(watcher, b"\r\n\r\n")
    assert _open_files(server) >= before + 10
    for watcher in watchers:
        watcher.close()
    deadline = time.monotonic() + 5
    while _open_files(server) > before and time.monotonic() < deadline:
        server.get("/version")
    assert _open_files(server) <= before


def test_the_remote_client_and_this_server_agree(server):
    client = server.client()
    made = client.create(kinds.CONFIG_MAP, {"metadata": {"name": "agreed", "namespace": "default"}})
    since = int(made["metadata"]["resourceVersion"])
    watch = client.watch(kinds.CONFIG_MAP, "default", since=since)
    client.update(kinds.CONFIG_MAP, made | {"data": {"x": "y"}})
    event = next(iter(watch))
    assert (event.type, event.object["data"]) == ("MODIFIED", {"x": "y"})
    watch.close()
    client.close()


def test_the_server_stops_at_once_with_many_watches_open(tmp_path):
    with running(tmp_path) as server:
        path = "/api/v1/configmaps?watch=true&resourceVersion=0"
        watchers = [server.connect() for _ in range(50)]
        for watcher in watchers:
            watcher.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert b" 200 " in received(watcher, b"\r\n\r\n")
        began = time.monotonic()
        server.process.terminate()
        assert server.process.wait(15) == 0
        assert time.monotonic() - began < 5
        for watcher in watchers:
            watcher.close()


def _open_files(server) -> int:
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


def test_nobody_was_served_while_a_large_yaml_document_was_read(server):
    body = "kind: ConfigMap\nmetadata: {name: a}\ndata:\n" + "".join(
        f"  key{number}: 'x'\n" for number in range(60_000)
    )
    head = (
        "POST /api/v1/namespaces/default/configmaps?dryRun=All HTTP/1.1\r\nHost: x\r\n"
        f"Content-Type: application/yaml\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with server.connect() as author:
        author.sendall((head + body).encode())
        time.sleep(0.05)  # now it is being read
        assert server.get("/livez", user=None)[0] == 200
        author.settimeout(0)
        with pytest.raises(ssl.SSLWantReadError):
            author.recv(1)
        author.settimeout(10)
        assert b" 201 " in author.recv(65536)[:40]


def test_a_client_that_hangs_up_without_listening_was_a_traceback_in_the_log(server):
    for _ in range(10):
        with server.connect() as rude:
            rude.sendall(b"GET /openapi/v2 HTTP/1.1\r\nHost: x\r\n\r\n")
    assert server.get("/livez")[0] == 200
    assert "Traceback" not in (server.folder / "log").read_text()
