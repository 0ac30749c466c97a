"""Deployments replace pods gently when their template changes, and say how it goes."""

from k3py import kinds
from k3py.api import conditions, errors, meta
from k3py.api.objects import Key
from k3py.controllers.deployment import DeploymentController
from k3py.controllers.replicaset import ReplicaSetController
from tests.controllers.world import World, made, settle_pods


def test_a_new_deployment_makes_a_replica_set_of_full_size():
    world = deployed(replicas=3)
    (rs,) = world.client.all(kinds.REPLICA_SET)
    name, marked = rs["metadata"]["name"], rs["metadata"]["labels"]["pod-template-hash"]
    assert name == f"web-{marked}"
    assert rs["spec"]["replicas"] == 3
    assert rs["spec"]["selector"]["matchLabels"] == {"app": "web", "pod-template-hash": marked}
    assert rs["spec"]["template"]["metadata"]["labels"] == rs["metadata"]["labels"]
    assert rs["metadata"]["annotations"] == {
        "deployment.kubernetes.io/revision": "1",
        "deployment.kubernetes.io/desired-replicas": "3",
        "deployment.kubernetes.io/max-replicas": "4",
        "team": "home",
    }
    assert f"Normal ScalingReplicaSet Deployment/web: Scaled up replica set {name} from 0 to 3" in (
        world.events
    )
    assert deployment(world)["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"


def test_a_deployment_that_is_up_says_so_and_rests():
    world = settle_pods(deployed(replicas=3))
    (rs,) = world.names(kinds.REPLICA_SET)
    found = deployment(world)["status"]
    conditions_ = found.pop("conditions")
    assert found == {
        "observedGeneration": 1,
        "replicas": 3,
        "updatedReplicas": 3,
        "readyReplicas": 3,
        "availableReplicas": 3,
        "terminatingReplicas": 0,
    }
    assert told(conditions_) == {
        "Available": ("True", "MinimumReplicasAvailable", "Deployment has minimum availability."),
        "Progressing": (
            "True",
            "NewReplicaSetAvailable",
            f'ReplicaSet "{rs}" has successfully progressed.',
        ),
    }
    world.writes.clear()
    world.controllers[0].queue.add(Key("default", "web"))
    world.run()
    assert world.writes == []


def test_a_changed_template_rolls_over_step_by_step():
    world = settle_pods(deployed(replicas=3))
    change_image(world, "busybox:2")
    seen = [sizes(world)]
    for _ in range(10):
        settle_pods(world)
        seen.append(sizes(world))
    assert seen[0] == (3, 1)
    assert seen[-1] == (0, 3)
    assert all(3 <= a + b <= 4 for a, b in seen)
    assert deployment(world)["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"


def test_never_are_fewer_available_than_allowed():
    world = settle_pods(deployed(replicas=4, surge=0, unavailable=1))
    least = []
    world.client.listen(lambda kind, event: least.append(available(world)))
    change_image(world, "busybox:2")
    for _ in range(12):
        settle_pods(world)
    assert sizes(world) == (0, 4)
    assert min(least) == 3


def test_a_rollout_whose_new_pods_do_not_become_ready_stops():
    world = settle_pods(deployed(replicas=3))
    change_image(world, "broken")
    for _ in range(5):
        settle_pods(world, ready=False)
    assert sizes(world) == (3, 1)


def test_a_rollout_that_makes_no_progress_is_late_after_its_deadline():
    world = settle_pods(deployed(replicas=1, deadline=60))
    change_image(world, "broken")
    settle_pods(world, ready=False)
    world.pass_time(30)
    assert condition(world, "Progressing")["reason"] != "ProgressDeadlineExceeded"
    world.pass_time(40)
    late = condition(world, "Progressing")
    name = newest(world)["metadata"]["name"]
    assert (late["status"], late["reason"], late["message"]) == (
        "False",
        "ProgressDeadlineExceeded",
        f'ReplicaSet "{name}" has timed out progressing.',
    )
    assert condition(world, "Available")["status"] == "True"


def test_undoing_reuses_the_old_replica_set_as_the_newest_revision():
    world = settle_pods(deployed(replicas=1))
    (first,) = world.names(kinds.REPLICA_SET)
    change_image(world, "busybox:2")
    settled(world)
    change_image(world, "busybox:1.36")
    settled(world)
    assert len(world.names(kinds.REPLICA_SET)) == 2
    rs = world.get(kinds.REPLICA_SET, first)
    assert rs["spec"]["replicas"] == 1
    assert rs["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "3"
    assert rs["metadata"]["annotations"]["deployment.kubernetes.io/revision-history"] == "1"


def test_a_restart_annotation_rolls_over():
    world = settle_pods(deployed(replicas=1))
    note = {"kubectl.kubernetes.io/restartedAt": "2030-01-01T12:00:00Z"}
    change_template(world, {"metadata": {"annotations": note}})
    settled(world)
    assert sizes(world) == (0, 1)


def test_a_changed_annotation_of_the_deployment_reaches_its_replica_set():
    world = settle_pods(deployed(replicas=1))
    world.change(kinds.DEPLOYMENT, "web", {"metadata": {"annotations": {"team": "garden"}}})
    world.run()
    assert newest(world)["metadata"]["annotations"]["team"] == "garden"
    assert len(world.names(kinds.REPLICA_SET)) == 1


def test_old_replica_sets_are_kept_up_to_the_limit():
    world = settle_pods(deployed(replicas=1, history=2))
    for number in range(5):
        change_image(world, f"busybox:{number}")
        settled(world)
    found = [int(revision(rs)) for rs in world.client.all(kinds.REPLICA_SET)]
    assert sorted(found) == [4, 5, 6]


def test_recreating_waits_until_every_old_pod_is_gone():
    world = settle_pods(deployed(replicas=2, strategy={"type": "Recreate"}))
    change_image(world, "busybox:2")
    assert len(world.names(kinds.REPLICA_SET)) == 1
    assert all(meta.is_deleting(pod) for pod in world.client.all(kinds.POD))
    one = world.client.all(kinds.POD)[0]
    world.client.remove(kinds.POD, meta.key(one))
    world.run()
    assert len(world.names(kinds.REPLICA_SET)) == 1
    settled(world)
    assert sizes(world) == (0, 2)


def test_a_paused_deployment_scales_but_does_not_roll():
    world = settle_pods(deployed(replicas=2))
    world.change(kinds.DEPLOYMENT, "web", {"spec": {"paused": True}})
    world.run()
    paused = condition(world, "Progressing")
    assert (paused["status"], paused["reason"]) == ("Unknown", "DeploymentPaused")
    change_image(world, "busybox:2")
    scale(world, 4)
    settled(world)
    (rs,) = world.client.all(kinds.REPLICA_SET)
    assert rs["spec"]["replicas"] == 4
    world.change(kinds.DEPLOYMENT, "web", {"spec": {"paused": False}})
    settled(world)
    assert sizes(world) == (0, 4)


def test_scaling_keeps_the_template_hash():
    world = settle_pods(deployed(replicas=2))
    scale(world, 5)
    (rs,) = world.client.all(kinds.REPLICA_SET)
    assert rs["spec"]["replicas"] == 5
    assert rs["metadata"]["annotations"]["deployment.kubernetes.io/desired-replicas"] == "5"
    name = rs["metadata"]["name"]
    assert world.events.count(
        f"Normal ScalingReplicaSet Deployment/web: Scaled up replica set {name} from 2 to 5"
    )


def test_scaling_to_nothing_and_back():
    world = settle_pods(deployed(replicas=2))
    scale(world, 0)
    settled(world)
    assert world.names(kinds.POD) == []
    scale(world, 1)
    settled(world)
    assert len(world.names(kinds.POD)) == 1


def test_scaling_in_the_middle_of_a_rollout_shares_the_new_pods_out():
    world = settle_pods(deployed(replicas=10, surge=3, unavailable=2))
    change_image(world, "broken")
    settle_pods(world, ready=False)
    assert sizes(world) == (8, 5)
    scale(world, 20)
    assert sizes(world) == (14, 9)  # 23 of 13: 8 * 23 / 13, and 5 * 23 / 13
    assert newest(world)["metadata"]["annotations"]["deployment.kubernetes.io/max-replicas"] == "23"


def test_a_replica_set_whose_number_was_lost_is_found_again():
    """The name is taken, and by our own: the server died between the two writes."""
    world = settle_pods(deployed(replicas=1))
    (rs,) = world.client.all(kinds.REPLICA_SET)
    hidden = world.informers.of(kinds.REPLICA_SET).cache
    hidden.remove(rs)
    world.controllers[0].queue.add(Key("default", "web"))
    world.step(world.controllers[0])
    assert world.names(kinds.REPLICA_SET) == [rs["metadata"]["name"]]


def test_two_templates_of_one_hash_do_not_collide_twice(monkeypatch):
    world = settle_pods(deployed(replicas=1))
    (rs,) = world.client.all(kinds.REPLICA_SET)
    name, marked = rs["metadata"]["name"], rs["metadata"]["labels"]["pod-template-hash"]
    real = __import__("k3py.controllers.rollout", fromlist=["x"]).template_hash
    monkeypatch.setattr(
        "k3py.controllers.rollout.template_hash",
        lambda template, collisions: real(template, collisions) if collisions else marked,
    )
    change_image(world, "busybox:2")
    world.pass_time(5)
    settled(world)
    assert deployment(world)["status"]["collisionCount"] == 1
    assert len(world.names(kinds.REPLICA_SET)) == 2
    assert world.get(kinds.REPLICA_SET, name)["spec"]["replicas"] == 0


def test_a_replica_set_that_is_refused_is_told_and_tried_again():
    world = World(deployment_of(replicas=1)).start(DeploymentController)
    world.client.refuse("create ReplicaSet", errors.Forbidden("quota"))
    world.step(world.controllers[0])
    found = condition(world, "Progressing")
    assert (found["status"], found["reason"]) == ("False", "ReplicaSetCreateError")
    assert found["message"].endswith(": quota")
    world.pass_time(5)
    assert len(world.names(kinds.REPLICA_SET)) == 1


def test_what_a_replica_set_complains_of_is_passed_on():
    world = World(deployment_of(replicas=1)).start(DeploymentController, ReplicaSetController)
    world.client.refuse("create Pod", errors.Forbidden("no service account"))
    for controller in world.controllers * 2:
        world.step(controller)
    failure = condition(world, "ReplicaFailure")
    assert (failure["reason"], failure["message"]) == ("FailedCreate", "no service account")
    world.pass_time(5)
    assert condition(world, "ReplicaFailure") is None


def test_a_deployment_that_is_being_deleted_only_counts():
    about = {"deletionTimestamp": "2030-01-01T12:00:00Z", "finalizers": ["foregroundDeletion"]}
    world = World(deployment_of(replicas=1, **about))
    world.start(DeploymentController, ReplicaSetController).run()
    assert world.names(kinds.REPLICA_SET) == []


def test_a_matching_replica_set_without_a_controller_is_adopted():
    world = deployed(replicas=1)
    (rs,) = world.client.all(kinds.REPLICA_SET)
    world.change(kinds.REPLICA_SET, rs["metadata"]["name"], {"metadata": {"ownerReferences": None}})
    world.run()
    assert meta.is_controlled_by(newest(world), deployment(world))


def test_min_ready_seconds_hold_a_rollout_back():
    world = settled(deployed(replicas=1, min_ready=30))
    world.pass_time(31)
    change_image(world, "busybox:2")
    settle_pods(world)
    assert sizes(world) == (1, 1)
    world.pass_time(31)
    assert sizes(world) == (0, 1)


def test_without_a_deadline_nothing_is_said_of_progress():
    world = settle_pods(deployed(replicas=1, deadline=2**31 - 1))
    assert condition(world, "Progressing") is None


def deployed(**spec):
    world = World(deployment_of(**spec))
    return world.start(DeploymentController, ReplicaSetController).run()


def deployment_of(
    replicas,
    *,
    surge="25%",
    unavailable="25%",
    strategy=None,
    deadline=600,
    history=10,
    min_ready=0,
    **about,
):
    template = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "main", "image": "busybox:1.36"}]},
    }
    rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
    spec = {
        "replicas": replicas,
        "selector": {"matchLabels": {"app": "web"}},
        "strategy": strategy or {"type": "RollingUpdate", "rollingUpdate": rolling},
        "template": template,
        "progressDeadlineSeconds": deadline,
        "revisionHistoryLimit": history,
        "minReadySeconds": min_ready,
    }
    own = {"annotations": {"team": "home"}} | about
    return made("Deployment", "web", **own) | {"spec": spec, "status": {}}


