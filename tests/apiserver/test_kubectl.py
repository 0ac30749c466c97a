"""Every kubectl on this machine finds a Kubernetes server, and does what it is used for."""

import json
import subprocess

import pytest

from tests.apiserver.processes import kubectls, running

MANIFEST = """
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {colour: "red", size: "1"}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: c, image: "busybox:1.36", ports: [{containerPort: 80}]}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}], type: NodePort}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(tmp_path_factory.mktemp("server")) as found:
        yield found


@pytest.fixture(params=kubectls(), ids=lambda path: path.rpartition("/")[2])
def kubectl(request, server):
    """Run a kubectl in a namespace of its own; what it prints. Fails when it does, unless told."""
    home = f"t{abs(hash((request.param, request.node.name))) % 10**8}"

    def run(*argv, fails="", stdin="", user="admin", namespace=home):
        done = server.kubectl(*argv, "-n", namespace, program=request.param, stdin=stdin, user=user)
        assert bool(done.returncode) is bool(fails), (argv, done.stdout, done.stderr)
        assert fails in done.stderr
        return done.stdout

    run("create", "namespace", home)
    run("create", "serviceaccount", "default")
    run.server, run.program, run.home = server, request.param, home
    version = json.loads(run("version", "--client", "-o", "json"))["clientVersion"]
    run.minor = int(version["minor"].rstrip("+"))
    return run


def value(text, path):
    found = json.loads(text)
    for name in path.split("."):
        found = found[int(name)] if name.isdigit() else found[name]
    return found


def test_manifests_are_applied_changed_and_deleted(kubectl):
    assert kubectl("apply", "-f", "-", stdin=MANIFEST).count("created") == 3
    assert kubectl("apply", "-f", "-", stdin=MANIFEST).count("unchanged") == 3
    changed = MANIFEST.replace("red", "blue").replace("replicas: 2", "replicas: 3")
    assert "deployment.apps/web configured" in kubectl("apply", "-f", "-", stdin=changed)
    assert value(kubectl("get", "deploy", "web", "-o", "json"), "spec.replicas") == 3
    assert kubectl("diff", "-f", "-", stdin=changed) == ""
    table = kubectl("get", "all", "-o", "wide")
    assert "service/web" in table
    assert "deployment.apps/web" in table
    assert kubectl("delete", "-f", "-", stdin=changed).count("deleted") == 3
    kubectl("get", "deploy", "web", fails='deployments.apps "web" not found')


def test_manifests_are_applied_on_the_server(kubectl):
    kubectl("apply", "--server-side", "-f", "-", stdin=MANIFEST)
    shown = ["--show-managed-fields"] if kubectl.minor >= 21 else []  # before, they always are
    shown = kubectl("get", "cm", "settings", "-o", "json", *shown)
    assert value(shown, "metadata.managedFields.0.operation") == "Apply"
    other = MANIFEST.split("---")[0].replace("red", "green")
    kubectl(
        "apply", "--server-side", "--field-manager=other", "-f", "-", stdin=other,
        fails="conflict with \"kubectl\"",
    )  # fmt: skip
    kubectl(
        "apply", "--server-side", "--field-manager=other", "--force-conflicts", "-f", "-",
        stdin=other,
    )  # fmt: skip
    assert value(kubectl("get", "cm", "settings", "-o", "json"), "data.colour") == "green"


def test_objects_are_made_by_commands(kubectl):
    kubectl("create", "configmap", "a", "--from-literal=x=y")
    kubectl("create", "secret", "generic", "s", "--from-literal=x=y")
    assert value(kubectl("get", "secret", "s", "-o", "json"), "data.x") == "eQ=="
    kubectl("create", "deployment", "d", "--image=busybox", "--replicas=2")
    kubectl("expose", "deployment", "d", "--port=80")
    kubectl("run", "p", "--image=busybox", "--labels=a=b")
    kubectl("create", "role", "r", "--verb=get,list", "--resource=pods")
    kubectl("create", "rolebinding", "r", "--role=r", "--user=jane")
    assert "p " in kubectl("get", "pods", user="jane")
    kubectl("get", "secrets", user="jane", fails='User "jane" cannot list resource "secrets"')
    kubectl("create", "configmap", "a", fails='configmaps "a" already exists')


def test_objects_are_changed_by_commands(kubectl):
    kubectl("apply", "-f", "-", stdin=MANIFEST)
    kubectl("label", "cm", "settings", "a=b")
    kubectl("annotate", "cm", "settings", "c=d")
    kubectl("scale", "deploy", "web", "--replicas=5", "--current-replicas=2")
    kubectl("set", "image", "deploy/web", "c=busybox:2")
    kubectl("patch", "cm", "settings", "--type=json", "-p", '[{"op":"remove","path":"/data/size"}]')
    kubectl("patch", "svc", "web", "-p", '{"spec":{"type":"ClusterIP"}}')
    kubectl("rollout", "restart", "deploy/web")
    found = kubectl("get", "deploy", "web", "-o", "json")
    assert value(found, "spec.replicas") == 5
    assert value(found, "spec.template.spec.containers.0.image") == "busybox:2"
    assert value(found, "metadata.generation") == 4
    assert "a=b" in kubectl("get", "cm", "settings", "--show-labels")
    replaced = kubectl("get", "cm", "settings", "-o", "yaml").replace("red", "blue")
    kubectl("replace", "-f", "-", stdin=replaced)
    kubectl("replace", "-f", "-", stdin=replaced, fails="the object has been modified")


def test_mistakes_are_explained(kubectl):
    wrong = MANIFEST.replace("replicas: 2", "replicsa: 2")
    by_whom = "spec.replicsa" if kubectl.minor >= 25 else "replicsa"  # the server, or kubectl
    kubectl("apply", "-f", "-", stdin=wrong, fails=f'unknown field "{by_whom}"')
    wrong = MANIFEST.replace("replicas: 2", "replicas: two")
    kubectl("apply", "--validate=false", "-f", "-", stdin=wrong, fails="cannot unmarshal string")
    wrong = MANIFEST.replace("name: web", "name: Web")
    kubectl("apply", "-f", "-", stdin=wrong, fails='metadata.name: Invalid value: "Web"')
    wrong = MANIFEST.replace("labels: {app: web}", "labels: {app: other}")
    kubectl("apply", "-f", "-", stdin=wrong, fails="`selector` does not match template `labels`")
    kubectl("get", "pod", "none", fails='pods "none" not found')
    kubectl("get", "shoes", fails='the server doesn\'t have a resource type "shoes"')
    kubectl("create", "cm", "x", namespace="nowhere", fails='namespaces "nowhere" not found')


def test_rights_can_be_asked_for(kubectl):
    assert kubectl("auth", "can-i", "create", "pods").strip() == "yes"
    refused = kubectl.server.kubectl(
        "auth", "can-i", "create", "pods", "--as=somebody", program=kubectl.program
    )
    assert (refused.returncode, refused.stdout.strip()) == (1, "no")
    assert "*.*" in kubectl("auth", "can-i", "--list")
    if kubectl.minor >= 24:
        token = kubectl("create", "token", "default").strip()
    else:
        path = f"/api/v1/namespaces/{kubectl.home}/serviceaccounts/default/token"
        request = '{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{}}'
        token = value(kubectl("create", "--raw", path, "-f", "-", stdin=request), "status.token")
    assert token.count(".") == 2


def test_what_there_is_can_be_looked_up(kubectl):
    assert "deployments" in kubectl("api-resources")
    assert "rbac.authorization.k8s.io/v1" in kubectl("api-versions")
    assert "v1.36." in kubectl("version")
    assert "List of containers" in kubectl("explain", "pod.spec.containers")
    assert "ok" in kubectl("get", "--raw", "/readyz")


def test_changes_are_watched(kubectl):
    kubectl("create", "cm", "a")
    command = [
        kubectl.program, f"--kubeconfig={kubectl.server.folder}/admin.kubeconfig",
        "-n", kubectl.home, "get", "cm", "--watch", "--output-watch-events",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watching:
        try:
            assert watching.stdout.readline().startswith("EVENT")
            assert watching.stdout.readline().split()[:2] == ["ADDED", "a"]
            kubectl("create", "cm", "b")
            assert watching.stdout.readline().split()[:2] == ["ADDED", "b"]
            kubectl("delete", "cm", "a")
            assert watching.stdout.readline().split()[:2] == ["DELETED", "a"]
        finally:
            watching.kill()


def test_many_are_listed_in_pages(kubectl):
    for name in "abc":
        kubectl("create", "cm", name)
    listed = kubectl("get", "cm", "--chunk-size=2", "-o", "name").split()
    assert listed == [f"configmap/{name}" for name in "abc"]
    kubectl("delete", "cm", "--all")
    assert kubectl("get", "cm", "-o", "name") == ""
