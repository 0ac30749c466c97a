"""Threads of a group stop in order: who started last ends first."""

import subprocess
import sys
import threading

from k3py.base import threads


def test_a_thread_is_woken_when_all_that_started_later_have_ended():
    group, told = threads.Group("test"), []
    woken = threading.Event()

    def serve(stop):
        woken.wait()
        told.append("server ends")

    def use(stop):
        stop.wait()
        told.append("user ends")

    group.start("server", serve, wake=woken.set)
    group.start("user", use)
    group.stop()
    assert told == ["user ends", "server ends"]


def test_a_thread_that_needs_no_waking_stops_by_itself():
    group, told = threads.Group("test"), []
    group.start("plain", lambda stop: told.append(stop.wait()))
    group.stop()
    assert told == [True]


FAILURE = """
from k3py.base import threads
threads.use_greenlets()
try:
    threads.offload(int, "x")
except ValueError as error:
    print("raised", error)
"""


def test_a_failure_elsewhere_was_printed_although_its_caller_expects_it():
    done = subprocess.run([sys.executable, "-c", FAILURE], capture_output=True, text=True)
    assert (done.stdout[:6], done.stderr) == ("raised", "")
