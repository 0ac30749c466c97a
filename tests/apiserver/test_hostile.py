"""Whatever is sent, the server answers that it is wrong, and never that it broke."""

import random

import pytest

from k3py.api.objects import copy

POD = {
    "metadata": {
        "name": "x",
        "labels": {"a": "b"},
        "annotations": {"c": "d"},
        "finalizers": ["a.b/c"],
        "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u"}],
    },
    "spec": {
        "containers": [
            {
                "name": "c",
                "image": "i",
                "command": ["a"],
                "args": ["b"],
                "env": [
                    {"name": "A", "value": "b"},
                    {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
                    {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                ],
                "ports": [{"containerPort": 80, "hostPort": 80, "name": "http", "protocol": "TCP"}],
                "resources": {"requests": {"cpu": "100m"}, "limits": {"cpu": "1", "memory": "1Gi"}},
                "readinessProbe": {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1},
                "livenessProbe": {"exec": {"command": ["a"]}},
                "volumeMounts": [{"name": "v", "mountPath": "/v", "subPath": "s"}],
                "lifecycle": {"preStop": {"exec": {"command": ["a"]}}},
                "securityContext": {"runAsUser": 1, "capabilities": {"add": ["NET_ADMIN"]}},
            }
        ],
        "initContainers": [{"name": "i", "image": "i", "restartPolicy": "Always"}],
        "volumes": [
            {"name": "v", "configMap": {"name": "a", "items": [{"key": "k", "path": "p"}]}},
            {"name": "w", "projected": {"sources": [{"secret": {"name": "s"}}]}},
            {"name": "e", "emptyDir": {"sizeLimit": "1Gi"}},
        ],
        "tolerations": [{"key": "a", "operator": "Exists", "effect": "NoExecute"}],
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [
                        {"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}
                    ]
                }
            }
        },
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "k",
                "whenUnsatisfiable": "DoNotSchedule",
                "labelSelector": {"matchLabels": {"a": "b"}},
            }
        ],
        "nodeSelector": {"a": "b"},
        "hostAliases": [{"ip": "1.2.3.4", "hostnames": ["h"]}],
        "terminationGracePeriodSeconds": 3,
        "priorityClassName": "",
        "imagePullSecrets": [{"name": "s"}],
        "securityContext": {"sysctls": [{"name": "a", "value": "b"}], "fsGroup": 1},
    },
    "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
}
TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": POD["spec"]}
_NS = "/api/v1/namespaces/default"
_RBAC = "/apis/rbac.authorization.k8s.io/v1"
BODIES = {
    f"{_NS}/pods": POD,
    f"{_NS}/configmaps": {
        "metadata": {"name": "x"},
        "data": {"a": "b"},
        "binaryData": {"c": "ZA=="},
        "immutable": False,
    },
    f"{_NS}/secrets": {
        "metadata": {"name": "x"},
        "data": {"a": "Yg=="},
        "stringData": {"c": "d"},
        "type": "Opaque",
    },
    f"{_NS}/services": {
        "metadata": {"name": "x"},
        "spec": {
            "type": "LoadBalancer",
            "ports": [{"port": 80, "targetPort": "http", "nodePort": 30001, "name": "a"}],
            "selector": {"a": "b"},
            "clusterIP": "10.43.9.9",
            "clusterIPs": ["10.43.9.9"],
            "ipFamilies": ["IPv4"],
            "externalTrafficPolicy": "Local",
            "sessionAffinity": "ClientIP",
            "externalIPs": ["1.2.3.4"],
            "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 5}},
            "healthCheckNodePort": 30002,
        },
    },
    f"{_NS}/serviceaccounts": {
        "metadata": {"name": "x"},
        "secrets": [{"name": "s"}],
        "imagePullSecrets": [{"name": "a"}],
    },
    f"{_NS}/endpoints": {
        "metadata": {"name": "x"},
        "subsets": [{"addresses": [{"ip": "1.2.3.4"}], "ports": [{"port": 1}]}],
    },
    f"{_NS}/events": {
        "metadata": {"name": "x"},
        "involvedObject": {"kind": "Pod", "namespace": "default"},
        "count": 1,
        "reason": "r",
    },
    "/api/v1/namespaces": {"metadata": {"name": "x"}, "spec": {"finalizers": ["kubernetes"]}},
    "/api/v1/nodes": {
        "metadata": {"name": "x"},
        "spec": {
            "podCIDR": "10.42.0.0/24",
            "podCIDRs": ["10.42.0.0/24"],
            "taints": [{"key": "a", "effect": "NoSchedule"}],
        },
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}],
            "capacity": {"cpu": "1"},
            "addresses": [{"type": "InternalIP", "address": "1.2.3.4"}],
        },
    },
    "/apis/apps/v1/namespaces/default/deployments": {
        "metadata": {"name": "x"},
        "spec": {
            "replicas": 1,
            "selector": {
                "matchLabels": {"a": "b"},
                "matchExpressions": [{"key": "a", "operator": "Exists"}],
            },
            "template": TEMPLATE,
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 1},
            },
        },
    },
    "/apis/apps/v1/namespaces/default/replicasets": {
        "metadata": {"name": "x"},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE},
    },
    "/apis/coordination.k8s.io/v1/namespaces/default/leases": {
        "metadata": {"name": "x"},
        "spec": {
            "holderIdentity": "a",
            "renewTime": "2026-01-01T00:00:00.000000Z",
            "leaseDurationSeconds": 3,
        },
    },
    "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices": {
        "metadata": {"name": "x"},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["1.2.3.4"], "conditions": {"ready": True}}],
        "ports": [{"name": "a", "port": 1, "protocol": "TCP"}],
    },
    f"{_RBAC}/clusterroles": {
        "metadata": {"name": "x"},
        "rules": [
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]},
            {"nonResourceURLs": ["/x"], "verbs": ["get"]},
        ],
    },
    f"{_RBAC}/namespaces/default/rolebindings": {
        "metadata": {"name": "x"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
        "subjects": [{"kind": "ServiceAccount", "name": "a", "namespace": "default"}],
    },
    "/apis/authentication.k8s.io/v1/tokenreviews": {"spec": {"token": "x", "audiences": ["a"]}},
    "/apis/authorization.k8s.io/v1/subjectaccessreviews": {
        "spec": {
            "user": "u",
            "groups": ["g"],
            "extra": {"a": ["b"]},
            "resourceAttributes": {"verb": "get", "resource": "pods", "namespace": "a"},
        }
    },
    "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews": {"spec": {"namespace": "default"}},
    f"{_NS}/serviceaccounts/default/token": {
        "spec": {
            "audiences": ["a"],
            "expirationSeconds": 600,
            "boundObjectRef": {"kind": "Pod", "name": "x", "uid": "u"},
        }
    },
    f"{_NS}/pods/x/binding": {
        "target": {"kind": "Node", "name": "n"},
        "metadata": {"annotations": {"a": "b"}},
    },
    f"{_NS}/pods/x/eviction": {
        "deleteOptions": {"gracePeriodSeconds": 0, "preconditions": {"uid": "x"}}
    },
}
ODD = [
    None,
    0,
    -1,
    1 << 70,
    1.5,
    True,
    "",
    "x" * 300,
    "../..",
    "\u0000",
    "\ud7ff",
    [],
    {},
    [None],
    [[]],
    [{}],
    {"": ""},
    {"a": None},
    {"a": {"b": []}},
    "-",
    "10.43.0.0",
    "99999",
    "1Gi",
    "25%",
    "None",
    "2026-01-01T00:00:00Z",
]


