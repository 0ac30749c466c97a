"""A Service's address leads to a pod that answers for it, whoever asks and wherever it runs."""

import time

import pytest

from tests.network import plan
from tests.network.services import endpoint, port, service, slice_

pytestmark = pytest.mark.kernel

WEB, ALONE, NONE, FAITHFUL, LOCAL, UDP = (f"10.43.0.{n}" for n in range(20, 26))
LAN = "lan"


@pytest.fixture(scope="module")
def cluster():
    """Pods a1, b1 on node 1 and a2 on node 2; node 3 has none. All nodes have a LAN beside them."""
    with plan.running(3) as (lan, nodes):
        for n, pods in ((1, ("a1", "b1")), (2, ("a2",)), (3, ("a3",))):
            for pod in pods:
                lan.serve(pod, nodes[n - 1].attach(pod), 8080)
        a1, b1, a2 = (lan.addresses[pod] for pod in ("a1", "b1", "a2"))
        here, there = endpoint(a1, "node1"), endpoint(a2, "node2")
        services = (
            service("web", WEB, port(80, node_port=30080), type="NodePort"),
            service("alone", ALONE, externalIPs=["192.168.77.77"]),
            service("none", NONE, port(80, node_port=30081), type="NodePort"),
            service("faithful", FAITHFUL, sessionAffinity="ClientIP"),
            service(
                "local",
                LOCAL,
                port(80, node_port=30082),
                type="NodePort",
                internalTrafficPolicy="Local",
                externalTrafficPolicy="Local",
            ),
            service("udp", UDP, port(53, protocol="UDP")),
        )
        slices = (
            slice_("web", here, there),
            slice_("alone", here),
            slice_("none"),
            slice_("faithful", here, endpoint(b1, "node1"), there),
            slice_("local", here, there),
            slice_("udp", there, ports=({"name": "", "port": 8080, "protocol": "UDP"},)),
        )
        for node in nodes:
            node.tell("endpointslices", *slices)
            node.tell("services", *services)
        for n in (1, 2, 3):
            plan.eventually(
                lambda n=n: UDP in lan.run(n, "nft", "list", "table", "ip", "k3py-proxy")
            )
        yield lan, nodes


@pytest.mark.parametrize("asker", ["a1", "b1", "a2", "a3", 1, 2, 3])
def test_all_endpoints_answer_pods_and_nodes(cluster, asker):
    lan, _ = cluster
    seen = {who(lan.ask(asker, "tcp", WEB, 80)) for _ in range(16)}
    assert seen == {"a1", "a2"}


def test_an_endpoint_sees_the_pod_that_asks(cluster):
    lan, _ = cluster
    assert lan.ask("a3", "tcp", ALONE, 80) == f"a1 saw {lan.addresses['a3']}"
    assert lan.ask("b1", "tcp", ALONE, 80) == f"a1 saw {lan.addresses['b1']}"


def test_a_pod_reaches_itself_through_its_service(cluster):
    lan, _ = cluster
    assert lan.ask("a1", "tcp", ALONE, 80) == "a1 saw 10.42.1.1"


@pytest.mark.parametrize("asker", ["a1", "a3", 1, 3])
def test_a_service_without_endpoints_refuses_at_once(cluster, asker):
    lan, _ = cluster
    started = time.monotonic()
    assert lan.ask(asker, "tcp", NONE, 80) == "refused"
    assert lan.ask(asker, "tcp", WEB, 81) == "refused"  # no such port
    assert lan.ask(asker, "tcp", "10.43.9.9", 80) == "refused"  # no such Service
    assert time.monotonic() - started < 1.5
    # What a node itself sends by UDP fails before it is sent.
    assert lan.ask(asker, "udp", WEB, 80) in ("refused", "Operation not permitted")


