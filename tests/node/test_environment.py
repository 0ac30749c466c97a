"""A container's variables come from where its spec says, in Kubernetes' order."""

import base64

import pytest

from k3py import kinds
from k3py.node import environment
from k3py.node.environment import ConfigProblem, Facts
from k3py.testing.client import FakeClient

from .arrange import container, pod

FACTS = Facts("pi-1", ("192.168.1.7",), ("10.42.1.5",), 4, 8 << 30)
CONFIG = {"metadata": {"name": "cfg", "namespace": "home"}, "data": {"A": "1", "B": "2"}}
SECRET = {
    "metadata": {"name": "key", "namespace": "home"},
    "data": {"PASS": base64.b64encode(b"s3cret").decode()},
}


def service(name, namespace="home", address="10.43.0.9", ports=({"port": 80, "name": "http"},)):
    return {
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"clusterIP": address, "ports": [{"protocol": "TCP", **p} for p in ports]},
    }


def resolved(a_container, *, services=(), **spec):
    client = FakeClient((kinds.CONFIG_MAP, CONFIG), (kinds.SECRET, SECRET))
    return environment.environment(
        pod(a_container, **spec),
        a_container,
        sources=client,
        facts=FACTS,
        services=lambda: list(services),
    )


def test_values_may_use_those_before_them():
    env = [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)$(C)"}, {"name": "E"}]
    assert resolved(container(env=env)) == {"A": "1", "B": "1$(C)", "E": ""}


def test_env_stands_over_env_from():
    sources = [{"configMapRef": {"name": "cfg"}}, {"prefix": "X_", "secretRef": {"name": "key"}}]
    found = resolved(container(envFrom=sources, env=[{"name": "B", "value": "mine"}]))
    assert found == {"A": "1", "B": "mine", "X_PASS": "s3cret"}


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ({"configMapKeyRef": {"name": "cfg", "key": "Z"}},
         "couldn't find key Z in ConfigMap home/cfg"),
        ({"secretKeyRef": {"name": "none", "key": "Z"}}, 'secret "none" not found'),
        ({"fieldRef": {"fieldPath": "spec.shoeSize"}}, "unsupported fieldPath: spec.shoeSize"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_named(source, why):
    with pytest.raises(ConfigProblem, match=f"^{why}$"):
        resolved(container(env=[{"name": "V", "valueFrom": source}]))


def test_what_is_optional_may_be_absent():
    env = [
        {"name": "V", "valueFrom": {"secretKeyRef": {"name": "no", "key": "k", "optional": True}}},
        {"name": "W", "valueFrom": {"configMapKeyRef": {
            "name": "cfg", "key": "no", "optional": True}}},
    ]  # fmt: skip
    assert resolved(container(env=env)) == {}
    sources = [{"configMapRef": {"name": "no", "optional": True}}]
    assert resolved(container(envFrom=sources)) == {}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "web"),
        ("metadata.namespace", "home"),
        ("metadata.uid", "uid-web"),
        ("spec.nodeName", "pi-1"),
        ("status.podIP", "10.42.1.5"),
        ("status.hostIP", "192.168.1.7"),
        ("metadata.labels['app']", "web"),
        ("metadata.labels", 'app="web"\ntier="a \\"b\\""'),
    ],
)
def test_the_downward_api(path, value):
    about = pod()
    about["metadata"]["labels"] = {"tier": 'a "b"', "app": "web"}
    assert environment.field(about, path, FACTS) == value


@pytest.mark.parametrize(
    ("resource", "divisor", "value"),
    [
        ("limits.cpu", "1", "2"),
        ("limits.cpu", "1m", "1500"),
        ("requests.memory", "1Mi", "64"),
        ("requests.cpu", "0", "0"),
        ("limits.memory", "1Gi", "8"),
    ],
)
def test_resources_are_divided_and_rounded_up(resource, divisor, value):
    own = {"limits": {"cpu": "1500m"}, "requests": {"memory": "64Mi"}}
    limited = container(resources=own)
    reference = {"resource": resource, "divisor": divisor}
    assert environment.resource(pod(limited), limited, reference, FACTS) == value


def test_services_are_seen_in_their_own_namespace():
    services = [
        service("web-api"),
        service("other", "away"),
        service("kubernetes", "default", "10.43.0.1", [{"port": 443, "name": "https"}]),
        service("headless", address="None"),
    ]
    found = resolved(container(), services=services)
    assert found["WEB_API_SERVICE_HOST"] == "10.43.0.9"
    assert found["WEB_API_SERVICE_PORT_HTTP"] == "80"
    assert found["WEB_API_PORT_80_TCP"] == "tcp://10.43.0.9:80"
    assert found["KUBERNETES_SERVICE_HOST"] == "10.43.0.1"
    assert not [name for name in found if name.startswith(("OTHER", "HEADLESS"))]
    without = resolved(container(), services=services, enableServiceLinks=False)
    assert "WEB_API_SERVICE_HOST" not in without
    assert without["KUBERNETES_SERVICE_PORT"] == "443"
