"""All controllers together, as the server runs them, on a fake API and on the real one."""

import threading
import time

import pytest

from k3py import controllers, kinds
from k3py.api import conditions, errors, meta
from k3py.api.objects import Key
from k3py.base import threads
from k3py.base.clock import SYSTEM
from k3py.client.cached import CachedClient
from k3py.client.events import Recorder
from k3py.client.informer import Informers
from k3py.scheduler.scheduler import Scheduler
from k3py.store.store import Store
from k3py.testing.client import FakeClient
from tests.apiserver import serving

WEB = Key("default", "web")
LABELS = {"app": "web"}


def test_a_cluster_comes_up_and_is_taken_down(cluster):
    client = cluster.client
    for name in ("default", "home"):
        client.create(kinds.NAMESPACE, {"metadata": {"name": name}})
    cluster.wait(lambda: len(items(client, kinds.SERVICE_ACCOUNT)) == 2)
    cluster.wait(lambda: len(items(client, kinds.CONFIG_MAP)) == 2)
    client.create(kinds.NODE, {"metadata": {"name": "pi1"}, "spec": {}})
    cluster.agent.speak()
    client.create(kinds.DEPLOYMENT, deployment(replicas=20))
    client.create(kinds.SERVICE, service())
    cluster.wait(lambda: addresses(client) == 20)
    cluster.wait(lambda: client.get(kinds.NODE, Key("", "pi1"))["spec"].get("podCIDR"))
    cluster.wait(lambda: rolled_out(client))

    change = {"spec": {"template": {"metadata": {"labels": {"new": "yes"}}}}}
    client.patch(kinds.DEPLOYMENT, WEB, change)
    cluster.wait(lambda: rolled_out(client))
    staying = [pod for pod in items(client, kinds.POD) if not meta.is_deleting(pod)]
    assert all("new" in meta.labels(pod) for pod in staying)
    cluster.wait(lambda: addresses(client) == 20)

    client.patch(kinds.DEPLOYMENT, WEB, {"spec": {"replicas": 2}})
    cluster.wait(lambda: len(items(client, kinds.POD)) == 2)
    client.patch(kinds.DEPLOYMENT, WEB, {"spec": {"strategy": RECREATE, "template": OLD}})
    cluster.wait(lambda: rolled_out(client, 2))

    client.delete(kinds.DEPLOYMENT, WEB, propagation="Foreground")
    cluster.wait(lambda: not items(client, kinds.POD) and not items(client, kinds.DEPLOYMENT))
    client.delete(kinds.SERVICE, WEB)
    cluster.wait(lambda: not items(client, kinds.ENDPOINT_SLICE))
    client.delete(kinds.NAMESPACE, Key("", "home"))
    cluster.wait(lambda: len(items(client, kinds.NAMESPACE)) == 1)
    told = {"ScalingReplicaSet", "SuccessfulCreate", "SuccessfulDelete", "Scheduled"}
    cluster.wait(lambda: told <= {event["reason"] for event in items(client, kinds.EVENT)})


def test_an_idle_cluster_is_not_written_to(cluster):
    client = cluster.client
    client.create(kinds.NAMESPACE, {"metadata": {"name": "default"}})
    cluster.wait(lambda: items(client, kinds.SERVICE_ACCOUNT))
    client.create(kinds.NODE, {"metadata": {"name": "pi1"}, "spec": {}})
    cluster.agent.speak()
    client.create(kinds.DEPLOYMENT, deployment(replicas=3))
    client.create(kinds.SERVICE, service())
    cluster.wait(lambda: rolled_out(client, 3) and addresses(client) == 3)
    quiet = threading.Event()
    quiet.wait(0.5)
    before = client.list(kinds.POD).revision
    quiet.wait(1)
    assert client.list(kinds.POD).revision == before


RECREATE = {"type": "Recreate", "rollingUpdate": None}
OLD = {"metadata": {"labels": {"new": None}}}