@pytest.mark.parametrize("path", BODIES)
def test_odd_values_anywhere_are_refused_or_taken(http, path):
    dice = random.Random(path)
    http("POST", f"{_NS}/pods", json=POD)
    for _ in range(60):
        body = mutated(BODIES[path], dice)
        answer = http(
            "POST", f"{path}?fieldValidation={dice.choice(('Strict', 'Ignore'))}", json=body
        )
        assert answer.status_code < 500, (body, answer.json)


@pytest.mark.parametrize(
    "path",
    [p for p in BODIES if "review" not in p and "default/pods/" not in p and "token" not in p],
)
def test_odd_changes_of_what_is_there_are_refused_or_taken(http, path):
    dice = random.Random(path)
    http("POST", path, json=BODIES[path])
    for _ in range(60):
        body = mutated(BODIES[path], dice)
        how = dice.choice(("merge-patch+json", "strategic-merge-patch+json", "apply-patch+yaml"))
        content_type = f"application/{how}"
        target = f"{path}/x" + dice.choice(("", "", "/status"))
        if dice.random() < 0.3:
            answer = http("PUT", target, json=body)
        else:
            answer = http(
                "PATCH", f"{target}?fieldManager=f&force=true", json=body, content_type=content_type
            )
        assert answer.status_code < 500, (target, how, body, answer.json)
        assert http("GET", path).status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        "labelSelector=((",
        "labelSelector=a in",
        "fieldSelector==",
        "fieldSelector=spec.x=1",
        "limit=-1",
        "limit=x",
        "continue=%00",
        "resourceVersion=-1",
        "resourceVersion=x",
        "timeoutSeconds=x&watch=1",
        "watch=1&resourceVersion=999999999999",
        "watch=1&sendInitialEvents=x&timeoutSeconds=0",
        "resourceVersionMatch=Exact",
        "resourceVersion=1&resourceVersionMatch=Exact",
        "%ff=%fe",
        "a=%zz",
        "labelSelector=" + "a," * 2000,
        "includeObject=x",
        "gracePeriodSeconds=x",
    ],
)
def test_odd_queries_are_refused_or_taken(http, query):
    answer = http(
        "GET",
        f"{_NS}/configmaps?{query}",
        headers={"Accept": "application/json;as=Table;g=meta.k8s.io;v=v1"},
    )
    assert answer.status_code < 500 or answer.json["reason"] == "Timeout", answer.json


