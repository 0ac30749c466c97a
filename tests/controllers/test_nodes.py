"""Nodes that fall silent are noticed, tainted, and lose their pods; nodes that come get
addresses of their own."""

import pytest

from k3py import kinds
from k3py.api import conditions, errors, times
from k3py.api.objects import Key
from k3py.controllers import node_taints
from k3py.controllers.node_cidr import NodeCidrController
from k3py.controllers.node_lifecycle import NodeLifecycleController
from k3py.controllers.pod_cleanup import PodCleanup
from k3py.controllers.taint_eviction import TaintEvictionController, patience
from k3py.testing.clock import START
from tests.controllers.world import World, made, node, pod

UNREACHABLE, NOT_READY = "node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready"


def test_a_node_that_renews_its_lease_stays_ready():
    world = watching(node("pi1"), node("pi2"))
    for _ in range(6):
        renew(world, "pi1", "pi2")
        world.pass_time(10)
    assert ready(world, "pi1")["status"] == "True"


def test_a_silent_node_is_unknown_after_its_grace():
    world = watching(node("pi1"), node("pi2"))
    beat(world, "pi1", seconds=49)
    assert ready(world, "pi2")["status"] == "True"
    beat(world, "pi1", seconds=2)
    found = ready(world, "pi2")
    assert (found["status"], found["reason"], found["message"]) == (
        "Unknown",
        "NodeStatusUnknown",
        "Kubelet stopped posting node status.",
    )
    assert found["lastHeartbeatTime"] == "2030-01-01T12:00:00Z"
    assert conditions.find(world.get(kinds.NODE, "pi2"), "MemoryPressure")["status"] == "Unknown"
    never = conditions.find(world.get(kinds.NODE, "pi2"), "DiskPressure")
    assert (never["reason"], never["message"]) == (
        "NodeStatusNeverUpdated",
        "Kubelet never posted node status.",
    )
    assert ready(world, "pi1")["status"] == "True"
    assert "Normal NodeNotReady Node/pi2: Node pi2 status is now: NodeNotReady" in world.events


def test_a_silent_node_is_tainted_and_the_taints_go_when_it_speaks_again():
    world = watching(node("pi1"), node("pi2", taints=[{"key": "mine", "effect": "NoSchedule"}]))
    beat(world, "pi1", seconds=50)
    assert taints(world, "pi2") == {
        ("mine", "NoSchedule"),
        (UNREACHABLE, "NoSchedule"),
        (UNREACHABLE, "NoExecute"),
    }
    speak(world, "pi2")
    world.run()
    assert taints(world, "pi2") == {("mine", "NoSchedule")}


def test_pods_of_a_silent_node_are_not_ready():
    world = watching(node("pi1"), node("pi2"), pod("web", node="pi2"), pod("db", node="pi1"))
    beat(world, "pi1", seconds=50)
    found = conditions.find(world.get(kinds.POD, "web"), "Ready")
    assert (found["status"], found["lastTransitionTime"]) == ("False", "2030-01-01T12:00:50Z")
    assert conditions.is_true(world.get(kinds.POD, "db"), "Ready")
    assert "Warning NodeNotReady Pod/web: Node is not ready" in world.events


def test_nothing_is_written_while_nothing_changes():
    world = watching(node("pi1"), node("pi2"))
    beat(world, "pi1", seconds=100)
    world.writes.clear()
    beat(world, "pi1", seconds=300)
    assert world.writes == []


def test_a_node_that_was_never_heard_has_its_grace_after_a_restart():
    world = World(node("pi1"), node("pi2"))
    world.clock.advance(3600)
    world.start(NodeLifecycleController).run()
    assert ready(world, "pi1")["status"] == "True"


def test_when_every_node_is_silent_no_pod_has_to_leave():
    world = watching(node("pi1"), node("pi2"))
    world.pass_time(50)
    for name in ("pi1", "pi2"):
        assert taints(world, name) == {(UNREACHABLE, "NoSchedule")}
    speak(world, "pi1")
    world.run()
    assert (UNREACHABLE, "NoExecute") in taints(world, "pi2")


