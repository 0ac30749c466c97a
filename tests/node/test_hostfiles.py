"""A pod's hosts and resolv.conf say what Kubernetes' would."""

import pytest

from k3py.node import hostfiles
from k3py.node.hostfiles import Resolver

from .arrange import pod

MACHINE = Resolver(("192.168.1.1",), ("lan",), ("edns0",))
CLUSTER = ("home.svc.cluster.local", "svc.cluster.local", "cluster.local")


def test_hosts_of_a_pod():
    aliases = [{"ip": "10.0.0.1", "hostnames": ["db", "db.lan"]}]
    about = pod(subdomain="front", hostAliases=aliases)
    text = hostfiles.hosts(about, ("10.42.1.5",), "cluster.local", "")
    assert text.startswith("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n")
    assert "10.42.1.5\tweb.front.home.svc.cluster.local\tweb\n" in text
    assert text.endswith("\n# Entries added by HostAliases.\n10.0.0.1\tdb\tdb.lan\n")


def test_hosts_on_the_hosts_network_are_the_hosts():
    text = hostfiles.hosts(pod(hostNetwork=True), (), "cluster.local", "127.0.0.1 pi\n")
    assert text == "# Kubernetes-managed hosts file (host network).\n127.0.0.1 pi\n"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, Resolver(("10.43.0.10",), (*CLUSTER, "lan"), ("ndots:5",))),
        ({"dnsPolicy": "Default"}, MACHINE),
        ({"hostNetwork": True}, MACHINE),
        ({"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"},
         Resolver(("10.43.0.10",), (*CLUSTER, "lan"), ("ndots:5",))),
        ({"dnsPolicy": "None", "dnsConfig": {"nameservers": ["1.1.1.1"], "searches": ["x"],
          "options": [{"name": "ndots", "value": "2"}, {"name": "rotate"}]}},
         Resolver(("1.1.1.1",), ("x",), ("ndots:2", "rotate"))),
        ({"dnsConfig": {"options": [{"name": "ndots", "value": "1"}]}},
         Resolver(("10.43.0.10",), (*CLUSTER, "lan"), ("ndots:1",))),
    ],
)  # fmt: skip
def test_dns_policies(spec, expected):
    assert hostfiles.resolver(pod(**spec), MACHINE, "10.43.0.10", "cluster.local") == expected


def test_a_resolver_is_read_and_written():
    text = "# by hand\nnameserver 1.1.1.1\nsearch a b\nsearch lan .\noptions edns0 trust-ad\n"
    found = hostfiles.parse_resolver(text)
    assert found == Resolver(("1.1.1.1",), ("lan",), ("edns0", "trust-ad"))
    assert found.text() == "search lan\nnameserver 1.1.1.1\noptions edns0 trust-ad\n"


def test_hostnames():
    assert hostfiles.hostname(pod(hostname="mine")) == "mine"
    assert hostfiles.hostname(pod(name="a" * 62 + "-b")) == "a" * 62
