"""How a machine becomes a node: both sides of the handshake.

    node                                              server
    GET  /cacerts  (unverified)                  →    its CA; its hash must be the token's
    POST /v1-k3py/join  (verified with that CA)  →    the token is checked, then the node's password
                                                 ←    two certificates and what the cluster is like

Private keys never leave the node, and whom a certificate is for is the server's decision:
of a signing request only the key is used. The node password, made by the node and kept by
the server as a hash, stops one holder of a token from taking another node's name.
"""

import hashlib
import hmac
import http.client
import ipaddress
import json
import secrets
import ssl
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from k3py import kinds
from k3py.api import errors, names
from k3py.api.objects import Key
from k3py.api.wellknown import SYSTEM as SYSTEM_NAMESPACE
from k3py.base import files, pki
from k3py.base.clock import SYSTEM
from k3py.client.client import Client
from k3py.cluster import certificates, tokens

CA_PATH = "/cacerts"
JOIN_PATH = "/v1-k3py/join"
_SECONDS = 10
# OpenSSL's codes for a certificate that is not valid yet, and for one that is no more.
_OUT_OF_TIME = (9, 10)


class JoinRefused(Exception):
    """The machine did not become a node; the message says why and what to do."""


@dataclass(frozen=True)
class ClusterFacts:
    """What every node must know of its cluster, and may not choose for itself."""

    cluster_cidr: str
    service_cidr: str
    dns_ip: str
    domain: str


@dataclass(frozen=True)
class Membership:
    """What a node has once it has joined."""

    server: str
    server_ca: bytes
    client_ca: bytes
    client: pki.Pair
    serving: pki.Pair
    facts: ClusterFacts


# The server's side.


class Admission:
    """Answers joining machines: checks token and password, signs, tells the facts."""

    def __init__(
        self,
        client: Client,
        *,
        password: str,
        bootstrap: tokens.BootstrapTokens,
        server_ca: pki.Pair,
        client_ca: pki.Pair,
        facts: ClusterFacts,
        now: Callable[[], datetime],
    ) -> None:
        self._client, self._password, self._bootstrap = client, password, bootstrap
        self._server_ca, self._client_ca, self._facts, self._now = server_ca, client_ca, facts, now

    def admit(self, credential: str, body: Any) -> dict[str, Any]:
        """The answer to a join request.

        Raises errors.Unauthorized (token), errors.Forbidden (password), errors.BadRequest.
        """
        if not self._accepts(credential):
            raise errors.Unauthorized(
                "the token is not valid here: it is wrong, or it has expired; "
                "get one with 'k3py token create' on the server"
            )
        asked = _Asked.read(body)
        self._check_password(asked.node, asked.password)
        now, life = self._now(), certificates.LEAF_LIFE
        try:
            client = pki.sign_request(
                self._client_ca,
                asked.client_request,
                name=f"system:node:{asked.node}",
                groups=("system:nodes",),
                now=now,
                life=life,
            )
            serving = pki.sign_request(
                self._server_ca,
                asked.serving_request,
                name=f"system:node:{asked.node}",
                groups=("system:nodes",),
                hosts=(asked.node, "localhost", "127.0.0.1", *asked.addresses),
                now=now,
                life=life,
            )
        except ValueError as wrong:
            raise errors.BadRequest(f"not a signing request: {wrong}") from wrong
        return {
            "clientCA": self._client_ca.certificate.decode(),
            "clientCertificate": client.decode(),
            "servingCertificate": serving.decode(),
            "cluster": asdict(self._facts),
        }

    def _accepts(self, credential: str) -> bool:
        # A password of the user's own choice may look like a bootstrap token.
        given = credential.removeprefix("server:").encode()
        if hmac.compare_digest(given, self._password.encode()):
            return True
        return self._bootstrap.accepts(credential, now=self._now())

    def _check_password(self, node: str, password: str) -> None:
        """Trust a name's first password, and only that from then on."""
        name = f"{node}.node-password.k3py"
        hashed = hashlib.sha256(f"{node}:{password}".encode()).hexdigest()
        try:
            kept = self._client.get(kinds.SECRET, Key(SYSTEM_NAMESPACE, name))
        except errors.NotFound:
            secret = {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": name, "namespace": SYSTEM_NAMESPACE},
                "immutable": True,
                "stringData": {"hash": hashed},
            }
            self._client.create(kinds.SECRET, secret)
            return
        if not hmac.compare_digest(tokens.secret_value(kept, "hash").encode(), hashed.encode()):
            raise errors.Forbidden(
                f'a node called "{node}" joined before with another password. If this is that '
                "machine, set up anew, run on the server: k3py kubectl delete secret "
                f"-n {SYSTEM_NAMESPACE} {name}, then join again. If it is another machine, give "
                "it another --node-name"
            )


@dataclass(frozen=True)
class _Asked:
    """A join request, checked."""

    node: str
    password: str
    addresses: tuple[str, ...]
    client_request: bytes
    serving_request: bytes

    @classmethod
    def read(cls, body: Any) -> "_Asked":
        try:
            node, password = str(body["node"]), str(body["password"])
            addresses = tuple(str(ipaddress.ip_address(a)) for a in body["addresses"][:16])
            requests = [str(body[k]).encode() for k in ("clientRequest", "servingRequest")]
        except (KeyError, TypeError, ValueError) as wrong:
            raise errors.BadRequest(f"not a join request: {wrong}") from wrong
        if problem := names.subdomain_problem(node):
            raise errors.BadRequest(f'"{node}" cannot be a node\'s name: {problem}')
        if len(password) < 16:
            raise errors.BadRequest("the node's password is too short")
        return cls(node, password, addresses, requests[0], requests[1])


# The node's side.


