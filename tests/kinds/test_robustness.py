"""No object that the schema lets through makes a kind stumble: it is refused, or printed."""

import pytest

from k3py import kinds
from k3py.api import decoding, schema
from k3py.api.objects import copy
from tests.kinds.objects import cells, made, service, workload
from tests.kinds.test_pod_validation import FULL

NAMED = {"metadata": {"name": "x", "namespace": "default"}}
OBJECTS = {
    kinds.POD: FULL,
    kinds.DEPLOYMENT: workload(kinds.DEPLOYMENT, strategy={"rollingUpdate": {"maxSurge": 1}}),
    kinds.REPLICA_SET: workload(kinds.REPLICA_SET),
    kinds.SERVICE: service(
        type="LoadBalancer",
        clusterIP="10.43.0.9",
        sessionAffinity="ClientIP",
        externalIPs=["1.2.3.4"],
    ),
    kinds.SECRET: NAMED | {"type": "kubernetes.io/tls", "data": {"tls.crt": "", "tls.key": ""}},
    kinds.CONFIG_MAP: NAMED | {"data": {"a": "1"}, "binaryData": {"b": "AAEC"}},
    kinds.NODE: NAMED
    | {
        "spec": {"taints": [{"key": "a", "effect": "NoSchedule"}], "podCIDRs": ["10.42.0.0/24"]},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    },
    kinds.ENDPOINT_SLICE: NAMED
    | {"addressType": "IPv4", "endpoints": [{"addresses": ["1.2.3.4"]}], "ports": [{"port": 80}]},
    kinds.ENDPOINTS: NAMED
    | {"subsets": [{"addresses": [{"ip": "1.2.3.4"}], "ports": [{"port": 80}]}]},
    kinds.ROLE: NAMED | {"rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]},
    kinds.ROLE_BINDING: NAMED
    | {"roleRef": {"kind": "Role", "name": "r"}, "subjects": [{"kind": "User", "name": "u"}]},
    kinds.LEASE: NAMED | {"spec": {"holderIdentity": "a", "leaseDurationSeconds": 3}},
    kinds.EVENT: NAMED | {"involvedObject": {"kind": "Pod", "name": "a", "namespace": "default"}},
    kinds.NAMESPACE: {"metadata": {"name": "x"}, "spec": {"finalizers": ["kubernetes"]}},
}


@pytest.mark.parametrize("kind", OBJECTS, ids=lambda kind: kind.kind)
def test_anything_may_be_missing_or_empty(kind):
    whole = made(kind, OBJECTS[kind])
    assert list(kind.validate(whole, None)) == []
    tried = 0
    for broken in variants(OBJECTS[kind]):
        if not decodes(kind, broken):
            continue
        tried += 1
        stored = made(kind, broken)
        refused = list(kind.validate(stored, None)) + list(kind.validate(stored, whole))
        list(kind.validate_status(stored, whole))
        missing = list(decoding.check(schema.for_kind(kind.api_version, kind.kind), stored))
        if not refused and not missing:
            cells(kind, stored)
    assert tried > 3


def decodes(kind, obj):
    shape = schema.for_kind(kind.api_version, kind.kind)
    return decoding.problem(shape, {"metadata": {}} | obj) is None


def variants(obj, path=()):
    """The object with each of its parts left out, emptied, and made nonsense, one at a time."""
    for key in [*at(obj, path)] if isinstance(at(obj, path), dict) else range(len(at(obj, path))):
        if (*path, key) in (("metadata",), ("metadata", "name")):
            continue
        for change in (REMOVED, "", 0, -7, "-no-/", {}, [], None):
            changed = copy(obj)
            if change is REMOVED:
                del at(changed, path)[key]
            else:
                at(changed, path)[key] = change
            yield changed
        if isinstance(at(obj, (*path, key)), dict | list):
            yield from variants(obj, (*path, key))


REMOVED = object()


def at(obj, path):
    for key in path:
        obj = obj[key]
    return obj
