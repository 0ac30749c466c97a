"""Nodes, namespaces, events, endpoints, leases and RBAC: completed, checked, printed."""

from datetime import UTC, datetime

import pytest

from k3py.kinds.authorization import reviews
from k3py.kinds.coordination import lease as leases
from k3py.kinds.coordination.lease import LEASE
from k3py.kinds.core import node as nodes
from k3py.kinds.core.endpoints import ENDPOINTS
from k3py.kinds.core.event import EVENT
from k3py.kinds.core.namespace import NAMESPACE
from k3py.kinds.core.node import NODE
from k3py.kinds.core.serviceaccount import SERVICE_ACCOUNT
from k3py.kinds.discovery import endpointslice as slices
from k3py.kinds.discovery.endpointslice import ENDPOINT_SLICE
from k3py.kinds.rbac.bindings import CLUSTER_ROLE_BINDING, ROLE_BINDING
from k3py.kinds.rbac.roles import CLUSTER_ROLE, ROLE
from tests.kinds.objects import cells, made, problems

BORN = {"creationTimestamp": "2026-01-01T00:00:00Z"}


def named(_name="x", **more):
    return {"metadata": {"name": _name, **BORN}, **more}


def test_a_namespace_knows_its_name_and_is_held_by_a_finalizer():
    stored = made(NAMESPACE, named("home"))
    assert stored["metadata"]["labels"] == {"kubernetes.io/metadata.name": "home"}
    assert stored["spec"] == {"finalizers": ["kubernetes"]}
    assert stored["status"] == {"phase": "Active"}
    assert cells(NAMESPACE, stored) == {"Name": "home", "Status": "Active", "Age": "10m"}


def test_a_node_keeps_the_status_it_registers_with():
    stored = made(NODE, named(status={"capacity": {"cpu": "4"}}))
    assert stored["status"]["allocatable"] == {"cpu": "4"}
    assert nodes.allocatable(stored).cpu == 4000


def test_what_kubectl_prints_of_a_node():
    stored = made(
        NODE,
        {
            "metadata": {
                "name": "pi1",
                "labels": {"node-role.kubernetes.io/control-plane": "", "kubernetes.io/role": "db"},
            },
            "spec": {"unschedulable": True},
            "status": {
                "conditions": [{"type": "Ready", "status": "Unknown"}],
                "addresses": [{"type": "InternalIP", "address": "192.168.1.5"}],
                "nodeInfo": {"kubeletVersion": "v1.36.0+k3py1", "osImage": "Debian 12"},
            },
        },
    )
    assert list(cells(NODE, stored).values()) == [
        "pi1", "NotReady,SchedulingDisabled", "control-plane,db", "<unknown>", "v1.36.0+k3py1",
        "192.168.1.5", "<none>", "Debian 12", "<unknown>", "<unknown>",
    ]  # fmt: skip
    assert not nodes.is_schedulable(stored)
    assert not nodes.is_ready(stored)
    assert nodes.internal_ip(stored) == "192.168.1.5"
    assert cells(NODE, made(NODE, named()))["Status"] == "Unknown"


def test_a_nodes_range_and_taints_are_checked():
    old = made(NODE, named(spec={"podCIDR": "10.42.0.0/24", "podCIDRs": ["10.42.0.0/24"]}))
    new = named(spec={"podCIDR": "10.42.1.0/24", "podCIDRs": ["10.42.1.0/24"]})
    assert problems(NODE, new, old) == [
        "spec.podCIDRs: Forbidden: node updates may not change podCIDR except from \"\" to valid"
    ]  # fmt: skip
    twice = named(spec={"taints": [{"key": "a", "effect": "NoSchedule"}] * 2})
    assert problems(NODE, twice) == [
        'spec.taints[1]: Duplicate value: {"key":"a","effect":"NoSchedule"}: taints must be '
        "unique by key and effect pair"
    ]


def test_what_kubectl_prints_of_an_event():
    stored = made(
        EVENT,
        {
            "metadata": {"name": "web.1", "namespace": "default"},
            "involvedObject": {"kind": "Pod", "name": "web", "namespace": "default"},
            "reason": "Started",
            "message": "Started container app\n",
            "type": "Normal",
            "count": 3,
            "firstTimestamp": "2026-01-01T00:00:00Z",
            "lastTimestamp": "2026-01-01T00:09:00Z",
            "source": {"component": "kubelet", "host": "pi1"},
        },
    )
    assert cells(EVENT, stored) == {
        "Last Seen": "60s",
        "Type": "Normal",
        "Reason": "Started",
        "Object": "pod/web",
        "Subobject": "",
        "Source": "kubelet, pi1",
        "Message": "Started container app",
        "First Seen": "10m",
        "Count": 3,
        "Name": "web.1",
    }
    assert list(EVENT.validate(stored, None)) == []
    assert EVENT.selectable["involvedObject.name"](stored) == "web"
    assert EVENT.selectable["source"](stored) == "kubelet"


def test_an_event_lies_in_the_namespace_of_what_it_tells_of():
    event = {
        "metadata": {"name": "x", "namespace": "home"},
        "involvedObject": {"kind": "Pod", "namespace": "work"},
    }
    assert problems(EVENT, event) == [
        'involvedObject.namespace: Invalid value: "work": does not match event.namespace'
    ]
    event = {"metadata": {"name": "x", "namespace": "default"}, "involvedObject": {"kind": "Node"}}
    assert problems(EVENT, event) == []


