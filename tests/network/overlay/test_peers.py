"""Node objects become peers only when all they say makes sense."""

import json

import pytest

from k3py.api import wellknown
from k3py.network.overlay import peers
from k3py.network.overlay.peers import Peer

MAC = "02:00:00:00:00:02"


def test_other_nodes_are_peers_and_this_one_is_not():
    found = peers.peers([node("pi-1"), node("pi-2", "10.42.2.0/24")], but="pi-1")
    assert found == {Peer("10.42.2.0/24", "192.168.1.2", MAC)}
    assert next(iter(found)).tunnel == "10.42.2.0"


@pytest.mark.parametrize(
    "said",
    [
        {wellknown.FLANNEL_BACKEND_TYPE: "host-gw"},
        {wellknown.FLANNEL_PUBLIC_IP: "192.168.1.2 dev lo"},
        {wellknown.FLANNEL_PUBLIC_IP: "fe80::1"},
        {wellknown.FLANNEL_BACKEND_DATA: "null"},
        {wellknown.FLANNEL_BACKEND_DATA: "{"},
        {wellknown.FLANNEL_BACKEND_DATA: '{"VtepMAC": "02:00:00:00:00:02\\nlink del eth0"}'},
        {wellknown.FLANNEL_BACKEND_DATA: '{"VtepMAC": null}'},
    ],
)
def test_a_node_that_makes_no_sense_is_no_peer(said):
    assert not peers.peers([node("pi-2", **said)], but="pi-1")


@pytest.mark.parametrize(
    "cidr", ["", None, "10.42.2.0", "10.42.2.1/24", "fd00::/64", "10.42.2.0/30"]
)
def test_a_node_without_a_usable_range_is_no_peer(cidr):
    assert not peers.peers([node("pi-2", cidr)], but="pi-1")


def test_of_two_nodes_that_claim_one_range_one_is_a_peer():
    twins = [node("pi-3", "10.42.2.0/24"), node("pi-2", "10.42.2.0/24")]
    assert len(peers.peers(twins, but="pi-1")) == 1


def test_what_a_node_says_about_itself_makes_it_a_peer():
    said = peers.annotations("192.168.1.2", MAC)
    assert json.loads(said[wellknown.FLANNEL_BACKEND_DATA]) == {"VNI": 1, "VtepMAC": MAC}
    assert peers.peers([node("pi-2", **said)], but="pi-1")


def test_a_nodes_mac_address_is_its_own_and_stays():
    assert peers.mac_address("pi-1") == peers.mac_address("pi-1") != peers.mac_address("pi-2")
    assert int(peers.mac_address("pi-1")[:2], 16) & 0b11 == 0b10


def node(name, cidr="10.42.2.0/24", **said):
    annotations = peers.annotations("192.168.1.2", MAC) | said
    return {"metadata": {"name": name, "annotations": annotations}, "spec": {"podCIDR": cidr}}
