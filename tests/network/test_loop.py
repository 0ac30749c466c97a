"""A loop repeats its step when it is woken, and when the step failed or asked for it."""

import threading

import pytest

from k3py.base.commands import CommandFailed
from k3py.network.loop import Loop
from k3py.testing.clock import FakeClock


class Steps:
    """Does what it is told, one outcome for each step; the last one stops the loop."""

    def __init__(self, *outcomes):
        self.outcomes, self.times = list(outcomes), []
        self.stop = threading.Event()
        self.clock = FakeClock()
        self.loop = Loop("test", self.step, clock=self.clock)

    def step(self):
        self.times.append(self.clock.monotonic())
        outcome = self.outcomes.pop(0)
        if not self.outcomes:
            self.stop.set()
            self.loop.wake()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def run(self):
        """Runs to the end, the clock going on whenever the loop waits."""
        thread = threading.Thread(target=self.loop.run, args=(self.stop,))
        thread.start()
        while thread.is_alive():
            thread.join(0.002)
            if self.clock.waiting:
                self.clock.advance(0.25)
        return self.times


def test_the_first_step_comes_at_once_and_the_next_when_it_is_asked_for():
    first, second = Steps(5.0, None).run()
    assert first < 1
    assert 5 <= second - first < 6


def test_a_failed_step_is_repeated_later_and_later():
    failure = CommandFailed(["ip"], 1, "no")
    steps = Steps(failure, failure, failure, None)
    first, second, third, fourth = steps.run()
    assert second - first < third - second < fourth - third
    assert steps.loop.problem == ""


def test_the_reason_of_a_failure_can_be_read():
    steps = Steps(LookupError("no interface has the node's address 192.0.2.1"))
    steps.run()
    assert steps.loop.problem == "no interface has the node's address 192.0.2.1"


@pytest.mark.parametrize("bug", [KeyError("x"), ZeroDivisionError()])
def test_a_bug_does_not_end_the_loop(bug):
    assert len(Steps(bug, None).run()) == 2


def test_waking_during_a_step_leads_to_one_more():
    steps = Steps(None, None)
    steps.loop.wake()
    woken = steps.loop.wake
    original = steps.loop._step

    def step():
        woken()
        return original()

    steps.loop._step = step
    assert len(steps.run()) == 2
