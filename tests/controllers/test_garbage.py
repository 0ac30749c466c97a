"""What is owned goes with its owners, in the order that was asked for."""

import pytest

from k3py import kinds
from k3py.api import errors, meta
from k3py.api.objects import Key
from k3py.controllers.deployment import DeploymentController
from k3py.controllers.garbage import GarbageCollector
from k3py.controllers.replicaset import ReplicaSetController
from tests.controllers.test_deployment import deployment_of
from tests.controllers.world import KINDS, World, made, pod, settle_pods


def test_what_is_owned_goes_when_its_owner_is_gone():
    world = running(settings("owner"), settings("child", "owner"), settings("other"))
    delete(world, "owner")
    assert world.names(kinds.CONFIG_MAP) == ["other"]


def test_a_whole_family_goes():
    world = running(settings("a"), settings("b", "a"), settings("c", "b"))
    delete(world, "a")
    assert world.names(kinds.CONFIG_MAP) == []


def test_what_was_orphaned_while_nobody_looked_is_found_at_the_start():
    world = running(settings("child", "owner"))
    assert world.names(kinds.CONFIG_MAP) == []


def test_another_object_of_the_owners_name_is_not_the_owner():
    impostor = settings("owner")
    impostor["metadata"]["uid"] = "another"
    world = running(impostor, settings("child", "owner"))
    assert world.names(kinds.CONFIG_MAP) == ["owner"]


def test_an_owner_that_the_cache_does_not_know_yet_is_asked_for():
    world = World(settings("owner"), settings("child", "owner")).start(GarbageCollector)
    (collector,) = world.controllers
    cache = collector._caches[kinds.CONFIG_MAP]
    cache.remove(cache.get(Key("default", "owner")))
    while world.step(collector):
        pass
    assert world.names(kinds.CONFIG_MAP) == ["child", "owner"]


def test_an_api_that_does_not_answer_deletes_nothing():
    world = World(settings("child", "owner")).start(GarbageCollector)

    def unreachable(*args, **more):
        raise errors.ServiceUnavailable("starting")

    world.client.get = unreachable
    world.run()
    assert world.names(kinds.CONFIG_MAP) == ["child"]


@pytest.mark.parametrize(
    "ref",
    [
        {"apiVersion": "example.com/v1", "kind": "Unknown"},
        {"apiVersion": "v1", "kind": "TokenReview"},
    ],
)
def test_an_owner_that_cannot_be_judged_counts_as_there(ref):
    child = settings("child", "owner")
    child["metadata"]["ownerReferences"][0] |= ref
    assert running(child).names(kinds.CONFIG_MAP) == ["child"]


def test_a_cluster_scoped_object_keeps_an_owner_that_it_could_not_have():
    child = made("Node", "pi1", ownerReferences=[reference("owner")]) | {"spec": {}, "status": {}}
    assert running(child).names(kinds.NODE) == ["pi1"]


def test_one_owner_is_enough_and_the_absent_one_is_forgotten():
    child = settings("child", "gone")
    child["metadata"]["ownerReferences"].append(reference("owner"))
    world = running(settings("owner"), child)
    kept = world.get(kinds.CONFIG_MAP, "child")["metadata"]["ownerReferences"]
    assert [ref["name"] for ref in kept] == ["owner"]


def test_orphans_live_on_without_their_owner():
    world = running(settings("owner"), settings("child", "owner"))
    delete(world, "owner", propagation="Orphan")
    assert world.names(kinds.CONFIG_MAP) == ["child"]
    assert "ownerReferences" not in world.get(kinds.CONFIG_MAP, "child")["metadata"]


def test_in_the_foreground_the_owner_goes_last():
    gone = []
    world = running(settings("a"), settings("b", "a"), settings("c", "b"))
    world.client.listen(
        lambda kind, e: gone.append(e.object["metadata"]["name"]) if e.type == "DELETED" else None
    )
    delete(world, "a", propagation="Foreground")
    assert gone == ["c", "b", "a"]


def test_in_the_foreground_only_what_blocks_is_waited_for():
    child = settings("child", "owner", finalizers=["example.com/slow"])
    child["metadata"]["ownerReferences"][0]["blockOwnerDeletion"] = False
    world = running(settings("owner"), child)
    delete(world, "owner", propagation="Foreground")
    assert world.names(kinds.CONFIG_MAP) == ["child"]


def test_a_child_that_stops_blocking_lets_its_owner_go():
    world = running(settings("owner"), settings("child", "owner", finalizers=["example.com/slow"]))
    delete(world, "owner", propagation="Foreground")
    assert world.names(kinds.CONFIG_MAP) == ["child", "owner"]
    world.change(kinds.CONFIG_MAP, "child", {"metadata": {"finalizers": None}})
    world.run()
    assert world.names(kinds.CONFIG_MAP) == []


@pytest.mark.parametrize("propagation", ["Background", "Foreground"])
def test_a_deployment_goes_with_all_it_made(propagation):
    world = deployed()
    world.client.delete(kinds.DEPLOYMENT, Key("default", "web"), propagation=propagation)
    settle(world)
    for kind in (kinds.DEPLOYMENT, kinds.REPLICA_SET, kinds.POD):
        assert world.names(kind) == []


def test_a_deployment_deleted_alone_leaves_its_pods_running():
    world = deployed()
    world.client.delete(kinds.DEPLOYMENT, Key("default", "web"), propagation="Orphan")
    settle(world)
    assert world.names(kinds.DEPLOYMENT) == []
    (rs,) = world.client.all(kinds.REPLICA_SET)
    assert meta.controller(rs) is None
    assert len(world.names(kinds.POD)) == 2


def test_pods_of_a_deleted_owner_end_gracefully():
    rs = made("ReplicaSet", "gone")
    world = running(pod("web", owner=rs))
    assert meta.is_deleting(world.get(kinds.POD, "web"))


def deployed():
    world = World(deployment_of(replicas=2))
    world.start(DeploymentController, ReplicaSetController, GarbageCollector).run()
    return settle_pods(world)


def settle(world):
    world.run()
    for _ in range(4):
        settle_pods(world)
        world.pass_time(1)


def running(*objects):
    return World(*objects).start(GarbageCollector).run()


def delete(world, name, propagation=""):
    world.client.delete(kinds.CONFIG_MAP, Key("default", name), propagation=propagation)
    world.run()


def settings(name, owner=None, **about):
    refs = {"ownerReferences": [reference(owner)]} if owner else {}
    return made("ConfigMap", name, **refs, **about)


def reference(owner):
    return meta.controller_ref(KINDS["ConfigMap"], made("ConfigMap", owner))
