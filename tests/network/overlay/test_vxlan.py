"""The tunnel device is left alone while it is right, and peers change one entry at a time."""

import pytest

from k3py.network.overlay import vxlan
from k3py.network.overlay.peers import Peer

TUNNEL = vxlan.Tunnel("192.168.1.1", "eth0", "02:00:00:00:00:01", 1450, "10.42.1.0", "10.43.0.0/16")
INFO = {"id": 1, "port": 8472, "local": "192.168.1.1", "link": "eth0", "learning": False}
TWO = Peer("10.42.2.0/24", "192.168.1.2", "02:00:00:00:00:02")
THREE = Peer("10.42.3.0/24", "192.168.1.3", "02:00:00:00:00:03")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({}, None),
        ({"local": "192.168.1.99"}, None),  # can be changed in place
        ({"id": 2}, "its id is 2, not 1"),
        ({"port": 4789}, "its port is 4789, not 8472"),
        ({"learning": True}, "its learning is True, not False"),
        ({"link": "wlan0"}, "its parent is wlan0, not eth0"),
    ],
)
def test_a_device_is_made_again_only_when_it_cannot_be_changed(change, why):
    link = {"address": TUNNEL.mac, "linkinfo": {"info_kind": "vxlan", "info_data": INFO | change}}
    assert vxlan.incompatibility(link, TUNNEL) == why


def test_a_namesake_of_another_kind_is_not_compatible():
    assert vxlan.incompatibility({"linkinfo": {}}, TUNNEL) == "its kind is None, not vxlan"


def test_a_device_that_is_right_is_not_touched():
    shown = {
        "mtu": 1450,
        "ifalias": "k3py",
        "flags": ["UP"],
        "addr_info": [{"family": "inet", "local": "10.42.1.0"}],
    }
    route = {"dst": "10.43.0.0/16", "prefsrc": "10.42.1.0"}
    assert vxlan.configuration(shown, [route], TUNNEL) == []
    assert vxlan.configuration(shown | {"flags": []}, [], TUNNEL) == [
        "link set flannel.1 up",
        "route replace 10.43.0.0/16 dev flannel.1 src 10.42.1.0",
    ]
    stranger = [{"family": "inet", "local": "10.42.9.0"}]
    assert vxlan.configuration(shown | {"addr_info": stranger}, [route], TUNNEL) == [
        "addr del 10.42.9.0/32 dev flannel.1",
        "addr add 10.42.1.0/32 dev flannel.1",
        "route replace 10.43.0.0/16 dev flannel.1 src 10.42.1.0",
    ]


def test_nothing_changes_when_nothing_changed():
    known = vxlan.entries([TWO, THREE])
    assert not any(differences(known, known))


def test_a_new_peer_is_added_and_an_old_one_removed():
    stale, stale_fdb, fdb, fresh = differences(vxlan.entries([TWO]), vxlan.entries([THREE]))
    assert stale == ["route del 10.42.2.0/24 dev flannel.1", "neigh del 10.42.2.0 dev flannel.1"]
    assert stale_fdb == ["fdb del 02:00:00:00:00:02 dev flannel.1 dst 192.168.1.2 self"]
    assert fdb == ["fdb replace 02:00:00:00:00:03 dev flannel.1 dst 192.168.1.3 self permanent"]
    assert fresh == [
        "neigh replace 10.42.3.0 lladdr 02:00:00:00:00:03 dev flannel.1 nud permanent",
        "route replace 10.42.3.0/24 via 10.42.3.0 dev flannel.1 onlink",
    ]


def test_a_peer_with_a_new_address_keeps_its_route():
    moved = TWO._replace(address="192.168.1.22")
    stale, stale_fdb, fdb, fresh = differences(vxlan.entries([TWO]), vxlan.entries([moved]))
    assert (stale, fresh) == ([], [])
    assert stale_fdb == ["fdb del 02:00:00:00:00:02 dev flannel.1 dst 192.168.1.2 self"]
    assert fdb == ["fdb replace 02:00:00:00:00:02 dev flannel.1 dst 192.168.1.22 self permanent"]


def differences(found, wanted):
    return (
        vxlan.stale(found, wanted),
        vxlan.stale_forwarding(found, wanted),
        vxlan.missing_forwarding(found, wanted),
        vxlan.missing(found, wanted),
    )
