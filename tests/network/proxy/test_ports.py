"""Services and EndpointSlices become exactly the ports this node must serve."""

import pytest

from k3py.network.backends import Backend
from k3py.network.proxy.ports import Endpoint, service_ports
from tests.network.services import endpoint, port, service, slice_

IP = "10.43.0.20"
READY, GOING = {"ready": True}, {"ready": False, "serving": True, "terminating": True}
GONE = {"ready": False, "serving": False, "terminating": True}


def test_a_service_with_ready_endpoints():
    (found,) = ports(service("web", IP), endpoint("10.42.1.2"), endpoint("10.42.2.2", "node2"))
    assert (found.cluster_ip, found.protocol, found.port, found.name) == (IP, "tcp", 80, "80")
    assert found.everywhere == (Endpoint("10.42.1.2", 8080), Endpoint("10.42.2.2", 8080))
    assert found.here == (Endpoint("10.42.1.2", 8080),)


@pytest.mark.parametrize(
    ("conditions", "used"),
    [
        ((READY, READY), (0, 1)),
        ((READY, GOING), (0,)),
        ((GOING, GONE), (0,)),
        ((GONE, GONE), ()),
        (({"ready": None}, GONE), (0,)),  # unknown is to be taken as ready
    ],
)
def test_which_endpoints_are_used(conditions, used):
    addresses = ("10.42.1.2", "10.42.1.3")
    endpoints = [endpoint(a, **said) for a, said in zip(addresses, conditions, strict=True)]
    (found,) = ports(service("web", IP), *endpoints)
    assert [e.address for e in found.everywhere] == [addresses[n] for n in used]


def test_ports_are_matched_by_name_and_protocol():
    dns = service("dns", IP, port(53, "udp", "UDP"), port(53, "tcp"))
    offered = ({"name": "udp", "port": 5353, "protocol": "UDP"}, {"name": "tcp", "port": 5354})
    backend = Backend(dns, [slice_("dns", endpoint("10.42.1.2"), ports=offered)])
    udp, tcp = service_ports(backend, node_name="node1")
    assert (udp.protocol, udp.everywhere) == ("udp", (Endpoint("10.42.1.2", 5353),))
    assert (tcp.protocol, tcp.everywhere) == ("tcp", (Endpoint("10.42.1.2", 5354),))


@pytest.mark.parametrize(
    "other",
    [
        {"clusterIP": "None"},
        {"clusterIP": ""},
        {"clusterIP": "fd00::1"},
        {"type": "ExternalName"},
        {"clusterIP": "10.43.0.10"},
    ],
)
def test_what_is_no_business_of_the_proxy(other):
    assert ports(service("web", IP, **other), endpoint("10.42.1.2"), dns_ip="10.43.0.10") == ()


def test_a_service_of_another_proxy():
    made = service("web", IP)
    made["metadata"]["labels"] = {"service.kubernetes.io/service-proxy-name": "other"}
    assert ports(made) == ()


def test_policies_affinity_and_addresses():
    (found,) = ports(
        service(
            "web",
            IP,
            port(80, node_port=30080),
            type="LoadBalancer",
            externalIPs=["192.168.7.7", "nonsense; drop", "fd00::1"],
            loadBalancerSourceRanges=[
                "192.168.7.9/24",
                "192.168.7.0/25",
                " 10.0.0.0/8",
                "fd00::/8",
            ],
            sessionAffinity="ClientIP",
            sessionAffinityConfig={"clientIP": {"timeoutSeconds": 60}},
            internalTrafficPolicy="Local",
            externalTrafficPolicy="Local",
            status={"loadBalancer": {"ingress": [{"ip": "192.168.7.8"}, {"hostname": "x"}]}},
        )
    )
    assert found.node_port == 30080
    assert found.external_ips == ("192.168.7.7",)
    assert found.balancer_ips == ("192.168.7.8",)
    assert found.source_ranges == ("10.0.0.0/8", "192.168.7.0/24")
    assert (found.affinity_seconds, found.internal_local, found.external_local) == (60, True, True)


def ports(made, *endpoints, dns_ip=""):
    slices = [slice_(made["metadata"]["name"], *endpoints)]
    return service_ports(Backend(made, slices), node_name="node1", dns_ip=dns_ip)
