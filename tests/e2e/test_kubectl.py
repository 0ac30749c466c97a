"""What kubectl asks of the API and shows of its answers, as on Kubernetes."""

import json

import pytest
import yaml

from k3py.base import commands
from tests.e2e import objects
from tests.e2e.cluster import manifest
from tests.e2e.objects import BUSYBOX
from tests.images import echo

pytestmark = pytest.mark.cluster
WEB = objects.deployment("web", objects.http_echo(), replicas=3)


def test_get_shows_the_columns_that_kubernetes_shows(cluster):
    cluster.apply(WEB, objects.service("web"))
    cluster.roll_out("web")

    def rows(*args):
        return [line.split() for line in cluster.kubectl("get", *args).splitlines()]

    header, row = rows("deployment", "web", "-o", "wide")
    assert " ".join(header) == "NAME READY UP-TO-DATE AVAILABLE AGE CONTAINERS IMAGES SELECTOR"
    assert row[:4] == ["web", "3/3", "3", "3"]
    assert row[5:] == ["main", echo.NAME, "app=web"]
    header, row = rows("rs")
    assert " ".join(header) == "NAME DESIRED CURRENT READY AGE"
    assert row[1:4] == ["3", "3", "3"]
    header, *pods = rows("pods", "-o", "wide")
    assert " ".join(header) == (
        "NAME READY STATUS RESTARTS AGE IP NODE NOMINATED NODE READINESS GATES"
    )
    assert {tuple(row[1:4]) for row in pods} == {("1/1", "Running", "0")}
    assert {row[6] for row in pods} == {"pi1", "pi2"}
    header, row = rows("service", "web", "-o", "wide")
    assert " ".join(header) == "NAME TYPE CLUSTER-IP EXTERNAL-IP PORT(S) AGE SELECTOR"
    assert [row[1], *row[3:5], row[6]] == ["ClusterIP", "<none>", "80/TCP", "app=web"]
    header, *nodes = rows("nodes", "-o", "wide")
    assert " ".join(header) == (
        "NAME STATUS ROLES AGE VERSION INTERNAL-IP EXTERNAL-IP OS-IMAGE KERNEL-VERSION "
        "CONTAINER-RUNTIME"
    )
    assert [[row[0], row[1], row[5]] for row in nodes] == [
        [node.name, "Ready", node.address] for node in cluster.nodes
    ]
    assert rows("endpoints", "web")[1][1].count(f":{echo.PORT}") == 3
    assert rows("endpointslices")[1][1:3] == ["IPv4", str(echo.PORT)]


def test_get_selects_sorts_and_formats(cluster):
    cluster.apply(
        objects.config_map("b", key="1"), objects.config_map("a", key="2"), objects.pod("one")
    )
    cluster.kubectl("label", "configmap", "a", "tier=front")
    own = "metadata.name!=kube-root-ca.crt"
    names = ["get", "configmaps", "--field-selector", own, "-o", "name"]
    assert cluster.kubectl(*names).split() == ["configmap/a", "configmap/b"]
    assert cluster.kubectl(*names, "-l", "tier=front").split() == ["configmap/a"]
    assert cluster.kubectl(*names, "-l", "tier notin (front)").split() == ["configmap/b"]
    assert cluster.kubectl(*names, "--sort-by=.data.key").split() == ["configmap/b", "configmap/a"]
    assert cluster.kubectl("get", "cm", "a", "-o", "jsonpath={.data.key}") == "2"
    columns = "custom-columns=NAME:.metadata.name,KEY:.data.key"
    assert cluster.kubectl("get", "cm", "b", "-o", columns).split() == ["NAME", "KEY", "b", "1"]
    assert 'key: "2"' in cluster.kubectl("get", "cm", "a", "-o", "yaml")
    everything = cluster.kubectl("get", "pods,configmaps", "-A", "--show-labels")
    assert "kube-root-ca.crt" in everything
    assert "pod/one" in everything
    assert "No resources found in" in said_beside(cluster, "get", "secrets")


def test_get_watches(cluster):
    with cluster.running("get", "configmaps", "--watch", "-o", "name") as watching:
        watching.wait_said("configmap/kube-root-ca.crt")
        cluster.apply(objects.config_map("later"))
        watching.wait_said("configmap/later\n")


