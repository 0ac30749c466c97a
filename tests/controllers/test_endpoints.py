"""Endpoints and EndpointSlices tell which addresses are behind each Service."""

import pytest

from k3py import kinds
from k3py.api.objects import Key
from k3py.controllers import slices
from k3py.controllers.backends import Port
from k3py.controllers.endpoints import EndpointsController
from k3py.controllers.endpointslice import EndpointSliceController
from k3py.controllers.endpointslice_mirroring import EndpointSliceMirroringController
from tests.controllers.world import World, made, pod


def test_ready_pods_are_behind_their_service():
    world = running(service(), pod("a", ip="10.42.0.2"), pod("b", ip="10.42.1.2", ready=False))
    (subset,) = endpoints(world)["subsets"]
    assert [a["ip"] for a in subset["addresses"]] == ["10.42.0.2"]
    assert [a["ip"] for a in subset["notReadyAddresses"]] == ["10.42.1.2"]
    assert subset["ports"] == [{"port": 8080, "protocol": "TCP"}]
    assert subset["addresses"][0] == {
        "ip": "10.42.0.2",
        "nodeName": "pi1",
        "targetRef": {"kind": "Pod", "namespace": "default", "name": "a", "uid": "uid-a"},
    }
    (slice_,) = world.client.all(kinds.ENDPOINT_SLICE)
    assert slice_["addressType"] == "IPv4"
    assert slice_["ports"] == [{"name": "", "port": 8080, "protocol": "TCP"}]
    assert slice_["metadata"]["labels"] == {
        "app": "web",
        "kubernetes.io/service-name": "web",
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
    }
    assert slice_["endpoints"][0] == {
        "addresses": ["10.42.0.2"],
        "conditions": {"ready": True, "serving": True, "terminating": False},
        "nodeName": "pi1",
        "targetRef": {"kind": "Pod", "namespace": "default", "name": "a", "uid": "uid-a"},
    }
    assert told(world) == {"10.42.0.2": (True, True, False), "10.42.1.2": (False, False, False)}


@pytest.mark.parametrize(
    ("about", "status", "seen"),
    [
        ({}, {}, (True, True, False)),
        ({"ready": False}, {}, (False, False, False)),
        ({"deletionTimestamp": "2030-01-01T12:00:00Z"}, {}, (False, True, True)),
        ({"phase": "Succeeded"}, {}, None),
        ({"phase": "Failed"}, {}, None),
        ({}, {"podIP": "", "podIPs": []}, None),
    ],
)
def test_what_a_slice_tells_of_a_pod(about, status, seen):
    one = pod("a", ip="10.42.0.2", **about)
    one["status"] |= status
    assert told(running(service(), one)).get("10.42.0.2") == seen


def test_a_service_may_publish_pods_that_are_not_ready():
    world = running(service(publishNotReadyAddresses=True), pod("a", ip="10.42.0.2", ready=False))
    assert told(world) == {"10.42.0.2": (True, False, False)}
    assert len(endpoints(world)["subsets"][0]["addresses"]) == 1


def test_a_pod_that_is_being_deleted_is_no_endpoint_in_the_older_form():
    leaving = pod("a", ip="10.42.0.2", deletionTimestamp="2030-01-01T12:00:00Z")
    assert endpoints(running(service(), leaving))["subsets"] == []


