"""Every node answers its pods' DNS questions, over UDP and TCP, whatever comes in between."""

import sys
from pathlib import Path

import pytest

from tests.network import plan
from tests.network.services import endpoint, service, slice_

pytestmark = pytest.mark.kernel

RESOLVER = str(Path(__file__).with_name("resolver.py"))
WEB = "web.default.svc.cluster.local"


@pytest.fixture(scope="module")
def cluster():
    with plan.running(2) as (lan, nodes):
        for n, node in enumerate(nodes, 1):
            node.attach(f"p{n}")
            many = [endpoint(f"10.42.1.{last}") for last in range(2, 202)]
            node.tell("endpointslices", slice_("many", *many))
            node.tell(
                "services",
                service("web", "10.43.0.20"),
                service("many", "None"),
                service("away", "", type="ExternalName", externalName="example.org"),
            )
        outside = lan.popen(0, sys.executable, RESOLVER, "serve", plan.lan(253))
        assert outside.stdout.readline() == "serving\n"
        yield lan, nodes
        outside.kill()
        outside.communicate()


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
@pytest.mark.parametrize("asker", ["p1", "p2", 1])
def test_names_of_services_are_answered_on_every_node(cluster, asker, protocol):
    lan, _ = cluster
    assert ask(lan, asker, WEB, protocol) == "NOERROR 10.43.0.20"
    assert ask(lan, asker, "nope.default.svc.cluster.local", protocol) == "NXDOMAIN"
    assert ask(lan, asker, WEB, protocol, "AAAA") == "NOERROR"


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
def test_other_names_are_asked_for_outside(cluster, protocol):
    lan, _ = cluster
    assert ask(lan, "p1", "example.org", protocol) == "NOERROR 192.0.2.1"
    assert ask(lan, "p1", "nope.example.org", protocol) == "NXDOMAIN"
    away = ask(lan, "p1", "away.default.svc.cluster.local", protocol)
    assert away == "NOERROR 192.0.2.1 example.org."


def test_what_does_not_fit_is_asked_again_over_tcp(cluster):
    lan, _ = cluster
    assert ask(lan, "p1", "many.default.svc.cluster.local").startswith("NOERROR TC 10.42.1.")
    assert ask(lan, "p1", "many.default.svc.cluster.local", "tcp").count("10.42.1.") == 200
    assert ask(lan, "p1", "large.example.org") == "NOERROR TC"
    assert ask(lan, "p1", "large.example.org", "tcp").count("192.0.2.") == 100


def test_a_silent_resolver_holds_up_nobody_else(cluster):
    lan, _ = cluster
    silent = lan.popen("p1", sys.executable, RESOLVER, "ask", plan.DNS, "udp", "A", "silent.org")
    assert ask(lan, "p1", WEB) == "NOERROR 10.43.0.20"
    assert ask(lan, "p1", "example.org") == "NOERROR 192.0.2.1"
    answer, seconds = silent.communicate()[0].strip().split("|")
    assert answer == "SERVFAIL"
    assert float(seconds.rstrip("s")) < 4.5


def test_rubbish_does_no_harm(cluster):
    lan, _ = cluster
    flood = (
        "import os, socket\n"
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        f"for _ in range(3000): s.sendto(os.urandom(60), ('{plan.DNS}', 53))\n"
        "for tail in (b'', b'\\xff\\xff', b'\\x00\\x05abc'):\n"
        f"    c = socket.create_connection(('{plan.DNS}', 53))\n"
        "    c.sendall(tail)\n"
        "    c.close()\n"
    )
    lan.run("p2", sys.executable, "-c", flood)
    plan.eventually(lambda: ask(lan, "p2", WEB) == "NOERROR 10.43.0.20")
    assert ask(lan, "p2", WEB, "tcp") == "NOERROR 10.43.0.20"


def test_a_changed_service_is_answered_anew(cluster):
    lan, nodes = cluster
    nodes[1].tell("services", service("web", "10.43.0.21"))
    assert ask(lan, "p2", WEB) == "NOERROR 10.43.0.21"
    assert ask(lan, "p2", "many.default.svc.cluster.local") == "NXDOMAIN"


def test_an_address_that_somebody_removes_comes_back(cluster):
    lan, _ = cluster
    lan.ip(1, f"addr del {plan.DNS}/32 dev lo")
    plan.eventually(lambda: plan.DNS in lan.run(1, "ip", "addr", "show", "dev", "lo"))
    assert ask(lan, "p1", WEB) == "NOERROR 10.43.0.20"


def test_a_taken_port_is_waited_for():
    with plan.running(1) as (lan, nodes):
        nodes[0].kill()
        hog = lan.popen(1, sys.executable, RESOLVER, "serve", "0.0.0.0")
        assert hog.stdout.readline() == "serving\n"
        plan.restart(lan, 1, nodes=1)
        hog.kill()
        hog.communicate()
        plan.eventually(lambda: ask(lan, 1, "cluster.local") == "NOERROR")


def test_nothing_is_left_when_all_is_removed(cluster):
    lan, nodes = cluster
    nodes[1].kill()
    lan.run(2, sys.executable, "-c", "from k3py.network import agent; agent.remove_all()")
    assert lan.run(2, "nft", "list", "tables") == ""
    assert set(lan.run(2, "ip", "-br", "link").split()) >= {"lo", "UNKNOWN"}
    assert "pod" not in lan.run(2, "ip", "-br", "link")
    assert "flannel" not in lan.run(2, "ip", "-br", "link")
    assert "10.4" not in lan.run(2, "ip", "addr")


def ask(lan, asker, name, protocol="udp", type_="A"):
    """What the node's DNS server says: the code, then the records."""
    printed = lan.run(asker, sys.executable, RESOLVER, "ask", plan.DNS, protocol, type_, name)
    return printed.split("|")[0]
