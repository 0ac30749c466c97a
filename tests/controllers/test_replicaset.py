"""ReplicaSets keep as many pods alive as each one asks for."""

import pytest

from k3py import kinds
from k3py.api import conditions, errors, meta
from k3py.api.objects import Key
from k3py.controllers.replicaset import ReplicaSetController, first_to_go
from tests.controllers.world import World, made, node, pod, settle_pods

WEB = Key("default", "web")


def test_missing_pods_are_created():
    world = running(replica_set(replicas=2))
    assert world.writes == ["create Pod/web-1", "create Pod/web-2", "update ReplicaSet/web/status"]
    assert world.events == [
        "Normal SuccessfulCreate ReplicaSet/web: Created pod: web-1",
        "Normal SuccessfulCreate ReplicaSet/web: Created pod: web-2",
    ]


def test_a_created_pod_is_the_template_and_belongs_to_the_replica_set():
    world = running(replica_set(replicas=1))
    made_pod = world.get(kinds.POD, "web-1")
    assert made_pod["metadata"]["labels"] == {"app": "web"}
    assert made_pod["metadata"]["annotations"] == {"note": "from template"}
    assert made_pod["spec"]["containers"][0]["image"] == "busybox:1.36"
    assert made_pod["metadata"]["ownerReferences"] == [
        {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "name": "web",
            "uid": "uid-web",
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]


def test_nothing_is_written_when_everything_is_well():
    world = settle_pods(running(replica_set(replicas=2)))
    world.writes.clear()
    world.controllers[0].queue.add(WEB)
    world.run()
    assert world.writes == []


def test_pods_that_end_or_go_are_replaced():
    world = settle_pods(running(replica_set(replicas=2)))
    world.client.remove(kinds.POD, Key("default", "web-1"))
    world.change(kinds.POD, "web-2", {"status": {"phase": "Failed"}}, "status")
    world.run()
    assert world.names(kinds.POD) == ["web-2", "web-3", "web-4"]


def test_a_pod_that_is_being_deleted_is_replaced_at_once():
    world = settle_pods(running(replica_set(replicas=1)))
    world.client.delete(kinds.POD, Key("default", "web-1"))
    world.run()
    assert world.names(kinds.POD) == ["web-1", "web-2"]
    assert status(world)["terminatingReplicas"] == 1


def test_scaling_down_deletes_the_pods_that_are_missed_least():
    rs = replica_set(replicas=1)
    world = running(rs, pod("old", owner=rs), pod("new", owner=rs, node=""))
    assert world.writes[0] == "delete Pod/new"
    assert world.events == ["Normal SuccessfulDelete ReplicaSet/web: Deleted pod: new"]


NOW = "2030-01-01T12:00:00Z"


@pytest.mark.parametrize(
    ("stays", "goes"),
    [
        ({"node": "pi1"}, {"node": ""}),
        ({"phase": "Running"}, {"phase": "Pending"}),
        ({"phase": "Running"}, {"phase": "Unknown"}),
        ({"ready": True}, {"ready": False}),
        ({"cost": "5"}, {"cost": "-1"}),
        ({"cost": "5"}, {"cost": "not a number"}),
        ({"node": "roomy"}, {"node": "crowded"}),
        ({"since": "2030-01-01T10:00:00Z"}, {"since": "2030-01-01T11:59:00Z"}),
        ({"restarts": 0}, {"restarts": 3}),
        # what comes first in the order decides
        ({"ready": True, "restarts": 9}, {"ready": False}),
        ({"node": "crowded", "ready": True}, {"node": "roomy", "ready": False}),
    ],
)
def test_of_two_pods_one_goes_first(stays, goes):
    from k3py.testing.clock import START

    def candidate(name, cost="0", restarts=0, **more):
        obj = pod(name, **more)
        obj["metadata"]["annotations"] = {"controller.kubernetes.io/pod-deletion-cost": cost}
        obj["status"]["containerStatuses"] = [{"restartCount": restarts}]
        return obj

    for names in (("a", "b"), ("b", "a")):  # the names must not decide
        kept, gone = candidate(names[0], **stays), candidate(names[1], **goes)
        ranked = sorted([kept, gone], key=first_to_go({"roomy": 1, "crowded": 2}, START))
        assert ranked[0] is gone


def test_an_orphan_that_matches_is_adopted():
    world = running(replica_set(replicas=1), pod("lonely"))
    assert world.writes[0] == "patch Pod/lonely"
    assert meta.controller(world.get(kinds.POD, "lonely"))["uid"] == "uid-web"
    assert world.names(kinds.POD) == ["lonely"]


def test_a_pod_of_another_controller_is_left_alone():
    other = made("ReplicaSet", "other")
    world = running(replica_set(replicas=1), pod("theirs", owner=other))
    assert world.names(kinds.POD) == ["theirs", "web-1"]


def test_a_pod_that_no_longer_matches_is_released_and_replaced():
    world = settle_pods(running(replica_set(replicas=1)))
    world.change(kinds.POD, "web-1", {"metadata": {"labels": {"app": "debug"}}})
    world.run()
    assert meta.controller(world.get(kinds.POD, "web-1")) is None
    assert world.names(kinds.POD) == ["web-1", "web-2"]


def test_a_replica_set_that_is_being_deleted_neither_creates_nor_adopts():
    rs = replica_set(replicas=3, deletionTimestamp=NOW, finalizers=["foregroundDeletion"])
    world = running(rs, pod("lonely"))
    assert world.names(kinds.POD) == ["lonely"]
    assert meta.controller(world.get(kinds.POD, "lonely")) is None


def test_a_deleted_replica_set_known_only_to_the_api_adopts_nothing():
    world = World(replica_set(replicas=1), pod("lonely")).start(ReplicaSetController)
    live = world.client.get
    gone = {"deletionTimestamp": NOW}
    world.client.get = lambda kind, key, **more: (
        live(kind, key) | {"metadata": live(kind, key)["metadata"] | gone}
    )
    world.step(world.controllers[0])
    assert world.writes[0] == "create Pod/web-1"


def test_pods_are_created_in_growing_batches_and_a_refusal_stops_them():
    world = World(replica_set(replicas=100)).start(ReplicaSetController)
    world.client.refuse("create Pod/web-4", errors.Forbidden("exceeded quota"))
    controller = world.controllers[0]
    world.step(controller)
    created = [w for w in world.writes if w.startswith("create")]
    assert len(created) == 6  # 1 + 2 + (4 - 1)
    assert "Warning FailedCreate ReplicaSet/web: Error creating: exceeded quota" in world.events
    failure = conditions.find(world.get(kinds.REPLICA_SET, "web"), "ReplicaFailure")
    assert (failure["status"], failure["reason"], failure["message"]) == (
        "True",
        "FailedCreate",
        "exceeded quota",
    )
    world.pass_time(60)
    assert len(world.names(kinds.POD)) == 100
    assert not conditions.find(world.get(kinds.REPLICA_SET, "web"), "ReplicaFailure")


def test_a_namespace_that_is_being_deleted_causes_no_events():
    refusal = errors.Forbidden("no", {"causes": [{"reason": "NamespaceTerminating"}]})
    world = World(replica_set(replicas=1)).start(ReplicaSetController)
    world.client.refuse("create Pod", refusal)
    world.step(world.controllers[0])
    assert world.events == []


def test_the_status_counts_pods():
    world = running(replica_set(replicas=3))
    assert status(world) == {"replicas": 3, "fullyLabeledReplicas": 3} | TOLD
    settle_pods(world)
    assert (
        status(world)
        == {
            "replicas": 3,
            "fullyLabeledReplicas": 3,
            "readyReplicas": 3,
            "availableReplicas": 3,
        }
        | TOLD
    )


def test_a_pod_is_available_once_it_was_ready_for_the_minimum_time():
    world = settle_pods(running(replica_set(replicas=1, min_ready=10)))
    assert (status(world)["readyReplicas"], status(world).get("availableReplicas")) == (1, None)
    world.pass_time(9)
    assert "availableReplicas" not in status(world)
    world.pass_time(1)
    assert status(world)["availableReplicas"] == 1


def test_a_pod_of_a_dead_node_counts_no_more_once_it_is_deleted():
    rs = replica_set(replicas=1)
    world = running(rs, node("pi2"), pod("web-x", owner=rs, node="pi2"))
    world.client.delete(kinds.POD, Key("default", "web-x"))
    world.run()
    assert world.names(kinds.POD) == ["web-1", "web-x"]


TOLD = {"terminatingReplicas": 0, "observedGeneration": 1}


def running(*objects):
    return World(*objects).start(ReplicaSetController).run()


def status(world):
    return world.get(kinds.REPLICA_SET, "web")["status"]


def replica_set(replicas, min_ready=0, **about):
    template = {
        "metadata": {"labels": {"app": "web"}, "annotations": {"note": "from template"}},
        "spec": {"containers": [{"name": "main", "image": "busybox:1.36"}]},
    }
    spec = {
        "replicas": replicas,
        "minReadySeconds": min_ready,
        "selector": {"matchLabels": {"app": "web"}},
        "template": template,
    }
    return made("ReplicaSet", "web", **about) | {"spec": spec, "status": {"replicas": 0}}
