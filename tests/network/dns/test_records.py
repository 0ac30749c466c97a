"""The zone knows exactly the names that Kubernetes' specification gives to Services."""

import pytest

from k3py.api.objects import Key
from k3py.network.backends import Backend
from k3py.network.dns.records import NO_SUCH_NAME, NO_SUCH_RECORD, Zone
from tests.network.services import endpoint, port, service, slice_

DOMAIN = "cluster.local"
WEB, DB = "web.default.svc.cluster.local", "db.default.svc.cluster.local"


@pytest.fixture
def zone():
    """web has an address; db is headless; away is elsewhere."""
    made = Zone(DOMAIN, ("10.43.0.0/16", "10.42.0.0/16"))
    web = service("web", "10.43.0.20", port(80, "http"), port(53, "dns", "UDP"))
    made.put(Key("default", "web"), Backend(web, []))
    db = service("db", "None", port(5432, "sql"))
    first = endpoint("10.42.1.2") | {"hostname": "db-0"}
    slices = [
        slice_(
            "db",
            first,
            endpoint("10.42.2.2"),
            endpoint("10.42.2.3", ready=False),
            ports=({"name": "sql", "port": 5432, "protocol": "TCP"},),
        )
    ]
    made.put(Key("default", "db"), Backend(db, slices))
    away = service("away", "", type="ExternalName", externalName="example.org")
    made.put(Key("default", "away"), Backend(away, []))
    return made


@pytest.mark.parametrize(
    ("name", "type_", "values"),
    [
        (WEB, "A", ["10.43.0.20"]),
        (WEB, "ANY", ["10.43.0.20"]),
        (f"_http._tcp.{WEB}", "SRV", [f"80 {WEB}"]),
        (f"_dns._udp.{WEB}", "SRV", [f"53 {WEB}"]),
        (DB, "A", ["10.42.1.2", "10.42.2.2"]),
        (f"db-0.{DB}", "A", ["10.42.1.2"]),
        (f"10-42-2-2.{DB}", "A", ["10.42.2.2"]),
        (f"_sql._tcp.{DB}", "SRV", [f"5432 db-0.{DB}", f"5432 10-42-2-2.{DB}"]),
        ("away.default.svc.cluster.local", "A", ["example.org"]),
        ("10-42-1-2.default.pod.cluster.local", "A", ["10.42.1.2"]),
        ("dns-version.cluster.local", "TXT", ["1.1.0"]),
        ("20.0.43.10.in-addr.arpa", "PTR", [WEB]),
        ("2.1.42.10.in-addr.arpa", "PTR", [f"db-0.{DB}"]),
        ("cluster.local", "NS", ["ns.dns.cluster.local"]),
    ],
)
def test_names_that_exist(zone, name, type_, values):
    assert [record.value for record in zone.lookup(name, type_).records] == values


@pytest.mark.parametrize(
    ("name", "type_"),
    [
        (WEB, "AAAA"),
        (WEB, "SRV"),
        (f"_http._tcp.{WEB}", "A"),
        (f"_tcp.{WEB}", "A"),
        ("default.svc.cluster.local", "A"),
        ("default.pod.cluster.local", "A"),
        ("svc.cluster.local", "A"),
        ("cluster.local", "A"),
        ("20.0.43.10.in-addr.arpa", "A"),
    ],
)
def test_names_that_exist_but_not_with_this_type(zone, name, type_):
    assert zone.lookup(name, type_) == NO_SUCH_RECORD


@pytest.mark.parametrize(
    "name",
    [
        "nope.default.svc.cluster.local",
        "web.other.svc.cluster.local",
        f"db-1.{DB}",
        f"10-42-2-3.{DB}",  # is not ready
        f"_http._udp.{WEB}",
        f"a.b.c.{WEB}",
        "other.svc.cluster.local",
        "web.default.svc.cluster.local.default.svc.cluster.local",
        "x.away.default.svc.cluster.local",
        "300-1-1-1.default.pod.cluster.local",
        "nope.cluster.local",
        "99.0.43.10.in-addr.arpa",
    ],
)
def test_names_that_do_not_exist(zone, name):
    assert zone.lookup(name, "A") == NO_SUCH_NAME


@pytest.mark.parametrize(
    "name", ["example.org", "notcluster.local", "1.1.168.192.in-addr.arpa", "x.in-addr.arpa", ""]
)
def test_names_that_are_not_ours(zone, name):
    assert zone.lookup(name, "A") is None


def test_a_named_port_comes_with_the_addresses_of_its_targets(zone):
    additional = zone.lookup(f"_sql._tcp.{DB}", "SRV").additional
    assert [(record.name, record.value) for record in additional] == [
        (f"db-0.{DB}", "10.42.1.2"),
        (f"10-42-2-2.{DB}", "10.42.2.2"),
    ]


def test_a_service_that_goes_takes_all_its_names_along(zone):
    for name in ("web", "db", "away"):
        zone.put(Key("default", name), None)
    assert zone.lookup(WEB, "A") == zone.lookup(f"db-0.{DB}", "A") == NO_SUCH_NAME
    assert zone.lookup("20.0.43.10.in-addr.arpa", "PTR") == NO_SUCH_NAME
    assert zone.lookup("default.svc.cluster.local", "A") == NO_SUCH_NAME


def test_a_headless_service_without_ready_endpoints_exists_all_the_same(zone):
    zone.put(Key("default", "db"), Backend(service("db", "None"), []))
    assert zone.lookup(DB, "A") == NO_SUCH_RECORD
