"""How long a user waits: for `k3py --version`, and from the server command to a Ready node."""

import subprocess
import sys
import time
from statistics import median

from tests.benchmarks import machine, private
from tests.benchmarks.figure import Beside, Figure

TIMES = 15
VERSION_SECONDS = 0.15
NEW_SECONDS = 4
AGAIN_SECONDS = 3


def measure(options):
    return [_version(), *_to_ready(options.rounds)]


def _version():
    floor = Beside("python -c pass", _seconds("-c", "pass"))
    value = _seconds("-m", "k3py", "--version")
    return Figure("start: k3py --version", value, "s", (floor,), most=VERSION_SECONDS)


def _to_ready(rounds):
    """A restart is that of the whole machine: nothing of k3py runs before the command."""
    new, again = [], []
    with machine.started() as pi:
        for number in range(rounds):
            if number:
                pi.power_on_from_nothing()
            new.append(pi.seconds_to_ready())
            time.sleep(2)
            pi.reboot()
            again.append(pi.seconds_to_ready())
    return [
        Figure("start: server to node Ready, from nothing", median(new), "s", most=NEW_SECONDS),
        Figure("start: server to node Ready, restart", median(again), "s", most=AGAIN_SECONDS),
    ]


def _seconds(*argv):
    """The median of several runs; the files are in memory by then."""
    taken = []
    for _ in range(TIMES):
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, *argv],
            check=True,
            stdout=subprocess.DEVNULL,
            env=private.environment(),
        )
        taken.append(time.perf_counter() - began)
    return median(taken)