def test_a_named_target_port_is_each_pods_own():
    http = {"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}
    world = running(
        service(ports=[http]),
        pod("a", ip="10.42.0.2", containers=[serving("http", 8080)]),
        pod("b", ip="10.42.0.3", containers=[serving("http", 9090)]),
        pod("c", ip="10.42.0.4", containers=[serving("other", 1)]),
    )
    found = {
        tuple(p["port"] for p in s["ports"]): [e["addresses"][0] for e in s["endpoints"]]
        for s in world.client.all(kinds.ENDPOINT_SLICE)
    }
    assert found == {(8080,): ["10.42.0.2"], (9090,): ["10.42.0.3"], (): ["10.42.0.4"]}
    assert [s["ports"][0]["port"] for s in endpoints(world)["subsets"]] == [8080, 9090]


def test_ports_of_the_same_addresses_stand_together():
    ports = [
        {"name": "b", "port": 2, "targetPort": 2, "protocol": "UDP"},
        {"name": "a", "port": 1, "targetPort": 1, "protocol": "TCP"},
    ]
    world = running(service(ports=ports), pod("a", ip="10.42.0.2"))
    (subset,) = endpoints(world)["subsets"]
    assert [p["name"] for p in subset["ports"]] == ["a", "b"]


def test_a_headless_service_tells_host_names_and_needs_no_ports():
    one = pod("a", ip="10.42.0.2")
    one["spec"] |= {"hostname": "first", "subdomain": "web"}
    world = running(service(clusterIP="None", ports=None), one)
    (subset,) = endpoints(world)["subsets"]
    assert subset["addresses"][0]["hostname"] == "first"
    (slice_,) = world.client.all(kinds.ENDPOINT_SLICE)
    assert slice_["ports"] == []
    assert slice_["endpoints"][0]["hostname"] == "first"
    for obj in (slice_, endpoints(world)):
        assert obj["metadata"]["labels"]["service.kubernetes.io/headless"] == ""


def test_a_service_without_pods_says_so():
    world = running(service())
    assert endpoints(world)["subsets"] == []
    (slice_,) = world.client.all(kinds.ENDPOINT_SLICE)
    assert (slice_["endpoints"], slice_["ports"]) == ([], [])


def test_pods_that_come_and_go_change_one_slice():
    world = running(service())
    (first,) = world.names(kinds.ENDPOINT_SLICE)
    world.put(pod("a", ip="10.42.0.2"))
    world.pass_time(1)
    assert told(world) == {"10.42.0.2": (True, True, False)}
    world.client.remove(kinds.POD, Key("default", "a"))
    world.pass_time(1)
    assert told(world) == {}
    assert len(world.names(kinds.ENDPOINT_SLICE)) == 1
    assert first


def test_changes_of_pods_that_no_client_could_see_cause_no_work():
    world = running(service(), pod("a", ip="10.42.0.2"))
    world.writes.clear()
    world.change(kinds.POD, "a", {"metadata": {"annotations": {"seen": "yes"}}})
    world.change(kinds.POD, "a", {"status": {"message": "news"}}, "status")
    world.writes.clear()
    world.pass_time(1)
    assert world.writes == []


def test_a_pod_whose_label_changes_leaves():
    world = running(service(), pod("a", ip="10.42.0.2"))
    world.change(kinds.POD, "a", {"metadata": {"labels": {"app": "debug"}}})
    world.pass_time(1)
    assert told(world) == {}


def test_what_belongs_to_services_without_a_selector_is_left_alone():
    mine = made(
        "Endpoints", "kubernetes", labels={"endpointslice.kubernetes.io/skip-mirror": "true"}
    )
    slice_ = made(
        "EndpointSlice", "kubernetes", labels={"kubernetes.io/service-name": "kubernetes"}
    )
    world = running(
        service("kubernetes", selector=None),
        mine | {"subsets": [{"addresses": [{"ip": "10.0.0.1"}], "ports": [PORT]}]},
        slice_ | {"addressType": "IPv4", "endpoints": [], "ports": []},
    )
    assert world.writes == []


def test_endpoints_written_by_hand_are_mirrored():
    by_hand = made("Endpoints", "db", labels={"team": "home"}) | {
        "subsets": [
            {
                "addresses": [{"ip": "10.0.0.9"}],
                "notReadyAddresses": [{"ip": "fd00::1"}],
                "ports": [PORT],
            }
        ]
    }
    world = running(service("db", selector=None), by_hand)
    found = {s["addressType"]: s for s in world.client.all(kinds.ENDPOINT_SLICE)}
    assert found["IPv4"]["endpoints"] == [
        {"addresses": ["10.0.0.9"], "conditions": {"ready": True}}
    ]
    assert found["IPv6"]["endpoints"] == [
        {"addresses": ["fd00::1"], "conditions": {"ready": False}}
    ]
    assert found["IPv4"]["metadata"]["labels"] == {
        "team": "home",
        "kubernetes.io/service-name": "db",
        "endpointslice.kubernetes.io/managed-by": "endpointslicemirroring-controller.k8s.io",
    }
    world.change(kinds.ENDPOINTS, "db", {"subsets": None})
    world.pass_time(1)
    assert world.names(kinds.ENDPOINT_SLICE) == []


def test_the_endpoints_of_a_deleted_service_go():
    world = running(service())
    world.client.remove(kinds.SERVICE, Key("default", "web"))
    world.pass_time(1)
    assert world.names(kinds.ENDPOINTS) == []


def test_endpoints_that_somebody_changed_are_put_right():
    world = running(service(), pod("a", ip="10.42.0.2"))
    world.change(kinds.ENDPOINTS, "web", {"subsets": []})
    world.pass_time(1)
    assert len(endpoints(world)["subsets"]) == 1


def test_a_slice_holds_a_hundred_and_changes_touch_as_few_as_they_can():
    world = running(service(), *(pod(f"p{i:03}", ip=f"10.42.1.{i}") for i in range(150)))
    sizes = sorted(len(s["endpoints"]) for s in world.client.all(kinds.ENDPOINT_SLICE))
    assert sizes == [50, 100]
    world.writes.clear()
    world.client.remove(kinds.POD, Key("default", "p000"))
    world.put(pod("new", ip="10.42.2.1"))
    world.pass_time(1)
    assert len([w for w in world.writes if "EndpointSlice" in w]) == 1
    assert len(told(world)) == 150


@pytest.mark.parametrize(
    ("found", "wanted", "creates", "updates", "deletes"),
    [
        ([], {}, 1, 0, 0),
        ([], {80: 1}, 1, 0, 0),
        ([], {80: 101}, 2, 0, 0),
        ([], {80: 1, 81: 1}, 2, 0, 0),
        ([(80, 1)], {80: 1}, 0, 0, 0),
        ([(80, 1)], {80: 2}, 0, 1, 0),
        ([(80, 1)], {}, 0, 1, 0),
        ([(80, 1), (81, 1)], {}, 0, 1, 1),
        ([(80, 1)], {81: 1}, 1, 0, 1),
        ([(80, 100)], {80: 101}, 1, 0, 0),
        ([(80, 2), (80, 0)], {80: 2}, 0, 0, 1),
    ],
)
def test_a_plan_writes_as_little_as_it_can(found, wanted, creates, updates, deletes):
    owner = slices.Owner(kinds.SERVICE, service(), {"a": "b"})
    olds = [
        made("EndpointSlice", f"s{i}", labels={"a": "b"})
        | {"addressType": "IPv4", "endpoints": ends(n), "ports": [Port("", p, "TCP").entry()]}
        for i, (p, n) in enumerate(found)
    ]
    goal = {(Port("", p, "TCP"),): ends(n) for p, n in wanted.items()}
    plan = slices.plan(owner, "IPv4", olds, goal)
    assert (len(plan.create), len(plan.update), len(plan.delete)) == (creates, updates, deletes)


PORT = {"name": "sql", "port": 5432, "protocol": "TCP"}


def ends(count):
    return [{"addresses": [f"10.0.0.{i}"], "conditions": {"ready": True}} for i in range(count)]


def running(*objects):
    world = World(*objects).start(
        EndpointsController, EndpointSliceController, EndpointSliceMirroringController
    )
    return world.pass_time(1)


def endpoints(world, name="web"):
    return world.get(kinds.ENDPOINTS, name)


def told(world):
    states = ("ready", "serving", "terminating")
    return {
        end["addresses"][0]: tuple(end["conditions"][s] for s in states)
        for slice_ in world.client.all(kinds.ENDPOINT_SLICE)
        for end in slice_["endpoints"]
    }


def service(name="web", *, selector=(("app", "web"),), ports=(), **spec):
    plain = [{"port": 80, "targetPort": 8080, "protocol": "TCP"}]
    found = {"type": "ClusterIP", "clusterIP": "10.43.0.7", "ports": list(ports or plain)}
    if selector:
        found["selector"] = dict(selector)
    if ports is None:
        del found["ports"]
    return made("Service", name, labels={"app": "web"}) | {"spec": found | spec}


def serving(name, port):
    ports = [{"name": name, "containerPort": port, "protocol": "TCP"}]
    return {"name": "main", "image": "busybox:1.36", "ports": ports}
