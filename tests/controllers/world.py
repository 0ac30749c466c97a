"""A small world for controllers: an API in memory, and everything they need, without threads."""

from k3py import kinds
from k3py.api import meta
from k3py.api.objects import Key
from k3py.client.cached import CachedClient
from k3py.testing.client import FakeClient, FakeInformers, FakeRecorder

KINDS = {kind.kind: kind for kind in kinds.ALL}


class World:
    """`run` lets the controllers work until they have nothing to do at this time."""

    def __init__(self, *objects):
        self.client = FakeClient(*((KINDS[obj["kind"]], obj) for obj in objects))
        self.clock = self.client.clock
        self.informers = FakeInformers(self.client)
        self.recorder = FakeRecorder()
        self.controllers = []

    def start(self, *classes, **more):
        for cls in classes:
            client = CachedClient(self.client, self.informers, clock=self.clock)
            self.controllers.append(cls(client, self.informers, self.recorder, self.clock, **more))
        return self

    def run(self, rounds=1000):
        while any(map(self.step, self.controllers)):
            rounds -= 1
            assert rounds, "the controllers do not come to rest"
        self.informers.check_unchanged()
        return self

    def step(self, controller):
        key = controller.queue.take_now()
        if key is not None:
            controller.work(key)
        return key is not None

    def pass_time(self, seconds):
        self.clock.advance(seconds)
        return self.run()

    def get(self, kind, name, namespace="default"):
        return self.client.get(kind, Key(namespace if kind.namespaced else "", name))

    def put(self, obj):
        return self.client.put(KINDS[obj["kind"]], obj)

    def change(self, kind, name, change, subresource=""):
        key = Key("default" if kind.namespaced else "", name)
        return self.client.patch(kind, key, change, subresource=subresource)

    def names(self, kind):
        return [obj["metadata"]["name"] for obj in sorted(self.client.all(kind), key=meta.key)]

    @property
    def writes(self):
        return self.client.writes

    @property
    def events(self):
        return self.recorder.events


def pod(
    name,
    *,
    labels=None,
    node="pi1",
    ready=True,
    phase="Running",
    owner=None,
    ip="",
    containers=None,
    since="2030-01-01T11:00:00Z",
    **about,
):
    ready_condition = {
        "type": "Ready",
        "status": "True" if ready else "False",
        "lastTransitionTime": since,
    }
    spec = {"containers": containers or [{"name": "main", "image": "busybox:1.36"}]}
    status = {"phase": phase, "conditions": [ready_condition]}
    if ip:
        status |= {"podIP": ip, "podIPs": [{"ip": ip}]}
    obj = made("Pod", name, labels=labels or {"app": "web"}, creationTimestamp=since, **about)
    if node:
        spec["nodeName"] = node
    if owner:
        obj["metadata"]["ownerReferences"] = [meta.controller_ref(KINDS[owner["kind"]], owner)]
    return obj | {"spec": spec, "status": status}


def made(kind, name, **about):
    found = KINDS[kind]
    metadata = {"name": name} | ({"namespace": "default"} if found.namespaced else {})
    return {
        "apiVersion": found.api_version,
        "kind": kind,
        "metadata": metadata | {"uid": f"uid-{name}"} | about,
    }


def node(name, *, ready="True", taints=(), **about):
    conditions = [
        {
            "type": kind,
            "status": status,
            "reason": "Kubelet",
            "message": "",
            "lastHeartbeatTime": "2030-01-01T12:00:00Z",
            "lastTransitionTime": "2030-01-01T11:00:00Z",
        }
        for kind, status in (("MemoryPressure", "False"), ("Ready", ready))
    ]
    spec = {"taints": list(taints)} if taints else {}
    return made("Node", name, **about) | {"spec": spec, "status": {"conditions": conditions}}


def settle_pods(world, *, ready=True):
    """What scheduler and node would do: every pod gets a node and becomes ready; those that
    are being deleted go."""
    for obj in world.client.all(kinds.POD):
        if meta.is_deleting(obj):
            world.client.remove(kinds.POD, meta.key(obj))
        elif not obj["spec"].get("nodeName"):
            spec = obj["spec"] | {"nodeName": "pi1"}
            status = {"phase": "Running", "conditions": [ready_now(world, ready)]}
            world.client.put(kinds.POD, obj | {"spec": spec, "status": status})
    return world.run()


def ready_now(world, ready=True):
    from k3py.api import times

    return {
        "type": "Ready",
        "status": "True" if ready else "False",
        "lastTransitionTime": times.stamp(world.clock.now()),
    }
