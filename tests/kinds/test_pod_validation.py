"""A pod that cannot run is refused with everything that is wrong, in Kubernetes' words."""

import pytest

from k3py.kinds.core.pod import POD
from tests.kinds.objects import container, made, pod, problems

MUST_BE_LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "
    "must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used "
    "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)


def test_a_full_pod_is_fine():
    assert problems(POD, FULL) == []


def test_all_problems_are_told_at_once():
    broken = pod(
        restartPolicy="Sometimes",
        containers=[
            {"name": "App", "image": ""},
            container("b", ports=[{"containerPort": 70000}]),
            container("b"),
        ],
    )
    assert problems(POD, broken) == [
        f'spec.containers[0].name: Invalid value: "App": {MUST_BE_LABEL}',
        "spec.containers[0].image: Required value",
        "spec.containers[1].ports[0].containerPort: Invalid value: 70000: "
        "must be between 1 and 65535, inclusive",
        'spec.containers[2].name: Duplicate value: "b"',
        'spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", '
        '"OnFailure", "Never"',
    ]


C = "spec.containers[0]"


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"image": " nginx"},
         f'{C}.image: Invalid value: " nginx": must not have leading or trailing whitespace'),
        ({"imagePullPolicy": "Never ever"},
         f'{C}.imagePullPolicy: Unsupported value: "Never ever": supported values: "Always", '
         '"IfNotPresent", "Never"'),
        ({"env": [{"name": "A=B", "value": "1"}]},
         f'{C}.env[0].name: Invalid value: "A=B": a valid environment variable name must consist '
         "only of printable ASCII characters other than '='"),
        ({"env": [{"name": "A", "value": "1", "valueFrom": {"fieldRef": {
            "fieldPath": "metadata.name"}}}]},
         f'{C}.env[0].valueFrom: Invalid value: "": may not be specified when `value` is not '
         "empty"),
        ({"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "a/b"}}}]},
         f'{C}.env[0].valueFrom.secretKeyRef.key: Invalid value: "a/b": a valid config key must '
         "consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  "
         "or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"),
        ({"envFrom": [{}]},
         f'{C}.envFrom[0]: Invalid value: "": must specify one of: `configMapRef` or `secretRef`'),
        ({"volumeMounts": [{"name": "nowhere", "mountPath": "/x"}]},
         f'{C}.volumeMounts[0].name: Not found: "nowhere"'),
        ({"volumeMounts": [{"name": "v", "mountPath": "/x"}, {"name": "v", "mountPath": "/x"}]},
         f'{C}.volumeMounts[1].mountPath: Invalid value: "/x": must be unique'),
        ({"volumeMounts": [{"name": "v", "mountPath": "/x", "subPath": "../etc"}]},
         f"{C}.volumeMounts[0].subPath: Invalid value: \"../etc\": must not contain '..'"),
        ({"resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "2"}}},
         f'{C}.resources.requests: Invalid value: "2": must be less than or equal to cpu limit '
         "of 1"),
        ({"resources": {"requests": {"memory": "-1Mi"}}},
         f'{C}.resources.requests[memory]: Invalid value: "-1Mi": must be greater than or equal '
         "to 0"),
        ({"ports": [{"containerPort": 80, "name": "a-very-long-port-name"}]},
         f'{C}.ports[0].name: Invalid value: "a-very-long-port-name": must be no more than 15 '
         "characters"),
        ({"ports": [{"containerPort": 80, "name": "80"}]},
         f'{C}.ports[0].name: Invalid value: "80": must contain at least one letter (a-z)'),
        ({"ports": [{"containerPort": 80, "hostPort": 8080},
                    {"containerPort": 81, "hostPort": 8080}]},
         f'{C}.ports[1].hostPort: Duplicate value: "TCP//8080"'),
        ({"ports": [{"containerPort": 80, "protocol": "ICMP"}]},
         f'{C}.ports[0].protocol: Unsupported value: "ICMP": supported values: "SCTP", "TCP", '
         '"UDP"'),
        ({"livenessProbe": {}},
         f"{C}.livenessProbe: Required value: must specify a handler type"),
        ({"livenessProbe": {"tcpSocket": {"port": 1}, "successThreshold": 2}},
         f"{C}.livenessProbe.successThreshold: Invalid value: 2: must be 1"),
        ({"readinessProbe": {"tcpSocket": {"port": 1}, "exec": {"command": ["x"]}}},
         f"{C}.readinessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type"),
        ({"readinessProbe": {"httpGet": {"port": 0}}},
         f"{C}.readinessProbe.httpGet.port: Invalid value: 0: must be between 1 and 65535, "
         "inclusive"),
        ({"securityContext": {"runAsUser": -1}},
         f"{C}.securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, "
         "inclusive"),
    ],
)  # fmt: skip
def test_a_container_is_refused(more, problem):
    obj = pod(containers=[container(**more)], volumes=[{"name": "v"}])
    assert problems(POD, obj) == [problem]


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"containers": []}, "spec.containers: Required value"),
        ({"initContainers": [container()]}, 'spec.initContainers[0].name: Duplicate value: "app"'),
        ({"initContainers": [container("init", readinessProbe={"tcpSocket": {"port": 1}})]},
         "spec.initContainers[0].readinessProbe: Forbidden: may not be set for init containers "
         "without restartPolicy=Always"),
        ({"dnsPolicy": "None"},
         "spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"),
        ({"terminationGracePeriodSeconds": -1},
         "spec.terminationGracePeriodSeconds: Invalid value: -1: must be greater than or equal "
         "to 0"),
        ({"activeDeadlineSeconds": 0},
         "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, "
         "inclusive"),
        ({"hostname": "Big"}, f'spec.hostname: Invalid value: "Big": {MUST_BE_LABEL}'),
        ({"volumes": [{"name": "a"}, {"name": "a"}]}, 'spec.volumes[1].name: Duplicate value: "a"'),
        ({"volumes": [{"name": "a", "emptyDir": {}, "secret": {"secretName": "s"}}]},
         "spec.volumes[0].secret: Forbidden: may not specify more than 1 volume type"),
        ({"volumes": [{"name": "a", "hostPath": {"path": "/a/../b"}}]},
         "spec.volumes[0].hostPath.path: Invalid value: \"/a/../b\": must not contain '..'"),
        ({"volumes": [{"name": "a", "secret": {}}]},
         "spec.volumes[0].secret.secretName: Required value"),
        ({"volumes": [{"name": "a", "configMap": {"name": "c", "defaultMode": 0o1000}}]},
         "spec.volumes[0].configMap.defaultMode: Invalid value: 512: must be a number between 0 "
         "and 0777 (octal), both inclusive"),
        ({"tolerations": [{"operator": "Equal"}]},
         'spec.tolerations[0].operator: Invalid value: "Equal": operator must be Exists when '
         '`key` is empty, which means "match all values and all keys"'),
        ({"tolerations": [{"key": "a", "operator": "Exists", "tolerationSeconds": 3}]},
         "spec.tolerations[0].effect: Invalid value: \"\": effect must be 'NoExecute' when "
         "`tolerationSeconds` is set"),
        ({"topologySpreadConstraints": [{
            "maxSkew": 0, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}]},
         "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero"),
        ({"hostAliases": [{"ip": "300.1.1.1"}]},
         'spec.hostAliases[0].ip: Invalid value: "300.1.1.1": must be a valid IP address, (e.g. '
         "10.9.8.7 or 2001:db8::ffff)"),
        ({"ephemeralContainers": [{"name": "debug", "image": "x:1"}]},
         "spec.ephemeralContainers: Forbidden: cannot be set on create"),
    ],
)  # fmt: skip
def test_a_pod_is_refused(spec, problem):
    assert problems(POD, pod(**spec)) == [problem]


