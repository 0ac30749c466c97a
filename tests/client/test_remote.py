"""RemoteClient speaks to a server over TLS, and outlives it."""

import contextlib
import datetime
import http.server
import ipaddress
import json
import ssl
import threading

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from k3py import kinds
from k3py.api import errors
from k3py.api.objects import Key
from k3py.client import kubeconfig, remote
from k3py.client.client import Patch
from k3py.client.connections import Unreachable
from k3py.client.remote import RemoteClient

WEB = Key("home", "web")


def test_paths_are_those_of_kubernetes():
    assert remote.path(kinds.POD, "home", "web", "log") == "/api/v1/namespaces/home/pods/web/log"
    assert remote.path(kinds.DEPLOYMENT) == "/apis/apps/v1/deployments"
    assert remote.path(kinds.NODE, "", "pi1") == "/api/v1/nodes/pi1"
    assert remote.path(kinds.CLUSTER_ROLE, "", "system:node").endswith("/system%3Anode")
    assert remote.path(kinds.NAMESPACE, "x", "home") == "/api/v1/namespaces/home"


def test_calls_share_a_connection(server):
    client = server.client()
    for _ in range(5):
        client.get(kinds.POD, WEB)
    assert server.connections == 1
    assert server.asked[0][:2] == ("GET", "/api/v1/namespaces/home/pods/web")


def test_a_new_connection_is_made_when_the_server_closed_the_old_one(server):
    client = server.client()
    client.get(kinds.POD, WEB)
    server.drop_connections()
    client.create(kinds.POD, {"metadata": {"namespace": "home", "name": "web"}})
    assert server.connections == 2


def test_writes_carry_what_the_protocol_says(server):
    client = server.client(token="secret")
    client.patch(kinds.POD, WEB, {"a": 1}, how=Patch.APPLY, manager="me", force=True)
    client.delete(kinds.POD, WEB, grace=0, propagation="Orphan", uid="u1")
    patch, delete = server.asked
    assert patch[1].endswith("/pods/web?fieldManager=me&force=true")
    assert patch[2]["Content-Type"] == "application/apply-patch+yaml"
    assert patch[2]["Authorization"] == "Bearer secret"
    assert json.loads(delete[3]) == {
        "kind": "DeleteOptions",
        "apiVersion": "v1",
        "gracePeriodSeconds": 0,
        "propagationPolicy": "Orphan",
        "preconditions": {"uid": "u1"},
    }


def test_the_items_of_a_list_know_their_type(server):
    server.answers["/api/v1/namespaces/home/pods?limit=1"] = {
        "metadata": {"resourceVersion": "9", "continue": "next", "remainingItemCount": 4},
        "items": [{"metadata": {"name": "web"}}],
    }
    listing = server.client().list(kinds.POD, "home", limit=1)
    assert listing.items == [{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}}]
    assert listing[1:] == (9, "next", 4)


@pytest.mark.parametrize(
    ("code", "body", "error"),
    [
        (404, errors.not_found(kinds.POD, "web").status(), errors.NotFound),
        (409, errors.conflict(kinds.POD, "web").status(), errors.Conflict),
        (410, {"kind": "Status", "reason": "Expired", "message": "too old"}, errors.Expired),
        (403, "no", errors.Forbidden),
        (502, "", errors.ApiError),
    ],
)
def test_refusals_are_raised_as_what_they_are(server, code, body, error):
    server.answers["/api/v1/namespaces/home/pods/web"] = (code, body)
    with pytest.raises(error):
        server.client().get(kinds.POD, WEB)


def test_a_watch_yields_events_until_the_server_ends_it(server):
    server.streams["/api/v1/pods"] = [event("ADDED", "1"), event("MODIFIED", "2"), None]
    watch = server.client().watch(kinds.POD, since=0)
    assert [e.type for e in watch] == ["ADDED", "MODIFIED"]
    assert "resourceVersion=0" in server.asked[0][1]


def test_a_watch_whose_revision_is_gone_raises_expired(server):
    status = {"kind": "Status", "reason": "Expired", "code": 410, "message": "too old"}
    server.streams["/api/v1/pods"] = [{"type": "ERROR", "object": status}, None]
    with pytest.raises(errors.Expired):
        list(server.client().watch(kinds.POD, since=1))


def test_a_watch_is_closed_from_another_thread_while_it_waits(server):
    server.streams["/api/v1/pods"] = [event("ADDED", "1")]
    watch = server.client().watch(kinds.POD, since=0)
    seen, ended = threading.Event(), threading.Event()

    def follow():
        for _ in watch:
            seen.set()
        ended.set()

    threading.Thread(target=follow, daemon=True).start()
    assert seen.wait(5)
    watch.close()
    assert ended.wait(5)


def test_a_watch_nobody_reads_can_be_closed(server):
    server.streams["/api/v1/pods"] = [event("ADDED", "1")]
    watch = server.client().watch(kinds.POD, since=0)
    watch.close()
    assert list(watch) == []


def test_only_the_given_ca_is_trusted(server, tmp_path):
    other, _, _ = authority()
    with pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED"):
        RemoteClient(server.url, ca=other).get(kinds.POD, WEB)


def test_a_server_that_is_not_there_is_unreachable(server):
    client = server.client()
    server.shutdown()
    server.server_close()
    with pytest.raises(errors.ServiceUnavailable, match="no answer from"):
        client.get(kinds.POD, WEB)


