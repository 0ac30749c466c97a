"""The scheduler binds what can run and says why the rest cannot."""

import threading

from k3py import kinds
from k3py.api import conditions, errors
from k3py.api.objects import Key
from k3py.base import threads
from k3py.client.cached import CachedClient
from k3py.scheduler.framework import PodInfo
from k3py.scheduler.scheduler import Scheduler
from k3py.testing.client import FakeClient, FakeInformers, FakeRecorder
from k3py.testing.clock import FakeClock

from .test_placement import pod as bare_pod


def test_a_pod_that_fits_nowhere_says_so_in_a_condition_and_an_event():
    world = World(pod("web", cpu="64"), node("pi1"))
    world.scheduler.schedule(Key("default", "web"))
    condition = conditions.find(world.get("web"), "PodScheduled")
    assert (condition["status"], condition["reason"]) == ("False", "Unschedulable")
    assert condition["message"] == "0/1 nodes are available: 1 Insufficient cpu."
    assert any("FailedScheduling" in str(event) for event in world.recorder.events)


def test_saying_it_again_writes_nothing():
    world = World(pod("web", cpu="64"), node("pi1"))
    world.scheduler.schedule(Key("default", "web"))
    writes = len(world.client.writes)
    world.scheduler.schedule(Key("default", "web"))
    assert len(world.client.writes) == writes


def test_a_pod_of_another_scheduler_is_left_alone():
    world = World(pod("web", schedulerName="mine"), node("pi1"))
    world.scheduler.schedule(Key("default", "web"))
    assert world.client.writes == []


def test_a_pod_that_the_scheduler_cannot_understand_stopped_it_for_all():
    """And with it the whole server, whose threads have one fate."""
    world = World(pod("odd", topologySpreadConstraints=[{}], priority=9), pod("web"), node("pi1"))
    bound = world.on("MODIFIED", "web")
    group = threads.Group("test")
    group.start("scheduler", world.scheduler.run)
    assert bound.wait(5)
    assert not group.stopping.is_set()
    group.stop()


def test_a_pod_made_anew_while_its_namesake_was_being_bound_was_forgotten():
    world = World(pod("web"), node("pi1"))
    key = Key("default", "web")
    # The binding comes when the old pod is gone and the new one is known already.
    world.client.remove(kinds.POD, key)
    kind, again = pod("web")
    world.client.put(kind, again | {"metadata": again["metadata"] | {"uid": "another"}})
    world.client.refuse("create Pod/web/binding", errors.NotFound("pods web"))
    refused = world.bind(key)
    assert refused["spec"].get("nodeName") is None
    world.clock.advance(2)
    assert world.scheduler._backlog.take() == key


def test_a_pod_that_is_being_bound_was_placed_a_second_time():
    world = World(pod("web"), node("pi1"))
    world.scheduler._snapshot.assume(PodInfo.of(bare_pod("web")), "pi1")
    world.scheduler.schedule(Key("default", "web"))
    assert world.client.writes == []


class World:
    def __init__(self, *objects):
        self.clock = clock = FakeClock()
        self.client = FakeClient(*objects, clock=clock)
        informers = FakeInformers(self.client)
        self.recorder = FakeRecorder()
        client = CachedClient(self.client, informers, clock=clock)
        self.scheduler = Scheduler(client, informers, self.recorder, clock)

    def on(self, type_, name):
        """An event that is set when the API tells of such a change."""
        seen = threading.Event()

        def told(kind, event):
            if (event.type, event.object["metadata"]["name"]) == (type_, name):
                seen.set()

        self.client.listen(told)
        return seen

    def bind(self, key):
        """One binding, from beginning to end; the pod as it is then."""
        info = PodInfo.of(self.get(key.name))
        assert self.scheduler._backlog.take() == key
        self.scheduler._bind(self.get(key.name), info, "pi1")
        return self.get(key.name)

    def get(self, name):
        return self.client.get(kinds.POD, Key("default", name))


def pod(name, **spec):
    return kinds.POD, bare_pod(name, **spec)


def node(name):
    return kinds.NODE, {
        "metadata": {"name": name, "uid": name},
        "spec": {},
        "status": {"allocatable": {"cpu": "4", "memory": "4Gi", "pods": "110"}},
    }
