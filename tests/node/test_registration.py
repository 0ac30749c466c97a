"""The Node says what the machine is, and its Lease that it lives."""

import threading
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from k3py import kinds
from k3py.api import conditions, errors
from k3py.api.objects import Key
from k3py.node import registration
from k3py.node.registration import Facts, Health, Registration
from k3py.node.runtime.runtime import Image
from k3py.testing.client import FakeClient
from k3py.testing.clock import FakeClock

FACTS = Facts(
    "pi-1", ("192.168.1.7",), "v1.36.0+k3py1", "podman://4.3.1", 4, 8 << 30, 100 << 30,
    {"disk": "ssd"}, ({"key": "a", "effect": "NoSchedule"},),
)  # fmt: skip
NODE, LEASE = Key("", "pi-1"), Key("kube-node-lease", "pi-1")


def test_the_node_is_registered_with_its_labels_taints_and_capacity(at):
    at.registration.turn()
    node = at.client.get(kinds.NODE, NODE)
    assert node["metadata"]["labels"]["kubernetes.io/hostname"] == "pi-1"
    assert node["metadata"]["labels"]["disk"] == "ssd"
    assert node["spec"]["taints"] == [{"key": "a", "effect": "NoSchedule"}]
    status = node["status"]
    assert status["capacity"]["memory"] == "8388608Ki"
    assert status["allocatable"]["memory"] == "8286208Ki"
    assert status["allocatable"]["pods"] == "110"
    assert status["nodeInfo"]["kubeletVersion"] == "v1.36.0+k3py1"
    assert status["nodeInfo"]["containerRuntimeVersion"] == "podman://4.3.1"
    assert status["addresses"] == [
        {"type": "InternalIP", "address": "192.168.1.7"},
        {"type": "Hostname", "address": "pi-1"},
    ]
    assert conditions.is_true(node, "Ready")
    assert status["daemonEndpoints"] == {"kubeletEndpoint": {"Port": 10250}}


def test_the_lease_is_renewed_and_the_status_left_alone(at):
    at.registration.turn()
    del at.client.writes[:]
    for _ in range(20):
        at.clock.advance(10)
        at.registration.turn()
    assert at.client.writes == ["patch Lease/pi-1"] * 20
    lease = at.client.get(kinds.LEASE, LEASE)
    assert lease["spec"]["renewTime"] == "2030-01-01T12:03:20.000000Z"
    assert lease["spec"]["leaseDurationSeconds"] == 40
    assert lease["metadata"]["ownerReferences"][0]["kind"] == "Node"


def test_every_five_minutes_the_conditions_are_confirmed(at):
    for _ in range(37):
        at.registration.turn()
        at.clock.advance(10)
    assert at.client.writes.count("patch Node/pi-1/status") == 2


def test_what_changes_is_told_at_once(at):
    at.registration.turn()
    at.health = Health(disk=True, runtime="container runtime is down")
    at.clock.advance(10)
    at.registration.turn()
    node = at.client.get(kinds.NODE, NODE)
    assert conditions.is_true(node, "DiskPressure")
    ready = conditions.find(node, "Ready")
    assert (ready["status"], ready["message"]) == ("False", "container runtime is down")
    assert ready["lastTransitionTime"] == "2030-01-01T12:00:10Z"


def test_a_node_that_becomes_ready_does_not_wait_for_the_next_heartbeat(at):
    at.health = Health(network="network is not ready")
    stop = threading.Event()
    loop = threading.Thread(target=at.registration.run, args=(stop,))
    loop.start()
    try:
        while not at.clock.waiting:
            stop.wait(0.005)
        at.health = Health()
        at.clock.advance(1)
        for _ in range(1000):
            if conditions.is_true(at.client.get(kinds.NODE, NODE), "Ready"):
                break
            stop.wait(0.005)
        else:
            pytest.fail("the node is not Ready a second after its network is")
    finally:
        stop.set()
        loop.join()


def test_a_node_that_somebody_deleted_registers_again(at):
    at.registration.turn()
    at.client.remove(kinds.NODE, NODE)
    at.clock.advance(60)
    at.registration.turn()
    assert conditions.is_true(at.client.get(kinds.NODE, NODE), "Ready")


def test_labels_are_set_at_the_start_and_then_left_to_the_users(at):
    old = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "pi-1"}, "spec": {}}
    at.client.put(kinds.NODE, old)
    at.registration.turn()
    node = at.client.get(kinds.NODE, NODE)
    assert node["metadata"]["labels"].pop("disk") == "ssd"
    at.client.put(kinds.NODE, node)
    at.clock.advance(60)
    at.registration.turn()
    assert "disk" not in at.client.get(kinds.NODE, NODE)["metadata"]["labels"]


def test_conditions_of_others_stay(at):
    at.registration.turn()
    node = at.client.get(kinds.NODE, NODE)
    other = {"type": "NetworkUnavailable", "status": "False"}
    node["status"]["conditions"].append(other)
    at.client.put(kinds.NODE, node)
    at.clock.advance(300)
    at.registration.turn()
    assert other in at.client.get(kinds.NODE, NODE)["status"]["conditions"]


def test_the_largest_images_are_listed():
    images = [Image(str(n), "", (f"i{n}",), n) for n in range(60)] + [Image("x", "", (), 999)]
    found = registration.listed_images(images)
    assert len(found) == 50
    assert found[0] == {"names": ["i59"], "sizeBytes": 59}


def test_a_server_that_is_away_is_an_error_for_the_loop(at):
    at.client.refuse("create Node", errors.ServiceUnavailable("away"))
    with pytest.raises(errors.ServiceUnavailable):
        at.registration.turn()
    at.registration.turn()
    assert at.client.get(kinds.LEASE, LEASE)


def test_this_machine_can_be_described(tmp_path):
    assert registration.memory_bytes() > registration.memory_bytes(limit=1 << 20) == 1 << 20
    assert registration.disk_bytes(tmp_path / "not/yet") > 0
    assert registration.architecture() in ("amd64", "arm64", "arm")
    assert isinstance(registration.pressures(tmp_path), Health)
    assert registration.node_info(replace(FACTS, name="x"))["bootID"]
    assert datetime.now(UTC)


class At:
    def __init__(self):
        self.clock, self.health = FakeClock(), Health()
        self.client = FakeClient(clock=self.clock)
        self.registration = Registration(
            self.client,
            FACTS,
            health=lambda: self.health,
            images=list,
            clock=self.clock,
        )


@pytest.fixture
def at():
    return At()