def test_endpoints_are_shortened():
    addresses = [{"ip": f"10.42.0.{n}"} for n in range(1, 5)]
    stored = made(ENDPOINTS, named(subsets=[{"addresses": addresses, "ports": [{"port": 80}]}]))
    assert stored["subsets"][0]["ports"] == [{"port": 80, "protocol": "TCP"}]
    assert cells(ENDPOINTS, stored)["Endpoints"] == (
        "10.42.0.1:80,10.42.0.2:80,10.42.0.3:80 + 1 more..."
    )
    assert cells(ENDPOINTS, made(ENDPOINTS, named()))["Endpoints"] == "<none>"
    assert problems(ENDPOINTS, named(subsets=[{"ports": [{"port": 80}]}])) == [
        "subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`"
    ]


def test_endpoint_slices_are_completed_and_checked():
    endpoints = [{"addresses": ["10.42.0.1"]}, {"addresses": ["::1"]}]
    obj = named(addressType="IPv4", endpoints=endpoints, ports=[{"port": 80}])
    assert problems(ENDPOINT_SLICE, obj) == [
        'endpoints[1].addresses[0]: Invalid value: "::1": must be an IPv4 address'
    ]
    stored = made(ENDPOINT_SLICE, obj)
    assert stored["ports"] == [{"port": 80, "name": "", "protocol": "TCP"}]
    assert cells(ENDPOINT_SLICE, stored) == {
        "Name": "x",
        "AddressType": "IPv4",
        "Ports": "80",
        "Endpoints": "10.42.0.1,::1",
        "Age": "10m",
    }
    empty = made(ENDPOINT_SLICE, named(addressType="IPv4"))
    assert cells(ENDPOINT_SLICE, empty)["Endpoints"] == "<unset>"


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({}, (True, True, False)),
        ({"ready": False}, (False, False, False)),
        ({"ready": False, "serving": True, "terminating": True}, (False, True, True)),
    ],
)
def test_how_an_endpoint_stands(conditions, expected):
    endpoint = {"addresses": ["10.42.0.1"], "conditions": conditions}
    asked = (slices.is_ready, slices.is_serving, slices.is_terminating)
    assert tuple(question(endpoint) for question in asked) == expected


def test_a_lease_lapses():
    spec = {
        "holderIdentity": "pi1",
        "renewTime": "2026-01-01T00:00:00.000000Z",
        "leaseDurationSeconds": 40,
    }
    stored = made(LEASE, named(spec=spec))
    assert cells(LEASE, stored)["Holder"] == "pi1"
    assert not leases.is_expired(stored, datetime(2026, 1, 1, 0, 0, 40, tzinfo=UTC))
    assert leases.is_expired(stored, datetime(2026, 1, 1, 0, 0, 41, tzinfo=UTC))
    assert problems(LEASE, named(spec={"leaseDurationSeconds": 0})) == [
        "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0"
    ]


def test_roles_are_checked():
    rules = [
        {"verbs": ["get"], "resources": ["pods"]},
        {"verbs": ["get"], "nonResourceURLs": ["/"]},
    ]
    assert problems(ROLE, named(rules=rules)) == [
        "rules[0].apiGroups: Required value: resource rules must supply at least one api group",
        'rules[1].nonResourceURLs: Invalid value: ["/"]: namespaced rules cannot apply to '
        "non-resource URLs",
    ]
    assert problems(CLUSTER_ROLE, named(rules=rules[1:])) == []
    assert cells(ROLE, made(ROLE, named()))["Created At"] == "2026-01-01T00:00:00Z"


def test_bindings_are_completed_checked_and_printed():
    obj = named(
        roleRef={"kind": "ClusterRole", "name": "view"},
        subjects=[
            {"kind": "User", "name": "ann"},
            {"kind": "ServiceAccount", "name": "robot", "namespace": "home"},
        ],
    )
    stored = made(ROLE_BINDING, obj)
    assert stored["roleRef"]["apiGroup"] == "rbac.authorization.k8s.io"
    assert stored["subjects"][0]["apiGroup"] == "rbac.authorization.k8s.io"
    assert list(cells(ROLE_BINDING, stored).values()) == [
        "x", "ClusterRole/view", "10m", "ann", "", "home/robot",
    ]  # fmt: skip
    assert problems(ROLE_BINDING, obj) == []
    other = obj | {"roleRef": {"kind": "ClusterRole", "name": "edit"}}
    assert problems(ROLE_BINDING, other, stored) == [
        'roleRef: Invalid value: {"kind":"ClusterRole","name":"edit","apiGroup":'
        '"rbac.authorization.k8s.io"}: cannot change roleRef'
    ]
    wrong = named(
        roleRef={"kind": "Role", "name": "view"}, subjects=[{"kind": "ServiceAccount", "name": "a"}]
    )
    assert problems(CLUSTER_ROLE_BINDING, wrong) == [
        'roleRef.kind: Unsupported value: "Role": supported values: "ClusterRole"',
        "subjects[0].namespace: Required value",
    ]


def test_an_access_review_asks_one_thing():
    kind = reviews.SELF_SUBJECT_ACCESS_REVIEW
    assert problems(kind, {"spec": {"resourceAttributes": {"verb": "get"}}}) == []
    assert problems(kind, {"spec": {}}) == [
        "spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or "
        "resourceAttributes must be specified"
    ]
    who = reviews.SUBJECT_ACCESS_REVIEW
    assert problems(who, {"spec": {"nonResourceAttributes": {"path": "/"}}}) == [
        'spec.user: Invalid value: "": at least one of user or group must be specified'
    ]


def test_service_accounts_print_their_age_alone():
    assert cells(SERVICE_ACCOUNT, made(SERVICE_ACCOUNT, named())) == {"Name": "x", "Age": "10m"}
