"""Pods wait in order of importance, and are tried again when something may help."""

from k3py.api.objects import Key
from k3py.scheduler.backlog import Backlog
from k3py.testing.clock import FakeClock

A, B = Key("default", "a"), Key("default", "b")


def test_the_most_important_pod_is_first():
    backlog = Backlog(FakeClock())
    backlog.add(A, 0)
    backlog.add(B, 1000)
    assert [backlog.take(), backlog.take()] == [B, A]


def test_a_removed_pod_is_not_handed_out():
    backlog = Backlog(FakeClock())
    backlog.add(A, 0)
    backlog.add(B, 0)
    backlog.remove(A)
    assert backlog.take() == B


def test_a_stuck_pod_is_tried_when_something_changed_and_its_pause_is_over():
    clock = FakeClock()
    backlog = Backlog(clock)
    backlog.add(A, 0)
    backlog.take()
    backlog.stuck(A)
    backlog.wake()
    clock.advance(1)
    assert backlog.take() == A


def test_a_stuck_pod_is_tried_after_five_minutes_in_any_case():
    clock = FakeClock()
    backlog = Backlog(clock)
    backlog.add(A, 0)
    backlog.take()
    backlog.stuck(A)
    clock.advance(300)
    assert backlog.take() == A


def test_closing_ends_the_wait():
    backlog = Backlog(FakeClock())
    backlog.close()
    assert backlog.take() is None
