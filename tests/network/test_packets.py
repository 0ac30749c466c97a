"""Packets between pods, nodes and the world get where they should, from whom they should."""

import pytest

from tests.network import plan

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def cluster():
    """Two pods on node 1, one on node 2, one on node 3; each answers with its name on 8080."""
    with plan.running(3) as (lan, nodes):
        for n, pods in ((1, ("a1", "b1")), (2, ("a2",)), (3, ("a3",))):
            for pod in pods:
                lan.serve(pod, nodes[n - 1].attach(pod), 8080)
        yield lan, nodes


def test_pods_reach_each_other_on_every_node_and_see_who_asks(cluster):
    lan, _ = cluster
    addresses = {pod: lan.addresses[pod] for pod in ("a1", "b1", "a2", "a3")}
    for asker, asked in (("a1", "b1"), ("b1", "a2"), ("a2", "a1"), ("a3", "a2"), ("a1", "a3")):
        assert lan.ask(asker, "tcp", addresses[asked]) == f"{asked} saw {addresses[asker]}"
        assert lan.ask(asker, "udp", addresses[asked]) == f"{asked} saw {addresses[asker]}"


def test_nodes_reach_pods_everywhere(cluster):
    lan, _ = cluster
    assert lan.ask(1, "tcp", lan.addresses["a1"]) == "a1 saw 10.42.1.1"
    assert lan.ask(1, "tcp", lan.addresses["a2"]) == "a2 saw 10.42.1.0"


def test_outside_the_cluster_pods_appear_as_their_node(cluster):
    lan, _ = cluster
    lan.serve("outside", "192.168.77.254", 9000, where=0)
    assert lan.ask("a2", "tcp", "192.168.77.254", 9000) == f"outside saw {plan.lan(2)}"


def test_the_largest_packet_a_pod_may_send_crosses_the_tunnel_whole(cluster):
    lan, _ = cluster
    headers = 28  # IPv4 and UDP
    assert lan.ask("a1", "udp", lan.addresses["a2"], size=1450 - headers).startswith("a2 saw")
    assert lan.ask("a1", "udp", lan.addresses["a2"], size=1451 - headers) == "Message too long"


def test_a_pod_cannot_send_from_another_pods_address(cluster):
    lan, _ = cluster
    lan.ip(
        "b1",
        "addr add 10.42.2.77/32 dev lo",
        f"route add {lan.addresses['a1']}/32 via 10.42.1.1 src 10.42.2.77",
    )
    try:
        assert lan.ask("b1", "tcp", lan.addresses["a1"]) == "timeout"
    finally:
        lan.ip("b1", f"route del {lan.addresses['a1']}/32", "addr del 10.42.2.77/32 dev lo")


def test_a_node_that_leaves_and_returns_with_another_address(cluster):
    lan, nodes = cluster
    everyone = [plan.node(n) for n in (1, 2, 3)]
    nodes[0].tell("nodes", everyone[0], everyone[2])
    plan.eventually(lambda: "10.42.2.0" not in lan.run(1, "ip", "route"))
    assert "10.42.2" not in lan.run(1, "ip", "neigh", "show", "dev", "flannel.1")
    assert plan.lan(2) not in lan.run(1, "bridge", "fdb", "show", "dev", "flannel.1")
    nodes[0].tell("nodes", *everyone)
    plan.eventually(lambda: lan.ask("a1", "tcp", lan.addresses["a2"]).startswith("a2 saw"))


def test_a_tunnel_that_somebody_deletes_comes_back(cluster):
    lan, _ = cluster
    lan.ip(1, "link del flannel.1")
    plan.eventually(lambda: lan.ask("a1", "tcp", lan.addresses["a2"]).startswith("a2 saw"))


def test_tables_that_somebody_flushes_come_back(cluster):
    lan, _ = cluster
    lan.run(2, "nft", "flush", "ruleset")
    plan.eventually(lambda: "k3py-masquerade" in lan.run(2, "nft", "list", "tables"))


def test_a_killed_agent_finds_its_pods_again(cluster):
    lan, nodes = cluster
    nodes[2].kill()
    assert lan.ask("a1", "tcp", lan.addresses["a3"]).startswith("a3 saw")
    nodes[2] = plan.restart(lan, 3, nodes=3)
    assert nodes[2].call("addresses", "a3") == [lan.addresses["a3"]]
    assert nodes[2].call("attach", "a3", str(lan.netns("a3"))) == [lan.addresses["a3"]]
    assert lan.ask("a1", "tcp", lan.addresses["a3"]).startswith("a3 saw")
    fourth = nodes[2].attach("b3")
    assert fourth != lan.addresses["a3"]
    nodes[2].call("retain", ["a3"])
    assert nodes[2].call("addresses", "b3") == []
    assert "10.42.3.2" in lan.run(3, "ip", "route")
    assert fourth not in lan.run(3, "ip", "route")


def test_a_quiet_node_changes_nothing(cluster):
    lan, nodes = cluster
    busy = nodes[0].call("cpu_seconds")
    assert lan.run(1, "sh", "-c", "timeout 1.5 ip -4 monitor link address; true") == ""
    assert nodes[0].call("cpu_seconds") - busy < 0.1


def test_a_node_says_how_to_reach_it(cluster):
    _, nodes = cluster
    said = plan.node(1)["metadata"].pop("annotations")
    nodes[0].tell("nodes", plan.node(1) | {"metadata": {"name": plan.name(1)}})
    plan.eventually(lambda: nodes[0].call("patches"))
    assert nodes[0].call("patches")[-1] == ["nodes", "node1", {"metadata": {"annotations": said}}]
    nodes[0].tell("nodes", *(plan.node(n) for n in (1, 2, 3)))
