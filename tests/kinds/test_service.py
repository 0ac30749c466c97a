"""Services: completed, checked and printed as on Kubernetes; what was allocated stays."""

import pytest

from k3py.kinds.core import service as services
from k3py.kinds.core.service import SERVICE
from tests.kinds.objects import cells, made, problems, service


def test_a_service_is_completed():
    assert made(SERVICE, service()) == {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "selector": {"app": "web"},
            "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
            "type": "ClusterIP",
            "sessionAffinity": "None",
            "internalTrafficPolicy": "Cluster",
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
        },
        "status": {"loadBalancer": {}},
    }


def test_what_depends_on_the_type_is_completed():
    balanced = made(SERVICE, service(type="LoadBalancer", sessionAffinity="ClientIP"))["spec"]
    assert balanced["externalTrafficPolicy"] == "Cluster"
    assert balanced["allocateLoadBalancerNodePorts"] is True
    assert balanced["sessionAffinityConfig"] == {"clientIP": {"timeoutSeconds": 10800}}
    name = made(SERVICE, {"metadata": {"name": "x"}, "spec": {
        "type": "ExternalName", "externalName": "example.com"}})["spec"]  # fmt: skip
    assert name == {
        "type": "ExternalName",
        "externalName": "example.com",
        "sessionAffinity": "None",
    }


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"clusterIP": "None"},
        {"clusterIP": "None", "ports": None},
        {"clusterIP": "10.43.0.10"},
        {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080, "targetPort": "http"}]},
        {"type": "LoadBalancer", "externalTrafficPolicy": "Local"},
        {"type": "ExternalName", "externalName": "example.com."},
        {"externalIPs": ["192.0.2.1"], "externalTrafficPolicy": "Local"},
        {"ports": [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "tcp", "port": 53}]},
    ],
)
def test_a_good_one_is_fine(spec):
    assert problems(SERVICE, service(**spec)) == []


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"ports": None}, "spec.ports: Required value"),
        ({"type": "Magic"},
         'spec.type: Unsupported value: "Magic": supported values: "ClusterIP", "ExternalName", '
         '"LoadBalancer", "NodePort"'),
        ({"ports": [{"port": 0, "targetPort": 1}]},
         "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive"),
        ({"ports": [{"port": 80, "name": "a"}, {"port": 81}]},
         "spec.ports[1].name: Required value"),
        ({"ports": [{"port": 80, "name": "a"}, {"port": 81, "name": "a"}]},
         'spec.ports[1].name: Duplicate value: "a"'),
        ({"ports": [{"port": 80, "name": "a"}, {"port": 80, "name": "b"}]},
         'spec.ports[1]: Duplicate value: {"protocol":"TCP","port":80}'),
        ({"ports": [{"port": 80, "nodePort": 30080}]},
         "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"),
        ({"type": "NodePort", "clusterIP": "None"},
         "spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort "
         "services"),
        ({"type": "ExternalName", "externalName": ""},
         "spec.externalName: Required value"),
        ({"clusterIP": "10.43.0.300"},
         'spec.clusterIPs[0]: Invalid value: "10.43.0.300": must be a valid IP address, (e.g. '
         "10.9.8.7 or 2001:db8::ffff)"),
        ({"sessionAffinity": "ClientIP",
          "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 90000}}},
         "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 90000: must be "
         "greater than 0 and less than 86400"),
        ({"externalTrafficPolicy": "Local"},
         'spec.externalTrafficPolicy: Invalid value: "Local": may only be set for '
         "externally-accessible services"),
        ({"ipFamilyPolicy": "RequireDualStack"},
         'spec.ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not configured '
         "for dual-stack services"),
        ({"ipFamilies": ["IPv6"]},
         'spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster'),
    ],
)  # fmt: skip
def test_a_bad_one_is_refused(spec, problem):
    assert problem in problems(SERVICE, service(**spec))


def test_an_update_that_does_not_mention_what_was_allocated_keeps_it():
    old = allocated(type="NodePort")
    new = made(SERVICE, service(type="NodePort", ports=[{"port": 80, "targetPort": 8080}]), old)
    assert new["spec"]["clusterIP"] == "10.43.0.7"
    assert new["spec"]["clusterIPs"] == ["10.43.0.7"]
    assert new["spec"]["ports"][0]["nodePort"] == 30080
    assert list(SERVICE.validate(new, old)) == []


def test_the_address_of_a_service_never_changes():
    old = allocated()
    assert problems(SERVICE, service(clusterIP="10.43.0.8"), old) == [
        'spec.clusterIPs[0]: Invalid value: ["10.43.0.8"]: may not change once set'
    ]


def test_a_change_of_type_drops_what_the_new_type_cannot_have():
    old = allocated(type="NodePort")
    changed = old | {"spec": old["spec"] | {"type": "ClusterIP"}}
    new = made(SERVICE, changed, old)
    assert "nodePort" not in new["spec"]["ports"][0]
    assert "externalTrafficPolicy" not in new["spec"]
    assert list(SERVICE.validate(new, old)) == []
    changed = old | {"spec": old["spec"] | {"type": "ExternalName", "externalName": "a.b"}}
    new = made(SERVICE, changed, old)
    assert "clusterIP" not in new["spec"]
    assert list(SERVICE.validate(new, old)) == []


@pytest.mark.parametrize(
    ("spec", "external", "ports"),
    [
        ({}, "<none>", "80/TCP"),
        ({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]},
         "<none>", "80:30080/TCP"),
        ({"type": "LoadBalancer"}, "<pending>", "80/TCP"),
        ({"type": "ExternalName", "externalName": "a.b", "ports": None}, "a.b", "<none>"),
        ({"externalIPs": ["192.0.2.1", "192.0.2.2"]}, "192.0.2.1,192.0.2.2", "80/TCP"),
    ],
)  # fmt: skip
def test_what_kubectl_prints(spec, external, ports):
    found = cells(SERVICE, made(SERVICE, service(**spec)))
    assert (found["External-IP"], found["Port(s)"], found["Selector"]) == (
        external,
        ports,
        "app=web",
    )


def test_a_load_balancers_addresses_are_printed():
    stored = made(SERVICE, service(type="LoadBalancer"))
    stored["status"] = {"loadBalancer": {"ingress": [{"ip": "192.0.2.9"}, {"ip": "192.0.2.1"}]}}
    assert cells(SERVICE, stored)["External-IP"] == "192.0.2.1,192.0.2.9"
    assert cells(SERVICE, allocated())["Cluster-IP"] == "10.43.0.7"


def test_questions():
    assert services.is_headless(made(SERVICE, service(clusterIP="None")))
    assert services.needs_cluster_ip(made(SERVICE, service()))
    assert services.needs_node_ports(made(SERVICE, service(type="LoadBalancer")))
    quiet = service(type="LoadBalancer", allocateLoadBalancerNodePorts=False)
    assert not services.needs_node_ports(made(SERVICE, quiet))
    assert services.cluster_ips(allocated()) == ("10.43.0.7",)
    assert services.affinity_seconds(made(SERVICE, service(sessionAffinity="ClientIP"))) == 10800


def allocated(**spec):
    """A Service as it is stored once the server has given it what it needs."""
    stored = made(SERVICE, service(clusterIP="10.43.0.7", **spec))
    if services.needs_node_ports(stored):
        stored["spec"]["ports"][0]["nodePort"] = 30080
    return stored