@pytest.mark.parametrize(
    ("states", "disrupted"),
    [
        ("R", False),
        ("-", True),
        ("R-", False),
        ("--", True),
        ("R--", False),
        ("R---", True),
        ("RRR---", False),
        ("RR---", True),
    ],
)
def test_when_too_many_nodes_fail_the_fault_is_ours(states, disrupted):
    every = [node(str(i), ready="True" if s == "R" else "Unknown") for i, s in enumerate(states)]
    assert node_taints.is_disrupted(every) is disrupted


@pytest.mark.parametrize(
    ("condition", "status", "keys"),
    [
        ("Ready", "True", set()),
        ("Ready", "False", {NOT_READY}),
        ("Ready", "Unknown", {UNREACHABLE}),
        ("MemoryPressure", "True", {"node.kubernetes.io/memory-pressure"}),
        ("DiskPressure", "True", {"node.kubernetes.io/disk-pressure"}),
        ("PIDPressure", "True", {"node.kubernetes.io/pid-pressure"}),
        ("NetworkUnavailable", "True", {"node.kubernetes.io/network-unavailable"}),
        ("NetworkUnavailable", "Unknown", set()),
    ],
)
def test_conditions_are_taints(condition, status, keys):
    one = {"spec": {}, "status": {"conditions": [{"type": condition, "status": status}]}}
    assert {t["key"] for t in node_taints.wanted(one, evict=True, now=START)} == keys


def test_a_cordoned_node_is_tainted():
    world = watching(node("pi1"))
    world.change(kinds.NODE, "pi1", {"spec": {"unschedulable": True}})
    world.run()
    assert taints(world, "pi1") == {("node.kubernetes.io/unschedulable", "NoSchedule")}
    world.change(kinds.NODE, "pi1", {"spec": {"unschedulable": None}})
    world.run()
    assert taints(world, "pi1") == set()


def test_a_node_that_comes_and_goes_is_told_of():
    world = watching(node("pi1"))
    world.client.remove(kinds.NODE, Key("", "pi1"))
    world.run()
    assert world.events == [
        "Normal RegisteredNode Node/pi1: Node pi1 event: Registered Node pi1 in Controller",
        "Normal RemovingNode Node/pi1: Node pi1 event: Removing Node pi1 from Controller",
    ]


NOW = "2030-01-01T12:00:00Z"
TAINT = {"key": UNREACHABLE, "effect": "NoExecute", "timeAdded": NOW}
OTHER = {"key": "maintenance", "effect": "NoExecute", "value": "today"}


@pytest.mark.parametrize(
    ("tolerations", "taints", "seconds"),
    [
        ([], [], None),
        ([], [TAINT], 0),
        ([{"operator": "Exists"}], [TAINT, OTHER], None),
        ([{"key": UNREACHABLE, "operator": "Exists"}], [TAINT], None),
        ([{"key": UNREACHABLE, "operator": "Exists", "tolerationSeconds": 300}], [TAINT], 300),
        ([{"key": UNREACHABLE, "operator": "Exists", "tolerationSeconds": 0}], [TAINT], 0),
        ([{"operator": "Exists", "tolerationSeconds": 30},
          {"operator": "Exists", "tolerationSeconds": 60}], [TAINT], 30),
        ([{"key": UNREACHABLE, "operator": "Exists", "effect": "NoSchedule"}], [TAINT], 0),
        ([{"key": UNREACHABLE, "operator": "Exists", "tolerationSeconds": 300}], [TAINT, OTHER], 0),
        ([{"key": "maintenance", "value": "today"}], [OTHER], None),
        ([{"key": "maintenance", "operator": "Equal", "value": "tomorrow"}], [OTHER], 0),
    ],
)  # fmt: skip
def test_how_long_a_pod_may_stay(tolerations, taints, seconds):
    assert patience({"spec": {"tolerations": tolerations}}, taints) == seconds


def test_a_clock_that_was_put_right_evicted_pods_at_once():
    """A Raspberry Pi has no clock of its own: after a power cut the time of day jumps."""
    patient = pod("web", node="pi2")
    patient["spec"]["tolerations"] = [{"operator": "Exists", "tolerationSeconds": 300}]
    world = World(node("pi2", taints=[TAINT]), patient).start(TaintEvictionController).run()
    world.clock.put_right(7 * 3600)
    world.change(kinds.POD, "web", {"metadata": {"labels": {"app": "another"}}})
    world.pass_time(299)
    assert "delete Pod/web" not in world.writes
    world.pass_time(1)
    assert "delete Pod/web" in world.writes