@pytest.mark.parametrize("node", [1, 2, 3])
def test_a_node_port_answers_on_every_node(cluster, node):
    lan, _ = cluster
    seen = {who(lan.ask(0, "tcp", plan.lan(node), 30080)) for _ in range(16)}
    assert seen == {"a1", "a2"}
    assert lan.ask("a3", "tcp", plan.lan(node), 30080)[:2] in seen
    assert lan.ask(node, "tcp", plan.lan(node), 30080)[:2] in seen
    assert lan.ask(0, "tcp", plan.lan(node), 30081) == "refused"


def test_an_external_address_answers(cluster):
    lan, _ = cluster
    lan.ip(0, f"route replace 192.168.77.77/32 via {plan.lan(2)}")
    assert lan.ask(0, "tcp", "192.168.77.77", 80) == "a1 saw 10.42.2.0"


def test_a_client_with_affinity_comes_back_to_the_same_endpoint(cluster):
    lan, _ = cluster
    for asker in ("a3", "b1", 2):
        assert len({lan.ask(asker, "tcp", FAITHFUL, 80) for _ in range(12)}) == 1


def test_the_local_policy_keeps_to_the_node_and_keeps_the_clients_address(cluster):
    lan, _ = cluster
    assert {lan.ask("b1", "tcp", LOCAL, 80) for _ in range(8)} == {"a1 saw 10.42.1.3"}
    assert lan.ask("a3", "tcp", LOCAL, 80) == "refused"
    assert lan.ask(0, "tcp", plan.lan(1), 30082) == "a1 saw 192.168.77.254"
    assert lan.ask(0, "tcp", plan.lan(3), 30082) == "refused"
    assert who(lan.ask("a3", "tcp", plan.lan(3), 30082)) in ("a1", "a2")


def test_udp_follows_its_endpoint(cluster):
    lan, nodes = cluster
    assert who(lan.ask("a3", "udp", UDP, 53)) == "a2"
    ports = ({"name": "", "port": 8080, "protocol": "UDP"},)
    moved = slice_("udp", endpoint(lan.addresses["b1"], "node1"), ports=ports)
    nodes[2].tell("endpointslices", moved)
    plan.eventually(lambda: who(lan.ask("a3", "udp", UDP, 53)) == "b1")
    flows = ("conntrack", "-L", "-p", "udp", "--orig-dst", UDP)
    plan.eventually(lambda: lan.addresses["a2"] not in lan.run(3, *flows))


def test_a_flushed_table_comes_back(cluster):
    lan, _ = cluster
    lan.run(2, "nft", "flush", "ruleset")
    plan.eventually(lambda: "saw" in lan.ask("a2", "tcp", WEB, 80))


def test_stale_chains_are_deleted_in_the_end(cluster):
    lan, nodes = cluster
    nodes[0].tell("services", service("web", WEB))
    plan.eventually(
        lambda: "svc/default/alone" not in lan.run(1, "nft", "list", "table", "ip", "k3py-proxy")
    )
    assert "svc/default/web" in lan.run(1, "nft", "list", "table", "ip", "k3py-proxy")


def test_a_service_that_makes_no_sense_disturbs_no_other(cluster):
    lan, nodes = cluster
    senseless = service("senseless", "10.43.0.90", {"port": "many"}, externalIPs=[None])
    nodes[1].tell("services", senseless, service("web", WEB))
    plan.eventually(lambda: "10.43.0.23" not in lan.run(2, "nft", "list", "ruleset"))
    assert who(lan.ask("a2", "tcp", WEB, 80)) in ("a1", "a2")
    assert lan.ask("a2", "tcp", "10.43.0.90", 80) == "refused"


def test_rules_that_somebody_broke_are_replaced_with_the_next_change(cluster):
    lan, nodes = cluster
    lan.run(2, "nft", "flush", "map", "ip", "k3py-proxy", "service-ips")
    assert lan.ask("a2", "tcp", WEB, 80) == "refused"
    nodes[1].tell("services", service("web", "10.43.0.92"))
    plan.eventually(lambda: who(lan.ask("a2", "tcp", "10.43.0.92", 80)) in ("a1", "a2"))
    assert lan.ask("a2", "tcp", WEB, 80) == "refused"


def who(answer):
    return answer.split()[0]
