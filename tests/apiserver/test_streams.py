"""Logs, exec and the like are piped to the node, byte for byte."""

import socket
import threading

import pytest

from k3py import kinds
from k3py.api.objects import Key
from tests.apiserver.kubelet import FakeKubelet
from tests.apiserver.processes import received, running

POD = "/api/v1/namespaces/default/pods/web"
UPGRADE = (
    "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
    "X-Stream-Protocol-Version: v4.channel.k8s.io\r\n"
    "X-Stream-Protocol-Version: v3.channel.k8s.io\r\n"
    "Authorization: Bearer secret\r\n\r\n"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(tmp_path_factory.mktemp("server")) as found:
        yield found


@pytest.fixture(scope="module")
def kubelet(server):
    """The node pi1's server; the pod web with the containers a and b runs there."""
    made = FakeKubelet(server.folder)
    client = server.client()
    status = {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": made.port}},
    }
    client.create(kinds.NODE, {"metadata": {"name": "pi1"}, "status": status})
    containers = [{"name": name, "image": "x"} for name in ("a", "b")]
    client.create(
        kinds.POD,
        {
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {"containers": containers, "nodeName": "pi1"},
        },
    )
    for name, spec in (("waiting", {}), ("lost", {"nodeName": "pi2"})):
        client.create(
            kinds.POD,
            {
                "metadata": {"name": name, "namespace": "default"},
                "spec": {"containers": [{"name": "a", "image": "x"}]} | spec,
            },
        )
    client.close()
    yield made
    made.close()


def test_a_log_is_relayed(server, kubelet):
    code, body = server.get(f"{POD}/log?container=a&tailLines=5&limitBytes=100&pretty=1")
    assert code == 200
    assert b"hello\n" in body
    assert b"world\n" in body
    assert kubelet.heads[-1].startswith(
        "GET /containerLogs/default/web/a?tailLines=5&limitBytes=100 HTTP/1.1"
    )


def test_a_follower_who_leaves_is_not_followed(server, kubelet):
    kubelet.hung_up.clear()
    with server.connect() as connection:
        path = f"{POD}/log?container=a&follow=true"
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert b"hello" in received(connection, b"hello")
    assert kubelet.hung_up.wait(5)


@pytest.mark.parametrize(
    ("method", "path", "asked"),
    [
        ("POST", f"{POD}/exec?command=sh&command=-c&command=a%20b&container=a&stdin=true&tty=true",
         "POST /exec/default/web/a?command=sh&command=-c&command=a+b&input=1&tty=1 "),
        ("GET", f"{POD}/exec?command=ls&container=b&stdout=1&stderr=true&stdin=false",
         "GET /exec/default/web/b?command=ls&output=1&error=1 "),
        ("POST", f"{POD}/attach?container=a&stdout=true",
         "POST /attach/default/web/a?output=1 "),
        ("POST", f"{POD}/portforward?ports=80", "POST /portForward/default/web?port=80 "),
    ],
)  # fmt: skip
def test_an_upgrade_is_piped_both_ways(server, kubelet, method, path, asked):
    with server.connect() as connection:
        connection.sendall(UPGRADE.format(method=method, path=path).encode())
        head = received(connection, b"hi")
        assert head.startswith(b"HTTP/1.1 101 ")
        assert b"X-Stream-Protocol-Version: v4.channel.k8s.io" in head
        sent = bytes(range(256)) * 4096
        threading.Thread(target=connection.sendall, args=(sent,)).start()
        back = b""
        while len(back) < len(sent):
            back += connection.recv(65536)
        assert back == sent
    told = kubelet.heads[-1]
    assert told.startswith(asked)
    assert "Upgrade: SPDY/3.1" in told
    assert "v3.channel.k8s.io" in told
    assert "secret" not in told


@pytest.mark.parametrize(
    ("path", "code", "message"),
    [
        (
            f"{POD}/log",
            400,
            b"a container name must be specified for pod web, choose one of: [a b]",
        ),
        (f"{POD}/log?container=z", 400, b"container z is not valid for pod web"),
        (f"{POD}none/log", 404, b"not found"),
        ("/api/v1/namespaces/default/pods/waiting/log", 400, b"does not have a host assigned"),
        ("/api/v1/namespaces/default/pods/lost/log", 404, b"pi2"),
        (f"{POD}/exec?command=ls&container=a", 400, b"Upgrade request required"),
        (f"{POD}/exec?container=a", 400, b"at least 1 command"),
    ],
)
def test_what_cannot_be_streamed_is_refused(server, kubelet, path, code, message):
    found, body = server.get(path)
    assert (found, message in body) == (code, True), body


def test_a_refusal_of_the_node_is_relayed(server, kubelet):
    path = f"{POD}/portforward?ports=refused"
    answer = server.request(UPGRADE.format(method="POST", path=path))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"no!" in answer


def test_streams_need_the_right_to_them(server, kubelet):
    client = server.client()
    metadata = {"name": "logs", "namespace": "default"}
    rule = {"apiGroups": [""], "resources": ["pods/log", "pods/exec"], "verbs": ["get"]}
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "logs"}
    jane = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "jane"}
    client.create(kinds.ROLE, {"metadata": metadata, "rules": [rule]})
    client.create(kinds.ROLE_BINDING, {"metadata": metadata, "roleRef": ref, "subjects": [jane]})
    client.close()
    assert server.get(f"{POD}/log?container=a", user="jane")[0] == 200
    code, body = server.get(f"{POD}/exec?command=ls&container=a", user="jane")
    assert code == 403
    assert b'cannot create resource \\"pods/exec\\"' in body
    assert server.get(f"{POD}/log?container=a", user="pi1")[0] == 403


def test_a_node_is_proxied(server, kubelet):
    code, body = server.get("/api/v1/nodes/pi1/proxy/pods/a%2Fb?x=y")
    assert (code, body) == (200, b"/pods/a%2Fb?x=y")


def test_a_pod_is_proxied_at_its_own_address(server, kubelet):
    address = own_address()
    web = FakePlain(address)
    set_address(server, address)
    path = f"/api/v1/namespaces/default/pods/web:{web.port}/proxy/hello?a=b"
    code, body = server.get(path)
    assert (code, body) == (200, b"GET /hello?a=b HTTP/1.1")
    web.close()


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "0.0.0.0"])
def test_a_pod_cannot_claim_the_servers_own_address(server, kubelet, address):
    set_address(server, address)
    code, body = server.get("/api/v1/namespaces/default/pods/web:80/proxy/")
    assert (code, b"address not allowed" in body) == (403, True)


def set_address(server, address):
    client = server.client()
    pod = client.get(kinds.POD, Key("default", "web"))
    client.update(kinds.POD, pod | {"status": {"podIP": address}}, subresource="status")
    client.close()


def own_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no address but the loopback's")
        return probe.getsockname()[0]


class FakePlain:
    """An HTTP server that answers with the request line."""

    def __init__(self, address: str) -> None:
        self._listener = socket.create_server((address, 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            line = connection.recv(65536).split(b"\r\n")[0]
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(line) + line)

    def close(self) -> None:
        self._listener.close()
