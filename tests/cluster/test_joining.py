"""A machine becomes a node only with a valid token, and takes nobody else's name."""

import contextlib
import socket
import ssl
import threading
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import pytest

from k3py.api import errors
from k3py.base import pki
from k3py.cluster import certificates, joining, tokens
from k3py.testing.client import FakeClient

NOW = datetime.now(UTC)
SERVER_CA = pki.new_authority("server-ca", now=NOW, life=timedelta(days=10))
CLIENT_CA = pki.new_authority("client-ca", now=NOW, life=timedelta(days=10))
FACTS = joining.ClusterFacts("10.42.0.0/16", "10.43.0.0/16", "10.43.0.10", "cluster.local")


def test_the_server_decides_whom_a_certificate_is_for():
    answer = admission().admit("server:secret", asked("pi2"))
    client = answer["clientCertificate"].encode()
    serving = answer["servingCertificate"].encode()
    assert pki.is_signed_by(client, CLIENT_CA.certificate)
    assert not pki.is_signed_by(client, SERVER_CA.certificate)
    assert pki.hosts(serving) == {"pi2", "localhost", "127.0.0.1", "172.30.0.12"}
    assert answer["cluster"] == asdict(FACTS)


@pytest.mark.parametrize(
    "credential", ["", "server:", "server:wrong", "x", "abcdef.0123456789abcdef"]
)
def test_a_wrong_token_is_refused(credential):
    with pytest.raises(errors.Unauthorized, match="k3py token create"):
        admission().admit(credential, asked("pi2"))


def test_a_password_that_looks_like_a_bootstrap_token_was_refused():
    made = admission(password="abcdef.0123456789abcdef")
    for text in ("abcdef.0123456789abcdef", f"K10{'0' * 64}::server:abcdef.0123456789abcdef"):
        assert made.admit(tokens.parse(text).credential, asked("pi2"))["cluster"]


def test_a_bootstrap_token_is_accepted():
    client = FakeClient()
    token = tokens.BootstrapTokens(client, "").create(timedelta(hours=1), "", now=NOW)
    assert admission(client).admit(token.credential, asked("pi2"))


def test_a_name_belongs_to_the_machine_that_used_it_first():
    server = admission()
    server.admit("server:secret", asked("pi2", password="p" * 32))
    server.admit("server:secret", asked("pi2", password="p" * 32))
    with pytest.raises(errors.Forbidden, match="delete secret -n kube-system pi2.node-password"):
        server.admit("server:secret", asked("pi2", password="q" * 32))


@pytest.mark.parametrize(
    "change",
    [
        {"node": "Not A Name"},
        {"node": "../../etc"},
        {"password": "short"},
        {"addresses": ["example.com"]},
        {"addresses": 7},
        {"clientRequest": "nonsense"},
        {"servingRequest": None},
    ],
)
def test_a_malformed_request_is_refused(change):
    with pytest.raises(errors.BadRequest):
        admission().admit("server:secret", asked("pi2") | change)


@pytest.mark.parametrize("body", [None, [], "text", 7, {}])
def test_what_is_no_request_at_all_is_refused(body):
    with pytest.raises(errors.BadRequest):
        admission().admit("server:secret", body)


def test_a_membership_is_remembered_until_something_changes(tmp_path):
    key, serving_key = pki.new_key(), pki.new_key()
    answer = admission().admit(
        "server:secret",
        asked("pi2")
        | {
            "clientRequest": pki.new_request(key).decode(),
            "servingRequest": pki.new_request(serving_key).decode(),
        },
    )
    joined = joining.Membership(
        "https://172.30.0.11:6443",
        SERVER_CA.certificate,
        CLIENT_CA.certificate,
        pki.Pair(answer["clientCertificate"].encode(), key),
        pki.Pair(answer["servingCertificate"].encode(), serving_key),
        FACTS,
    )
    joining._remember(tmp_path, joined, "pi2")

    def remembered(server=joined.server, node="pi2", address="172.30.0.12", now=NOW, token=None):
        return joining.remembered(
            server, token, node=node, addresses=(address,), folder=tmp_path, now=now
        )

    assert remembered() == joined
    assert remembered(server="https://other:6443") is None
    assert remembered(node="pi3") is None
    assert remembered(address="172.30.0.99") is None
    assert not joining.is_due(joined, now=NOW)
    due = NOW + certificates.LEAF_LIFE - certificates.RENEW_BEFORE
    assert joining.is_due(joined, now=due + timedelta(hours=1))
    # Until then it serves: the server may be away, or the token have expired.
    assert remembered(now=due + timedelta(hours=1)) == joined
    assert remembered(now=NOW + certificates.LEAF_LIFE) is None
    assert remembered(token=tokens.Token("00" * 32, "server:x")) is None
    (tmp_path / "serving-kubelet.crt").write_bytes(b"cut off by a power fail")
    assert remembered() is None


@pytest.mark.parametrize("server", ["http://x:6443", "nonsense", "https://"])
def test_a_server_that_is_no_https_address_is_refused(server, tmp_path):
    with pytest.raises(joining.JoinRefused, match="must be like https"):
        join(server, tmp_path)


def test_a_server_that_is_not_there_is_told_with_what_to_check(tmp_path):
    with pytest.raises(joining.JoinRefused, match="Is the server running"):
        join("https://127.0.0.1:1", tmp_path)


@pytest.mark.parametrize(
    ("life", "hosts", "told"),
    [
        (timedelta(days=-1), ("127.0.0.1",), "This machine's clock says 20"),
        (timedelta(days=1), ("10.0.0.1",), "start it with --tls-san"),
    ],
)
def test_a_certificate_that_does_not_fit_is_told_with_the_likely_reason(
    tmp_path, life, hosts, told
):
    pair = pki.new_pair(SERVER_CA, name="server", hosts=hosts, now=NOW, life=life)
    with answering(pair, tmp_path) as url, pytest.raises(joining.JoinRefused, match=told):
        join(url, tmp_path)


@contextlib.contextmanager
def answering(pair, folder):
    """A TLS server that tells its CA to the first and then is met with distrust."""
    certificates.save(folder, "server", pair)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.crt", folder / "server.key")
    ca = SERVER_CA.certificate
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(ca), ca)

    def serve(listener):
        for _ in range(2):
            plain, _ = listener.accept()
            with (
                plain,
                contextlib.suppress(OSError),
                context.wrap_socket(plain, server_side=True) as client,
            ):
                client.recv(65536)
                client.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(5)


def join(server, tmp_path):
    return joining.join(
        server,
        tokens.Token("", "server:x"),
        node="pi2",
        addresses=("127.0.0.1",),
        folder=tmp_path,
        password_file=tmp_path / "password",
    )


def admission(client=None, *, password="secret"):
    client = client or FakeClient()
    return joining.Admission(
        client,
        password=password,
        bootstrap=tokens.BootstrapTokens(client, ""),
        server_ca=SERVER_CA,
        client_ca=CLIENT_CA,
        facts=FACTS,
        now=lambda: NOW,
    )


def asked(node, *, password="p" * 32):
    request = pki.new_request(pki.new_key()).decode()
    return {
        "node": node,
        "password": password,
        "addresses": ["172.30.0.12"],
        "clientRequest": request,
        "servingRequest": request,
    }
