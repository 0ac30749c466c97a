"""A Deployment and a Service on two nodes, from every node, through every change."""

import time
import urllib.request

import pytest

from tests.e2e import objects
from tests.e2e.objects import BUSYBOX
from tests.images import echo

pytestmark = pytest.mark.cluster
WEB = objects.deployment("web", objects.http_echo(), replicas=3)


def test_three_pods_on_two_nodes_answer_each_other_by_every_address_and_name(cluster):
    cluster.apply(WEB, objects.service("web", type="NodePort"))
    cluster.roll_out("web")
    pods = cluster.get("pods", "-l", "app=web")
    service = cluster.get("service", "web")
    node_port = service["spec"]["ports"][0]["nodePort"]
    assert {pod["spec"]["nodeName"] for pod in pods} == {"pi1", "pi2"}

    wait_served(cluster, pods, "web")
    names = {pod["metadata"]["name"] for pod in pods}
    for pod in pods:
        caller, address = pod["metadata"]["name"], pod["status"]["podIP"]
        for other in pods:
            answer = ask(cluster, caller, f"{other['status']['podIP']}:{echo.PORT}")
            assert answer["hostname"] == other["metadata"]["name"]
            assert answer["client"] == address
        for host in (
            *("web", f"web.{cluster.namespace}", f"web.{cluster.namespace}.svc"),
            *(f"web.{cluster.namespace}.svc.cluster.local", service["spec"]["clusterIP"]),
            *(f"{node.address}:{node_port}" for node in cluster.nodes),
        ):
            assert ask(cluster, caller, host)["hostname"] in names
    for node in cluster.nodes:
        outside = urllib.request.urlopen(f"http://{node.address}:{node_port}/cgi-bin/echo")
        assert hostname(outside.read().decode()) in names
        on_node = node.exec("busybox", "wget", "-qO-", f"http://{service['spec']['clusterIP']}/")
        assert on_node == "ok\n"


def test_a_service_leads_to_all_its_pods_and_only_to_them(cluster):
    cluster.apply(WEB, objects.service("web"))
    cluster.roll_out("web")
    pods = cluster.get("pods", "-l", "app=web")
    wait_served(cluster, pods, "web")
    caller = pods[0]["metadata"]["name"]
    answered = {ask(cluster, caller, "web")["hostname"] for _ in range(30)}
    assert answered == {pod["metadata"]["name"] for pod in pods}

    cluster.kubectl("scale", "deployment/web", "--replicas=1")
    cluster.wait_for(lambda: len(cluster.get("pods", "-l", "app=web")) == 1, what="one pod left")
    left = cluster.get("pods", "-l", "app=web")
    wait_served(cluster, left, "web")
    caller = left[0]["metadata"]["name"]
    assert {ask(cluster, caller, "web")["hostname"] for _ in range(10)} == {caller}


def test_a_service_without_pods_refuses_and_a_name_nobody_has_does_not_exist(cluster):
    cluster.apply(objects.pod("caller"), objects.service("nobody"))
    cluster.wait_ready("caller")
    refused = cluster.refusal(
        "exec", "caller", "--", "timeout", "5", "wget", "-qO-", "http://nobody"
    )
    assert "refused" in refused
    unknown = cluster.refusal("exec", "caller", "--", "nslookup", "missing.default.svc")
    assert "NXDOMAIN" in unknown or "can't" in unknown or "code 1" in unknown


def test_a_headless_service_names_its_pods_addresses(cluster):
    cluster.apply(WEB, objects.service("web", clusterIP="None"), objects.pod("caller"))
    cluster.roll_out("web")
    cluster.wait_ready("caller")
    wanted = {pod["status"]["podIP"] for pod in cluster.get("pods", "-l", "app=web")}

    def answered():
        name = f"web.{cluster.namespace}.svc.cluster.local"
        said = cluster.kubectl("exec", "caller", "--", "nslookup", "-type=a", name)
        return {line.split()[-1] for line in said.splitlines() if line.startswith("Address")}

    cluster.wait_for(lambda: wanted <= answered(), seconds=20, what="all pods' addresses")


