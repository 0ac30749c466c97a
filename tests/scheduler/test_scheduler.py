"""The scheduler binds what can run and says why the rest cannot."""

from k3py import kinds
from k3py.api import conditions
from k3py.api.objects import Key
from k3py.client.cached import CachedClient
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


class World:
    def __init__(self, *objects):
        clock = FakeClock()
        self.client = FakeClient(*objects, clock=clock)
        informers = FakeInformers(self.client)
        self.recorder = FakeRecorder()
        client = CachedClient(self.client, informers, clock=clock)
        self.scheduler = Scheduler(client, informers, self.recorder, clock)

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
