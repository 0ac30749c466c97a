"""Pods, containers and moments for the tests of the node."""

from datetime import timedelta
from pathlib import Path

from k3py.node.runtime import specs
from k3py.node.runtime.runtime import Container, Labels, Role, State
from k3py.node.runtime.specs import Place
from k3py.node.sandbox import Sandbox
from k3py.node.seen import Seen
from k3py.testing.clock import START

NOW = START
UID = "uid-web"
ADDRESS = "10.42.1.5"


def ago(seconds):
    return NOW - timedelta(seconds=seconds)


def container(name="app", **more):
    return {"name": name, "image": "busybox:1.36", "resources": {}, **more}


def pod(*containers, name="web", restart="Always", status=None, deleting=None, **spec):
    metadata = {"name": name, "namespace": "home", "uid": f"uid-{name}", "resourceVersion": "1"}
    if deleting is not None:
        metadata |= {"deletionTimestamp": "2030-01-01T12:00:00Z",
                     "deletionGracePeriodSeconds": deleting}  # fmt: skip
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {
            "restartPolicy": restart,
            "terminationGracePeriodSeconds": 30,
            "nodeName": "pi-1",
            "schedulerName": "default-scheduler",
            "containers": list(containers) or [container()],
            **spec,
        },
        "status": status or {"phase": "Pending"},
    }


def sandbox(number=1):
    place = Place(f"sandbox-{number}", Path("/run/net"), Path("/run/ipc"), "web", {})
    return Sandbox((ADDRESS,), place)


def ran(name="app", state=State.RUNNING, code=0, *, attempt=0, box=1, **more):
    """A container as the engine shows it; started a minute ago, ended half a minute ago."""
    wanted = container(name)
    labels = Labels(
        UID, "home", "web", name, more.pop("role", Role.APP), attempt, more.pop("back_off", 0),
        specs.digest(wanted), f"sandbox-{box}", "docker.io/library/busybox:1.36",
        "docker.io/library/busybox@sha256:1",
    )  # fmt: skip
    times = {"created": ago(61), "started": ago(60)} if state is not State.CREATED else {}
    times |= {"finished": ago(30)} if state is State.EXITED else {}
    return Container(
        id=f"{name}-{attempt}", labels=labels.as_dict(), state=state, exit_code=code,
        pid=7 if state is State.RUNNING else 0, **(times | more),
    )  # fmt: skip


def seen(*containers, box=True, **more):
    return Seen(sandbox=sandbox() if box else None, containers=containers, **more)
