"""POST serviceaccounts/NAME/token: a token for a service account (TokenRequest)."""

from typing import Any

import orjson

from k3py import kinds
from k3py.api import errors, times
from k3py.api.kind import Problem
from k3py.api.objects import Key, Object
from k3py.apiserver import patching
from k3py.apiserver.admission import Review
from k3py.apiserver.authn.serviceaccounts import ServiceAccounts
from k3py.apiserver.reading import Reader
from k3py.apiserver.registry import Registry
from k3py.apiserver.request import One, Request

_VERSION = "authentication.k8s.io/v1"
_SHORTEST_SECONDS = 600
_LONGEST_SECONDS = 1 << 32
_DEFAULT_SECONDS = 3600
# The tokens that pods find in their volumes: they live on for a year, in case a program
# does not read the file again (as upstream does, with the same magic number).
_MOUNTED_SECONDS = 3607
_EXTENDED_SECONDS = 365 * 24 * 3600
_BOUND = {
    "Pod": ("pod", kinds.POD),
    "Secret": ("secret", kinds.SECRET),
    "Node": ("node", kinds.NODE),
}


class Token:
    def __init__(self, registry: Registry, accounts: ServiceAccounts, reader: Reader) -> None:
        self._registry, self._accounts, self._reader = registry, accounts, reader

    def __call__(self, request: Request) -> One:
        if request.verb != "create":
            raise errors.MethodNotAllowed("a token is only created")
        body = patching.decoded_as(_VERSION, "TokenRequest", request.body)
        account = self._registry.read(kinds.SERVICE_ACCOUNT, request.key)
        self._registry.admit(
            Review(request.user, "create", request.kind, request.key, "token", body, None)
        )
        spec = body.get("spec") or {}
        seconds = _seconds(request, spec)
        audiences = spec.get("audiences") or []
        bound, node = self._bound(request, account, spec.get("boundObjectRef"))
        own = not audiences or audiences == [self._accounts.audience]
        lasting = _EXTENDED_SECONDS if seconds == _MOUNTED_SECONDS and bound and own else seconds
        issued = self._accounts.issue(
            account, seconds=lasting, audiences=audiences, bound=bound, node=node
        )
        # The holder is told the time it asked for, so that it comes back for a new one.
        expires = issued.expires.timestamp() - lasting + seconds
        answer = {
            "kind": "TokenRequest",
            "apiVersion": _VERSION,
            "metadata": {"name": request.name, "namespace": request.namespace},
            "spec": spec
            | {"audiences": audiences or [self._accounts.audience], "expirationSeconds": seconds},
            "status": {
                "token": issued.token,
                "expirationTimestamp": times.stamp(
                    issued.expires.fromtimestamp(expires, issued.expires.tzinfo)
                ),
            },
        }
        return One(orjson.dumps(answer), 201)

    def _bound(
        self, request: Request, account: Object, ref: Any
    ) -> tuple[tuple[str, Object] | None, Object | None]:
        """What the token shall be bound to, and the node of that, where it has one."""
        if not ref:
            return None, None
        which = _BOUND.get(ref.get("kind", ""))
        if which is None:
            why = "cannot bind token to object of type " + str(ref)
            raise errors.BadRequest(why)
        name, kind = which
        namespace = request.namespace if kind.namespaced else ""
        found = self._reader.get(kind, Key(namespace, str(ref.get("name", ""))))
        if found is None:
            raise errors.not_found(kind, str(ref.get("name", "")))
        if ref.get("uid") and ref["uid"] != found["metadata"]["uid"]:
            why = "the UID in the bound object reference "
            why += f"({ref['uid']}) does not match the UID in record. The object might have been "
            raise errors.conflict(kind, ref["name"], why + "deleted and then recreated")
        if kind is not kinds.POD:
            return (name, found), None
        if found["spec"].get("serviceAccountName") != account["metadata"]["name"]:
            raise errors.BadRequest(
                "cannot bind token for serviceaccount to pod running with different serviceaccount"
            )
        node = self._reader.get(kinds.NODE, Key("", found["spec"].get("nodeName", "")))
        return (name, found), node


def _seconds(request: Request, spec: Object) -> int:
    seconds = spec.get("expirationSeconds")
    if seconds is None:
        return _DEFAULT_SECONDS
    why = ""
    if seconds < _SHORTEST_SECONDS:
        why = "may not specify a duration less than 10 minutes"
    elif seconds > _LONGEST_SECONDS:
        why = "may not specify a duration larger than 2^32 seconds"
    if why:
        problem = Problem("spec.expirationSeconds", f"Invalid value: {seconds}: {why}")
        raise errors.invalid(request.kind, request.name, [problem])
    return int(seconds)