def join(
    server: str,
    token: tokens.Token,
    *,
    node: str,
    addresses: tuple[str, ...],
    folder: Path,
    password_file: Path,
) -> Membership:
    """Become a node of the cluster at `server` (an https URL), and remember it in `folder`.

    Raises JoinRefused.
    """
    server_ca = _server_ca(server, token)
    client_key, serving_key = pki.new_key(), pki.new_key()
    answer = _post(
        server,
        server_ca,
        token.credential,
        {
            "node": node,
            "password": _own_password(password_file),
            "addresses": list(addresses),
            "clientRequest": pki.new_request(client_key).decode(),
            "servingRequest": pki.new_request(serving_key).decode(),
        },
    )
    joined = Membership(
        server=server,
        server_ca=server_ca,
        client_ca=answer["clientCA"].encode(),
        client=pki.Pair(answer["clientCertificate"].encode(), client_key),
        serving=pki.Pair(answer["servingCertificate"].encode(), serving_key),
        facts=ClusterFacts(**answer["cluster"]),
    )
    _remember(folder, joined, node)
    return joined


def remembered(
    server: str,
    token: tokens.Token | None,
    *,
    node: str,
    addresses: tuple[str, ...],
    folder: Path,
    now: datetime,
) -> Membership | None:
    """The membership of an earlier `join`, if it still fits; then no server is needed to start.

    None when there is none, a certificate has expired, an address is new, or server, name or
    cluster changed.
    """
    try:
        kept = json.loads((folder / "cluster.json").read_text())
        ours = certificates.load(folder, "client-kubelet")
        serving = certificates.load(folder, "serving-kubelet")
        server_ca = (folder / "server-ca.crt").read_bytes()
        client_ca = (folder / "client-ca.crt").read_bytes()
        if ours is None or serving is None:
            return None
        pinned = token.ca_hash if token else ""
        fits = (
            (kept["server"], kept["node"]) == (server, node)
            and (not pinned or pki.fingerprint(server_ca) == pinned)
            and pki.expiry(ours.certificate) > now
            and pki.expiry(serving.certificate) > now
            and set(addresses) <= pki.hosts(serving.certificate)
        )
        facts = ClusterFacts(**kept["cluster"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return Membership(server, server_ca, client_ca, ours, serving, facts) if fits else None


def is_due(membership: Membership, *, now: datetime) -> bool:
    """Whether it is time to join again, so that no certificate expires."""
    return any(
        certificates.is_due(pair.certificate, now=now)
        for pair in (membership.client, membership.serving)
    )


def _remember(folder: Path, joined: Membership, node: str) -> None:
    files.write(folder / "server-ca.crt", joined.server_ca)
    files.write(folder / "client-ca.crt", joined.client_ca)
    certificates.save(folder, "client-kubelet", joined.client)
    certificates.save(folder, "serving-kubelet", joined.serving)
    # Last: cluster.json says that all the rest is there.
    kept = {"server": joined.server, "node": node, "cluster": asdict(joined.facts)}
    files.write(folder / "cluster.json", json.dumps(kept))


def _server_ca(server: str, token: tokens.Token) -> bytes:
    unverified = ssl.create_default_context()
    unverified.check_hostname = False
    unverified.verify_mode = ssl.CERT_NONE
    status, body = _exchange(server, unverified, "GET", CA_PATH)
    if status != 200 or b"BEGIN CERTIFICATE" not in body:
        raise JoinRefused(f"{server} answers, but not as a k3py server; is the address right?")
    if token.ca_hash and not hmac.compare_digest(pki.fingerprint(body), token.ca_hash):
        raise JoinRefused(
            f"{server} is not the server that this token was made by: its certificate authority "
            "is another. Take the token from that server's /var/lib/k3py/server/node-token; if "
            "you did, somebody stands between the two"
        )
    return body


def _post(server: str, server_ca: bytes, credential: str, body: dict[str, Any]) -> dict[str, Any]:
    verified = ssl.create_default_context(cadata=server_ca.decode())
    status, answer = _exchange(
        server,
        verified,
        "POST",
        JOIN_PATH,
        body=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {credential}", "Content-Type": "application/json"},
    )
    try:
        told: dict[str, Any] = json.loads(answer)
    except ValueError:
        told = {}
    if status != 200:
        why = told.get("message") or f"HTTP status {status}"
        raise JoinRefused(f"{server} refused this node: {why}")
    return told


def _exchange(
    server: str,
    context: ssl.SSLContext,
    method: str,
    path: str,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, bytes]:
    parts = urlsplit(server)
    if parts.scheme != "https" or not parts.hostname:
        raise JoinRefused(f"--server must be like https://192.168.1.10:6443, not {server!r}")
    connection = http.client.HTTPSConnection(
        parts.hostname, parts.port or 6443, timeout=_SECONDS, context=context
    )
    try:
        connection.request(method, path, body=body, headers=dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, answer.read()
    except ssl.SSLCertVerificationError as wrong:
        fix = "If that is another address of the server, start it with --tls-san and this address"
        if wrong.verify_code in _OUT_OF_TIME:
            fix = f"This machine's clock says {SYSTEM.now():%Y-%m-%d %H:%M} UTC: is that right?"
        raise JoinRefused(
            f"{server} shows a certificate that does not fit: {wrong.verify_message}. {fix}"
        ) from wrong
    except (OSError, http.client.HTTPException) as unreachable:
        raise JoinRefused(
            f"cannot reach {server}: {unreachable}. Is the server running (k3py status there), "
            "and does its firewall let TCP port 6443 in?"
        ) from unreachable
    finally:
        connection.close()


def _own_password(path: Path) -> str:
    if not path.exists():
        files.write_private(path, secrets.token_hex(16))
    return path.read_text().strip()
