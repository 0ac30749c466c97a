"""After power cuts and kills, pods move, and nothing acknowledged or healthy is lost."""

import http.client
import json
import random
import threading
import time

import pytest

from tests.e2e import objects
from tests.e2e.cluster import Connection, all_ready, condition

pytestmark = pytest.mark.cluster
SOON = [
    {"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": "NoExecute"}
    | {"tolerationSeconds": 5}
    for key in ("not-ready", "unreachable")
]
KILLS = 20
SEED = 20261
ENGINE = (
    *("podman", "--root", "/var/lib/k3py/agent/containers/storage"),
    *("--runroot", "/run/k3py/containers/containers"),
)


def test_a_stopped_server_and_agent_leave_the_containers_alone_and_find_them_again(cluster):
    cluster.apply(objects.deployment("app", objects.container(), replicas=4))
    cluster.roll_out("app")
    before = containers(cluster)
    for number in (1, 2):
        node = cluster.node(number)
        for role in ("server", "agent") if number == 1 else ("agent",):
            node.exec("kill", "-TERM", pid(node, role))
    cluster.wait_for(lambda: all_ready(cluster), what="both nodes Ready")
    time.sleep(3)
    assert containers(cluster) == before
    assert cluster.execute("deployment/app", "echo", "yes") == "yes\n"


@pytest.mark.timeout(400)
def test_pods_of_a_power_cut_node_move_and_it_comes_back_clean(cluster):
    cluster.apply(
        objects.deployment("web", objects.http_echo(), replicas=4, tolerations=SOON),
        objects.service("web"),
        objects.pod("pinned", nodeSelector={"kubernetes.io/hostname": "pi2"}, tolerations=SOON),
        objects.pod("stays", nodeSelector={"kubernetes.io/hostname": "pi2"}),
    )
    cluster.roll_out("web")
    cluster.wait_ready("pinned", "stays")
    lost = {p["metadata"]["name"] for p in pods_on(cluster, "pi2")} - {"stays"}
    assert len(lost) >= 3

    cut = time.monotonic()
    cluster.node(2).power_cut()
    cluster.wait_for(
        lambda: condition(cluster.get("node", "pi2"), "Ready") == "Unknown",
        seconds=60,
        what="pi2 NotReady",
    )
    print(f"NotReady after {time.monotonic() - cut:.0f} s")
    assert "NotReady" in cluster.kubectl("get", "node", "pi2")
    cluster.wait_for(
        lambda: {("unreachable", "NoExecute"), ("unreachable", "NoSchedule")} <= taints(cluster),
        seconds=10,
    )
    # Its pods are ready no more, so that the Service leads nobody to them.
    cluster.wait_for(
        lambda: not any(condition(p, "Ready") == "True" for p in pods_on(cluster, "pi2")),
        seconds=10,
    )
    cluster.wait_for(lambda: available(cluster, "web") == 4, seconds=40, what="4 available again")
    print(f"available again after {time.monotonic() - cut:.0f} s")
    moved = [p for p in cluster.get("pods", "-l", "app=web") if is_ready(p)]
    assert {p["spec"]["nodeName"] for p in moved} == {"pi1"}
    assert "deletionTimestamp" not in cluster.get("pod", "stays")["metadata"]
    caller = moved[0]["metadata"]["name"]
    for _ in range(10):
        assert cluster.execute(caller, "timeout", "5", "wget", "-qO-", "http://web/") == "ok\n"

    cluster.node(2).power_on()
    cluster.wait_for(lambda: all_ready(cluster), seconds=60, what="pi2 Ready again")
    cluster.wait_for(lambda: taints(cluster) == set(), seconds=10, what="no taints")
    cluster.wait_for(
        lambda: not lost & {p["metadata"]["name"] for p in cluster.get("pods")},
        seconds=60,
        what="the evicted pods are gone",
    )
    cluster.wait_ready("stays")
    [status] = cluster.get("pod", "stays")["status"]["containerStatuses"]
    assert status["restartCount"] == 1
    cluster.wait_for(lambda: leftovers(cluster, 2) == [], seconds=30, what="nothing is left over")
    # And it works as before.
    cluster.kubectl("scale", "deployment/web", "--replicas=8")
    cluster.roll_out("web")
    here = [p for p in cluster.get("pods", "-l", "app=web") if is_ready(p)]
    assert {p["spec"]["nodeName"] for p in here} == {"pi1", "pi2"}
    for pod in here:
        address = pod["status"]["podIP"]
        said = cluster.execute(caller, "timeout", "5", "wget", "-qO-", f"http://{address}:8080/")
        assert said == "ok\n"


@pytest.mark.timeout(400)
def test_a_power_cut_of_the_server_node_loses_nothing(cluster):
    cluster.apply(objects.deployment("app", objects.container(), replicas=4))
    cluster.roll_out("app")
    others = {k: v for k, v in containers(cluster).items() if v["node"] == "pi2"}
    with Writer(cluster) as writer:
        time.sleep(2)
        cluster.node(1).power_cut()
    cluster.node(1).power_on()
    cluster.wait_for(lambda: all_ready(cluster), seconds=60, what="both nodes Ready")
    assert len(writer.acknowledged) > 50
    assert writer.missing() == {}
    cluster.wait_for(lambda: available(cluster, "app") == 4, seconds=60, what="4 available again")
    now = containers(cluster)
    assert {k: now.get(k) for k in others} == others
    cluster.wait_for(lambda: leftovers(cluster, 1) == [], seconds=30, what="nothing is left over")


