"""A pod is stored with every default that Kubernetes gives it."""

import pytest

from k3py.kinds.core.pod import POD
from tests.kinds.objects import container, made, pod


def test_a_small_pod_is_completed():
    stored = made(POD, pod())
    assert stored["spec"] == {
        "containers": [
            {
                "name": "app",
                "image": "nginx:1.27",
                "imagePullPolicy": "IfNotPresent",
                "resources": {},
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
            }
        ],
        "dnsPolicy": "ClusterFirst",
        "enableServiceLinks": True,
        "restartPolicy": "Always",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "terminationGracePeriodSeconds": 30,
    }
    assert stored["status"] == {"phase": "Pending", "qosClass": "BestEffort"}


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("localhost:5000/nginx", "Always"),
        ("localhost:5000/nginx:1", "IfNotPresent"),
        ("nginx:1.27", "IfNotPresent"),
        ("nginx@sha256:" + "0" * 64, "IfNotPresent"),
        ("nginx:latest@sha256:" + "0" * 64, "Always"),
    ],
)
def test_how_an_image_is_pulled_depends_on_its_tag(image, policy):
    assert first(pod(containers=[container(image=image)]))["imagePullPolicy"] == policy


def test_probes_and_ports_are_completed():
    found = first(
        pod(
            containers=[
                container(
                    ports=[{"containerPort": 80}],
                    livenessProbe={"httpGet": {"port": 80}},
                    readinessProbe={"grpc": {"port": 90}, "periodSeconds": 3},
                    lifecycle={"preStop": {"httpGet": {"port": "http"}}},
                )
            ]
        )
    )
    numbers = {"timeoutSeconds": 1, "successThreshold": 1, "failureThreshold": 3}
    assert found["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    assert (
        found["livenessProbe"]
        == {
            "httpGet": {"port": 80, "path": "/", "scheme": "HTTP"},
            "periodSeconds": 10,
        }
        | numbers
    )
    assert (
        found["readinessProbe"]
        == {
            "grpc": {"port": 90, "service": ""},
            "periodSeconds": 3,
        }
        | numbers
    )
    assert found["lifecycle"]["preStop"]["httpGet"]["scheme"] == "HTTP"


def test_requests_follow_limits_and_are_written_one_way():
    limits = {"cpu": 0.5, "memory": "1024Mi"}
    resources = {"limits": limits, "requests": {"cpu": "100m"}}
    assert first(pod(containers=[container(resources=resources)]))["resources"] == {
        "limits": {"cpu": "500m", "memory": "1Gi"},
        "requests": {"cpu": "100m", "memory": "1Gi"},
    }


def test_volumes_are_completed():
    volumes = [
        {"name": "scratch"},
        {"name": "settings", "configMap": {"name": "s"}},
        {"name": "keys", "secret": {"secretName": "k", "defaultMode": 0o400}},
        {"name": "host", "hostPath": {"path": "/srv"}},
        {
            "name": "all",
            "projected": {
                "sources": [
                    {"serviceAccountToken": {"path": "token"}},
                    {"downwardAPI": {"items": [
                        {"path": "ns", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
                ]
            },
        },
    ]  # fmt: skip
    scratch, settings, keys, host, every = made(POD, pod(volumes=volumes))["spec"]["volumes"]
    assert scratch == {"name": "scratch", "emptyDir": {}}
    assert settings["configMap"]["defaultMode"] == 0o644
    assert keys["secret"]["defaultMode"] == 0o400
    assert host["hostPath"]["type"] == ""
    assert every["projected"]["sources"][0]["serviceAccountToken"]["expirationSeconds"] == 3600
    item = every["projected"]["sources"][1]["downwardAPI"]["items"][0]
    assert item["fieldRef"]["apiVersion"] == "v1"


def test_host_network_makes_ports_host_ports():
    found = first(pod(hostNetwork=True, containers=[container(ports=[{"containerPort": 80}])]))
    assert found["ports"][0]["hostPort"] == 80


def test_the_account_goes_by_both_its_names():
    spec = made(POD, pod(serviceAccountName="robot"))["spec"]
    assert spec["serviceAccount"] == "robot"


def test_completing_twice_changes_nothing():
    once = made(POD, pod(volumes=[{"name": "x"}]))
    assert made(POD, once) == once


def test_a_status_sent_at_creation_is_ignored():
    assert made(POD, pod() | {"status": {"phase": "Running", "podIP": "1.2.3.4"}})["status"] == {
        "phase": "Pending",
        "qosClass": "BestEffort",
    }


def first(obj):
    return made(POD, obj)["spec"]["containers"][0]
