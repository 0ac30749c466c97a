"""The life of a request, in the order it is lived:

    authenticate → authorize → admit → registry → store → watch

Nothing here knows HTTP. `web` feeds it requests from the network, after finding out who
asks; `local` feeds it those of the components in this process. Both get the same rules.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from k3py.api import errors
from k3py.apiserver import authz
from k3py.apiserver.authz import Attributes, Authorizer
from k3py.apiserver.registry import Registry
from k3py.apiserver.request import Many, One, Request, User
from k3py.apiserver.watching import Refused, Stream
from k3py.store.errors import StoreClosed, StoreFailed, StoreFull

Answer = One | Many | Stream | Refused
Serve = Callable[[Request], One]


@dataclass(frozen=True)
class Pipeline:
    """`subresources` answer for "plural/subresource", `virtual` for kinds never stored."""

    authorizer: Authorizer
    registry: Registry
    subresources: Mapping[tuple[str, str], Serve] = field(default_factory=dict)
    virtual: Mapping[str, Serve] = field(default_factory=dict)

    def authorize(self, user: User, asked: Attributes) -> None:
        """For what is no kind: paths, users to impersonate. Raises Forbidden."""
        if not self.authorizer.allows(user, asked):
            raise authz.refusal(user, asked)

    def check(self, request: Request) -> None:
        """Whether the request may be made at all. Raises Forbidden."""
        asked = authz.attributes(request)
        if not self.authorizer.allows(request.user, asked):
            raise authz.refusal(request.user, asked, request.kind)

    def handle(self, request: Request) -> Answer:
        """The answer to a request. Raises ApiError."""
        self.check(request)
        return self.serve(request)

    def serve(self, request: Request) -> Answer:
        """The answer to a request that `check` has allowed. Raises ApiError."""
        try:
            return self._serve(request)
        except StoreFull as full:
            raise errors.ServiceUnavailable(f"nothing can be stored: {full}") from full
        except StoreClosed as closed:
            raise errors.ServiceUnavailable("the server is stopping") from closed
        except StoreFailed as failed:
            raise errors.InternalError(f"nothing was stored: {failed}") from failed

    def _serve(self, request: Request) -> Answer:
        if request.subresource and request.subresource != "status":
            return self._subresource(request)
        kind, verb = request.kind, request.verb
        if request.subresource and not (kind.has_status and verb in ("get", "update", "patch")):
            raise _no_such_resource()
        if verb not in kind.verbs:
            raise errors.MethodNotAllowed(
                "the server does not allow this method on the requested resource"
            )
        if kind.virtual:
            return self.virtual[kind.plural](request)
        if kind.namespaced and not request.namespace and verb not in ("list", "watch"):
            raise _no_such_resource()
        if verb == "patch":
            return self.registry.patch(request, self._check_creation)
        return _VERBS[verb](self.registry, request)

    def _check_creation(self, request: Request) -> None:
        """Who applies what is not there creates it, and needs the right to."""
        self.check(replace(request, verb="create"))

    def _subresource(self, request: Request) -> One:
        serve = self.subresources.get((request.kind.plural, request.subresource))
        if serve is None and request.subresource == "scale" and request.kind.has_scale:
            serve = self.subresources.get(("*", "scale"))
        if serve is None:
            raise _no_such_resource()
        return serve(request)


_VERBS: Mapping[str, Callable[[Registry, Request], Answer]] = {
    "get": lambda registry, request: registry.get(request.kind, request.key),
    "list": Registry.list,
    "watch": Registry.watch,
    "create": Registry.create,
    "update": Registry.update,
    "delete": Registry.delete,
    "deletecollection": Registry.delete_collection,
}


def _no_such_resource() -> errors.NotFound:
    return errors.NotFound("the server could not find the requested resource")
