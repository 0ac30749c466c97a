"""A pod goes to a node that every rule allows, and the best of those."""

import pytest

from k3py.scheduler import plugins
from k3py.scheduler.framework import NodeInfo, PodInfo
from k3py.scheduler.placement import Unschedulable, place


def test_a_pod_goes_where_there_is_room():
    nodes = [node("small", cpu="1"), node("big", cpu="4")]
    assert placed(pod(cpu="2"), nodes) == "big"


def test_requests_of_pods_already_there_count():
    full = node("full", cpu="1")
    full.add(PodInfo.of(pod(cpu="900m")))
    assert placed(pod(cpu="200m"), [full, node("free", cpu="1")]) == "free"


def test_a_removed_pod_leaves_its_room():
    here = node("here", cpu="1")
    guest = PodInfo.of(pod(cpu="1"))
    here.add(guest)
    here.remove(guest.uid)
    assert placed(pod(cpu="1"), [here]) == "here"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"cpu": "9"}, "0/2 nodes are available: 2 Insufficient cpu."),
        (
            {"cpu": "9", "memory": "1Ti"},
            "0/2 nodes are available: 2 Insufficient cpu, 2 Insufficient memory.",
        ),
        (
            {"nodeSelector": {"disk": "ssd"}},
            "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector.",
        ),
    ],
)
def test_the_refusal_says_why_in_kubernetes_words(spec, message):
    with pytest.raises(Unschedulable) as refused:
        placed(pod(**spec), [node("a"), node("b")])
    assert str(refused.value) == message


def test_without_nodes_there_is_nowhere_to_go():
    with pytest.raises(Unschedulable, match="no nodes available to schedule pods"):
        placed(pod(), [])


@pytest.mark.parametrize(
    ("toleration", "fits"),
    [
        (None, False),
        ({"key": "gpu", "operator": "Exists"}, True),
        ({"key": "gpu", "value": "yes"}, True),
        ({"key": "gpu", "value": "no"}, False),
        ({"operator": "Exists"}, True),
        ({"key": "gpu", "operator": "Exists", "effect": "NoExecute"}, False),
    ],
)
def test_a_taint_keeps_away_who_does_not_tolerate_it(toleration, fits):
    tainted = node("a", taints=[{"key": "gpu", "value": "yes", "effect": "NoSchedule"}])
    spec = {"tolerations": [toleration]} if toleration else {}
    if fits:
        assert placed(pod(**spec), [tainted]) == "a"
    else:
        with pytest.raises(Unschedulable, match=r"1 node\(s\) had untolerated taint\(s\)\."):
            placed(pod(**spec), [tainted])


def test_a_cordoned_node_takes_no_new_pods():
    with pytest.raises(Unschedulable, match=r"1 node\(s\) were unschedulable"):
        placed(pod(), [node("a", unschedulable=True)])


def test_a_host_port_is_taken_once():
    port = {"containerPort": 80, "hostPort": 8080, "protocol": "TCP"}
    busy = node("busy")
    busy.add(PodInfo.of(pod("first", ports=[port])))
    assert placed(pod("second", ports=[port]), [busy, node("idle")]) == "idle"
    with pytest.raises(Unschedulable, match="free ports"):
        placed(pod("third", ports=[port]), [busy])


def test_too_many_pods_are_too_many():
    crowded = node("a", pods="1")
    crowded.add(PodInfo.of(pod("first")))
    with pytest.raises(Unschedulable, match="1 Too many pods"):
        placed(pod("second"), [crowded])


def test_replicas_spread_over_nodes_that_are_equal():
    nodes = [node("a"), node("b"), node("c")]
    for number in range(6):
        info = PodInfo.of(pod(f"web-{number}", owner="rs"))
        place(info, nodes, plugins.FILTERS, plugins.SCORES).add(info)
    assert [len(n.pods) for n in nodes] == [2, 2, 2]


def test_a_hard_spread_constraint_bounds_the_skew():
    hard = {
        "maxSkew": 1,
        "topologyKey": "zone",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}},
    }
    east, west = node("e", zone="east", cpu="1"), node("w", zone="west", cpu="100")
    east.add(PodInfo.of(pod("one", app="web")))
    assert placed(pod("two", app="web", topologySpreadConstraints=[hard]), [east, west]) == "w"
    west.used["cpu"] = 100_000
    with pytest.raises(Unschedulable, match="topology spread constraints"):
        placed(pod("2", app="web", cpu="1", topologySpreadConstraints=[hard]), [east, west])


def test_preferred_affinity_is_only_a_preference():
    like = {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}
    affinity = {
        "nodeAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "preference": like}]
        }
    }
    nodes = [node("slow"), node("fast", disk="ssd")]
    assert placed(pod(affinity=affinity), nodes) == "fast"
    assert placed(pod(affinity=affinity), nodes[:1]) == "slow"


def placed(which, nodes):
    return place(PodInfo.of(which), nodes, plugins.FILTERS, plugins.SCORES).name


def node(name, *, cpu="4", pods="110", taints=(), unschedulable=False, **labels):
    return NodeInfo.of(
        {
            "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **labels}},
            "spec": {"taints": list(taints), "unschedulable": unschedulable},
            "status": {"allocatable": {"cpu": cpu, "memory": "4Gi", "pods": pods}},
        }
    )


def pod(name="pod", *, cpu="", memory="", ports=(), owner="", app="", **spec):
    requests = {k: v for k, v in {"cpu": cpu, "memory": memory}.items() if v}
    refs = [{"uid": owner, "controller": True}] if owner else []
    container = {"name": "c", "resources": {"requests": requests}, "ports": list(ports)}
    return {
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": name,
            "labels": {"app": app},
            "ownerReferences": refs,
        },
        "spec": {"containers": [container], **spec},
    }
