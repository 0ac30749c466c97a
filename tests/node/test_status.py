"""A pod's status is what Kubernetes would say of what was seen."""

from datetime import timedelta

import pytest

from k3py.api import conditions
from k3py.node import status as statuses
from k3py.node.probing import Probed
from k3py.node.runtime.runtime import Role, State
from k3py.node.seen import Problem
from k3py.node.status import Place, pod_status

from .arrange import ADDRESS, NOW, ago, container, pod, ran, seen

RUNNING, EXITED = State.RUNNING, State.EXITED
HOST = Place(("192.168.1.7",), NOW)
SETUP = {"initContainers": [container("setup")]}


def status(a_pod, there):
    return pod_status(a_pod, there, HOST)


def only(found):
    (one,) = found["containerStatuses"]
    return one


def condition(found, kind):
    return conditions.find({"status": found}, kind)


def init(state=EXITED, code=0, **more):
    return ran("setup", state, code, role=Role.INIT, **more)


def test_a_running_pod():
    found = status(pod(), seen(ran()))
    assert found["phase"] == "Running"
    assert (found["hostIP"], found["podIP"]) == ("192.168.1.7", ADDRESS)
    assert found["podIPs"] == [{"ip": ADDRESS}]
    assert found["qosClass"] == "BestEffort"
    assert found["startTime"] == "2030-01-01T12:00:00Z"
    assert only(found) == {
        "name": "app",
        "state": {"running": {"startedAt": "2030-01-01T11:59:00Z"}},
        "lastState": {},
        "ready": True,
        "started": True,
        "restartCount": 0,
        "image": "docker.io/library/busybox:1.36",
        "imageID": "docker.io/library/busybox@sha256:1",
        "containerID": "podman://app-0",
    }
    assert [(c["type"], c["status"]) for c in found["conditions"]] == [
        ("PodReadyToStartContainers", "True"),
        ("Initialized", "True"),
        ("Ready", "True"),
        ("ContainersReady", "True"),
        ("PodScheduled", "True"),
    ]


def test_a_pod_that_only_begins():
    found = status(pod(**SETUP), seen(box=False))
    assert found["phase"] == "Pending"
    assert only(found)["state"] == {"waiting": {"reason": "PodInitializing"}}
    assert found["initContainerStatuses"][0]["state"] == {"waiting": {"reason": "PodInitializing"}}
    assert only(status(pod(), seen()))["state"] == {"waiting": {"reason": "ContainerCreating"}}
    assert condition(found, "Initialized") == {
        "type": "Initialized",
        "status": "False",
        "reason": "ContainersNotInitialized",
        "message": "containers with incomplete status: [setup]",
        "lastTransitionTime": "2030-01-01T12:00:00Z",
    }
    assert condition(found, "Ready")["message"] == "containers with unready status: [app]"
    assert condition(found, "PodReadyToStartContainers")["status"] == "False"


def test_a_crash_loop():
    crashed = ran(state=EXITED, code=3, attempt=4, back_off=80, message="oops")
    found = status(pod(), seen(crashed))
    assert found["phase"] == "Running"
    assert only(found)["state"]["waiting"] == {
        "reason": "CrashLoopBackOff",
        "message": "back-off 1m20s restarting failed container=app pod=web_home(uid-web)",
    }
    assert only(found)["lastState"]["terminated"] == {
        "exitCode": 3,
        "reason": "Error",
        "message": "oops",
        "startedAt": "2030-01-01T11:59:00Z",
        "finishedAt": "2030-01-01T11:59:30Z",
        "containerID": "podman://app-4",
    }
    assert only(found)["restartCount"] == 4
    assert condition(found, "Ready")["reason"] == "ContainersNotReady"


def test_a_restarted_container_remembers_its_last_end():
    found = status(pod(), seen(ran(attempt=1), ran(state=EXITED, code=137, oom_killed=True)))
    assert only(found)["lastState"]["terminated"]["reason"] == "OOMKilled"
    assert only(found)["restartCount"] == 1


@pytest.mark.parametrize(
    ("restart", "code", "phase", "reason"),
    [
        ("Never", 0, "Succeeded", "PodCompleted"),
        ("Never", 1, "Failed", "PodFailed"),
        ("OnFailure", 0, "Succeeded", "PodCompleted"),
        ("OnFailure", 1, "Running", "ContainersNotReady"),
        ("Always", 0, "Running", "ContainersNotReady"),
    ],
)
def test_phases_when_the_only_container_has_ended(restart, code, phase, reason):
    found = status(pod(restart=restart), seen(ran(state=EXITED, code=code)))
    assert found["phase"] == phase
    assert condition(found, "Ready")["reason"] == reason
    ended = only(found)["state"].get("terminated") or only(found)["lastState"].get("terminated")
    assert ended["reason"] == ("Error" if code else "Completed")


def test_a_failed_init_container_of_a_pod_that_never_restarts_fails_the_pod():
    found = status(pod(restart="Never", **SETUP), seen(init(code=1)))
    assert found["phase"] == "Failed"
    assert only(found)["state"] == {"waiting": {"reason": "PodInitializing"}}


def test_an_init_container_in_a_crash_loop_keeps_the_pod_pending():
    found = status(pod(**SETUP), seen(init(code=1, attempt=1, back_off=10)))
    assert found["phase"] == "Pending"
    (setup,) = found["initContainerStatuses"]
    assert setup["state"]["waiting"]["reason"] == "CrashLoopBackOff"


