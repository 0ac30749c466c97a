"""What admission adds to objects, and what it refuses."""

import pytest

from k3py import kinds
from k3py.api import errors
from k3py.api.objects import Key


def pod(**spec):
    spec = {"containers": [{"name": "c", "image": "busybox"}]} | spec
    return {"metadata": {"name": "web", "namespace": "default"}, "spec": spec}


def test_nothing_is_created_in_a_namespace_that_is_not_there(client):
    with pytest.raises(errors.NotFound, match='namespaces "nowhere" not found'):
        client.create(kinds.CONFIG_MAP, {"metadata": {"name": "a", "namespace": "nowhere"}})


@pytest.mark.parametrize("name", ["default", "kube-system", "kube-public"])
def test_the_systems_namespaces_stay(client, name):
    with pytest.raises(errors.Forbidden, match="this namespace may not be deleted"):
        client.delete(kinds.NAMESPACE, Key("", name))


def test_a_pod_gets_an_account_and_its_token(client):
    spec = client.create(kinds.POD, pod(initContainers=[{"name": "i", "image": "x"}]))["spec"]
    assert spec["serviceAccountName"] == "default"
    (volume,) = spec["volumes"]
    assert volume["name"].startswith("kube-api-access-")
    assert [next(iter(s)) for s in volume["projected"]["sources"]] == [
        "serviceAccountToken",
        "configMap",
        "downwardAPI",
    ]
    for container in (*spec["containers"], *spec["initContainers"]):
        assert container["volumeMounts"] == [
            {
                "name": volume["name"],
                "readOnly": True,
                "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
            }
        ]


def test_a_pod_that_wants_no_token_gets_none(client):
    spec = client.create(kinds.POD, pod(automountServiceAccountToken=False))["spec"]
    assert "volumes" not in spec
    account = client.get(kinds.SERVICE_ACCOUNT, Key("default", "default"))
    client.update(kinds.SERVICE_ACCOUNT, account | {"automountServiceAccountToken": False})
    client.delete(kinds.POD, Key("default", "web"))
    assert "volumes" not in client.create(kinds.POD, pod())["spec"]


def test_a_pod_of_an_unknown_account_is_refused(client):
    with pytest.raises(errors.Forbidden, match='serviceaccount "robot" not found'):
        client.create(kinds.POD, pod(serviceAccountName="robot"))


def test_a_pod_leaves_a_lost_node_after_five_minutes(client):
    own = {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}
    tolerations = client.create(kinds.POD, pod(tolerations=[own | {"tolerationSeconds": 5}]))[
        "spec"
    ]["tolerations"]
    assert [(t["key"].partition("/")[2], t["tolerationSeconds"]) for t in tolerations] == [
        ("not-ready", 5),
        ("unreachable", 300),
    ]


def test_a_priority_class_is_a_number(client):
    spec = client.create(kinds.POD, pod(priorityClassName="system-node-critical"))["spec"]
    assert spec["priority"] == 2_000_001_000
    with pytest.raises(errors.Forbidden, match="no PriorityClass with name high was found"):
        client.create(kinds.POD, pod(priorityClassName="high"))
    with pytest.raises(errors.Forbidden, match="must not be provided in pod spec"):
        client.create(kinds.POD, pod(priority=7))
