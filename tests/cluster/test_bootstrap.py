"""Every cluster has its namespaces, roles and Services, however often it is prepared."""

import pytest

from k3py import kinds
from k3py.api.objects import Key
from k3py.cluster import bootstrap
from k3py.testing.client import FakeClient

ADMIN = Key("", "cluster-admin")


def test_a_new_cluster_has_namespaces_roles_and_services():
    client = prepared(FakeClient())
    assert {n["metadata"]["name"] for n in client.all(kinds.NAMESPACE)} == {
        "default",
        "kube-system",
        "kube-public",
        "kube-node-lease",
    }
    assert client.get(kinds.SERVICE, bootstrap.KUBERNETES)["spec"]["clusterIP"] == "10.43.0.1"
    assert client.get(kinds.SERVICE, bootstrap.DNS)["spec"]["clusterIP"] == "10.43.0.10"
    assert client.get(kinds.CLUSTER_ROLE, ADMIN)["rules"][0]["verbs"] == ["*"]


def test_preparing_again_writes_nothing():
    client = prepared(FakeClient())
    client.writes.clear()
    assert prepared(client).writes == []


def test_a_run_that_was_killed_half_way_is_finished_by_the_next():
    whole = prepared(FakeClient())
    for done in range(0, len(whole.writes), 7):
        client = FakeClient()
        client.refuse(whole.writes[done], Killed())
        with pytest.raises(Killed):
            prepared(client)
        prepared(client)
        assert len(client.writes) == len(whole.writes)


def test_the_address_of_the_api_is_told_anew_when_it_changed():
    client = prepared(FakeClient())
    client.writes.clear()
    prepared(client, advertise="192.168.1.20", port=7443)
    assert client.writes == ["update Endpoints/kubernetes", "update EndpointSlice/kubernetes"]
    (subset,) = client.get(kinds.ENDPOINTS, bootstrap.KUBERNETES)["subsets"]
    assert (subset["addresses"], subset["ports"][0]["port"]) == ([{"ip": "192.168.1.20"}], 7443)
    slice_ = client.get(kinds.ENDPOINT_SLICE, bootstrap.KUBERNETES)
    assert slice_["endpoints"][0]["addresses"] == ["192.168.1.20"]


def test_a_rule_taken_from_a_default_role_comes_back_and_own_ones_stay():
    client = prepared(FakeClient())
    own = {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}
    rules = client.get(kinds.CLUSTER_ROLE, ADMIN)["rules"]
    client.patch(kinds.CLUSTER_ROLE, ADMIN, {"rules": [own, rules[1]]})
    found = prepared(client).get(kinds.CLUSTER_ROLE, ADMIN)["rules"]
    assert found == [own, rules[1], rules[0]]


def test_a_role_that_is_not_to_be_updated_is_left_alone():
    client = prepared(FakeClient())
    off = {"metadata": {"annotations": {bootstrap.AUTOUPDATE: "false"}}, "rules": []}
    client.patch(kinds.CLUSTER_ROLE, ADMIN, off)
    assert prepared(client).get(kinds.CLUSTER_ROLE, ADMIN)["rules"] == []


def test_a_binding_that_lost_its_subjects_gets_them_back():
    client = prepared(FakeClient())
    client.patch(kinds.CLUSTER_ROLE_BINDING, ADMIN, {"subjects": None})
    (subject,) = prepared(client).get(kinds.CLUSTER_ROLE_BINDING, ADMIN)["subjects"]
    assert subject["name"] == "system:masters"


def test_a_default_role_deleted_by_mistake_comes_back():
    client = prepared(FakeClient())
    client.remove(kinds.CLUSTER_ROLE, ADMIN)
    assert prepared(client).get(kinds.CLUSTER_ROLE, ADMIN)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"service_cidr": "10.96.0.0/16"}, r"service-cidr .* default/kubernetes has 10\.43\.0\.1"),
        ({"dns_ip": "10.43.0.99"}, r"cluster-dns .* kube-system/kube-dns has 10\.43\.0\.10"),
        ({"cluster_cidr": "10.99.0.0/16"}, r"cluster-cidr .* node pi1 has 10\.42\.0\.0/24"),
    ],
)
def test_a_range_that_was_changed_made_a_cluster_of_two_halves(change, told):
    client = prepared(FakeClient())
    client.put(kinds.NODE, {"metadata": {"name": "pi1"}, "spec": {"podCIDR": "10.42.0.0/24"}})
    with pytest.raises(bootstrap.Contradiction, match=told):
        prepared(client, **change)


class Killed(Exception):
    """Stands for the end of the process."""


def prepared(client, **change):
    usual = {
        "cluster_cidr": "10.42.0.0/16",
        "service_cidr": "10.43.0.0/16",
        "dns_ip": "10.43.0.10",
        "advertise": "192.168.1.10",
        "port": 6443,
    }
    bootstrap.prepare(client, **usual | change)
    return client