def test_node_affinity_is_checked():
    term = {"matchExpressions": [{"key": "disk", "operator": "Like", "values": ["ssd"]}]}
    needed = {"nodeSelectorTerms": [term]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": needed}}
    assert problems(POD, pod(affinity=affinity)) == [
        "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution."
        'nodeSelectorTerms[0].matchExpressions[0].operator: Invalid value: "Like": not a valid '
        "selector operator"
    ]


@pytest.mark.parametrize(
    "change",
    [
        lambda spec: spec["containers"][0].update(image="nginx:1.28"),
        lambda spec: spec.update(activeDeadlineSeconds=5),
        lambda spec: spec.update(tolerations=[{"key": "new", "operator": "Exists"}]),
    ],
)
def test_little_may_change_on_a_pod(change):
    assert update(change) == []


def test_everything_else_on_a_pod_is_fixed():
    (problem,) = update(lambda spec: spec["containers"][0].update(command=["sleep"]))
    assert problem == (
        "spec: Forbidden: pod updates may not change fields other than "
        "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,"
        "`spec.tolerations` (only additions to existing tolerations),"
        "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously "
        "negative)"
    )


def test_containers_come_and_go_with_their_pod():
    assert update(lambda spec: spec["containers"].append(container("more"))) == [
        "spec.containers: Forbidden: pod updates may not add or remove containers"
    ]


def test_a_container_that_ended_for_good_stays_ended():
    old = made(POD, pod(restartPolicy="Never"))
    ended = {"name": "app", "state": {"terminated": {"exitCode": 1}}}
    running = {"name": "app", "state": {"running": {}}}
    old["status"]["containerStatuses"] = [ended]
    new = old | {"status": {"containerStatuses": [running]}}
    assert [p.field for p in POD.validate_status(new, old)] == ["status.containerStatuses[0].state"]


def update(change):
    old = made(POD, pod())
    new = made(POD, old)
    change(new["spec"])
    return [f"{p.field}: {p.message}" for p in POD.validate(made(POD, new, old), old)]


FULL = pod(
    initContainers=[
        container("setup", command=["true"]),
        container("proxy", restartPolicy="Always", readinessProbe={"tcpSocket": {"port": 1}}),
    ],
    containers=[
        container(
            ports=[{"name": "http", "containerPort": 80, "hostPort": 8080, "hostIP": "127.0.0.1"}],
            env=[
                {"name": "my.var-x", "value": "1"},
                {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                {"name": "L", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
                {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
            ],
            envFrom=[{"prefix": "S_", "secretRef": {"name": "s"}}],
            volumeMounts=[{"name": "scratch", "mountPath": "/tmp", "subPath": "a/b"}],
            resources={"limits": {"cpu": "1", "memory": "64Mi", "example.com/gpu": "1"}},
            livenessProbe={"httpGet": {"port": "http", "path": "/healthz"}},
            lifecycle={"preStop": {"sleep": {"seconds": 3}}},
        )
    ],
    volumes=[{"name": "scratch"}, {"name": "nfs", "nfs": {"server": "pi", "path": "/srv"}}],
    tolerations=[{"operator": "Exists"}, {"key": "a", "value": "b", "effect": "NoSchedule"}],
    nodeSelector={"kubernetes.io/arch": "arm64"},
    affinity={
        "podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 1, "podAffinityTerm": {"topologyKey": "kubernetes.io/hostname"}}
            ]
        }
    },
    topologySpreadConstraints=[
        {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}
    ],
    dnsPolicy="None",
    dnsConfig={"nameservers": ["10.43.0.10"], "options": [{"name": "ndots", "value": "2"}]},
)