def test_problems_are_shown_where_the_container_waits():
    problem = Problem("ErrImagePull", "manifest unknown", NOW)
    found = status(pod(), seen(problems={"app": problem}))
    waiting = {"waiting": {"reason": "ErrImagePull", "message": "manifest unknown"}}
    assert only(found)["state"] == waiting
    assert found["phase"] == "Pending"
    again = status(pod(), seen(ran(state=EXITED), problems={"app": problem}))
    assert only(again)["state"] == waiting
    assert only(again)["lastState"]["terminated"]["exitCode"] == 0


def test_probes_decide_what_is_ready():
    unready = seen(ran(), probed={"app-0": Probed(started=True, ready=False)})
    found = status(pod(), unready)
    assert (only(found)["started"], only(found)["ready"]) == (True, False)
    assert condition(found, "ContainersReady")["status"] == "False"
    hooking = status(pod(), seen(ran(), hooking=frozenset({"app-0"})))
    assert only(hooking)["ready"] is False


def test_a_sidecar_counts_among_the_ready():
    sidecar = pod(initContainers=[container("proxy", restartPolicy="Always")])
    there = seen(ran("proxy", role=Role.SIDECAR), ran())
    found = status(sidecar, there)
    assert found["initContainerStatuses"][0]["ready"]
    assert condition(found, "Ready")["status"] == "True"
    slow = seen(ran("proxy", role=Role.SIDECAR), ran(), probed={"proxy-0": Probed(True, False)})
    message = condition(status(sidecar, slow), "Ready")["message"]
    assert message == "containers with unready status: [proxy]"


def test_readiness_gates_are_for_others_to_open():
    gated = pod(readinessGates=[{"conditionType": "example.com/gate"}])
    found = status(gated, seen(ran()))
    assert condition(found, "Ready") | {"lastTransitionTime": ""} == {
        "type": "Ready",
        "status": "False",
        "reason": "ReadinessGatesNotReady",
        "message": 'corresponding condition of pod readiness gate "example.com/gate" '
        "does not exist.",
        "lastTransitionTime": "",
    }
    gated["status"]["conditions"] = [{"type": "example.com/gate", "status": "True"}]
    found = status(gated, seen(ran()))
    assert condition(found, "Ready")["status"] == "True"
    assert condition(found, "example.com/gate") == {"type": "example.com/gate", "status": "True"}


def test_transition_times_stay_while_nothing_changes():
    first = status(pod(), seen(ran()))
    later = Place(HOST.addresses, NOW + timedelta(seconds=60))
    again = pod_status(pod(status=first), seen(ran()), later)
    assert again == first
    assert statuses.change(first, again) == {}


def test_a_deleted_pod_ends_in_a_final_phase():
    found = status(pod(deleting=5), seen(ran(state=EXITED, code=143)))
    assert found["phase"] == "Failed"
    assert only(found)["state"]["terminated"]["exitCode"] == 143
    assert status(pod(deleting=5), seen(ran(state=EXITED)))["phase"] == "Succeeded"
    assert status(pod(deleting=5), seen(ran()))["phase"] == "Running"


def test_a_pod_past_its_deadline():
    told = {"phase": "Running", "startTime": "2030-01-01T11:00:00Z"}
    found = status(pod(activeDeadlineSeconds=60, status=told), seen(ran()))
    assert (found["phase"], found["reason"]) == ("Failed", "DeadlineExceeded")
    assert found["message"] == "Pod was active on the node longer than the specified deadline"


def test_the_node_takes_no_final_phase_back():
    told = {"phase": "Failed", "reason": "Evicted", "message": "low on memory"}
    found = status(pod(status=told), seen(box=False))
    assert (found["phase"], found["reason"], found["message"]) == tuple(told.values())


def test_after_a_power_cut_the_last_end_is_unknown_and_counted():
    before = status(pod(), seen(ran()))
    found = status(pod(status=before), seen(box=False))
    assert only(found)["state"] == {"waiting": {"reason": "ContainerCreating"}}
    assert only(found)["lastState"]["terminated"] == {
        "exitCode": 255,
        "reason": "Unknown",
        "startedAt": "2030-01-01T11:59:00Z",
        "containerID": "podman://app-0",
    }


def test_a_pod_on_the_hosts_network_has_its_address():
    assert status(pod(hostNetwork=True), seen(ran()))["podIP"] == "192.168.1.7"


def test_the_patch_takes_back_what_no_longer_holds():
    assert statuses.change({"phase": "Failed", "reason": "X"}, {"phase": "Running"}) == {
        "phase": "Running",
        "reason": None,
    }


def test_durations_are_written_as_go_writes_them():
    assert [statuses.duration(s) for s in (10, 60, 80, 300)] == ["10s", "1m0s", "1m20s", "5m0s"]


def test_a_container_that_never_started_says_why():
    broken = ran(state=EXITED, code=128, reason="StartError", message="no such file", started=None,
                 finished=ago(1), attempt=1, back_off=10)  # fmt: skip
    found = status(pod(), seen(broken))
    assert only(found)["lastState"]["terminated"]["reason"] == "StartError"
    assert only(found)["state"]["waiting"]["reason"] == "CrashLoopBackOff"
