"""`kubectl get pods` says of a pod what it says on Kubernetes."""

import pytest

from k3py.kinds.core.pod import POD
from tests.kinds.objects import cells, container, made, pod

RUNNING = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
READY = [{"type": "Ready", "status": "True"}]


def waiting(reason):
    return {"waiting": {"reason": reason}}


LATER = waiting("PodInitializing")


def ended(code=0, reason="Completed", **more):
    return {"terminated": {"exitCode": code, "reason": reason, **more}}


def status(state, *, ready=False, name="app", restarts=0, last=None, **more):
    return {
        "name": name,
        "state": state,
        "ready": ready,
        "restartCount": restarts,
        "lastState": {"terminated": {"exitCode": 1, "finishedAt": last}} if last else {},
        **more,
    }


@pytest.mark.parametrize(
    ("phase", "statuses", "ready", "printed"),
    [
        ("Pending", [], "0/1", "Pending"),
        ("Pending", [status(waiting("ContainerCreating"))], "0/1", "ContainerCreating"),
        ("Pending", [status(waiting("ImagePullBackOff"))], "0/1", "ImagePullBackOff"),
        ("Running", [status(RUNNING, ready=True)], "1/1", "Running"),
        ("Running", [status(RUNNING)], "0/1", "Running"),
        ("Running", [status(waiting("CrashLoopBackOff"))], "0/1", "CrashLoopBackOff"),
        ("Running", [status(ended(1, "Error"))], "0/1", "Error"),
        ("Failed", [status(ended(137, "OOMKilled"))], "0/1", "OOMKilled"),
        ("Failed", [status(ended(3, ""))], "0/1", "ExitCode:3"),
        ("Failed", [status(ended(0, "", signal=9))], "0/1", "Signal:9"),
        ("Succeeded", [status(ended())], "0/1", "Completed"),
    ],
)
def test_the_status_of_one_container(phase, statuses, ready, printed):
    found = cells(POD, seen(phase=phase, containerStatuses=statuses))
    assert (found["Ready"], found["Status"]) == (ready, printed)


@pytest.mark.parametrize(
    ("state", "printed"),
    [
        (waiting("PodInitializing"), "Init:0/2"),
        (RUNNING, "Init:0/2"),
        (waiting("CrashLoopBackOff"), "Init:CrashLoopBackOff"),
        (ended(1, "Error"), "Init:Error"),
        (ended(2, ""), "Init:ExitCode:2"),
    ],
)
def test_the_status_while_it_is_initialized(state, printed):
    obj = seen(
        spec={"initContainers": [container("a"), container("b")]},
        phase="Pending",
        initContainerStatuses=[status(state, name="a"), status(LATER, name="b")],
        containerStatuses=[status(LATER)],
    )
    assert cells(POD, obj)["Status"] == printed


def test_the_second_init_container_counts_the_first():
    obj = seen(
        spec={"initContainers": [container("a"), container("b")]},
        phase="Pending",
        initContainerStatuses=[status(ended(), name="a"), status(RUNNING, name="b")],
    )
    assert cells(POD, obj)["Status"] == "Init:1/2"


def test_a_sidecar_counts_as_a_container():
    obj = seen(
        spec={"initContainers": [container("proxy", restartPolicy="Always")]},
        phase="Running",
        initContainerStatuses=[status(RUNNING, name="proxy", ready=True, started=True, restarts=2)],
        containerStatuses=[status(RUNNING, ready=True, restarts=1)],
    )
    found = cells(POD, obj)
    assert (found["Ready"], found["Status"], found["Restarts"]) == ("2/2", "Running", "3")


def test_one_of_two_that_completed_does_not_hide_the_other():
    both = [status(ended()), status(RUNNING, ready=True, name="b")]
    obj = seen(spec={"containers": [container(), container("b")]}, containerStatuses=both)
    assert (
        cells(POD, obj | {"status": obj["status"] | {"conditions": READY}})["Status"] == "Running"
    )
    assert cells(POD, obj)["Status"] == "NotReady"


def test_restarts_say_when_the_last_one_was():
    obj = seen(containerStatuses=[status(RUNNING, restarts=2, last="2026-01-01T00:05:00Z")])
    assert cells(POD, obj)["Restarts"] == "2 (5m ago)"


def test_deletion_shows_unless_the_pod_has_ended():
    deleting = {"deletionTimestamp": "2026-01-01T00:00:00Z"}
    running = seen(containerStatuses=[status(RUNNING)])
    running["metadata"] |= deleting
    assert cells(POD, running)["Status"] == "Terminating"
    running["status"]["reason"] = "NodeLost"
    assert cells(POD, running)["Status"] == "Unknown"
    done = seen(phase="Succeeded", containerStatuses=[status(ended())])
    done["metadata"] |= deleting
    assert cells(POD, done)["Status"] == "Completed"


def test_eviction_and_gates_show():
    assert cells(POD, seen(phase="Failed", reason="Evicted"))["Status"] == "Evicted"
    gated = [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]
    assert cells(POD, seen(phase="Pending", conditions=gated))["Status"] == "SchedulingGated"


def test_the_wide_columns():
    obj = seen(
        spec={"nodeName": "pi1", "readinessGates": [{"conditionType": "x/y"}]},
        podIPs=[{"ip": "10.42.0.5"}],
    )
    found = cells(POD, obj)
    assert found["IP"] == "10.42.0.5"
    assert found["Node"] == "pi1"
    assert found["Nominated Node"] == "<none>"
    assert found["Readiness Gates"] == "0/1"
    assert found["Age"] == "10m"
    assert cells(POD, seen())["Readiness Gates"] == "<none>"


def test_fields_of_a_pod_can_be_selected():
    from k3py.api import fields

    obj = seen(spec={"nodeName": "pi1"}, phase="Running")
    wanted = "spec.nodeName=pi1,status.phase=Running,spec.hostNetwork=false"
    assert fields.parse(POD, wanted).matches(POD, obj)


def seen(spec=None, phase="Running", **more):
    obj = made(POD, pod(**(spec or {})))
    obj["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    obj["status"] = {"phase": phase} | more
    return obj