def test_a_taint_from_before_the_server_was_off_evicted_pods_at_once():
    patient = pod("web", node="pi2")
    patient["spec"]["tolerations"] = [{"operator": "Exists", "tolerationSeconds": 300}]
    world = World(node("pi2", taints=[TAINT | {"timeAdded": "2029-12-31T00:00:00Z"}]), patient)
    world.start(TaintEvictionController).run()
    assert world.writes == []


def test_a_pod_leaves_when_its_patience_ends():
    patient = pod("web", node="pi2")
    patient["spec"]["tolerations"] = [{"operator": "Exists", "tolerationSeconds": 300}]
    world = World(node("pi2", taints=[TAINT]), patient).start(TaintEvictionController).run()
    world.pass_time(299)
    assert world.writes == []
    world.pass_time(1)
    assert world.writes == ["update Pod/web/status", "delete Pod/web"]
    found = conditions.find(world.get(kinds.POD, "web"), "DisruptionTarget")
    assert found["reason"] == "DeletionByTaintManager"
    assert world.events == [
        "Normal TaintManagerEviction Pod/web: Marking for deletion Pod default/web"
    ]


def test_a_node_that_comes_back_in_time_keeps_its_pods():
    patient = pod("web", node="pi2")
    patient["spec"]["tolerations"] = [{"operator": "Exists", "tolerationSeconds": 300}]
    world = World(node("pi2", taints=[TAINT]), patient).start(TaintEvictionController).run()
    world.pass_time(100)
    world.change(kinds.NODE, "pi2", {"spec": {"taints": None}})
    world.pass_time(1000)
    assert world.writes == ["patch Node/pi2"]
    assert world.events == [
        "Normal TaintManagerEviction Pod/web: Cancelling deletion of Pod default/web"
    ]


def test_a_pod_that_comes_to_a_tainted_node_has_to_leave_too():
    world = World(node("pi2", taints=[TAINT])).start(TaintEvictionController).run()
    world.put(pod("web", node="pi2"))
    world.put(pod("db", node="pi1"))
    world.run()
    assert world.writes == ["update Pod/web/status", "delete Pod/web"]