def test_a_deployment_is_scaled_updated_undone_and_restarted(cluster):
    cluster.apply(objects.deployment("app", objects.container(), replicas=2))
    cluster.roll_out("app")
    assert "scaled" in cluster.kubectl("scale", "deployment", "app", "--replicas=4")
    assert 'deployment "app" successfully rolled out' in cluster.roll_out("app")
    assert len(cluster.get("pods", "-l", "app=app")) == 4
    cluster.kubectl("scale", "deployment", "app", "--replicas=2")

    cluster.kubectl("set", "image", "deployment/app", f"main={echo.NAME}")
    cluster.kubectl("annotate", "deployment/app", "kubernetes.io/change-cause=the other image")
    cluster.roll_out("app")
    assert images_of(cluster) == {echo.NAME}
    history = cluster.kubectl("rollout", "history", "deployment/app")
    assert [line.split(maxsplit=1) for line in history.strip().splitlines()[2:]] == [
        ["1", "<none>"],
        ["2", "the other image"],
    ]
    assert echo.NAME in cluster.kubectl("rollout", "history", "deployment/app", "--revision=2")

    assert "rolled back" in cluster.kubectl("rollout", "undo", "deployment/app")
    cluster.roll_out("app")
    assert images_of(cluster) == {BUSYBOX}
    old = {pod["metadata"]["uid"] for pod in cluster.get("pods", "-l", "app=app")}

    assert "restarted" in cluster.kubectl("rollout", "restart", "deployment/app")
    cluster.roll_out("app")
    assert not old & {pod["metadata"]["uid"] for pod in current(cluster)}
    assert len(current(cluster)) == 2


def test_a_rollout_that_cannot_succeed_keeps_what_works(cluster):
    cluster.apply(objects.deployment("app", objects.container(), replicas=2))
    cluster.roll_out("app")
    good = {pod["metadata"]["name"] for pod in current(cluster)}
    cluster.kubectl("set", "image", "deployment/app", "main=docker.io/library/no-such:1")
    slow = cluster.refusal("rollout", "status", "deployment/app", "--timeout=5s")
    assert "timed out waiting for the condition" in slow
    assert good <= {p["metadata"]["name"] for p in cluster.get("pods") if ready(p)}
    cluster.kubectl("rollout", "undo", "deployment/app")
    cluster.roll_out("app")
    assert {pod["metadata"]["name"] for pod in current(cluster)} == good


@pytest.mark.kubectl(27)
def test_a_paused_rollout_waits_until_it_is_resumed(cluster):
    cluster.apply(objects.deployment("app", objects.container()))
    cluster.roll_out("app")
    cluster.kubectl("rollout", "pause", "deployment/app")
    cluster.kubectl("set", "env", "deployment/app", "COLOUR=green")
    time.sleep(1)
    assert len(cluster.get("rs")) == 1
    cluster.kubectl("rollout", "resume", "deployment/app")
    cluster.roll_out("app")
    assert "COLOUR=green\n" in cluster.execute("deployment/app", "env")


def test_a_deleted_pod_is_replaced_and_a_deleted_deployment_takes_its_pods_along(cluster):
    cluster.apply(objects.deployment("app", objects.container(), replicas=2))
    cluster.roll_out("app")
    first, second = (pod["metadata"]["name"] for pod in cluster.get("pods"))
    assert f'pod "{first}" deleted' in cluster.kubectl("delete", "pod", first)
    cluster.wait_for(lambda: len([p for p in cluster.get("pods") if ready(p)]) == 2)
    names = {pod["metadata"]["name"] for pod in current(cluster)}
    assert first not in names
    assert second in names
    cluster.kubectl("delete", "deployment", "app", "--cascade=foreground", "--timeout=60s")
    assert cluster.get("rs,pods") == []


def test_orphans_stay_and_are_adopted(cluster):
    cluster.apply(objects.deployment("app", objects.container()))
    cluster.roll_out("app")
    pod = cluster.get("pods")[0]["metadata"]["uid"]
    cluster.kubectl("delete", "deployment", "app", "--cascade=orphan")
    cluster.wait_for(
        lambda: not cluster.get("rs")[0]["metadata"].get("ownerReferences"), what="an orphan"
    )
    cluster.apply(objects.deployment("app", objects.container()))
    cluster.roll_out("app")
    assert [p["metadata"]["uid"] for p in cluster.get("pods")] == [pod]