@pytest.mark.kubectl(27)
def test_describe_tells_what_there_is_and_what_happened(cluster):
    cluster.apply(WEB, objects.service("web"))
    cluster.roll_out("web")
    deployment = cluster.kubectl("describe", "deployment", "web")
    assert "3 desired | 3 updated | 3 total | 3 available | 0 unavailable" in deployment
    assert "ScalingReplicaSet" in deployment
    pod = cluster.get("pods", "-l", "app=web")[0]
    told = cluster.kubectl("describe", "pod", pod["metadata"]["name"])
    for reason in ("Scheduled", "Created", "Started"):
        assert reason in told
    assert f"Node:             {pod['spec']['nodeName']}/" in told
    assert "QoS Class:                   BestEffort" in told
    service = cluster.kubectl("describe", "service", "web")
    assert f"{pod['status']['podIP']}:{echo.PORT}" in service
    node = cluster.kubectl("describe", "node", "pi1")
    for part in ("Allocatable:", "InternalIP:", "Non-terminated Pods:", "MemoryPressure"):
        assert part in node


def test_labels_annotations_patches_and_edits_arrive(cluster):
    cluster.apply(objects.config_map("c", key="old"))

    def changed(*args):
        return cluster.kubectl(*args).strip()

    assert changed("label", "cm", "c", "a=1", "b=2") == "configmap/c labeled"
    assert "--overwrite is false" in cluster.refusal("label", "cm", "c", "a=3")
    changed("label", "cm", "c", "a=3", "b-", "--overwrite")
    changed("annotate", "cm", "c", "note=two words")
    changed("patch", "cm", "c", "-p", '{"data": {"merged": "yes"}}')
    changed("patch", "cm", "c", "--type=merge", "-p", '{"data": {"other": "yes"}}')
    step = [{"op": "replace", "path": "/data/key", "value": "new"}]
    changed("patch", "cm", "c", "--type=json", "-p", json.dumps(step))
    edit = {"EDITOR": "sed -i s/merged/edited/", "KUBE_EDITOR": ""}
    assert "edited" in cluster.kubectl("edit", "configmap", "c", env=edit)
    found = cluster.get("cm", "c")
    assert found["metadata"]["labels"] == {"a": "3"}
    assert found["metadata"]["annotations"]["note"] == "two words"
    assert found["data"] == {"edited": "yes", "other": "yes", "key": "new"}


def test_a_patch_of_a_list_changes_the_entry_of_that_name_only(cluster):
    cluster.apply(objects.deployment("app", objects.container(name="a"), objects.http_echo()))
    change = {"spec": {"template": {"spec": {"containers": [{"name": "a", "tty": True}]}}}}
    cluster.kubectl("patch", "deployment", "app", "-p", json.dumps(change))
    found = cluster.get("deployment", "app")["spec"]["template"]["spec"]["containers"]
    assert [(c["name"], c["image"], c.get("tty")) for c in found] == [
        ("a", BUSYBOX, True),
        ("main", echo.NAME, None),
    ]


@pytest.mark.parametrize("side", ["client", "server"])
def test_apply_creates_then_changes_nothing_then_only_what_differs(cluster, side):
    how = ["apply", "-f", "-", *(["--server-side"] if side == "server" else [])]
    everything = [
        *(objects.deployment("web", objects.http_echo()), objects.service("web")),
        *(objects.config_map("c", kept="1", dropped="1"), objects.pod("p")),
    ]

    def applied(*these):
        return cluster.kubectl(*how, stdin=manifest(*these)).splitlines()

    first = applied(*everything)
    assert first[0].startswith("deployment.apps/web ")
    cluster.roll_out("web")
    before = versions(cluster)
    again = applied(*everything)
    assert versions(cluster) == before
    said = "serverside-applied" if side == "server" else "unchanged"
    assert all(line.endswith(f" {said}") for line in again)
    applied(objects.config_map("c", kept="2"))
    assert cluster.get("cm", "c")["data"] == {"kept": "2"}


@pytest.mark.kubectl(27)
def test_two_appliers_of_one_field_are_told_of_each_other(cluster):
    one, other = (
        manifest(objects.config_map("c", key="1")),
        manifest(objects.config_map("c", key="2")),
    )
    apply = ["apply", "--server-side", "-f", "-"]
    cluster.kubectl(*apply, "--field-manager=one", stdin=one)
    conflict = cluster.refusal(*apply, "--field-manager=two", stdin=other)
    assert 'conflict with "one"' in conflict
    assert ".data.key" in conflict
    cluster.kubectl(*apply, "--field-manager=two", "--force-conflicts", stdin=other)
    assert cluster.get("cm", "c")["data"] == {"key": "2"}
    managers = cluster.get("cm", "c", "--show-managed-fields")["metadata"]["managedFields"]
    assert [m["manager"] for m in managers if "f:data" in m["fieldsV1"]] == ["two"]


