"""Scale: how many there should be, the same for every kind that has replicas."""

import orjson

from k3py.api import errors, labels
from k3py.api.kind import AGE, Column, Kind, Problem
from k3py.api.objects import Object
from k3py.apiserver import patching, stewardship
from k3py.apiserver.registry import Registry
from k3py.apiserver.request import One, Request

SCALE = Kind(
    "autoscaling/v1",
    "Scale",
    "scales",
    columns=(
        Column("Desired", lambda scale: scale["spec"]["replicas"], "integer"),
        Column("Available", lambda scale: scale["status"]["replicas"], "integer"),
        AGE,
    ),
)


class Scale:
    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def __call__(self, request: Request) -> One:
        if request.verb == "get":
            return _answer(self._registry.read(request.kind, request.key))
        if request.verb not in ("update", "patch"):
            raise errors.MethodNotAllowed("a scale is read, replaced or patched")

        def change(old: Object) -> Object:
            wanted = _wanted(request, _scale(old))
            return old | {"spec": old["spec"] | {"replicas": wanted}}

        written = self._registry.rewrite(request, change, part=stewardship.main_part)
        return _answer(orjson.loads(written.value))


def _wanted(request: Request, old: Object) -> int:
    """How many a scale request asks for. Raises Invalid, BadRequest, Conflict."""
    new = patching.patched(request, old) if request.verb == "patch" else request.body
    new = patching.decoded_as("autoscaling/v1", "Scale", new)
    revision = new["metadata"].get("resourceVersion")
    if revision and revision != old["metadata"]["resourceVersion"]:
        raise errors.conflict(request.kind, request.name)
    replicas = (new.get("spec") or {}).get("replicas", 0)
    if replicas < 0:
        why = f"Invalid value: {replicas}: must be greater than or equal to 0"
        raise errors.invalid(request.kind, request.name, [Problem("spec.replicas", why)])
    return int(replicas)


def _scale(obj: Object) -> Object:
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    metadata = {k: v for k, v in obj["metadata"].items() if k in kept}
    status: Object = {"replicas": obj.get("status", {}).get("replicas", 0)}
    selector = obj["spec"].get("selector")
    if selector:
        status["selector"] = labels.text(selector)
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": metadata,
        "spec": {"replicas": obj["spec"]["replicas"]},
        "status": status,
    }


def _answer(obj: Object) -> One:
    return One(orjson.dumps(_scale(obj)), kind=SCALE)
