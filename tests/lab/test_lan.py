"""Address plans: each lab has a network of its own, and none that this machine uses."""

import sys

import pytest

from k3py.base import commands
from k3py.lab import lan
from k3py.lab.lan import Lan


def test_nodes_have_fixed_addresses():
    first = Lan(0)
    assert (first.bridge, first.gateway, first.address(1)) == (
        "pilan0",
        "172.30.0.1",
        "172.30.0.11",
    )
    assert first.mac(1) == "02:00:ac:1e:00:0b"
    assert Lan(1).address(3) == "172.30.1.13"


def test_link_names_fit_the_kernel():
    assert all(len(Lan(n).link(lan.MOST_NODES)) <= 15 for n in range(len(lan.PREFIXES)))


def test_a_lab_takes_the_first_network_that_is_not_routed():
    assert lan._first_free(set(), ["default", "192.0.2.0/24"]) == 0
    assert lan._first_free({0}, ["default"]) == 1
    assert lan._first_free(set(), ["172.30.0.0/24", "172.30.1.7"]) == 2
    assert lan.PREFIXES[lan._first_free(set(), ["172.30.0.0/16"])] == "10.230.0"


def test_where_all_is_routed_it_says_so():
    with pytest.raises(lan.NoFreeNetwork, match="ip route"):
        lan._first_free(set(), ["172.16.0.0/12", "10.0.0.0/8"])


@pytest.mark.kernel
def test_nodes_pass_dockers_firewall_and_leave_no_rule_in_it():
    """In a network namespace with the rules that Docker makes."""
    claim = """
from k3py.base import commands
from k3py.lab.lan import Lan
def rules():
    return commands.run("iptables", "-S", "DOCKER-USER").splitlines()
for rule in ("-N DOCKER-USER", "-A FORWARD -j DOCKER-USER", "-P FORWARD DROP"):
    commands.run("iptables", *rule.split())
before = rules()
lan = Lan(0)
for again in range(2):
    lan.up(internet=False)
    assert sorted(rules()[1:]) == [
        "-A DOCKER-USER -i pilan0 -j ACCEPT",
        "-A DOCKER-USER -o pilan0 -j ACCEPT",
    ], rules()
lan.down()
assert rules() == before
"""
    inside = 'mount -t sysfs sysfs /sys && exec "$0" -c "$1"'
    commands.run("unshare", "--net", "--mount", "sh", "-c", inside, sys.executable, claim)