def test_a_namespace_goes_with_all_that_is_in_it(cluster):
    cluster.kubectl("create", "namespace", "doomed")
    doomed = cluster.in_namespace("doomed")
    doomed.apply(WEB, objects.service("web"), objects.config_map("c"))
    doomed.kubectl("delete", "namespace", "doomed", "--timeout=60s")
    assert "NotFound" in cluster.refusal("get", "namespace", "doomed")
    gone = cluster.refusal("create", "configmap", "c", "-n", "doomed")
    assert 'namespaces "doomed" not found' in gone


@pytest.mark.kubectl(27)
def test_a_cordoned_node_gets_no_new_pods_and_a_drained_one_keeps_none(cluster):
    cluster.apply(objects.deployment("app", objects.container(), replicas=2))
    cluster.roll_out("app")
    try:
        drained = cluster.kubectl("drain", "pi2", "--pod-selector=app=app", timeout=90)
        assert "node/pi2 drained" in drained or "node/pi2 evicted" in drained
        table = cluster.kubectl("get", "node", "pi2")
        assert "Ready,SchedulingDisabled" in table
        cluster.roll_out("app")
        assert {pod["spec"]["nodeName"] for pod in current(cluster)} == {"pi1"}
    finally:
        cluster.kubectl("uncordon", "pi2")


def test_every_kubectl_does_the_everyday_work(cluster, any_kubectl):
    cluster = cluster.with_kubectl(any_kubectl)
    cluster.kubectl("create", "deployment", "web", f"--image={echo.NAME}", "--port=8080")
    cluster.kubectl("expose", "deployment", "web", "--port=80", "--target-port=8080")
    cluster.apply(objects.config_map("c", key="1"))
    cluster.roll_out("web")
    assert "1/1" in cluster.kubectl("get", "deployment", "web", "-o", "wide")
    assert "ScalingReplicaSet" in cluster.kubectl("describe", "deployment", "web")
    pod = cluster.get("pods", "-l", "app=web")[0]["metadata"]["name"]
    assert cluster.execute(pod, "hostname") == f"{pod}\n"
    assert cluster.execute("deployment/web", "cat", stdin="echoed") == "echoed"
    with cluster.running("port-forward", pod, f":{echo.PORT}") as forwarding:
        local = forwarding.wait_said(r"127\.0\.0\.1:(\d+) ->")[1]
        answer = urllib.request.urlopen(f"http://127.0.0.1:{local}/cgi-bin/echo", timeout=10)
        assert hostname(answer.read().decode()) == pod
    cluster.kubectl("logs", "deployment/web", "--tail=1")
    cluster.kubectl("scale", "deployment", "web", "--replicas=2")
    cluster.kubectl("set", "env", "deployment/web", "A=B")
    cluster.roll_out("web")
    assert "REVISION" in cluster.kubectl("rollout", "history", "deployment/web")
    assert "unchanged" in cluster.apply(objects.config_map("c", key="1"))
    assert "maxSurge" in cluster.kubectl("explain", "deployment.spec.strategy.rollingUpdate")
    cluster.kubectl("delete", "deployment,service,configmap", "--all", "--wait=false")


# How the claims are looked into.


def ask(cluster, caller, host):
    """What the echo server at `host` told the pod `caller`, as a dict."""
    said = cluster.execute(caller, "timeout", "5", "wget", "-qO-", f"http://{host}/cgi-bin/echo")
    return dict(line.split("=", 1) for line in said.splitlines() if "=" in line)


def hostname(said):
    return dict(line.split("=", 1) for line in said.splitlines() if "=" in line)["hostname"]


def wait_served(cluster, pods, service):
    """Until the Service's slices name exactly these pods, and every node has had a moment."""
    wanted = {pod["status"]["podIP"] for pod in pods}

    def served():
        slices = cluster.get("endpointslices", "-l", f"kubernetes.io/service-name={service}")
        found = [e for s in slices for e in s["endpoints"] or () if e["conditions"]["ready"]]
        return {address for e in found for address in e["addresses"]} == wanted

    cluster.wait_for(served, seconds=20, what="the Service's endpoints")
    time.sleep(0.5)


def current(cluster):
    """The pods that are not on their way out."""
    return [p for p in cluster.get("pods") if "deletionTimestamp" not in p["metadata"]]


def ready(pod):
    conditions = {c["type"]: c["status"] for c in pod["status"].get("conditions", ())}
    return conditions.get("Ready") == "True" and "deletionTimestamp" not in pod["metadata"]


def images_of(cluster):
    return {c["image"] for pod in current(cluster) for c in pod["spec"]["containers"]}
