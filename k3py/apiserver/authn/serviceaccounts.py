"""Service account tokens: signed for one account, perhaps for one pod, for some time.

A token is as good as what it is bound to: once the account or the pod is gone, or another
has its name, it is worth nothing. Claims: Kubernetes, "Managing Service Accounts".
"""

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from k3py import kinds
from k3py.api.kind import Kind
from k3py.api.objects import Key, Object
from k3py.apiserver.reading import Reader
from k3py.apiserver.request import AUTHENTICATED, User
from k3py.base.clock import SYSTEM, Clock

_PREFIX = "system:serviceaccount:"
_GROUP = "system:serviceaccounts"
_REMEMBERED = 256
_BOUND: dict[str, Kind] = {"pod": kinds.POD, "secret": kinds.SECRET, "node": kinds.NODE}


class Issued(NamedTuple):
    token: str
    expires: datetime


class Reviewed(NamedTuple):
    """Whose token it is, and for which of the audiences asked about."""

    user: User
    audiences: list[str]


class ServiceAccounts:
    """Issues and verifies the tokens of service accounts. `key` is a private key, in PEM."""

    def __init__(
        self, key: bytes, issuer: str, audience: str, reader: Reader, clock: Clock = SYSTEM
    ) -> None:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec, rsa

        private = serialization.load_pem_private_key(key, None)
        assert isinstance(private, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey)
        self._key = private
        self._algorithm = "RS256" if isinstance(self._key, rsa.RSAPrivateKey) else _curve(self._key)
        self._public = self._key.public_key()
        der = self._public.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.key_id = hashlib.sha256(der).hexdigest()[:32]
        self.issuer, self.audience = issuer, audience
        self._reader, self._clock = reader, clock
        # Verified claims by token: the signature is checked once, what it is bound to always.
        self._verified: OrderedDict[str, Object] = OrderedDict()

    def issue(
        self,
        account: Object,
        *,
        seconds: int,
        audiences: Sequence[str] = (),
        bound: tuple[str, Object] | None = None,
        node: Object | None = None,
    ) -> Issued:
        """A token for a ServiceAccount, bound to an object of kind `bound[0]` ("pod" …)."""
        import jwt

        now = self._clock.now()
        expires = now + timedelta(seconds=seconds)
        metadata = account["metadata"]
        about: dict[str, Any] = {
            "namespace": metadata["namespace"],
            "serviceaccount": {"name": metadata["name"], "uid": metadata["uid"]},
        }
        if bound:
            about[bound[0]] = _identity(bound[1])
        if node:
            about["node"] = _identity(node)
        claims = {
            "aud": list(audiences) or [self.audience],
            "exp": int(expires.timestamp()),
            "iat": int(now.timestamp()),
            "nbf": int(now.timestamp()),
            "iss": self.issuer,
            "jti": _random_uuid(),
            "kubernetes.io": about,
            "sub": f"{_PREFIX}{metadata['namespace']}:{metadata['name']}",
        }
        token = jwt.encode(claims, self._key, self._algorithm, {"kid": self.key_id})
        return Issued(token, expires.replace(microsecond=0))

    def user(self, token: str) -> User | None:
        """The account a token is for; None when it is no good token for this API."""
        found = self.reviewed(token, (self.audience,))
        return found.user if found else None

    def reviewed(self, token: str, audiences: Sequence[str]) -> Reviewed | None:
        """The account of a token that is meant for some of `audiences`."""
        claims = self._claims(token)
        meant = [a for a in audiences if claims is not None and a in claims["aud"]]
        if claims is None or not meant:
            return None
        now = self._clock.now().timestamp()
        if not claims["nbf"] <= now + 1 or not now < claims["exp"]:
            return None
        user = self._bound_user(claims)
        return Reviewed(user, meant) if user else None

    def jwks(self) -> Object:
        """The public key, for whoever wants to verify tokens themselves."""
        import json

        from jwt import algorithms

        which = algorithms.RSAAlgorithm if self._algorithm == "RS256" else algorithms.ECAlgorithm
        found = which.to_jwk(self._public)  # type: ignore[arg-type]
        key = json.loads(found) if isinstance(found, str) else found
        return {"keys": [key | {"use": "sig", "kid": self.key_id, "alg": self._algorithm}]}

    def _claims(self, token: str) -> Object | None:
        known = self._verified.get(token)
        if known is not None:
            return known
        if token.count(".") != 2:
            return None
        import jwt

        try:
            # Times are checked at every use, with the server's clock.
            claims: Object = jwt.decode(
                token,
                self._public,
                algorithms=[self._algorithm],
                issuer=self.issuer,
                options={
                    "verify_aud": False,
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                    "require": ["exp", "iat", "nbf", "iss", "sub", "aud", "kubernetes.io"],
                },
            )
        except jwt.InvalidTokenError:
            return None
        self._verified[token] = claims
        if len(self._verified) > _REMEMBERED:
            self._verified.popitem(last=False)
        return claims

    def _bound_user(self, claims: Object) -> User | None:
        about = claims["kubernetes.io"]
        namespace, account = about["namespace"], about["serviceaccount"]
        if not self._is_there(kinds.SERVICE_ACCOUNT, namespace, account):
            return None
        extra = {"authentication.kubernetes.io/credential-id": (f"JTI={claims['jti']}",)}
        for what in ("pod", "secret"):
            if what in about and not self._is_there(_BOUND[what], namespace, about[what]):
                return None
        for what in ("pod", "node"):
            if what in about:
                extra[f"authentication.kubernetes.io/{what}-name"] = (about[what]["name"],)
                extra[f"authentication.kubernetes.io/{what}-uid"] = (about[what]["uid"],)
        if (
            "node" in about
            and "pod" not in about
            and not self._is_there(kinds.NODE, "", about["node"])
        ):
            return None
        groups = (_GROUP, f"{_GROUP}:{namespace}", AUTHENTICATED)
        return User(f"{_PREFIX}{namespace}:{account['name']}", groups, account["uid"], extra)

    def _is_there(self, kind: Kind, namespace: str, identity: Object) -> bool:
        found = self._reader.get(kind, Key(namespace, identity["name"]))
        return found is not None and bool(found["metadata"]["uid"] == identity["uid"])


def _identity(obj: Object) -> Object:
    return {"name": obj["metadata"]["name"], "uid": obj["metadata"]["uid"]}


def _curve(key: Any) -> str:
    return {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}[key.curve.name]


def _random_uuid() -> str:
    import uuid

    return str(uuid.UUID(bytes=secrets.token_bytes(16), version=4))