def settled(world):
    for _ in range(6):
        world.clock.advance(1)
        settle_pods(world)
    return world


def change_image(world, image):
    change_template(world, {"spec": {"containers": [{"name": "main", "image": image}]}})


def change_template(world, change):
    world.clock.advance(1)
    world.change(kinds.DEPLOYMENT, "web", {"spec": {"template": change}})
    world.run()


def scale(world, replicas):
    world.change(kinds.DEPLOYMENT, "web", {"spec": {"replicas": replicas}})
    world.run()


def deployment(world):
    return world.get(kinds.DEPLOYMENT, "web")


def condition(world, kind):
    return conditions.find(deployment(world), kind)


def revision(rs):
    return rs["metadata"]["annotations"]["deployment.kubernetes.io/revision"]


def newest(world):
    return max(world.client.all(kinds.REPLICA_SET), key=lambda rs: int(revision(rs)))


def sizes(world):
    """Of all the old ones, and of the newest."""
    new = newest(world)
    every = sum(rs["spec"]["replicas"] for rs in world.client.all(kinds.REPLICA_SET))
    return every - new["spec"]["replicas"], new["spec"]["replicas"]


def available(world):
    return sum(
        conditions.is_true(pod, "Ready") and not meta.is_deleting(pod)
        for pod in world.client.all(kinds.POD)
    )


def told(found):
    return {c["type"]: (c["status"], c["reason"], c["message"]) for c in found}
