"""One process of each role, known by its pid file; an agent outlives its server."""

import contextlib
import fcntl
import json
import os
import signal
import sys
import threading

import pytest

from k3py import __version__
from k3py.base import threads
from k3py.daemon import processes

AGENT = """
import signal, sys
from pathlib import Path
from k3py.daemon import processes
if "old" in sys.argv:
    processes.__version__ = "0.0.1"
processes.claim(Path(sys.argv[1]), sys.argv[1:])
signal.pause()
"""
PROGRAM = (sys.executable, "-c", AGENT)


def test_a_role_is_held_by_one_process(tmp_path):
    path = tmp_path / "server.pid"
    processes.claim(path, ("server",))
    assert processes.running(path) == (os.getpid(), ("server",), __version__)
    assert path.read_text().splitlines()[0] == str(os.getpid())  # for kill $(head -1 …)
    with pytest.raises(processes.AlreadyRunning, match=rf"server is already .* {os.getpid()}\."):
        processes.claim(path, ("server",))


def test_a_role_nobody_holds_is_free_whatever_the_file_says(tmp_path):
    path = tmp_path / "agent.pid"
    assert processes.running(path) is None
    path.write_text(f"1\n{json.dumps({'argv': ['agent']})}\n")
    assert processes.running(path) is None
    assert processes.terminate(path, seconds=1) is False
    processes.claim(path, ())


def test_a_look_at_who_runs_kept_a_process_from_starting(tmp_path):
    """Looking takes the lock for a moment, as `k3py start` does ten times a second."""
    path = tmp_path / "server.pid"
    path.touch()
    with path.open() as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        threading.Timer(0.1, lambda: fcntl.flock(looking, fcntl.LOCK_UN)).start()
        processes.claim(path, ("server",))
    assert processes.running(path) is not None


def test_a_process_is_ended_and_killed_when_it_will_not(server):
    with server("one") as path:
        holder = until(lambda: processes.running(path))
        os.kill(holder.pid, signal.SIGSTOP)  # deaf to everything but SIGKILL
        assert processes.terminate(path, seconds=0.1)
        assert processes.running(path) is None


def test_an_agent_that_ends_is_started_again(server):
    with server("one") as path:
        first = until(lambda: processes.running(path))
        os.kill(first.pid, signal.SIGKILL)
        again = until(lambda: (r := processes.running(path)) and r.pid != first.pid and r)
        assert again.argv == (str(path), "one")


def test_an_agent_outlives_its_server_and_is_adopted_by_the_next(server):
    with server("one") as path:
        first = until(lambda: processes.running(path))
    with server("one"):
        assert processes.running(path) == first


def test_an_agent_of_other_arguments_is_replaced(server):
    with server("one") as path:
        until(lambda: processes.running(path))
    with server("two"):
        until(lambda: (r := processes.running(path)) and r.argv[-1] == "two")


def test_an_agent_of_an_older_version_was_kept_after_an_upgrade(server):
    with server("old") as path:
        first = until(lambda: processes.running(path))
    with server("old"):
        until(lambda: (r := processes.running(path)) and r.pid != first.pid)


@pytest.fixture
def server(tmp_path):
    """What a server does with its agent, in a thread; the agent lives on behind the block."""
    path = tmp_path / "agent.pid"
    children = []

    @contextlib.contextmanager
    def run(argument):
        group = threads.Group("test")
        child = processes.Child((str(path), argument), path, program=PROGRAM)
        children.append(child)
        group.start("agent", child.run, wake=child.wake)
        yield path
        group.stop()
        assert group.failure is None

    yield run
    processes.terminate(path, seconds=5)
    for child in children:
        if child.process:
            child.process.wait(5)


def until(holds):
    """What `holds` returns once it is something; fails after ten seconds."""
    never = threading.Event()
    for _ in range(1000):
        if found := holds():
            return found
        never.wait(0.01)
    raise AssertionError("it never came")