def test_diff_shows_what_apply_would_change_and_changes_nothing(cluster):
    cluster.apply(objects.config_map("c", key="1"))
    changed = manifest(objects.config_map("c", key="2"))
    with pytest.raises(commands.CommandFailed) as differs:
        cluster.kubectl("diff", "-f", "-", stdin=changed)
    assert differs.value.code == 1
    assert cluster.get("cm", "c")["data"] == {"key": "1"}
    cluster.kubectl("diff", "-f", "-", stdin=manifest(objects.config_map("c", key="1")))
    said = cluster.kubectl("apply", "--dry-run=server", "-f", "-", stdin=changed)
    assert said == "configmap/c configured (server dry run)\n"
    assert cluster.get("cm", "c")["data"] == {"key": "1"}


def test_create_makes_every_kind_that_kubectl_has_a_command_for(cluster, tmp_path):
    (tmp_path / "file").write_bytes(bytes(range(256)))

    def create(*args):
        return cluster.kubectl("create", *args).strip()

    assert create("deployment", "d", f"--image={echo.NAME}", "--replicas=2", "--port=8080") == (
        "deployment.apps/d created"
    )
    create("configmap", "c", "--from-literal=a=1", f"--from-file={tmp_path / 'file'}")
    assert cluster.get("cm", "c")["data"] == {"a": "1"}
    assert list(cluster.get("cm", "c")["binaryData"]) == ["file"]
    create("secret", "generic", "s", "--from-literal=password=swordfish")
    assert cluster.get("secret", "s")["data"] == {"password": "c3dvcmRmaXNo"}
    create("secret", "docker-registry", "r", "--docker-username=u", "--docker-password=p")
    assert cluster.get("secret", "r")["type"] == "kubernetes.io/dockerconfigjson"
    create("serviceaccount", "robot")
    create("role", "reader", "--verb=get,list", "--resource=pods,deployments.apps")
    assert [rule["apiGroups"] for rule in cluster.get("role", "reader")["rules"]] == [
        [""],
        ["apps"],
    ]
    create("rolebinding", "reading", "--role=reader", f"--serviceaccount={cluster.namespace}:robot")
    create("service", "clusterip", "one", "--tcp=80:8080")
    create("service", "nodeport", "two", "--tcp=80:8080")
    create("service", "externalname", "three", "--external-name=example.com")
    assert [s["spec"]["type"] for s in cluster.get("services")] == [
        "ClusterIP",
        "ExternalName",
        "NodePort",
    ]
    cluster.kubectl("expose", "deployment", "d", "--port=80", "--target-port=8080")
    cluster.roll_out("d")
    assert 'serviceaccounts "robot" already exists' in cluster.refusal(
        "create", "serviceaccount", "robot"
    )


@pytest.mark.kubectl(27)
def test_a_service_account_may_do_what_its_role_says_and_no_more(cluster, tmp_path):
    cluster.kubectl("create", "serviceaccount", "robot")
    cluster.kubectl("create", "role", "reader", "--verb=get,list", "--resource=configmaps")
    account = f"system:serviceaccount:{cluster.namespace}:robot"
    cluster.kubectl("create", "rolebinding", "r", "--role=reader", f"--user={account}")

    def may(*args):
        asked = ["auth", "can-i", *args, f"--as={account}"]
        try:
            return cluster.kubectl(*asked).strip() == "yes"
        except commands.CommandFailed as failed:
            if failed.stderr.strip().splitlines()[-1:] != ["no"]:
                raise
            return False

    assert may("list", "configmaps")
    assert not may("delete", "configmaps")
    assert not may("list", "configmaps", "-A")
    listed = cluster.kubectl("auth", "can-i", "--list", f"--as={account}")
    assert any(line.startswith("configmaps ") for line in listed.splitlines())
    assert cluster.kubectl("auth", "can-i", "*", "*").strip() == "yes"

    token = cluster.kubectl("create", "token", "robot", "--duration=1h").strip()
    robot = cluster.with_kubeconfig(kubeconfig_for(cluster, token, tmp_path))
    assert account in robot.kubectl("auth", "whoami")
    assert robot.get("configmaps")
    forbidden = robot.refusal("get", "secrets")
    assert (
        f'Error from server (Forbidden): secrets is forbidden: User "{account}" cannot list '
        f'resource "secrets" in API group "" in the namespace "{cluster.namespace}"'
    ) in forbidden


