"""With a real Podman: pods run, survive their agent and the engine's service, and leave nothing.

The engine has its own storage under a temporary folder and an image made from the machine's
busybox. Addresses are pretended; namespaces, cgroups and containers are real.
"""

import contextlib
import os
import shutil
import signal
import socket
import tarfile
import threading
import time
from pathlib import Path

import pytest

from k3py import kinds
from k3py.api import conditions, errors
from k3py.api.objects import Key
from k3py.base import commands, threads
from k3py.base.clock import SYSTEM
from k3py.client.informer import Informers
from k3py.node import mounts
from k3py.node.agent import NodeAgent
from k3py.node.cgroups import Cgroups
from k3py.node.runtime.podman import Podman
from k3py.node.runtime.runtime import ContainerSpec, Labels, RuntimeFailed
from k3py.node.runtime.service import Service
from k3py.testing.client import FakeClient, FakeRecorder
from k3py.testing.runtime import FakeHooks, FakeProber

from .arrange import container, pod

pytestmark = [
    pytest.mark.podman,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(not shutil.which("podman"), reason="needs podman"),
]

BUSYBOX = "docker.io/library/busybox:1.36"
CGROUPS = "/k3py-test"
FOREVER = 'trap "exit 0" TERM; while true; do sleep 1; done'


def shell(script, name="app", **more):
    return container(name, command=["/bin/sh", "-c", script], **more)


# --- the engine


def test_a_command_gets_its_input_and_gives_its_output_and_exit_code(engine, sleeper):
    session = engine.execute(sleeper, ["/bin/sh", "-c", "cat; echo no >&2; exit 7"], stdin=True)
    session.stream.sendall(b"hello")
    session.stream.shutdown(socket.SHUT_WR)
    frames = session.first + read_all(session.stream)
    session.close()
    assert frames == b"\x01\0\0\0\0\0\0\x05hello\x02\0\0\0\0\0\0\x03no\n"
    assert session.exit_code() == 7


def test_a_terminal_has_the_size_it_is_given(engine, sleeper):
    script = "read go; stty size"
    session = engine.execute(sleeper, ["/bin/sh", "-c", script], stdin=True, tty=True)
    session.resize(width=99, height=33)
    session.stream.sendall(b"go\n")
    assert b"33 99" in session.first + read_all(session.stream)
    assert session.exit_code() == 0
    session.close()


def test_the_monitor_of_a_command_does_not_stay_for_minutes(engine, sleeper):
    session = engine.execute(sleeper, ["/bin/true"])
    assert read_all(session.stream) == b""
    session.close()
    assert session.exit_code() == 0
    lines = [p.read_bytes().split(b"\0") for p in Path("/proc").glob("[0-9]*/cmdline")]
    ours = [line for line in lines if sleeper.encode() in line and b"--exit-delay" in line]
    assert {line[line.index(b"--exit-delay") + 1] for line in ours} == {b"10"}


def test_a_command_that_is_not_there_says_so(engine, sleeper):
    session = engine.execute(sleeper, ["/nope"])
    said = session.first + read_all(session.stream)
    session.close()
    assert b"/nope" in said
    assert session.exit_code() != 0


def test_pulling_what_is_not_there_says_what_the_registry_said(engine):
    with pytest.raises(RuntimeFailed, match="no/such"):
        engine.pull("127.0.0.1:1/no/such:1")
    assert engine.image("127.0.0.1:1/no/such:1") is None


def test_containers_outlive_the_service_and_it_starts_again_on_demand(engine, service, sleeper):
    pid = engine.inspect(sleeper).pid
    service.close()
    assert engine.inspect(sleeper).pid == pid


def test_a_taken_name_is_a_conflict(engine, sleeper):
    with pytest.raises(RuntimeFailed) as refused:
        engine.create(ContainerSpec("sleeper", LABELS, BODY))
    assert refused.value.code == 409


# --- pods


