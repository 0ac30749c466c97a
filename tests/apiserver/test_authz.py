"""Users may do what their roles say; nodes what their pods need; nobody gives away more."""

import pytest

from k3py import kinds
from k3py.api import errors
from k3py.api.objects import Key
from k3py.apiserver.request import User

JANE = User("jane", ("devs", "system:authenticated"))
PI1 = User("system:node:pi1", ("system:nodes", "system:authenticated"))
_RBAC = "rbac.authorization.k8s.io"


def role(name, namespace, *rules):
    kind = "Role" if namespace else "ClusterRole"
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"kind": kind, "metadata": metadata, "rules": list(rules)}


def rule(verbs, resources, names=()):
    found = {"apiGroups": [""], "verbs": verbs, "resources": resources}
    return found | ({"resourceNames": names} if names else {})


def binding(name, namespace, ref, subject):
    kind = "RoleBinding" if namespace else "ClusterRoleBinding"
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    which, role_name = ref
    return {
        "kind": kind,
        "metadata": metadata,
        "roleRef": {"apiGroup": _RBAC, "kind": which, "name": role_name},
        "subjects": [subject],
    }


USER = {"kind": "User", "apiGroup": _RBAC, "name": "jane"}
GROUP = {"kind": "Group", "apiGroup": _RBAC, "name": "devs"}


@pytest.fixture
def reader(client):
    """jane reads pods in default, and the node pi1."""
    client.create(kinds.ROLE, role("r", "default", rule(["get", "list"], ["pods"])))
    client.create(kinds.ROLE_BINDING, binding("r", "default", ("Role", "r"), USER))
    client.create(kinds.CLUSTER_ROLE, role("n", "", rule(["get"], ["nodes"], ["pi1"])))
    client.create(kinds.CLUSTER_ROLE_BINDING, binding("n", "", ("ClusterRole", "n"), GROUP))


def test_a_refusal_is_kubernetes_own(ask):
    with pytest.raises(errors.Forbidden) as refused:
        ask("get", kinds.POD, "default", "x", user=JANE)
    assert str(refused.value) == (
        'pods "x" is forbidden: User "jane" cannot get resource "pods" in API group "" '
        'in the namespace "default"'
    )
    with pytest.raises(errors.Forbidden, match="at the cluster scope"):
        ask("list", kinds.DEPLOYMENT, user=JANE)


@pytest.mark.parametrize(
    ("verb", "kind", "namespace", "name", "subresource", "allowed"),
    [
        ("list", kinds.POD, "default", "", "", True),
        ("list", kinds.POD, "", "", "", False),
        ("list", kinds.POD, "kube-system", "", "", False),
        ("watch", kinds.POD, "default", "", "", False),
        ("list", kinds.SECRET, "default", "", "", False),
        ("get", kinds.POD, "default", "x", "status", False),
        ("get", kinds.NODE, "", "pi1", "", True),
        ("get", kinds.NODE, "", "pi2", "", False),
    ],
)
def test_roles_allow(ask, reader, verb, kind, namespace, name, subresource, allowed):
    try:
        ask(verb, kind, namespace, name, subresource, user=JANE)
    except errors.Forbidden:
        assert not allowed
    except errors.NotFound:
        assert allowed
    else:
        assert allowed


def test_a_right_taken_away_is_gone_at_once(ask, client, reader):
    ask("list", kinds.POD, "default", user=JANE)
    client.delete(kinds.ROLE_BINDING, Key("default", "r"))
    with pytest.raises(errors.Forbidden):
        ask("list", kinds.POD, "default", user=JANE)


def test_nobody_grants_what_they_do_not_have(ask, client, reader):
    client.create(
        kinds.CLUSTER_ROLE,
        role("rbac", "", {"apiGroups": [_RBAC], "verbs": ["*"], "resources": ["roles"]}),
    )
    # "*" contains escalate: only some verbs, then.
    writer = {"apiGroups": [_RBAC], "verbs": ["create", "update"], "resources": ["*"]}
    client.update(kinds.CLUSTER_ROLE, role("rbac", "", writer))
    client.create(kinds.CLUSTER_ROLE_BINDING, binding("rbac", "", ("ClusterRole", "rbac"), USER))

    def create(kind, obj):
        return ask("create", kind, "default", body=obj, user=JANE)

    create(kinds.ROLE, role("mine", "default", rule(["get"], ["pods"])))
    with pytest.raises(errors.Forbidden, match="attempting to grant RBAC permissions"):
        create(kinds.ROLE, role("more", "default", rule(["delete"], ["pods"])))
    with pytest.raises(errors.Forbidden, match="attempting to grant RBAC permissions"):
        create(kinds.ROLE, role("all", "default", rule(["*"], ["*"])))
    create(kinds.ROLE_BINDING, binding("mine", "default", ("Role", "mine"), USER))
    client.create(kinds.ROLE, role("root", "default", rule(["*"], ["*"])))
    with pytest.raises(errors.Forbidden, match="attempting to grant RBAC permissions"):
        create(kinds.ROLE_BINDING, binding("root", "default", ("Role", "root"), USER))


