"""What an idle cluster with 10 pods costs: memory, processor time and bytes written to disk."""

import subprocess
import sys
import time

from k3py.kinds import DEPLOYMENT
from tests.benchmarks import machine, private
from tests.benchmarks.figure import Beside, Figure

PODS = 10
SETTLE_SECONDS = 30
SPAN_SECONDS = 600
SERVER_MB = 90
AGENT_MB = 64
CPU_PERCENT = 1.5
WRITTEN_KB = 200
# The libraries that each process cannot do without: the floor of its memory.
SERVER_LIBRARIES = (
    "from gevent import monkey; monkey.patch_all()\n"
    "import flask, gevent.pywsgi, ssl, sqlite3, orjson, click, yaml, cryptography.x509, jwt"
)
AGENT_LIBRARIES = (
    "import ssl, http.client, orjson, click, yaml, pyroute2, dnslib, cryptography.x509"
)


def measure(options):
    with machine.started() as pi:
        pi.seconds_to_ready()
        pi.client.create(DEPLOYMENT, machine.deployment("idle", PODS))
        pi.wait_for_pods("idle", PODS)
        time.sleep(min(SETTLE_SECONDS, options.idle_seconds))
        began, before = time.monotonic(), _usages(pi)
        time.sleep(options.idle_seconds)
        seconds, after = time.monotonic() - began, _usages(pi)
    for role in ("server", "agent"):
        if before[role].pid != after[role].pid:
            raise RuntimeError(f"the {role} was started again while it should have been idle")
    return [*_memory(after), *_cpu(before, after, seconds), *_written(before, after, seconds)]


def _usages(pi):
    return {role: machine.usage(pid) for role, pid in pi.processes().items()}


def _memory(after):
    for role, most, libraries in (
        ("server", SERVER_MB, SERVER_LIBRARIES),
        ("agent", AGENT_MB, AGENT_LIBRARIES),
    ):
        name = "control plane" if role == "server" else role
        floor = Beside("its libraries alone", _resident(libraries) / 1e6)
        used = after[role].resident / 1e6
        yield Figure(f"memory: {name}, resident", used, "MB", (floor,), most=most)
        yield Figure(f"memory: {name}, proportional", after[role].proportional / 1e6, "MB")
    if "podman" in after:
        yield Figure("memory: podman service, resident", after["podman"].resident / 1e6, "MB")


def _cpu(before, after, seconds):
    percent = {r: 100 * _more(before, after, r, "cpu") / seconds for r in after}
    both = percent["server"] + percent["agent"]
    yield Figure("idle: processor time, both", both, "% of a core", most=CPU_PERCENT)
    for role, value in sorted(percent.items()):
        yield Figure(f"idle: processor time, {role}", value, "% of a core")


def _written(before, after, seconds):
    """In 10 minutes; a shorter span is extrapolated, which what comes every 5 minutes suffers."""
    kilobytes = {
        role: _more(before, after, role, "written") / 1000 * SPAN_SECONDS / seconds
        for role in after
    }
    both = kilobytes["server"] + kilobytes["agent"]
    unit = "KB/10 min"
    yield Figure("idle: written to disk, both", both, unit, most=WRITTEN_KB)
    for role, value in sorted(kilobytes.items()):
        yield Figure(f"idle: written to disk, {role}", value, unit)


def _more(before, after, role, field):
    """How much more it is; all of it for a process that came in between."""
    now = after[role]
    then = before.get(role)
    return getattr(now, field) - (getattr(then, field) if then and then.pid == now.pid else 0)


def _resident(libraries):
    script = (
        f"{libraries}\nfor line in open('/proc/self/status'):\n"
        "    if line.startswith('VmRSS'): print(line.split()[1])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        check=True,
        capture_output=True,
        text=True,
        env=private.environment(),
    )
    return int(done.stdout) * 1024
