"""Services get addresses and ports that no other has, and give them back."""

import contextlib
import threading

import pytest

from k3py import kinds
from k3py.api import errors
from k3py.api.objects import Key
from k3py.apiserver.allocation import Allocator

WEB = Key("default", "web")


def service(name="web", **spec):
    spec = {"ports": [{"port": 80}]} | spec
    return {"metadata": {"name": name, "namespace": "default"}, "spec": spec}


def test_a_service_gets_an_address_from_the_upper_band(client):
    spec = client.create(kinds.SERVICE, service())["spec"]
    third = int(spec["clusterIP"].split(".")[2])
    assert spec["clusterIPs"] == [spec["clusterIP"]]
    assert spec["clusterIP"].startswith("10.43.")
    assert third >= 1
    assert "nodePort" not in spec["ports"][0]


def test_an_address_asked_for_is_given_once(client):
    assert (
        client.create(kinds.SERVICE, service(clusterIP="10.43.0.99"))["spec"]["clusterIP"]
        == "10.43.0.99"
    )
    with pytest.raises(errors.Invalid, match="provided IP is already allocated"):
        client.create(kinds.SERVICE, service("other", clusterIP="10.43.0.99"))
    with pytest.raises(errors.Invalid, match="not in the valid range"):
        client.create(kinds.SERVICE, service("other", clusterIP="10.9.0.10"))
    client.delete(kinds.SERVICE, WEB)
    client.create(kinds.SERVICE, service("other", clusterIP="10.43.0.99"))


def test_a_headless_service_has_none(client):
    assert client.create(kinds.SERVICE, service(clusterIP="None"))["spec"]["clusterIPs"] == ["None"]


def test_a_name_elsewhere_has_none(client):
    spec = client.create(
        kinds.SERVICE, service(type="ExternalName", externalName="example.com", ports=None)
    )["spec"]
    assert "clusterIP" not in spec


def test_node_ports_are_given_once(client):
    ports = [{"name": "a", "port": 80, "nodePort": 30080}, {"name": "b", "port": 81}]
    spec = client.create(kinds.SERVICE, service(type="NodePort", ports=ports))["spec"]
    assert spec["ports"][0]["nodePort"] == 30080
    assert 30000 <= spec["ports"][1]["nodePort"] <= 32767
    for port, why in (
        (30080, "provided port is already allocated"),
        (80, "not in the valid range"),
    ):
        with pytest.raises(errors.Invalid, match=why):
            client.create(
                kinds.SERVICE,
                service("other", type="NodePort", ports=[{"port": 1, "nodePort": port}]),
            )


def test_one_port_number_may_serve_two_protocols(client):
    ports = [
        {"name": "a", "port": 53, "protocol": "UDP"},
        {"name": "b", "port": 53, "protocol": "TCP"},
    ]
    found = client.create(kinds.SERVICE, service(type="NodePort", ports=ports))["spec"]["ports"]
    assert found[0]["nodePort"] == found[1]["nodePort"]


def test_an_update_without_address_and_ports_keeps_them(client):
    old = client.create(kinds.SERVICE, service(type="NodePort"))["spec"]
    new = client.update(kinds.SERVICE, service(type="NodePort", selector={"a": "b"}))["spec"]
    assert new["clusterIP"] == old["clusterIP"]
    assert new["ports"][0]["nodePort"] == old["ports"][0]["nodePort"]


def test_changes_of_type_give_and_take(client):
    def change(**spec):
        return client.patch(kinds.SERVICE, WEB, {"spec": spec})["spec"]

    address = client.create(kinds.SERVICE, service())["spec"]["clusterIP"]
    port = change(type="LoadBalancer")["ports"][0]["nodePort"]
    assert port
    local = change(externalTrafficPolicy="Local")
    assert local["healthCheckNodePort"] not in (None, port)
    plain = change(type="ClusterIP", externalTrafficPolicy=None)
    assert plain["clusterIP"] == address
    assert "nodePort" not in plain["ports"][0]
    assert "healthCheckNodePort" not in plain
    away = change(type="ExternalName", externalName="example.com")
    assert "clusterIP" not in away
    back = change(type="ClusterIP", externalName=None)
    assert back["clusterIP"].startswith("10.43.")


def test_a_small_range_is_not_leaked_and_ends_one_day(store):
    allocator = Allocator(store, "10.43.0.0/29", range(30000, 30003))
    for _ in range(50):
        obj = service(type="NodePort")
        with allocator.allocated(obj, None):
            assert obj["spec"]["clusterIP"] in [f"10.43.0.{n}" for n in range(1, 7)]
    with pytest.raises(errors.Invalid), allocator.allocated(service(clusterIP="10.43.0.9"), None):
        pass
    with contextlib.ExitStack() as stack:
        for _ in range(6):
            stack.enter_context(allocator.allocated(service(type="ClusterIP"), None))
        with pytest.raises(errors.InternalError, match="range is full"):
            stack.enter_context(allocator.allocated(service(type="ClusterIP"), None))


def test_two_at_once_never_get_the_same(store):
    allocator = Allocator(store, "10.43.0.0/28", range(30000, 30020))
    given, both = [], threading.Barrier(8)

    def take():
        obj = service(type="NodePort")
        with allocator.allocated(obj, None):
            given.append((obj["spec"]["clusterIP"], obj["spec"]["ports"][0]["nodePort"]))
            both.wait(10)

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({address for address, _ in given}) == 8
    assert len({port for _, port in given}) == 8


def test_a_refused_node_port_was_blamed_on_another_port(client):
    ports = [{"name": "a", "port": 80}, {"name": "b", "port": 81, "nodePort": 1}]
    with pytest.raises(errors.Invalid, match=r"spec.ports\[1\].nodePort: Invalid value: 1"):
        client.create(kinds.SERVICE, service(type="NodePort", ports=ports))