@pytest.fixture
def node_pods(client):
    """web runs on pi1 and refers to a secret and a config map; db runs on pi2."""
    for node in ("pi1", "pi2"):
        client.create(kinds.NODE, {"metadata": {"name": node}})
    for name in ("used", "unused", "used-by-db"):
        client.create(kinds.SECRET, {"metadata": {"name": name, "namespace": "default"}})
        client.create(kinds.CONFIG_MAP, {"metadata": {"name": name, "namespace": "default"}})
    ref = {"valueFrom": {"secretKeyRef": {"name": "used", "key": "x"}}}
    container = {"name": "c", "image": "x", "env": [{"name": "A"} | ref]}
    volumes = [{"name": "v", "configMap": {"name": "used"}}]
    other = container | {"env": [], "envFrom": [{"secretRef": {"name": "used-by-db"}}]}
    pods = {
        "web": {"nodeName": "pi1", "containers": [container], "volumes": volumes},
        "db": {"nodeName": "pi2", "containers": [other]},
    }
    for name, spec in pods.items():
        client.create(kinds.POD, {"metadata": {"name": name, "namespace": "default"}, "spec": spec})


# fmt: off
NODE_RIGHTS = [
    ("get", kinds.SECRET, "default", "used", "", "", True),
    ("list", kinds.SECRET, "default", "", "", "metadata.name=used", True),
    ("list", kinds.SECRET, "default", "", "", "", False),
    ("get", kinds.SECRET, "default", "unused", "", "", False),
    ("get", kinds.SECRET, "default", "used-by-db", "", "", False),
    ("get", kinds.CONFIG_MAP, "default", "used", "", "", True),
    ("get", kinds.CONFIG_MAP, "default", "kube-root-ca.crt", "", "", True),
    ("get", kinds.CONFIG_MAP, "default", "unused", "", "", False),
    ("update", kinds.CONFIG_MAP, "default", "used", "", "", False),
    ("list", kinds.POD, "", "", "", "spec.nodeName=pi1", True),
    ("list", kinds.POD, "", "", "", "spec.nodeName=pi2", False),
    ("list", kinds.POD, "", "", "", "", False),
    ("get", kinds.POD, "default", "web", "", "", True),
    ("get", kinds.POD, "default", "db", "", "", False),
    ("delete", kinds.POD, "default", "db", "", "", False),
    ("patch", kinds.POD, "default", "db", "status", "", False),
    ("patch", kinds.POD, "default", "web", "", "", False),
    ("get", kinds.NODE, "", "pi2", "", "", True),
    ("patch", kinds.NODE, "", "pi2", "status", "", False),
    ("delete", kinds.NODE, "", "pi2", "", "", False),
    ("list", kinds.SERVICE, "", "", "", "", True),
    ("list", kinds.ENDPOINT_SLICE, "", "", "", "", True),
    ("list", kinds.CLUSTER_ROLE, "", "", "", "", False),
    ("get", kinds.LEASE, "kube-node-lease", "pi1", "", "", True),
    ("get", kinds.LEASE, "kube-node-lease", "pi2", "", "", False),
    ("get", kinds.LEASE, "default", "pi1", "", "", False),
]
# fmt: on


@pytest.mark.parametrize(
    ("verb", "kind", "namespace", "name", "sub", "fields", "allowed"), NODE_RIGHTS
)
def test_a_node_may(ask, node_pods, verb, kind, namespace, name, sub, fields, allowed):
    try:
        body, how = ({}, "application/merge-patch+json") if verb == "patch" else (None, "")
        ask(verb, kind, namespace, name, sub, body, how, user=PI1, fields=fields)
    except errors.Forbidden:
        assert not allowed
    except errors.NotFound:
        assert allowed
    else:
        assert allowed


