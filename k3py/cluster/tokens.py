"""Join tokens: who may become a node.

    K10<sha256 of the server's CA>::server:<password>     the cluster's own, never expires
    K10<sha256 of the server's CA>::<id>.<secret>         a bootstrap token, expires

The first half lets the joining node know the right server, the second lets the server know
the node's owner. Without the first half ("short form") the node must trust whoever answers.
Bootstrap tokens are Secrets, as Kubernetes defines them ("Authenticating with Bootstrap
Tokens"): bootstrap-token-<id> in kube-system.
"""

import base64
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from k3py import kinds
from k3py.api import errors, times
from k3py.api.objects import Key, Object
from k3py.api.wellknown import SYSTEM
from k3py.base import files
from k3py.client.client import Client

PREFIX = "K10"
GROUP = "system:bootstrappers:k3py:default-node-token"
SECRET_TYPE = "bootstrap.kubernetes.io/token"  # noqa: S105
_BOOTSTRAP = re.compile(r"(?P<id>[a-z0-9]{6})\.(?P<secret>[a-z0-9]{16})")
_FULL = re.compile(r"K10(?P<hash>[0-9a-f]{64})::(?P<rest>.+)")
_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"


class BadToken(ValueError):
    """The text is no token; the message says what is wrong with it."""


@dataclass(frozen=True)
class Token:
    """`ca_hash` is empty in the short form. `credential` is what the server checks."""

    ca_hash: str
    credential: str

    def __str__(self) -> str:
        return f"{PREFIX}{self.ca_hash}::{self.credential}" if self.ca_hash else self.credential


@dataclass(frozen=True)
class Listed:
    """A bootstrap token as `token list` shows it. `expires` None: never."""

    id: str
    expires: datetime | None
    description: str


def parse(text: str) -> Token:
    """Take a token apart. Raises BadToken."""
    text = text.strip()
    if not text:
        raise BadToken("the token is empty")
    if text.startswith(PREFIX):
        found = _FULL.fullmatch(text)
        if not found:
            raise BadToken(
                "the token begins with K10 but is not whole: K10, 64 hexadecimal digits, '::', "
                "and a secret; copy it again from the server's /var/lib/k3py/server/node-token"
            )
        rest = found["rest"]
        return Token(found["hash"], rest)
    return Token("", text if _BOOTSTRAP.fullmatch(text) else f"server:{text.split(':')[-1]}")


def server_password(path: Path, given: str = "") -> str:
    """The password part of the cluster's own token: kept in `path`, else `given`, else made.

    Raises BadToken when `given` contradicts what the cluster was made with.
    """
    wanted = parse(given).credential.removeprefix("server:") if given else ""
    if path.exists():
        kept = _kept(path)
        if wanted and not hmac.compare_digest(wanted.encode(), kept.encode()):
            raise BadToken(
                f"--token differs from the token this cluster was made with, in {path}; "
                "start without --token, or with that one"
            )
        return kept
    return wanted or secrets.token_hex(16)


def _kept(path: Path) -> str:
    try:
        return parse(path.read_text()).credential.removeprefix("server:")
    except BadToken as wrong:
        raise BadToken(
            f"{path} is damaged: {wrong}. Put back what it held, or delete it to begin with a "
            "new token (nodes that joined stay)"
        ) from wrong


def save_server_token(path: Path, link: Path, token: Token) -> None:
    """Write the cluster's own token where k3s users look for it."""
    if not path.exists() or path.read_text().strip() != str(token):
        files.write_private(path, f"{token}\n")
    if not link.is_symlink():
        link.unlink(missing_ok=True)
        link.symlink_to(path.name)


class BootstrapTokens:
    """The expiring tokens of a cluster, through its API."""

    def __init__(self, client: Client, ca_hash: str) -> None:
        self._client, self._ca_hash = client, ca_hash

    def create(self, ttl: timedelta | None, description: str, *, now: datetime) -> Token:
        """A new token, valid for `ttl` (None: for ever)."""
        identity, secret = _random(6), _random(16)
        data = {
            "token-id": identity,
            "token-secret": secret,
            "usage-bootstrap-authentication": "true",
            "auth-extra-groups": GROUP,
            "description": description,
        }
        if ttl is not None:
            data["expiration"] = times.stamp(now + ttl)
        self._client.create(
            kinds.SECRET,
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": _name(identity), "namespace": SYSTEM},
                "type": SECRET_TYPE,
                "stringData": data,
            },
        )
        return Token(self._ca_hash, f"{identity}.{secret}")

    def all(self) -> list[Listed]:
        found = self._client.list(kinds.SECRET, SYSTEM).items
        return [_listed(secret) for secret in found if secret.get("type") == SECRET_TYPE]

    def delete(self, text: str) -> None:
        """By id, or by the whole token. Raises errors.NotFound."""
        identity = parse(text).credential.partition(".")[0].removeprefix("server:")
        self._client.delete(kinds.SECRET, Key(SYSTEM, _name(identity)))

    def accepts(self, credential: str, *, now: datetime) -> bool:
        """Whether `credential` is the id.secret of a token that has not expired."""
        found = _BOOTSTRAP.fullmatch(credential)
        if not found:
            return False
        try:
            secret = self._client.get(kinds.SECRET, Key(SYSTEM, _name(found["id"])))
        except errors.NotFound:
            return False
        return (
            secret.get("type") == SECRET_TYPE
            and secret_value(secret, "usage-bootstrap-authentication") == "true"
            and hmac.compare_digest(
                secret_value(secret, "token-secret").encode(), found["secret"].encode()
            )
            and not _is_expired(secret, now)
        )

    def remove_expired(self, *, now: datetime) -> None:
        """Delete the tokens whose time is over."""
        for secret in self._client.list(kinds.SECRET, SYSTEM).items:
            if secret.get("type") == SECRET_TYPE and _is_expired(secret, now):
                self._client.delete(kinds.SECRET, Key(SYSTEM, secret["metadata"]["name"]))


def _listed(secret: Object) -> Listed:
    expiration = secret_value(secret, "expiration")
    return Listed(
        secret_value(secret, "token-id"),
        times.parse(expiration) if expiration else None,
        secret_value(secret, "description"),
    )


def _is_expired(secret: Object, now: datetime) -> bool:
    expiration = secret_value(secret, "expiration")
    try:
        return bool(expiration) and times.parse(expiration) <= now
    except ValueError:
        return True  # a time nobody can read must not keep a token alive


def secret_value(secret: Object, name: str) -> str:
    """The text under `name` in a Secret; empty when it is not there."""
    return base64.b64decode(secret.get("data", {}).get(name, "")).decode(errors="replace")


def _name(identity: str) -> str:
    return f"bootstrap-token-{identity}"


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
