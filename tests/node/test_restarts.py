"""Crash loops slow down, and what they need to know stands on the containers themselves."""

import pytest

from k3py.node import restarts
from k3py.node.restarts import Attempt
from k3py.node.runtime.runtime import State

from .arrange import NOW, ago, container, pod, ran, seen

EXITED = State.EXITED


def test_the_delays_are_kubernetes_own():
    delays, back_off = [], 0
    for _ in range(8):
        crashed = ran(state=EXITED, back_off=back_off, started=ago(31))
        delays.append(restarts.delay(crashed).total_seconds())
        back_off = restarts.attempt(pod(), seen(crashed), "app").back_off
    assert delays == [0, 10, 20, 40, 80, 160, 300, 300]


def test_a_clock_that_was_set_back_delays_no_restart_for_long():
    crashed = ran(state=EXITED, back_off=10, started=ago(-3590), finished=ago(-3600))
    assert restarts.due(crashed, NOW) == ago(-10)


def test_ten_good_minutes_are_forgiven():
    lasted = ran(state=EXITED, attempt=7, back_off=300, started=ago(630))
    assert restarts.delay(lasted).total_seconds() == 0
    assert restarts.attempt(pod(), seen(lasted), "app") == Attempt(8, 10)


@pytest.mark.parametrize(
    ("policy", "code", "again"),
    [("Always", 0, True), ("Always", 1, True), ("OnFailure", 0, False), ("OnFailure", 1, True),
     ("Never", 0, False), ("Never", 1, False)],
)  # fmt: skip
def test_restart_policies(policy, code, again):
    ended = ran(state=EXITED, code=code)
    assert restarts.should_restart(pod(restart=policy), container(), ended) is again


def test_a_containers_own_rules_come_before_its_policy():
    rules = [{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]
    own = container(restartPolicy="Never", restartPolicyRules=rules)
    assert restarts.should_restart(pod(own), own, ran(state=EXITED, code=42))
    assert not restarts.should_restart(pod(own), own, ran(state=EXITED, code=1))


def test_restarts_that_only_the_status_knows_still_count():
    told = {"containerStatuses": [{"name": "app", "restartCount": 3, "containerID": "podman://x"}]}
    assert restarts.attempt(pod(status=told), seen(), "app") == Attempt(4, 10)
    assert restarts.attempt(pod(), seen(), "app") == Attempt(0)