def test_a_node_writes_only_itself(ask, node_pods):
    patch = "application/merge-patch+json"

    def change(name, body, sub=""):
        return ask("patch", kinds.NODE, "", name, sub, body, patch, user=PI1)

    change("pi1", {"metadata": {"labels": {"kubernetes.io/hostname": "pi1"}}})
    change("pi1", {"status": {"nodeInfo": {"machineID": "x"}}}, "status")
    with pytest.raises(errors.Forbidden, match="not allowed to modify labels"):
        change("pi1", {"metadata": {"labels": {"node-role.kubernetes.io/control-plane": ""}}})
    with pytest.raises(errors.Forbidden, match="taints"):
        change("pi1", {"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]}})
    with pytest.raises(errors.Forbidden, match='not allowed to modify node "pi3"'):
        ask("create", kinds.NODE, body={"metadata": {"name": "pi3"}}, user=PI1)
    pod = {"metadata": {"name": "x"}, "spec": {"containers": [{"name": "c", "image": "x"}]}}
    with pytest.raises(errors.Forbidden, match="mirror pods"):
        ask("create", kinds.POD, "default", body=pod, user=PI1)
    body = {"metadata": {"labels": {"a": "b"}}}
    with pytest.raises(errors.Forbidden, match="cannot update labels"):
        ask("patch", kinds.POD, "default", "web", "status", body, patch, user=PI1)


def test_a_node_gets_tokens_only_for_its_pods(ask, node_pods, client):
    def token(pod, account="default"):
        uid = client.get(kinds.POD, Key("default", pod))["metadata"]["uid"]
        ref = {"apiVersion": "v1", "kind": "Pod", "name": pod, "uid": uid}
        body = {"spec": {"boundObjectRef": ref}}
        return ask(
            "create", kinds.SERVICE_ACCOUNT, "default", account, "token", body=body, user=PI1
        )

    assert token("web").code == 201
    with pytest.raises(errors.Forbidden, match="scheduled on a different node"):
        token("db")
    with pytest.raises(errors.Forbidden):
        token("web", account="other")
    with pytest.raises(errors.Forbidden, match="not bound to a pod"):
        ask("create", kinds.SERVICE_ACCOUNT, "default", "default", "token", body={}, user=PI1)


def test_a_field_selector_was_taken_for_the_name_of_what_is_created(ask, client):
    """Who may create one name only could create any, by naming it in the query."""
    client.create(kinds.ROLE, role("one", "default", rule(["create"], ["configmaps"], ["mine"])))
    client.create(kinds.ROLE_BINDING, binding("one", "default", ("Role", "one"), USER))
    body = {"metadata": {"name": "other"}}
    with pytest.raises(errors.Forbidden):
        ask(
            "create", kinds.CONFIG_MAP, "default", body=body, user=JANE,
            fields="metadata.name=mine",
        )  # fmt: skip


def test_an_apply_patch_created_with_the_right_to_patch_alone(ask, client):
    client.create(kinds.ROLE, role("p", "default", rule(["patch"], ["configmaps"])))
    client.create(kinds.ROLE_BINDING, binding("p", "default", ("Role", "p"), USER))
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "new"}}

    def apply():
        how = "application/apply-patch+yaml"
        return ask("patch", kinds.CONFIG_MAP, "default", "new", "", body, how, user=JANE)

    with pytest.raises(errors.Forbidden, match='cannot create resource "configmaps"'):
        apply()
    client.create(kinds.CONFIG_MAP, {"metadata": {"name": "new", "namespace": "default"}})
    assert apply().code == 200


@pytest.mark.parametrize(
    ("spec", "what"),
    [
        ({"serviceAccountName": "default"}, "a service account"),
        ({"volumes": [{"name": "v", "secret": {"secretName": "unused"}}]}, "secrets"),
        ({"imagePullSecrets": [{"name": "unused"}]}, "secrets"),
        ({"volumes": [{"name": "v", "configMap": {"name": "unused"}}]}, "configmaps"),
        (
            {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]},
            "persistentvolumeclaims",
        ),
    ],
)
def test_a_node_read_any_secret_by_way_of_a_mirror_pod(ask, node_pods, spec, what):
    spec = {"nodeName": "pi1", "containers": [{"name": "c", "image": "x"}]} | spec
    metadata = {"name": "m", "annotations": {"kubernetes.io/config.mirror": "x"}}
    with pytest.raises(errors.Forbidden, match=f"can not create pods that reference {what}"):
        ask("create", kinds.POD, "default", body={"metadata": metadata, "spec": spec}, user=PI1)


def test_a_node_could_have_itself_deleted_and_come_back_without_its_taints(ask, node_pods):
    owner = {"apiVersion": "v1", "kind": "Node", "name": "gone", "uid": "u"}
    change = {"metadata": {"ownerReferences": [owner]}}
    with pytest.raises(errors.Forbidden, match="not allowed to modify ownerReferences"):
        ask("patch", kinds.NODE, "", "pi1", "", change, "application/merge-patch+json", user=PI1)