@pytest.fixture(params=["fake", "real"])
def cluster(request, tmp_path):
    if request.param == "fake":
        client = FakeClient(clock=SYSTEM)
        yield from _cluster(client)
        return
    serving.make_certificates(tmp_path)
    group, store = threads.Group("store"), Store(tmp_path / "store.db")
    store.start(group)
    try:
        api = serving.make_server(tmp_path, store)
        yield from _cluster(api.client("admin", ("system:masters",)))
    finally:
        group.stop()
        store.close()


def _cluster(client):
    group = threads.Group("controllers")
    informers = Informers(client)
    recorder = Recorder(client, "controllers")
    own = CachedClient(client, informers)
    controllers.start(
        group, own, informers, recorder, SYSTEM, cluster_cidr="10.42.0.0/16", root_ca="PEM"
    )
    group.start("scheduler", Scheduler(own, informers, recorder, SYSTEM).run)
    group.start("events", recorder.run)
    informers.start(group)
    try:
        yield _Cluster(client)
    finally:
        group.stop(seconds=10)
    assert group.failure is None
    assert not [t.name for t in threading.enumerate() if t.name.startswith("controllers/")]


class _Cluster:
    def __init__(self, client):
        self.client, self.agent = client, _Agent(client)

    def wait(self, holds):
        pause = threading.Event()
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if holds():
                return
            self.agent.run_pods()
            pause.wait(0.02)
        raise AssertionError("did not come to pass")


class _Agent:
    """Runs every pod that it is given at once."""

    def __init__(self, client):
        self._client, self._given = client, 1

    def speak(self):
        amounts = {"cpu": "4", "memory": "4Gi", "pods": "110"}
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": ""}
        stamps = dict.fromkeys(("lastHeartbeatTime", "lastTransitionTime"), "2030-01-01T12:00:00Z")
        status = {"conditions": [ready | stamps], "capacity": amounts, "allocatable": amounts}
        self._client.patch(kinds.NODE, Key("", "pi1"), {"status": status}, subresource="status")

    def run_pods(self):
        for pod in items(self._client, kinds.POD):
            try:
                self._run(pod)
            except (errors.NotFound, errors.Conflict):
                continue

    def _run(self, pod):
        key = meta.key(pod)
        if meta.is_deleting(pod):
            self._client.delete(kinds.POD, key, grace=0)
        elif pod["spec"].get("nodeName") and not pod["status"].get("podIP"):
            self._given += 1
            ip = f"10.42.0.{self._given}"
            ready = {
                "type": "Ready",
                "status": "True",
                "lastTransitionTime": pod["metadata"]["creationTimestamp"],
            }
            status = {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}]}
            change = {"status": status | {"conditions": [ready]}}
            self._client.patch(kinds.POD, key, change, subresource="status")


def items(client, kind):
    return client.list(kind).items


def addresses(client):
    return sum(
        end["conditions"]["ready"]
        for slice_ in items(client, kinds.ENDPOINT_SLICE)
        for end in slice_["endpoints"]
    )


def rolled_out(client, count=20):
    d = client.get(kinds.DEPLOYMENT, WEB)
    done = conditions.find(d, "Progressing")
    status = d["status"]
    observed = status.get("observedGeneration") == d["metadata"]["generation"]
    counts = [status.get(n) for n in ("replicas", "updatedReplicas", "availableReplicas")]
    return bool(done and observed and counts == [count] * 3)


def deployment(replicas):
    container = {"name": "main", "image": "busybox:1.36"}
    template = {"metadata": {"labels": LABELS}, "spec": {"containers": [container]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": LABELS}, "template": template}
    return {"metadata": {"name": "web", "namespace": "default"}, "spec": spec}


def service():
    spec = {"selector": LABELS, "ports": [{"port": 80, "targetPort": 8080}]}
    return {"metadata": {"name": "web", "namespace": "default"}, "spec": spec}
