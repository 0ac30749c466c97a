"""All controllers together, as the server runs them: with threads and informers of their own."""

import threading

from k3py import controllers, kinds
from k3py.api import conditions, meta
from k3py.api.objects import Key
from k3py.base import threads
from k3py.base.clock import SYSTEM
from k3py.client.cached import CachedClient
from k3py.client.events import Recorder
from k3py.client.informer import Informers
from k3py.testing.client import FakeClient
from tests.controllers.test_deployment import deployment_of
from tests.controllers.test_endpoints import service
from tests.controllers.world import made, node


def test_a_cluster_comes_up_and_is_taken_down():
    client = FakeClient(clock=SYSTEM)
    agent = _Agent(client)
    group = threads.Group("controllers")
    own = CachedClient(client, Informers(client))
    recorder = Recorder(client, "controllers")
    controllers.start(
        group, own, own._informers, recorder, SYSTEM, cluster_cidr="10.42.0.0/16", root_ca="PEM"
    )
    own._informers.start(group)
    group.start("events", recorder.run)
    try:
        for name in ("default", "home"):
            spec = {"finalizers": ["kubernetes"]}
            client.put(kinds.NAMESPACE, made("Namespace", name) | {"spec": spec})
        client.put(kinds.NODE, node("pi1"))
        client.create(kinds.DEPLOYMENT, deployment_of(replicas=20))
        client.create(kinds.SERVICE, service())
        agent.wait(lambda: addresses(client) == 20)
        agent.wait(lambda: client.get(kinds.NODE, Key("", "pi1"))["spec"].get("podCIDR"))
        agent.wait(lambda: len(client.all(kinds.SERVICE_ACCOUNT)) == 2)
        agent.wait(lambda: rolled_out(client))
        client.patch(
            kinds.DEPLOYMENT,
            Key("default", "web"),
            {"spec": {"template": {"metadata": {"labels": {"app": "web", "new": "yes"}}}}},
        )
        agent.wait(lambda: rolled_out(client))
        staying = [pod for pod in client.all(kinds.POD) if not meta.is_deleting(pod)]
        assert all("new" in meta.labels(pod) for pod in staying)
        agent.wait(lambda: client.all(kinds.EVENT))
        client.delete(kinds.DEPLOYMENT, Key("default", "web"), propagation="Foreground")
        agent.wait(lambda: not client.all(kinds.POD) and not client.all(kinds.DEPLOYMENT))
        client.delete(kinds.NAMESPACE, Key("", "home"))
        agent.wait(lambda: len(client.all(kinds.NAMESPACE)) == 1)
    finally:
        group.stop(seconds=10)
    assert group.failure is None
    assert not any(thread.is_alive() for thread in group._threads)


class _Agent:
    """Runs every pod at once, as a scheduler and a node would in a while."""

    def __init__(self, client):
        self._client = client

    def wait(self, holds):
        until = threading.Event()
        for _ in range(500):
            if holds():
                return
            self._run_pods()
            until.wait(0.02)
        raise AssertionError("did not come to pass")

    def _run_pods(self):
        with self._client.changed:
            for number, pod in enumerate(self._client.all(kinds.POD)):
                if meta.is_deleting(pod):
                    self._client.remove(kinds.POD, meta.key(pod))
                elif not pod["spec"].get("nodeName"):
                    ip = f"10.42.0.{number + 2}"
                    ready = {"type": "Ready", "status": "True"}
                    status = {"phase": "Running", "conditions": [ready], "podIP": ip}
                    spec = pod["spec"] | {"nodeName": "pi1"}
                    self._client.put(kinds.POD, pod | {"spec": spec, "status": status})


def addresses(client):
    return sum(
        end["conditions"]["ready"]
        for slice_ in client.all(kinds.ENDPOINT_SLICE)
        for end in slice_["endpoints"]
    )


def rolled_out(client):
    d = client.get(kinds.DEPLOYMENT, Key("default", "web"))
    done = conditions.find(d, "Progressing")
    status = d["status"]
    observed = status.get("observedGeneration") == d["metadata"]["generation"]
    counts = [status.get(n) for n in ("replicas", "updatedReplicas", "availableReplicas")]
    return bool(done and observed and counts == [20] * 3)
