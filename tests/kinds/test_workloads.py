"""Deployments and ReplicaSets: completed, checked and printed as on Kubernetes."""

import pytest

from k3py.kinds.apps import deployment as deployments
from k3py.kinds.apps.deployment import DEPLOYMENT
from k3py.kinds.apps.replicaset import REPLICA_SET
from tests.kinds.objects import cells, container, made, pod, problems, workload

BOTH = pytest.mark.parametrize("kind", [DEPLOYMENT, REPLICA_SET], ids=lambda k: k.kind)


def test_a_deployment_is_completed():
    spec = made(DEPLOYMENT, workload(DEPLOYMENT))["spec"]
    assert spec["replicas"] == 1
    assert spec["revisionHistoryLimit"] == 10
    assert spec["progressDeadlineSeconds"] == 600
    assert spec["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
    }
    assert spec["template"]["spec"]["restartPolicy"] == "Always"
    assert "enableServiceLinks" not in spec["template"]["spec"]
    assert "requests" not in spec["template"]["spec"]["containers"][0]["resources"]


def test_a_replica_set_starts_with_nothing():
    stored = made(REPLICA_SET, workload(REPLICA_SET) | {"status": {"replicas": 9}})
    assert stored["spec"]["replicas"] == 1
    assert stored["status"] == {"replicas": 0}


@BOTH
def test_a_good_one_is_fine(kind):
    assert problems(kind, workload(kind)) == []


@BOTH
@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"replicas": -1},
         "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
        ({"selector": None}, "spec.selector: Required value"),
        ({"selector": {}},
         "spec.selector: Invalid value: {}: empty selector is invalid for deployment"),
        ({"selector": {"matchLabels": {"app": "db"}}},
         'spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match '
         "template `labels`"),
        ({"selector": {"matchExpressions": [{"key": "app", "operator": "In"}]}},
         "spec.selector.matchExpressions[0].values: Required value: must be specified when "
         "`operator` is 'In' or 'NotIn'"),
        ({"template": {"metadata": {"labels": {"app": "web"}},
                       "spec": pod(restartPolicy="Never")["spec"]}},
         'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: '
         '"Always"'),
        ({"template": {"metadata": {"labels": {"app": "web"}},
                       "spec": pod(containers=[container(image="")])["spec"]}},
         "spec.template.spec.containers[0].image: Required value"),
    ],
)  # fmt: skip
def test_a_bad_one_is_refused(kind, spec, problem):
    assert problem in problems(kind, workload(kind, **spec))


@BOTH
def test_the_selector_never_changes(kind):
    old = made(kind, workload(kind))
    labels = {"app": "web", "tier": "front"}
    template = {"metadata": {"labels": labels}, "spec": pod()["spec"]}
    new = workload(kind, selector={"matchLabels": labels}, template=template)
    assert problems(kind, new, old) == [
        'spec.selector: Invalid value: {"matchLabels":{"app":"web","tier":"front"}}: field is '
        "immutable"
    ]


@pytest.mark.parametrize(
    ("strategy", "problem"),
    [
        ({"type": "Big Bang"},
         'spec.strategy.type: Unsupported value: "Big Bang": supported values: "Recreate", '
         '"RollingUpdate"'),
        ({"type": "Recreate", "rollingUpdate": {}},
         "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is "
         "'Recreate'"),
        ({"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "0%"}},
         'spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "0%": may not be 0 when '
         "`maxSurge` is 0"),
        ({"rollingUpdate": {"maxUnavailable": "110%"}},
         'spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "110%": must not be greater '
         "than 100%"),
    ],
)  # fmt: skip
def test_a_strategy_is_refused(strategy, problem):
    assert problems(DEPLOYMENT, workload(DEPLOYMENT, strategy=strategy)) == [problem]


def test_the_deadline_must_leave_time_to_be_ready():
    obj = workload(DEPLOYMENT, progressDeadlineSeconds=10, minReadySeconds=10)
    assert problems(DEPLOYMENT, obj) == [
        "spec.progressDeadlineSeconds: Invalid value: 10: must be greater than minReadySeconds"
    ]


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "expected"),
    [
        (10, "25%", "25%", (3, 2)),
        (1, "25%", "25%", (1, 0)),
        (3, 0, "25%", (0, 1)),
        (3, 2, 1, (2, 1)),
        (2, 0, 5, (0, 2)),
        (0, "25%", "25%", (0, 0)),
    ],
)
def test_how_many_more_and_fewer_there_may_be(replicas, surge, unavailable, expected):
    rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
    obj = workload(DEPLOYMENT, replicas=replicas, strategy={"rollingUpdate": rolling})
    stored = made(DEPLOYMENT, obj)
    assert (deployments.max_surge(stored), deployments.max_unavailable(stored)) == expected


def test_recreating_allows_neither():
    stored = made(DEPLOYMENT, workload(DEPLOYMENT, replicas=3, strategy={"type": "Recreate"}))
    assert "rollingUpdate" not in stored["spec"]["strategy"]
    assert (deployments.max_surge(stored), deployments.max_unavailable(stored)) == (0, 0)


def test_what_kubectl_prints():
    stored = made(DEPLOYMENT, workload(DEPLOYMENT, replicas=3))
    assert cells(DEPLOYMENT, stored)["Ready"] == "0/3"
    stored["status"] = {"readyReplicas": 2, "updatedReplicas": 3, "availableReplicas": 1}
    assert list(cells(DEPLOYMENT, stored).values()) == [
        "web", "2/3", 3, 1, "<unknown>", "app", "nginx:1.27", "app=web",
    ]  # fmt: skip
    stored = made(REPLICA_SET, workload(REPLICA_SET, replicas=2))
    assert list(cells(REPLICA_SET, stored).values()) == [
        "web", 2, 0, 0, "<unknown>", "app", "nginx:1.27", "app=web",
    ]  # fmt: skip


def test_more_ready_pods_than_there_are_is_no_status():
    old = made(REPLICA_SET, workload(REPLICA_SET))
    new = old | {"status": {"replicas": 1, "readyReplicas": 2}}
    assert [p.field for p in REPLICA_SET.validate_status(new, old)] == ["status.readyReplicas"]
