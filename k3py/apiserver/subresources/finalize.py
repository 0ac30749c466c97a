"""PUT namespaces/NAME/finalize: a namespace is let go, once it is empty."""

from k3py.api import errors
from k3py.api.objects import Object
from k3py.apiserver import patching
from k3py.apiserver.registry import Registry
from k3py.apiserver.request import One, Request


class Finalize:
    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def __call__(self, request: Request) -> One:
        if request.verb != "update":
            raise errors.MethodNotAllowed("a namespace's finalizers are replaced")
        body = patching.decoded_as("v1", "Namespace", request.body)
        finalizers = (body.get("spec") or {}).get("finalizers") or []
        revision = body["metadata"].get("resourceVersion")

        def change(old: Object) -> Object:
            if revision and revision != old["metadata"]["resourceVersion"]:
                raise errors.conflict(request.kind, request.name)
            return old | {"spec": (old.get("spec") or {}) | {"finalizers": finalizers}}

        return self._registry.rewrite(request, change, trusted=True)
