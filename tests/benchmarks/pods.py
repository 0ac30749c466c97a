"""20 pods by one Deployment on one node, beside the same containers through Podman alone."""

import http.client
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from statistics import median

from k3py.api.objects import Key
from k3py.client.client import Patch
from k3py.kinds import DEPLOYMENT
from tests.benchmarks import machine
from tests.benchmarks.figure import Beside, Figure

PODS = 20
AT_ONCE = 4
RATIO = 1.3
GONE_SECONDS = 120
API = "/v4.0.0/libpod"
LOGS = "/var/log/pods/benchmark"


def measure(options):
    """In turns, so that a machine that is slower for a while is so for both."""
    ours, floors = [], []
    with machine.started() as pi:
        pi.seconds_to_ready()
        _by_deployment(pi, "warm")  # the image is pulled, the Podman service runs
        for number in range(options.rounds):
            floors.append(_by_podman(pi))
            ours.append(_by_deployment(pi, f"bench-{number}"))
    floor = Beside("podman alone", median(floors))
    name = f"pods: {PODS} by one Deployment, to all Ready"
    return [Figure(name, median(ours), "s", (floor,), most_ratio=RATIO)]


def _by_deployment(pi, name):
    began = time.monotonic()
    pi.client.create(DEPLOYMENT, machine.deployment(name, PODS))
    pi.wait_for_pods(name, PODS)
    taken = time.monotonic() - began
    key = Key("default", name)
    pi.client.patch(DEPLOYMENT, key, {"spec": {"replicas": 0}}, how=Patch.MERGE)
    pi.wait_for_pods(name, 0)
    _wait_until_gone(pi)
    return taken


def _by_podman(pi):
    """Create and start, as many at once as the agent does; each with namespaces of its own."""
    socket_path = str(pi.podman_socket())
    pi.node.path(LOGS).mkdir(parents=True, exist_ok=True)
    names = [f"floor-{number}" for number in range(PODS)]

    def bring_up(name):
        with _podman(socket_path) as ask:
            made = ask("POST", "/containers/create", _container(name))["Id"]
            ask("POST", f"/containers/{made}/start")

    def remove(name):
        with _podman(socket_path) as ask:
            ask("DELETE", f"/containers/{name}?force=true&timeout=0")

    with ThreadPoolExecutor(AT_ONCE) as workers:
        try:
            began = time.monotonic()
            list(workers.map(bring_up, names))
            return time.monotonic() - began
        finally:
            list(workers.map(remove, names))


def _container(name):
    """What the agent asks of Podman for such a pod, without what makes it a pod."""
    return {
        "name": name,
        "image": machine.IMAGE,
        "command": ["sleep", "36000"],
        "netns": {"nsmode": "none"},
        "cgroup_parent": "/k3py/besteffort",
        "seccomp_profile_path": "unconfined",
        "cap_add": ["NET_RAW", "MKNOD", "AUDIT_WRITE"],
        "use_image_hosts": True,
        "use_image_resolve_conf": True,
        "systemd": "false",
        "log_configuration": {"driver": "k8s-file", "path": f"{LOGS}/{name}.log"},
    }


def _wait_until_gone(pi):
    """A pod's object goes before the last of its containers may."""
    deadline = time.monotonic() + GONE_SECONDS
    with _podman(str(pi.podman_socket())) as ask:
        while ask("GET", "/containers/json?all=true"):
            if time.monotonic() > deadline:
                raise RuntimeError(f"containers of deleted pods stay{pi.log()}")
            time.sleep(0.2)


@contextmanager
def _podman(path):
    """A function that asks over one connection, and raises what Podman refuses."""
    connection = http.client.HTTPConnection("podman", timeout=GONE_SECONDS)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(path)

    def ask(method, where, body=None):
        content = json.dumps(body) if body is not None else None
        connection.request(method, API + where, content, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status >= 400:
            raise RuntimeError(f"podman: {method} {where}: {text.decode(errors='replace')}")
        return json.loads(text) if text.strip() else None

    try:
        yield ask
    finally:
        connection.close()