def test_from_power_cut_to_eviction():
    """The whole chain, with Kubernetes' default patience of five minutes."""
    patient = pod("web", node="pi2")
    patient["spec"]["tolerations"] = [
        {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
        for key in (NOT_READY, UNREACHABLE)
    ]
    world = World(node("pi1"), node("pi2"), patient)
    world.start(NodeLifecycleController).start(TaintEvictionController).run()
    beat(world, "pi1", seconds=340)
    assert "delete Pod/web" not in world.writes
    beat(world, "pi1", seconds=20)
    assert "delete Pod/web" in world.writes


def test_pods_of_a_node_that_is_gone_are_cleaned_up_after_a_while():
    world = World(node("pi1"), node("pi2"), pod("web", node="pi2"), pod("db", node="pi1"))
    world.start(PodCleanup).run()
    world.client.remove(kinds.NODE, Key("", "pi2"))
    world.pass_time(39)
    assert world.names(kinds.POD) == ["db", "web"]
    world.pass_time(1)
    assert world.names(kinds.POD) == ["db"]
    assert world.writes == ["update Pod/web/status", "delete Pod/web"]


def test_a_node_that_registers_anew_keeps_its_pods():
    world = World(node("pi2"), pod("web", node="pi2")).start(PodCleanup).run()
    world.client.remove(kinds.NODE, Key("", "pi2"))
    world.pass_time(20)
    world.put(node("pi2"))
    world.pass_time(60)
    assert world.names(kinds.POD) == ["web"]


def test_a_pod_deleted_before_any_node_had_it_goes():
    waiting = pod("web", node="", deletionTimestamp=NOW, finalizers=[])
    assert World(waiting).start(PodCleanup).run().names(kinds.POD) == []


def test_of_the_pods_that_ended_the_newest_are_kept():
    ended = [pod(f"job-{i}", phase="Succeeded", since=f"2030-01-01T11:0{i}:00Z") for i in range(5)]
    world = World(node("pi1"), pod("web"), *ended).start(PodCleanup, ended_kept=2).run()
    world.pass_time(30)
    assert world.names(kinds.POD) == ["job-3", "job-4", "web"]


def test_each_node_gets_addresses_of_its_own():
    world = addressed(*(node(f"pi{i}") for i in range(4)))
    found = {cidr(world, f"pi{i}") for i in range(4)}
    assert found == {"10.42.0.0/24", "10.42.1.0/24", "10.42.2.0/24", "10.42.3.0/24"}
    assert world.get(kinds.NODE, "pi0")["spec"]["podCIDRs"] == [cidr(world, "pi0")]


def test_addresses_of_a_deleted_node_are_given_again_and_others_kept():
    world = addressed(node("pi1"), node("pi2"))
    freed, kept = cidr(world, "pi1"), cidr(world, "pi2")
    world.client.remove(kinds.NODE, Key("", "pi1"))
    world.put(node("pi3"))
    world.run()
    assert (cidr(world, "pi3"), cidr(world, "pi2")) == (freed, kept)


def test_ranges_of_another_size_are_respected():
    taken = node("old")
    taken["spec"]["podCIDR"] = "10.42.0.0/23"
    assert cidr(addressed(taken, node("pi1")), "pi1") == "10.42.2.0/24"


def test_two_nodes_never_get_the_same_while_the_cache_is_behind():
    world = World(node("pi1"), node("pi2"))
    world.start(NodeCidrController, cluster_cidr="10.42.0.0/16")
    world.client._listeners.clear()  # the cache stands still
    world.controllers[0].client.settle = lambda seconds: False
    for _ in range(2):
        world.step(world.controllers[0])
    assert cidr(world, "pi1") != cidr(world, "pi2")


def test_a_conflict_cost_a_node_the_range_it_was_given():
    world = World(node("pi1"))
    world.client.refuse("patch Node/pi1", errors.Conflict("it just wrote its status"))
    world.start(NodeCidrController, cluster_cidr="10.42.0.0/16").run().pass_time(1)
    assert world.get(kinds.NODE, "pi1")["spec"]["podCIDR"] == "10.42.0.0/24"


def test_when_all_are_given_the_node_is_told_and_waits():
    world = addressed(node("pi1"), node("pi2"), node("pi3"), cluster_cidr="10.42.0.0/23")
    waiting = [n for n in ("pi1", "pi2", "pi3") if not cidr(world, n)]
    assert len(waiting) == 1
    assert any("CIDRNotAvailable" in event for event in world.events)
    gone = next(n for n in ("pi1", "pi2", "pi3") if n not in waiting)
    world.client.remove(kinds.NODE, Key("", gone))
    world.pass_time(60)
    assert cidr(world, waiting[0])


def watching(*objects):
    return World(*objects).start(NodeLifecycleController).run()


def addressed(*objects, cluster_cidr="10.42.0.0/16"):
    return World(*objects).start(NodeCidrController, cluster_cidr=cluster_cidr).run()


def beat(world, *names, seconds):
    """Let time pass while only these nodes renew their leases."""
    while seconds > 0:
        renew(world, *names)
        world.pass_time(min(5, seconds))
        seconds -= 5


def renew(world, *names):
    for name in names:
        lease = made("Lease", name)
        lease["metadata"]["namespace"] = "kube-node-lease"
        world.put(lease | {"spec": {"renewTime": times.micro_stamp(world.clock.now())}})


def speak(world, name):
    """What the node's agent writes when it is well."""
    found = world.get(kinds.NODE, name)
    now = times.stamp(world.clock.now())
    said = {"status": "True", "reason": "KubeletReady", "lastHeartbeatTime": now}
    for condition in found["status"]["conditions"]:
        if condition["type"] == "Ready":
            condition |= said
    world.put(found)


def ready(world, name):
    return conditions.find(world.get(kinds.NODE, name), "Ready")


def taints(world, name):
    found = world.get(kinds.NODE, name)["spec"].get("taints", ())
    return {(taint["key"], taint["effect"]) for taint in found}


def cidr(world, name):
    return world.get(kinds.NODE, name)["spec"].get("podCIDR")
