"""A pod's next step depends only on its spec and on what is there."""

from datetime import timedelta

import pytest

from k3py.node.probing import Probed
from k3py.node.restarts import Attempt
from k3py.node.runtime.runtime import Role, State
from k3py.node.seen import POD, Problem, Stopping
from k3py.node.steps import (
    Discard,
    Disconnect,
    Kill,
    MakeSandbox,
    Remove,
    Start,
    StartInfra,
    Stop,
    Wait,
    next_step,
)

from .arrange import NOW, ago, container, pod, ran, seen

RUNNING, EXITED, CREATED = State.RUNNING, State.EXITED, State.CREATED
SETUP = {"initContainers": [container("setup")]}
SIDECAR = {"initContainers": [container("proxy", restartPolicy="Always")]}


def init(state=EXITED, code=0, **more):
    return ran("setup", state, code, role=Role.INIT, **more)


def proxy(state=RUNNING, **more):
    return ran("proxy", state, role=Role.SIDECAR, **more)


@pytest.mark.parametrize(
    ("restart", "spec", "there", "step"),
    [
        ("Always", {}, seen(box=False), MakeSandbox()),
        ("Always", {}, seen(), Start("app", Attempt(0))),
        ("Always", {}, seen(ran()), Wait()),
        # init containers
        ("Always", SETUP, seen(), Start("setup", Attempt(0))),
        ("Always", SETUP, seen(init(RUNNING)), Wait()),
        ("Always", SETUP, seen(init()), Start("app", Attempt(0))),
        ("Always", SETUP, seen(init(code=1)), Start("setup", Attempt(1, 10))),
        ("Never", SETUP, seen(init(code=1)), Disconnect()),
        # what happened in a sandbox that is no more must happen again
        ("Always", SETUP, seen(init(box=0), ran(state=EXITED, box=0)),
         Start("setup", Attempt(1, 10))),
        ("Never", {}, seen(ran(state=EXITED, box=0)), Disconnect()),
        # once an app container ran, the init containers' remains are not missed
        ("Always", SETUP, seen(ran()), Wait()),
        # sidecars start first, and again whenever they end
        ("Always", SIDECAR, seen(), Start("proxy", Attempt(0))),
        ("Always", SIDECAR, seen(proxy()), Start("app", Attempt(0))),
        ("Always", SIDECAR, seen(proxy(EXITED), ran()), Start("proxy", Attempt(1, 10))),
        ("Never", SIDECAR, seen(proxy(), ran(state=EXITED)), Stop((proxy(),), 30)),
        # restarts
        ("Always", {}, seen(ran(state=EXITED)), Start("app", Attempt(1, 10))),
        ("OnFailure", {}, seen(ran(state=EXITED)), Disconnect()),
        ("OnFailure", {}, seen(ran(state=EXITED, code=1)), Start("app", Attempt(1, 10))),
        ("Never", {}, seen(ran(state=EXITED, code=1)), Disconnect()),
        ("Never", {}, seen(ran(state=EXITED, code=1), box=False), Wait()),
        ("Always", {}, seen(ran(state=EXITED, attempt=2, back_off=20)),
         Start("app", Attempt(3, 40))),
        ("Always", {}, seen(ran(state=EXITED, attempt=3, back_off=40)),
         Wait(NOW + timedelta(seconds=10))),
        # a start that was interrupted leaves a container that can never run
        ("Always", {}, seen(ran(state=CREATED)), Discard((ran(state=CREATED),))),
    ],
)  # fmt: skip
def test_next_step(restart, spec, there, step):
    assert next_step(pod(restart=restart, **spec), there, NOW) == step


def test_two_dead_attempts_are_kept_and_older_ones_removed():
    old, older = ran(state=EXITED, attempt=1), ran(state=EXITED, attempt=0)
    there = seen(ran(attempt=3), ran(state=EXITED, attempt=2), old, older)
    assert next_step(pod(), there, NOW) == Discard((old, older))


def test_what_runs_in_a_lost_sandbox_is_stopped_before_a_new_one_is_made():
    assert next_step(pod(), seen(ran(), box=False), NOW) == Stop((ran(),), 30)


