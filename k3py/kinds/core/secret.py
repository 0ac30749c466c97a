"""Secrets: keys and values that few may read."""

import base64
from collections.abc import Iterator, Mapping

import orjson

from k3py.api import wellknown
from k3py.api.kind import AGE, Column, Kind, Problem
from k3py.api.objects import Object
from k3py.kinds import keyvalues
from k3py.kinds import problems as wrong
from k3py.kinds.defaults import fill_empty

OPAQUE = "Opaque"
SERVICE_ACCOUNT_TOKEN = "kubernetes.io/service-account-token"  # noqa: S105
DOCKER_CONFIG = "kubernetes.io/dockerconfigjson"
DOCKER_CFG = "kubernetes.io/dockercfg"
BASIC_AUTH = "kubernetes.io/basic-auth"
SSH_AUTH = "kubernetes.io/ssh-auth"
TLS = "kubernetes.io/tls"
BOOTSTRAP_TOKEN = "bootstrap.kubernetes.io/token"  # noqa: S105

_HIDDEN = "<secret contents redacted>"
_NEEDED = {
    DOCKER_CONFIG: (".dockerconfigjson",),
    DOCKER_CFG: (".dockercfg",),
    SSH_AUTH: ("ssh-privatekey",),
    TLS: ("tls.crt", "tls.key"),
}


def decode(secret: Object) -> dict[str, bytes]:
    """What a Secret holds."""
    return {key: base64.b64decode(value) for key, value in (secret.get("data") or {}).items()}


def encode(values: Mapping[str, bytes | str]) -> dict[str, str]:
    """The `data` of a Secret that holds `values`."""
    return {
        key: base64.b64encode(v.encode() if isinstance(v, str) else v).decode()
        for key, v in values.items()
    }


class SecretKind(Kind):
    def default(self, obj: Object) -> None:
        fill_empty(obj, type=OPAQUE)
        if (plain := obj.pop("stringData", None)) is not None:
            obj["data"] = {**(obj.get("data") or {}), **encode(plain)}

    def validate(self, obj: Object, old: Object | None) -> Iterator[Problem]:
        data = obj.get("data") or {}
        yield from keyvalues.key_problems("data", data)
        if keyvalues.decoded_size(data) > keyvalues.MOST_BYTES:
            yield wrong.too_long("data", keyvalues.MOST_BYTES)
        broken = list(keyvalues.base64_problems("data", data))
        yield from broken
        yield from _by_type(obj, readable=not broken)
        if old is not None and obj["type"] != old["type"]:
            yield wrong.invalid("type", obj["type"], wrong.IMMUTABLE)
        yield from keyvalues.immutable_problems(obj, old, ("data",))


def _by_type(secret: Object, *, readable: bool) -> Iterator[Problem]:
    kind, data = secret["type"], secret.get("data") or {}
    for key in _NEEDED.get(kind, ()):
        if key not in data:
            yield wrong.required(f"data[{key}]")
        elif kind in (DOCKER_CONFIG, DOCKER_CFG) and readable:
            yield from _json(f"data[{key}]", base64.b64decode(data[key]))
    if kind == BASIC_AUTH and "username" not in data and "password" not in data:
        yield wrong.required("data[username]")
        yield wrong.required("data[password]")
    if kind == SERVICE_ACCOUNT_TOKEN:
        annotations = secret["metadata"].get("annotations") or {}
        if not annotations.get(wellknown.SERVICE_ACCOUNT_NAME):
            yield wrong.required(f"metadata.annotations[{wellknown.SERVICE_ACCOUNT_NAME}]")


def _json(field: str, value: bytes) -> Iterator[Problem]:
    try:
        orjson.loads(value)
    except ValueError as why:
        yield wrong.invalid(field, _HIDDEN, str(why))


SECRET = SecretKind(
    "v1",
    "Secret",
    "secrets",
    selectable={"type": lambda secret: secret["type"]},
    columns=(
        Column("Type", lambda secret: secret["type"]),
        Column("Data", lambda secret: len(secret.get("data") or {})),
        AGE,
    ),
)