@pytest.mark.kubectl(27)
def test_explain_and_the_list_of_resources_know_every_kind(cluster):
    told = cluster.kubectl("explain", "deployment.spec.strategy.rollingUpdate")
    assert "maxSurge" in told
    assert "GROUP:      apps" in told
    assert "imagePullPolicy" in cluster.kubectl("explain", "pod", "--recursive")
    assert "doesn't exist" in (refused := cluster.refusal("explain", "pod.nonsense")) or (
        "does not exist" in refused
    )
    rows = [line.split() for line in cluster.kubectl("api-resources").splitlines()]
    known = {row[0] for row in rows}
    assert {
        *("pods", "nodes", "namespaces", "services", "endpoints", "endpointslices", "configmaps"),
        *("secrets", "serviceaccounts", "events", "leases", "deployments", "replicasets"),
        *("roles", "clusterroles", "rolebindings", "clusterrolebindings"),
    } <= known
    assert {"v1", "apps/v1"} <= set(cluster.kubectl("api-versions").split())
    told = json.loads(cluster.kubectl("version", "-o", "json"))
    assert told["serverVersion"]["gitVersion"].startswith("v1.36.")
    assert "is running at" in cluster.kubectl("cluster-info")


@pytest.mark.kubectl(27)
def test_events_are_listed_and_say_where_they_come_from(cluster):
    cluster.apply(objects.pod("p"))
    cluster.wait_ready("p")
    cluster.wait_for(
        lambda: {"Scheduled", "Created", "Started"} <= {reason for reason, _ in cluster.events("p")}
    )
    listed = cluster.kubectl("get", "events", "--sort-by=.metadata.creationTimestamp")
    assert listed.splitlines()[0].split() == ["LAST", "SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]
    assert f"Successfully assigned {cluster.namespace}/p to pi" in listed
    assert "Started" in cluster.kubectl("events", "--for", "pod/p")


@pytest.mark.kubectl(27)
def test_wait_returns_when_it_is_so_and_fails_when_it_never_is(cluster):
    cluster.apply(objects.pod("p"))
    assert "condition met" in cluster.kubectl("wait", "pod/p", "--for=condition=Ready")
    cluster.kubectl("wait", "pod/p", "--for=jsonpath={.status.phase}=Running")
    late = cluster.refusal("wait", "pod/p", "--for=condition=Nonsense", "--timeout=1s")
    assert "timed out waiting for the condition" in late
    with cluster.running("wait", "pod/p", "--for=delete", "--timeout=30s") as waiting:
        cluster.kubectl("delete", "pod", "p")
        assert waiting.end() == 0


def test_kustomizations_and_folders_are_applied(cluster, tmp_path):
    (tmp_path / "c.json").write_text(json.dumps(objects.config_map("c", key="1")))
    (tmp_path / "kustomization.yaml").write_text("resources: [c.json]\nnamePrefix: my-\n")
    assert cluster.kubectl("apply", "-k", str(tmp_path)) == "configmap/my-c created\n"
    (tmp_path / "kustomization.yaml").unlink()
    assert cluster.kubectl("apply", "-f", str(tmp_path)) == "configmap/c created\n"
    cluster.kubectl("delete", "-f", str(tmp_path))
    assert "NotFound" in cluster.refusal("get", "configmap", "c")


# How the claims are looked into.


def versions(cluster):
    found = cluster.get("deployments,services,configmaps,pods")
    return {(o["kind"], o["metadata"]["name"]): o["metadata"]["resourceVersion"] for o in found}


def said_beside(cluster, *args):
    """What kubectl says beside its output, when it succeeds."""
    with cluster.running(*args) as saying:
        assert saying.end() == 0
        return saying.said


def kubeconfig_for(cluster, token, folder):
    """A kubeconfig that differs from the administrator's only in who one is."""
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    file = folder / "kubeconfig"
    file.write_text(yaml.safe_dump(config))
    file.chmod(0o600)
    return file