def test_a_shared_process_namespace_needs_its_infra_container_first():
    infra = ran("", role=Role.INFRA)
    shared = pod(shareProcessNamespace=True)
    assert next_step(shared, seen(), NOW) == StartInfra()
    assert next_step(shared, seen(infra), NOW) == Start("app", Attempt(0))
    assert next_step(shared, seen(ran("", EXITED, role=Role.INFRA)), NOW) == Discard(
        (ran("", EXITED, role=Role.INFRA),)
    )


def test_a_problem_is_left_alone_until_its_time():
    later = NOW + timedelta(seconds=7)
    of_app = {"app": Problem("ErrImagePull", "no such image", later)}
    of_pod = {POD: Problem("ContainerCreating", "", later)}
    assert next_step(pod(), seen(problems=of_app), NOW) == Wait(later)
    assert next_step(pod(), seen(box=False, problems=of_pod), NOW) == Wait(later)
    assert next_step(pod(), seen(problems=of_app), later) == Start("app", Attempt(0))


def test_one_containers_problem_does_not_hold_up_the_others():
    later = NOW + timedelta(seconds=7)
    both = pod(container("app"), container("log"))
    there = seen(problems={"app": Problem("ErrImagePull", "", later)})
    assert next_step(both, there, NOW) == Start("log", Attempt(0))


def test_a_container_whose_probe_failed_is_stopped_and_killed_when_its_time_is_up():
    sick = {"app-0": Probed(True, False, "Container app failed liveness probe, will be restarted")}
    step = next_step(pod(), seen(ran(), probed=sick), NOW)
    assert step == Stop((ran(),), 30, "Container app failed liveness probe, will be restarted")
    due = NOW + timedelta(seconds=30)
    there = seen(ran(), probed=sick, stopping={"app-0": Stopping(NOW, due)})
    assert next_step(pod(), there, NOW) == Wait(due)
    assert next_step(pod(), there, due) == Kill((ran(),))


def test_a_changed_image_restarts_the_container():
    changed = pod(container(image="busybox:1.37"))
    step = next_step(changed, seen(ran()), NOW)
    assert step == Stop((ran(),), 30, "Container app definition changed, will be restarted")


def test_a_deleted_pod_stops_its_apps_then_its_sidecars_then_goes():
    deleted = pod(deleting=5, **SIDECAR)
    assert next_step(deleted, seen(ran(), proxy()), NOW) == Stop((ran(),), 5)
    stopping = {"app-0": Stopping(ago(5), NOW)}
    assert next_step(deleted, seen(ran(), proxy(), stopping=stopping), NOW) == Kill((ran(),))
    assert next_step(deleted, seen(ran(state=EXITED), proxy()), NOW) == Stop((proxy(),), 5)
    assert next_step(deleted, seen(ran(state=EXITED)), NOW) == Remove()
    assert next_step(deleted, seen(box=False), NOW) == Remove()


def test_a_second_deletion_may_leave_less_time():
    stopping = {"app-0": Stopping(ago(10), NOW + timedelta(seconds=20))}
    assert next_step(pod(deleting=8), seen(ran(), stopping=stopping), NOW) == Kill((ran(),))


def test_a_pod_the_api_has_forgotten_ends_in_the_shortest_time():
    assert next_step(pod(), seen(ran()), NOW, gone=True) == Stop((ran(),), 2)
    assert next_step(pod(), seen(), NOW, gone=True) == Remove()


def test_a_pod_that_outlives_its_deadline_is_ended():
    status = {"phase": "Running", "startTime": "2030-01-01T11:59:00Z"}
    assert next_step(pod(activeDeadlineSeconds=60, status=status), seen(ran()), NOW) == Stop(
        (ran(),), 30
    )
    waits = next_step(pod(activeDeadlineSeconds=90, status=status), seen(ran()), NOW)
    assert waits == Wait(NOW + timedelta(seconds=30))


def test_a_pod_the_api_calls_failed_never_runs_again():
    failed = pod(status={"phase": "Failed"})
    assert next_step(failed, seen(box=False), NOW) == Wait()
    assert next_step(failed, seen(ran()), NOW) == Stop((ran(),), 30)


def test_the_next_container_waits_for_a_post_start_hook():
    both = pod(container("app"), container("log"))
    assert next_step(both, seen(ran(), hooking=frozenset({"app-0"})), NOW) == Wait()