def test_a_pod_lives_from_its_creation_to_its_end(node):
    node.wants(pod(shell(f"echo hello; hostname; {FOREVER}", resources=SMALL)))
    node.until(node.is_ready)
    status = node.status()
    assert status["phase"] == "Running"
    assert status["podIP"] == "10.42.0.9"
    assert node.log("web").splitlines()[-2:] == ["hello", "web"]
    (running,) = node.engine.containers()
    groups = Path(f"/proc/{running.pid}/cgroup").read_text()
    assert f"{CGROUPS}/burstable/poduid-web" in groups
    assert b"SOME=web\0" not in Path(f"/proc/{running.pid}/environ").read_bytes()
    node.client.delete(kinds.POD, Key("home", "web"), grace=3)
    node.until(lambda: not node.client.all(kinds.POD))
    assert node.engine.containers() == []
    node.until(node.left_nothing)


def test_volumes_show_what_they_should_and_follow_their_source(node):
    settings = {"metadata": {"name": "cfg", "namespace": "home"}, "data": {"colour": "red"}}
    node.client.put(kinds.CONFIG_MAP, settings)
    script = "cat /cfg/colour /one/c; echo x >/data/f; cat /etc/podinfo/name; " + FOREVER
    mounts_ = [
        {"name": "cfg", "mountPath": "/cfg"},
        {"name": "cfg", "mountPath": "/one/c", "subPath": "colour"},
        {"name": "data", "mountPath": "/data"},
        {"name": "info", "mountPath": "/etc/podinfo"},
    ]
    volumes = [
        {"name": "cfg", "configMap": {"name": "cfg"}},
        {"name": "data", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
        {"name": "info", "downwardAPI": {"items": [
            {"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
    ]  # fmt: skip
    node.wants(pod(shell(script, volumeMounts=mounts_), volumes=volumes))
    node.until(lambda: node.log("web") == "redredweb")
    node.client.put(kinds.CONFIG_MAP, settings | {"data": {"colour": "blue"}})
    threading.Event().wait(1.1)
    node.agent._refresh_one(node.agent.workers.all()[0])
    (running,) = node.engine.containers()
    assert Path(f"/proc/{running.pid}/root/cfg/colour").read_text() == "blue"


def test_a_crash_is_restarted_and_its_last_words_are_kept(node):
    node.wants(pod(shell("echo sorry >/dev/termination-log; exit 3")))
    node.until(lambda: node.waits() == "CrashLoopBackOff")
    ended = node.container()["lastState"]["terminated"]
    assert (ended["exitCode"], ended["message"]) == (3, "sorry\n")
    assert node.container()["restartCount"] == 1


def test_running_out_of_memory_is_said_to_be_that(node):
    eat = "x=0123456789abcdef; while true; do x=$x$x; done"
    limits = {"limits": {"memory": "16Mi"}, "requests": {"memory": "16Mi"}}
    node.wants(pod(shell(eat, resources=limits), restart="Never"))
    node.until(lambda: node.status().get("phase") == "Failed")
    assert node.container()["state"]["terminated"]["reason"] == "OOMKilled"
    assert node.container()["state"]["terminated"]["exitCode"] == 137


def test_a_command_that_does_not_exist_is_a_start_error(node):
    node.wants(pod(container(command=["/nope"])))
    node.until(lambda: node.waits() == "CrashLoopBackOff")
    ended = node.container()["lastState"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (128, "StartError")
    assert "/nope" in ended["message"]


def test_containers_of_a_pod_share_what_they_should(node):
    talk = "hostname; echo x >/dev/shm/x; " + FOREVER
    listen = "until test -e /dev/shm/x; do sleep 0.1; done; ps | grep -c pause; " + FOREVER
    both = pod(shell(talk, "a"), shell(listen, "b"), shareProcessNamespace=True)
    node.wants(both)
    node.until(lambda: node.log("web", "b").strip() not in ("", "0"))
    spaces = [
        tuple(os.readlink(f"/proc/{c.pid}/ns/{kind}") for kind in ("net", "ipc", "pid"))
        for c in node.engine.containers()
    ]
    assert len(spaces) == 3
    assert len(set(spaces)) == 1


def test_security_settings_hold(node):
    strict = {
        "runAsUser": 1000,
        "runAsGroup": 1000,
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    script = (
        "id -u; id -g; touch /x 2>&1 | grep -o Read-only; "
        "grep -E 'CapEff|NoNewPrivs' /proc/self/status"
    )
    node.wants(pod(shell(script, securityContext=strict), restart="Never"))
    node.until(lambda: node.status().get("phase") == "Succeeded")
    assert node.log("web").split() == [
        "1000", "1000", "Read-only", "CapEff:", "0" * 16, "NoNewPrivs:", "1"
    ]  # fmt: skip


def test_a_killed_agent_does_not_touch_what_runs(node):
    node.wants(pod(shell(FOREVER)))
    node.until(node.is_ready)
    (before,) = node.engine.containers()
    node.restart()
    node.until(lambda: node.agent.observer.containers("uid-web"))
    threading.Event().wait(0.5)
    (after,) = node.engine.containers()
    assert (after.id, after.pid) == (before.id, before.pid)
    os.kill(after.pid, signal.SIGKILL)
    node.until(lambda: node.container()["restartCount"] == 1 and node.is_ready())


def test_a_start_that_was_interrupted_is_begun_anew(node):
    node.stop()
    left = ContainerSpec("app_0_uid-web", Labels("uid-web", "home", "web", "app").as_dict(), BODY)
    node.engine.create(left)
    node.start()
    node.wants(pod(shell(FOREVER)))
    node.until(node.is_ready)
    assert node.container()["restartCount"] == 0
    assert len(node.engine.containers()) == 1


def test_a_container_whose_monitor_and_process_are_gone_is_replaced(node):
    node.wants(pod(shell(FOREVER)))
    node.until(node.is_ready)
    (running,) = node.engine.containers()
    running = node.engine.inspect(running.id)
    os.kill(running.monitor, signal.SIGKILL)
    os.kill(running.pid, signal.SIGKILL)
    node.until(lambda: node.container()["restartCount"] == 1 and node.is_ready())
    assert node.container()["lastState"]["terminated"]["reason"] == "ContainerStatusUnknown"


def test_orphans_are_ended_and_what_they_left_is_removed(node):
    node.wants(pod(shell(FOREVER)))
    node.until(node.is_ready)
    node.stop()
    node.client.remove(kinds.POD, Key("home", "web"))
    node.start()
    node.until(lambda: not node.engine.containers())
    node.until(node.left_nothing)


# --- arrangements

BODY = {
    "image": BUSYBOX,
    "entrypoint": ["/bin/sleep", "1000"],
    "command": [],
    "netns": {"nsmode": "none"},
    "cgroup_parent": f"{CGROUPS}/alone",
    "systemd": "false",
}
LABELS = Labels("uid-alone", "home", "alone", "sleeper").as_dict()
SMALL = {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}}


class Network:
    def attach(self, uid, netns):
        assert netns.exists()
        return ("10.42.0.9",)

    def detach(self, uid):
        pass

    def addresses(self, uid):
        return ("10.42.0.9",)

    def retain(self, uids):
        pass


class Node:
    """An agent on the real engine, with an API that only pretends."""

    def __init__(self, engine, folder, run):
        self.engine, self.folder, self.run = engine, folder, run
        self.client, self.recorder = FakeClient(clock=SYSTEM), FakeRecorder()
        self.start()

    def start(self):
        informers = Informers(self.client)
        self.agent = NodeAgent(
            self.client,
            informers,
            recorder=self.recorder,
            node_name="pi-1",
            addresses=("192.168.1.7",),
            runtime=self.engine,
            network=Network(),
            prober=FakeProber(),
            hooks=FakeHooks(),
            root=self.folder / "agent",
            run=self.run,
            version="v1.36.0+k3py1",
            logs=self.folder / "logs",
            cgroup_root=CGROUPS,
        )
        self.group = threads.Group("test")
        informers.start(self.group)
        self.group.start("agent", self.agent.run)

    def stop(self):
        self.group.stop()

    def restart(self):
        self.stop()
        self.start()

    def wants(self, a_pod):
        self.client.put(kinds.POD, a_pod)

    def status(self):
        with contextlib.suppress(errors.NotFound):
            return self.client.get(kinds.POD, Key("home", "web"))["status"]
        return {}

    def container(self):
        found = self.status().get("containerStatuses")
        return found[0] if found else {"state": {}, "restartCount": -1}

    def waits(self):
        return (self.container()["state"].get("waiting") or {}).get("reason")

    def is_ready(self):
        return conditions.is_true({"status": self.status()}, "Ready")

    def log(self, name, which="app"):
        folder = self.folder / "logs" / f"home_{name}_uid-{name}" / which
        text = ""
        with contextlib.suppress(OSError):
            for line in (folder / "0.log").read_text().splitlines():
                _, _, tag, said = line.split(" ", 3)
                text += said + ("\n" if tag == "F" else "")
        return text

    def left_nothing(self):
        left = [*(self.folder / "agent/pods").glob("*"), *(self.run / "pods").glob("*")]
        left += [*(self.folder / "logs").glob("*"), *(self.folder / "agent/desired").glob("*")]
        left += Cgroups(CGROUPS).pods()
        if left:
            self.recorder.events[:] = [f"left: {left}"]
        return not left

    def until(self, holds, seconds=30.0):
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                raise AssertionError(f"did not come true; {self.recorder.events} {self.status()}")
            threading.Event().wait(0.01)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder on disk, and a short one below /run, because sockets have short names."""
    disk, run = tmp_path_factory.mktemp("podman"), Path(f"/run/k3py-test-{os.getpid()}")
    run.mkdir()
    yield disk, run
    for folder in (disk, run):
        for point in mounts.below(folder):
            mounts.unmount(point)
        shutil.rmtree(folder, ignore_errors=True)
    Cgroups(CGROUPS).remove(CGROUPS)


@pytest.fixture(scope="module")
def service(place):
    disk, run = place
    made = Service(disk / "containers", run)
    made.ensure()
    commands.run(*made.arguments(), "import", str(busybox(disk)), BUSYBOX, env=made.environment())
    yield made
    made.close()


@pytest.fixture(scope="module")
def engine(service):
    made = Podman(service.socket, service.ensure)
    yield made
    made.close()


@pytest.fixture
def sleeper(engine):
    made = engine.create(ContainerSpec("sleeper", LABELS, BODY))
    engine.start(made)
    yield made
    engine.remove(made)


@pytest.fixture
def node(engine, place, tmp_path):
    made = Node(engine, tmp_path, place[1])
    yield made
    made.stop()
    for left in engine.containers():
        engine.remove(left.id)
    for uid in list(made.agent.sandboxes.uids()):
        made.agent.sandboxes.remove(uid)
    for _, path in Cgroups(CGROUPS).pods():
        made.until(lambda path=path: Cgroups(CGROUPS).remove(path))
    shutil.rmtree(place[1] / "oom", ignore_errors=True)


def busybox(folder):
    """The root file system of an image, from the machine's own static busybox."""
    path, program = folder / "busybox.tar", shutil.which("busybox")
    with tarfile.open(path, "w") as tar:
        for name in ("bin", "etc", "tmp", "proc", "sys", "dev"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        tar.add(program, "bin/busybox")
        for name in commands.run(program, "--list").split():
            if name != "busybox":
                entry = tarfile.TarInfo(f"bin/{name}")
                entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(entry)
    return path


def read_all(stream):
    found = b""
    stream.settimeout(10)
    while chunk := stream.recv(65536):
        found += chunk
    return found
