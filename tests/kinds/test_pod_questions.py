"""What a pod needs and how it stands, as the scheduler and the controllers ask it."""

import pytest

from k3py.kinds.core import pod as pods
from tests.kinds.objects import container, made, pod

MI = 1 << 20


def asks(name="c", *, cpu=None, memory=None, limits=None, **more):
    requests = {k: v for k, v in (("cpu", cpu), ("memory", memory)) if v}
    resources = {"requests": requests} | ({"limits": limits} if limits else {})
    return container(name, resources=resources, **more)


def test_containers_add_up():
    obj = stored(containers=[asks("a", cpu="100m", memory="64Mi"), asks("b", cpu="1")])
    assert pods.requests(obj) == pods.Amounts(1100, 64 * MI, {})


def test_init_containers_count_by_the_largest():
    obj = stored(
        initContainers=[asks("i", cpu="2"), asks("j", memory="256Mi")],
        containers=[asks("a", cpu="500m", memory="64Mi")],
    )
    assert pods.requests(obj) == pods.Amounts(2000, 256 * MI, {})


def test_sidecars_count_beside_what_comes_after_them():
    obj = stored(
        initContainers=[asks("s", cpu="300m", restartPolicy="Always"), asks("i", cpu="1")],
        containers=[asks("a", cpu="500m")],
    )
    assert pods.requests(obj).cpu == 1300
    obj = stored(
        initContainers=[asks("i", cpu="700m"), asks("s", cpu="300m", restartPolicy="Always")],
        containers=[asks("a", cpu="500m")],
    )
    assert pods.requests(obj).cpu == 800


def test_overhead_is_added_and_other_resources_are_kept():
    obj = stored(
        overhead={"cpu": "50m", "memory": "10Mi"},
        containers=[container(resources={"limits": {"example.com/gpu": "2"}})],
    )
    assert pods.requests(obj) == pods.Amounts(50, 10 * MI, {"example.com/gpu": 2})


@pytest.mark.parametrize(
    ("containers", "expected"),
    [
        ([container()], "BestEffort"),
        ([asks(cpu="1")], "Burstable"),
        ([asks(limits={"cpu": "1", "memory": "1Gi"})], "Guaranteed"),
        ([asks(limits={"cpu": "1", "memory": "1Gi"}), container("b")], "Burstable"),
        ([asks(cpu="500m", limits={"cpu": "1", "memory": "1Gi"})], "Burstable"),
        ([asks(limits={"cpu": "1"})], "Burstable"),
    ],
)
def test_quality_of_service(containers, expected):
    obj = stored(containers=containers)
    assert pods.qos_class(obj) == expected
    assert obj["status"]["qosClass"] == expected


def test_host_ports_are_collected():
    ports = [{"containerPort": 80, "hostPort": 8080}, {"containerPort": 81}]
    ports.append({"containerPort": 53, "hostPort": 53, "protocol": "UDP", "hostIP": "10.0.0.1"})
    assert pods.host_ports(stored(containers=[container(ports=ports)])) == {
        ("0.0.0.0", "TCP", 8080),
        ("10.0.0.1", "UDP", 53),
    }


def test_how_it_stands():
    obj = stored()
    assert pods.phase(obj) == "Pending"
    assert not pods.is_ready(obj)
    assert not pods.is_finished(obj)
    assert not pods.is_scheduled(obj)
    obj["spec"]["nodeName"] = "pi1"
    obj["status"] = {"phase": "Succeeded", "conditions": [{"type": "Ready", "status": "True"}]}
    assert pods.is_ready(obj)
    assert pods.is_finished(obj)
    assert pods.node_name(obj) == "pi1"


def stored(**spec):
    return made(pods.POD, pod(**spec))