@pytest.mark.parametrize(
    "body",
    [
        [],
        "x",
        1,
        {"kind": "Pod"},
        {"gracePeriodSeconds": "x"},
        {"preconditions": []},
        {"propagationPolicy": 7},
        {"propagationPolicy": "Sideways"},
        {"dryRun": 3},
        {"dryRun": ["x"]},
        {"gracePeriodSeconds": -5},
        {"preconditions": {"uid": 5}},
        {"orphanDependents": "x"},
    ],
)
def test_odd_deletions_are_refused_or_taken(http, body):
    http("POST", f"{_NS}/pods", json=POD | {"spec": POD["spec"] | {"nodeName": "n"}})
    assert http("DELETE", f"{_NS}/pods/x", json=body).status_code < 500
    assert http("DELETE", f"{_NS}/pods", json=body).status_code < 500


def mutated(body, dice):
    """`body` with one to three of its nodes replaced by something odd, renamed or dropped."""
    body = copy(body)
    for _ in range(dice.randint(1, 3)):
        places = list(_places(body))
        if not places:
            break
        holder, at = dice.choice(places)
        match dice.randint(0, 3):
            case 0 if isinstance(holder, dict):
                holder.pop(at, None)
            case 1 if isinstance(holder, dict):
                holder[dice.choice(("", "x", "metadata", "$patch", "k" * 400))] = holder.pop(at, 1)
            case _:
                try:
                    holder[at] = copy(dice.choice(ODD))
                except (IndexError, KeyError):
                    continue
    return body


def _places(node):
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for at, child in list(items):
        yield node, at
        if isinstance(child, dict | list):
            yield from _places(child)
