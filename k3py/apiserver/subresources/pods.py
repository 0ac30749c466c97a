"""What is done to pods from outside: bound to a node, evicted from one."""

from dataclasses import replace

import orjson

from k3py.api import conditions, errors, meta
from k3py.api.kind import Problem
from k3py.api.objects import Object
from k3py.apiserver import patching, subresources
from k3py.apiserver.admission import Review
from k3py.apiserver.registry import Registry
from k3py.apiserver.request import One, Request
from k3py.base.clock import SYSTEM, Clock


class Binding:
    """POST pods/NAME/binding: the scheduler's decision."""

    def __init__(self, registry: Registry, clock: Clock = SYSTEM) -> None:
        self._registry, self._clock = registry, clock

    def __call__(self, request: Request) -> One:
        body = _body(request, "v1", "Binding")
        node = (body.get("target") or {}).get("name")
        if not node:
            why = "Required value"
            problem = Problem("target.name", why, "FieldValueRequired")
            raise errors.invalid(request.kind, request.name, [problem])
        metadata = body["metadata"]
        uid, annotations = metadata.get("uid"), metadata.get("annotations") or {}

        def bind(pod: Object) -> Object:
            if uid and uid != meta.uid(pod):
                raise errors.conflict(request.kind, request.name, "the pod is another one by now")
            return self._bound(request, pod, node, annotations)

        self._registry.admit(_review(request, body))
        self._registry.rewrite(request, bind, trusted=True)
        return One(orjson.dumps(subresources.success()), 201)

    def _bound(self, request: Request, pod: Object, node: str, annotations: Object) -> Object:
        if meta.is_deleting(pod):
            why = f"pod {request.name} is being deleted, cannot be assigned to a host"
            raise errors.conflict(request.kind, request.name, why)
        if pod["spec"].get("nodeName"):
            why = f'pod {request.name} is already assigned to node "{pod["spec"]["nodeName"]}"'
            raise errors.conflict(request.kind, request.name, why)
        if pod["spec"].get("schedulingGates"):
            why = f"pod {request.name} has non-empty .spec.schedulingGates"
            raise errors.conflict(request.kind, request.name, why)
        scheduled = {"type": "PodScheduled", "status": "True"}
        status = pod.get("status") or {}
        status["conditions"] = conditions.updated(
            status.get("conditions") or (), scheduled, self._clock.now()
        )
        pod["spec"]["nodeName"], pod["status"] = node, status
        if annotations:
            pod["metadata"]["annotations"] = meta.annotations(pod) | annotations
        return pod


class Eviction:
    """POST pods/NAME/eviction: a deletion that asks nicely."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def __call__(self, request: Request) -> One:
        body = _body(request, "policy/v1", "Eviction")
        options = body.get("deleteOptions")
        self._registry.admit(_review(request, body))
        self._registry.delete(replace(request, verb="delete", subresource="", body=options))
        return One(orjson.dumps(subresources.success()), 201)


def _review(request: Request, body: Object) -> Review:
    return Review(
        request.user, "create", request.kind, request.key, request.subresource, body, None
    )


def _body(request: Request, api_version: str, kind: str) -> Object:
    if request.verb != "create":
        raise errors.MethodNotAllowed(f"a {kind} is only created")
    return patching.decoded_as(api_version, kind, request.body)