def test_a_kubeconfig_that_is_written_connects(server, tmp_path):
    certificate, key = server.issue("admin")
    file = tmp_path / "config"
    kubeconfig.write(file, kubeconfig.Kubeconfig(server.url, server.ca, certificate, key))
    assert file.stat().st_mode & 0o777 == 0o600
    config = kubeconfig.read(file)
    assert config.certificate == certificate
    client = config.client()
    client.get(kinds.POD, WEB)
    client.close()
    assert server.asked[0][4] == "admin"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "there is no such kubeconfig"),
        ("a: [", "is not YAML"),
        ("a: 1", "it has no 'current-context'"),
        ("- a", "is not a usable kubeconfig"),
        (
            "{current-context: x, contexts: [{name: x, context: {cluster: c, user: u}}], "
            "clusters: [{name: c, cluster: {server: s, certificate-authority: absent.crt}}], "
            "users: [{name: u, user: {}}]}",
            "names .*absent.crt: No such file",
        ),
        ("current-context: x\ncontexts: []", "it has no context 'x'"),
    ],
)
def test_a_kubeconfig_that_cannot_be_used_says_why(tmp_path, content, why):
    file = tmp_path / "config"
    if content is not None:
        file.write_text(content)
    with pytest.raises(kubeconfig.Unusable, match=why):
        kubeconfig.read(file)


def test_a_token_file_is_read_when_it_is_used(server, tmp_path):
    file = tmp_path / "token"
    client = server.client(token=file)
    for token in ("old", "new"):
        file.write_text(token + "\n")
        client.get(kinds.POD, WEB)
    assert [asked[2]["Authorization"] for asked in server.asked] == ["Bearer old", "Bearer new"]


@pytest.mark.parametrize("greeting", [b"", b"hello"])
def test_an_upgrade_waits_for_nothing_the_other_side_need_not_say(server, greeting):
    server.greeting = greeting
    upgraded = server.client().upgrade("/exec", query="", protocol="p")
    with contextlib.closing(upgraded.connection):
        sock = upgraded.connection.sock
        said = upgraded.first or (greeting and sock.recv(100))
        assert said == greeting
        sock.sendall(b"quiet")
        assert sock.recv(100) == b"QUIET"


@pytest.fixture
def server(tmp_path):
    server = Server(tmp_path)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.drop_connections()
    for client in server.clients:
        client.close()
    server.shutdown()
    thread.join()
    server.server_close()


class Server(http.server.ThreadingHTTPServer):
    """Answers what it is told to, over TLS, and remembers what it was asked."""

    daemon_threads = True

    def __init__(self, folder):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"https://127.0.0.1:{self.server_address[1]}"
        self.ca, self._ca_key, self._ca = authority()
        certificate, key = self.issue("server")
        (folder / "ca.crt").write_bytes(self.ca)
        (folder / "server.pem").write_bytes(certificate + key)
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(folder / "server.pem")
        self.tls.load_verify_locations(folder / "ca.crt")
        self.tls.verify_mode = ssl.CERT_OPTIONAL
        self.asked, self.answers, self.streams, self.clients = [], {}, {}, []
        self.connections, self.open, self.ending = 0, [], threading.Event()
        self.greeting = b""

    def client(self, **more):
        client = RemoteClient(self.url, ca=self.ca, timeout=5, **more)
        self.clients.append(client)
        return client

    def get_request(self):
        sock, address = super().get_request()
        self.connections += 1
        return self.tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False), address

    def drop_connections(self):
        self.ending.set()
        for handler in self.open:
            handler.drop()
        self.ending.clear()

    def handle_error(self, request, client_address):
        pass

    def issue(self, name):
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = built(name, key.public_key(), self._ca.subject, self._ca_key)
        return certificate.public_bytes(serialization.Encoding.PEM), pem(key)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        self.server.open.append(self)
        self.dropped = threading.Event()

    def drop(self):
        self.dropped.set()
        with contextlib.suppress(OSError):
            self.connection.shutdown(2)

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        peer = self.connection.getpeercert() or {"subject": ((("", ""),),)}
        name = peer["subject"][0][0][1]
        self.server.asked.append((self.command, self.path, dict(self.headers), body, name))
        if "Upgrade" in self.headers:
            self.switch()
            return
        stream = self.server.streams.get(self.path.partition("?")[0])
        if stream:
            self.stream(stream)
            return
        found = self.server.answers.get(self.path, {})
        code, content = found if isinstance(found, tuple) else (200, found)
        data = (content if isinstance(content, str) else json.dumps(content)).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def __getattr__(self, name):
        if name.startswith("do_"):
            return self.answer
        raise AttributeError(name)

    def switch(self):
        """Speak no HTTP from now on: say the greeting, then answer in capitals."""
        head = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n"
        self.connection.sendall(head + self.server.greeting)
        while said := self.connection.recv(100):
            self.connection.sendall(said.upper())
        self.close_connection = True

    def stream(self, events):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for item in events:
            data = b"" if item is None else json.dumps(item).encode() + b"\n"
            for part in (data[:10], data[10:]) if data else (b"",):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        if item is not None:
            self.dropped.wait(20)

    def log_message(self, *args):
        pass


def event(kind, revision):
    return {"type": kind, "object": {"metadata": {"name": "web", "resourceVersion": revision}}}


def authority():
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ca")])
    certificate = built("ca", key.public_key(), name, key, ca=True)
    return certificate.public_bytes(serialization.Encoding.PEM), key, certificate


def built(name, public, issuer, issuer_key, ca=False):
    now = datetime.datetime.now(datetime.UTC)
    local = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([local]), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )


def pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