@pytest.mark.timeout(600)
def test_killing_server_and_agents_twenty_times_loses_and_restarts_nothing(cluster):
    chance = random.Random(SEED)
    watched = objects.http_echo(
        livenessProbe={"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 2},
        readinessProbe={"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 2},
    )
    cluster.apply(
        objects.deployment("web", watched, replicas=4),
        objects.deployment("plain", objects.container(), replicas=4),
        objects.service("web"),
    )
    cluster.roll_out("web")
    cluster.roll_out("plain")
    before = containers(cluster)
    with Writer(cluster) as writer:
        for _ in range(KILLS):
            number, role = chance.choice([(1, "server"), (1, "server"), (1, "agent"), (2, "agent")])
            node = cluster.node(number)
            node.exec(
                "kill",
                "-9",
                cluster.wait_for(lambda n=node, r=role: pid(n, r), what=f"a new {role}"),
            )
            time.sleep(chance.uniform(0.2, 4))
        cluster.wait_for(lambda: all_ready(cluster), seconds=60, what="both nodes Ready")
        count = len(writer.acknowledged)
        cluster.wait_for(lambda: len(writer.acknowledged) > count, what="writes go on")
    print(f"{len(writer.acknowledged)} writes acknowledged, {writer.refused} refused")
    assert len(writer.acknowledged) > 100
    assert writer.missing() == {}
    time.sleep(5)  # what would be restarted wrongly is so by now
    assert containers(cluster) == before
    assert [leftovers(cluster, n) for n in (1, 2)] == [[], []]
    assert available(cluster, "web") == 4
    cluster.apply(objects.pod("after"))
    cluster.wait_ready("after")
    assert cluster.execute("after", "timeout", "5", "wget", "-qO-", "http://web/") == "ok\n"
    cluster.kubectl("rollout", "restart", "deployment/web")
    cluster.roll_out("web")


# How the claims are looked into.


class Writer:
    """Creates ConfigMaps as fast as it may, and notes those whose creation was acknowledged."""

    def __init__(self, cluster):
        self._cluster, self._stop = cluster, threading.Event()
        self._path = f"/api/v1/namespaces/{cluster.namespace}/configmaps"
        self._thread = threading.Thread(target=self._write, daemon=True)
        self.acknowledged, self.refused = {}, 0

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join(30)
        assert not self._thread.is_alive()

    def _write(self):
        number = 0
        while not self._stop.is_set():
            try:
                with Connection(self._cluster, timeout=5) as connection:
                    while not self._stop.wait(0.02):
                        number += 1
                        self._write_one(connection, f"written-{number}", str(number * 7919))
            except (OSError, http.client.HTTPException):
                self.refused += 1
                self._stop.wait(0.1)

    def _write_one(self, connection, name, value):
        code, _ = connection.request("POST", self._path, objects.config_map(name, value=value))
        if code == 201:
            self.acknowledged[name] = value
        else:
            self.refused += 1

    def missing(self):
        """What was acknowledged and is not there as it was written."""
        found = {
            o["metadata"]["name"]: o.get("data", {}).get("value")
            for o in self._cluster.get("configmaps")
        }
        return {n: found.get(n) for n, v in self.acknowledged.items() if found.get(n) != v}


def containers(cluster):
    """Each container of the namespace: where it is, since when it runs, how often it has."""
    return {
        (pod["metadata"]["name"], status["name"]): {
            "node": pod["spec"]["nodeName"],
            "id": status["containerID"],
            "restarts": status["restartCount"],
            "since": status["state"]["running"]["startedAt"],
        }
        for pod in cluster.get("pods")
        for status in pod["status"]["containerStatuses"]
    }


def pid(node, role):
    """The process of a role on a node. Raises LookupError while there is none."""
    script = f"grep -o '[0-9]*' /run/k3py/{role}.pid 2>/dev/null | head -1"
    found = node.exec("sh", "-c", script).strip()
    argv = node.exec("sh", "-c", f"tr '\\0' ' ' </proc/{found}/cmdline 2>/dev/null; true")
    if not found or f" {role} " not in f"{argv} ":
        raise LookupError(role)
    return found


def pods_on(cluster, name):
    return cluster.get("pods", "--field-selector", f"spec.nodeName={name}")


def is_ready(pod):
    return condition(pod, "Ready") == "True" and "deletionTimestamp" not in pod["metadata"]


def available(cluster, name):
    return cluster.get("deployment", name)["status"].get("availableReplicas", 0)


def taints(cluster):
    found = cluster.get("node", "pi2")["spec"].get("taints") or ()
    return {(taint["key"].rpartition("/")[2], taint["effect"]) for taint in found}


def leftovers(cluster, number):
    """What a node has and no pod of the API accounts for."""
    node = cluster.node(number)
    everywhere = cluster.get("pods", "-A", "--field-selector", f"spec.nodeName={node.name}")
    uids = {pod["metadata"]["uid"] for pod in everywhere}
    addresses = {pod["status"].get("podIP") for pod in everywhere}
    links = lines(node, "ip -o link show type veth | grep -v eth0")
    strange = []
    listed = json.loads(node.exec(*ENGINE, "ps", "--all", "--format", "json"))
    owners = {c["Labels"].get("io.k3py.pod.uid") for c in listed or ()}
    strange += [f"container of {uid}" for uid in owners - uids]
    for folder in ("/run/k3py/pods", "/var/lib/k3py/agent/pods"):
        found = set(lines(node, f"ls {folder} 2>/dev/null"))
        strange += [f"{folder}/{uid}" for uid in found - uids]
    routes = lines(node, "ip -4 route show scope link | grep '^10.42.' | cut -d' ' -f1")
    local = {route for route in routes if "/" not in route}
    strange += [f"route to {address}" for address in local - addresses]
    if len(links) > len(uids):
        strange.append(f"{len(links)} interfaces for {len(uids)} pods")
    return strange


def lines(node, script):
    return node.exec("sh", "-c", f"{script}; true").split("\n")[:-1]
