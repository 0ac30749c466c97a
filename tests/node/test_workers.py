"""Each pod's worker brings it where it should be, and starts again by looking."""

import threading
import time

import pytest

from k3py import kinds
from k3py.api.objects import Key
from k3py.node.actions import Actions, Machine
from k3py.node.cgroups import Cgroups
from k3py.node.images import Images
from k3py.node.observer import Observer
from k3py.node.probing import Probed
from k3py.node.reporter import Reporter
from k3py.node.sandbox import Folders
from k3py.node.sources import ApiSources
from k3py.node.volumes.mounting import Volumes
from k3py.node.workers import Tools, Workers
from k3py.testing.client import FakeClient, FakeRecorder
from k3py.testing.clock import FakeClock
from k3py.testing.runtime import FakeHooks, FakeProber, FakeRuntime

from . import arrange
from .arrange import container, pod

BUSYBOX = "docker.io/library/busybox:1.36"
WEB = Key("home", "web")


def test_a_pod_is_brought_up_and_its_status_reported(node):
    node.wants(pod())
    node.until(lambda: node.is_ready())
    assert node.runtime.calls == ["create app_0_uid-web", "start app_0_uid-web"]
    assert node.events() == ["Pulled", "Created", "Started"]


def test_containers_start_in_order(node):
    node.wants(pod(container("app"), container("log"), initContainers=[container("setup")]))
    node.until(lambda: node.runtime.running() == ["setup"])
    node.exits("setup")
    node.until(lambda: node.runtime.running() == ["app", "log"])
    assert [c for c in node.runtime.calls if c.startswith("start")] == [
        "start setup_0_uid-web",
        "start app_0_uid-web",
        "start log_0_uid-web",
    ]


def test_a_crash_is_restarted_at_once_and_the_next_one_later(node):
    node.wants(pod())
    node.until(lambda: node.is_ready())
    node.exits("app", 1)
    node.until(lambda: node.status()["restartCount"] == 1 and node.is_ready())
    node.exits("app", 1)
    node.until(lambda: node.waits() == "CrashLoopBackOff")
    assert node.runtime.running() == []
    node.clock.advance(11)
    node.until(lambda: node.status()["restartCount"] == 2 and node.is_ready())
    assert node.events().count("BackOff") == 1


def test_an_image_is_pulled_in_the_background(node):
    node.runtime.registry.add("docker.io/library/new:1")
    node.wants(pod(container(image="new:1")))
    node.until(lambda: node.is_ready())
    assert node.events() == ["Pulling", "Pulled", "Created", "Started"]


def test_an_image_that_does_not_exist_says_what_the_registry_said(node):
    node.wants(pod(container(image="nope:1")))
    node.until(lambda: node.waits() == "ErrImagePull")
    assert "manifest unknown" in node.status()["state"]["waiting"]["message"]
    node.clock.advance(3)
    node.until(lambda: node.waits() == "ImagePullBackOff")
    message = node.status()["state"]["waiting"]["message"]
    assert message.startswith('Back-off pulling image "nope:1": ErrImagePull: ')
    assert "Failed to pull image" in " ".join(node.recorder.events)
    node.runtime.registry.add("docker.io/library/nope:1")
    node.clock.advance(11)
    node.until(lambda: node.is_ready())


@pytest.mark.parametrize(
    ("image", "policy", "reason"),
    [
        ("nope:1", "Never", "ErrImageNeverPull"),
        ("not a name", "IfNotPresent", "InvalidImageName"),
    ],
)
def test_images_that_cannot_be(node, image, policy, reason):
    node.wants(pod(container(image=image, imagePullPolicy=policy)))
    node.until(lambda: node.waits() == reason)


def test_always_pulls_once_for_each_start(node):
    node.runtime.registry.add(BUSYBOX)
    node.wants(pod(container(imagePullPolicy="Always")))
    node.until(lambda: node.is_ready())
    assert node.runtime.calls[:2] == [f"pull {BUSYBOX}", "create app_0_uid-web"]


def test_a_missing_config_map_is_a_configuration_error_until_it_is_there(node):
    reference = {"configMapRef": {"name": "settings"}}
    node.wants(pod(container(envFrom=[reference])))
    node.until(lambda: node.waits() == "CreateContainerConfigError")
    assert node.status()["state"]["waiting"]["message"] == 'configmap "settings" not found'
    made = {"metadata": {"name": "settings", "namespace": "home"}, "data": {"COLOUR": "red"}}
    node.client.put(kinds.CONFIG_MAP, made)
    node.clock.advance(60)
    node.until(lambda: node.is_ready())
    (spec,) = node.runtime.specs.values()
    assert spec.body["env"]["COLOUR"] == "red"


def test_a_container_that_cannot_start_is_an_attempt(node):
    node.runtime.refuse["start app_0_uid-web"] = 'crun: executable file "/nope" not found'
    node.runtime.refuse["start app_1_uid-web"] = 'crun: executable file "/nope" not found'
    node.wants(pod())
    node.until(lambda: node.waits() == "CrashLoopBackOff")
    ended = node.status()["lastState"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (128, "StartError")
    assert "/nope" in ended["message"]
    assert node.status()["restartCount"] == 1
    node.clock.advance(11)
    node.until(lambda: node.is_ready())


def test_a_container_that_cannot_be_created_is_tried_again(node):
    node.runtime.refuse["create app_0_uid-web"] = "no space left on device"
    node.wants(pod())
    node.until(lambda: node.waits() == "CreateContainerError")
    node.clock.advance(2)
    node.until(lambda: node.is_ready())
    assert node.status()["restartCount"] == 0


def test_deleting_a_pod_ends_it_gently_and_then_tells_the_api(node):
    node.wants(pod())
    node.until(lambda: node.is_ready())
    node.wants(pod(deleting=30))
    node.until(lambda: "kill app_0_uid-web SIGTERM" in node.runtime.calls)
    assert "Killing" in node.events()
    node.exits("app", 143)
    node.until(lambda: "delete Pod/web" in node.client.writes)
    assert node.runtime.calls[-1] == "remove app_0_uid-web"
    assert node.sandboxes.boxes == {}
    node.workers.drop(pod())
    node.until(lambda: not node.workers.all())


def test_what_does_not_end_gently_is_killed(node):
    node.wants(pod())
    node.until(lambda: node.is_ready())
    node.wants(pod(deleting=5))
    node.until(lambda: "kill app_0_uid-web SIGTERM" in node.runtime.calls)
    node.clock.advance(6)
    node.until(lambda: "kill app_0_uid-web SIGKILL" in node.runtime.calls)


def test_hooks_run_before_readiness_and_before_the_end(node):
    hook = {"exec": {"command": ["true"]}}
    node.wants(pod(container(lifecycle={"postStart": hook, "preStop": hook})))
    node.until(lambda: node.is_ready())
    node.wants(pod(container(lifecycle={"postStart": hook, "preStop": hook}), deleting=9))
    node.until(lambda: "kill app_0_uid-web SIGTERM" in node.runtime.calls)
    assert node.hooks.ran == ["postStart app", "preStop app 9"]


def test_a_failed_post_start_hook_ends_the_container(node):
    node.hooks.failing = "no such command"
    node.wants(pod(container(lifecycle={"postStart": {"exec": {"command": ["x"]}}})))
    node.until(lambda: "kill app_0_uid-web SIGTERM" in node.runtime.calls)
    assert "FailedPostStartHook" in node.events()


def test_probes_decide_readiness_and_life(node):
    probed = container(livenessProbe={"tcpSocket": {"port": 80}})
    node.wants(pod(probed))
    node.until(lambda: node.runtime.running() == ["app"] and node.status().get("containerID"))
    assert not node.is_ready()
    node.prober.results["app"] = Probed(started=True, ready=True)
    node.workers.poke(arrange.UID)
    node.until(lambda: node.is_ready())
    why = "Container app failed liveness probe, will be restarted"
    node.prober.results["app"] = Probed(started=True, ready=True, failure=why)
    node.workers.poke(arrange.UID)
    node.until(lambda: "kill app_0_uid-web SIGTERM" in node.runtime.calls)
    assert any(why in e for e in node.recorder.events)


def test_a_restarted_agent_adopts_what_runs_without_touching_it(node):
    node.wants(pod())
    node.until(lambda: node.is_ready())
    before = list(node.runtime.calls)
    node.restart()
    node.wants(node.client.get(kinds.POD, WEB))
    node.settles()
    assert node.runtime.calls == before


def test_a_restarted_agent_removes_what_an_interrupted_start_left(node):
    node.runtime.refuse["start app_0_uid-web"] = "the service was killed"
    node.wants(pod(restart="Never"))
    node.until(lambda: any(c.startswith("start") for c in node.runtime.calls))
    node.until(lambda: node.waits() is None)
    node.restart()
    node.client.put(kinds.POD, pod())
    node.wants(pod())
    node.until(lambda: node.is_ready())
    assert "remove app_0_uid-web" in node.runtime.calls
    assert node.status()["restartCount"] == 0


def test_after_a_power_cut_everything_starts_again_and_counts_as_a_restart(node):
    node.wants(pod())
    node.until(lambda: node.is_ready())
    node.runtime.reboot()
    node.sandboxes.boxes.clear()
    node.restart()
    node.wants(node.client.get(kinds.POD, WEB))
    node.until(lambda: node.status()["restartCount"] == 1 and node.is_ready())
    assert node.status()["lastState"]["terminated"]["reason"] == "Unknown"


def test_a_pod_that_the_api_forgot_while_the_agent_was_away_is_ended(node):
    node.wants(pod())
    node.until(lambda: node.is_ready())
    node.restart()
    node.workers.drop(pod())
    node.until(lambda: "kill app_0_uid-web SIGTERM" in node.runtime.calls)
    node.exits("app", 143)
    node.until(lambda: not node.workers.all())
    assert "delete Pod/web" not in node.client.writes


def test_a_sandbox_that_cannot_be_made_is_tried_again(node):
    node.sandboxes.failing = "this node has no range of pod addresses yet"
    node.wants(pod())
    node.until(lambda: "FailedCreatePodSandBox" in node.events())
    node.sandboxes.failing = ""
    node.clock.advance(40)
    node.until(lambda: node.is_ready())


class Sandboxes:
    """Sandboxes without namespaces."""

    def __init__(self, folder):
        self.folder, self.boxes, self.failing, self.made = folder, {}, "", 0
        self.pause_folder = folder / "pause"

    def folders(self, uid):
        return Folders(self.folder / "disk" / uid, self.folder / "memory" / uid)

    def look(self, uid):
        return self.boxes.get(uid)

    def make(self, a_pod):
        if self.failing:
            raise OSError(self.failing)
        self.made += 1
        found = arrange.sandbox(self.made)
        self.boxes[a_pod["metadata"]["uid"]] = found
        return found

    def finish(self, uid):
        self.boxes.pop(uid, None)

    remove = finish


class Node:
    """Everything around the workers, with an engine and an API that only pretend."""

    def __init__(self, folder):
        self.folder, self.clock = folder, FakeClock()
        self.client = FakeClient(clock=self.clock)
        self.runtime = FakeRuntime(BUSYBOX, clock=self.clock)
        self.sandboxes = Sandboxes(folder)
        self.prober, self.hooks, self.recorder = FakeProber(), FakeHooks(), FakeRecorder()
        self.assemble()

    def assemble(self):
        groups = Cgroups("/none", mount=self.folder / "cgroup")
        poke = lambda uid: self.workers.poke(uid)  # noqa: E731
        self.observer = Observer(self.runtime, groups, self.folder / "oom", poke, clock=self.clock)
        self.observer.relist()
        self.reporter = Reporter(self.client, clock=self.clock)
        sources = ApiSources(self.client, clock=self.clock)
        actions = Actions(
            self.runtime,
            Images(self.runtime, clock=self.clock),
            self.sandboxes,
            Volumes(sources, clock=self.clock),
            groups,
            self.observer,
            sources,
            self.recorder,
            Machine("pi-1", ("192.168.1.7",), 4, 1 << 30, self.folder / "logs"),
            services=list,
            clock=self.clock,
        )
        tools = Tools(
            actions, self.observer, self.sandboxes, self.reporter, self.prober, self.hooks,
            self.clock,
        )  # fmt: skip
        self.workers = Workers(tools)

    def restart(self):
        """kill -9 of the agent, and a new one."""
        self.workers.stop()
        for _ in range(3):
            self.workers.poke(arrange.UID)
        self.assemble()

    def wants(self, a_pod):
        if not self.client.all(kinds.POD):
            self.client.put(kinds.POD, a_pod)
        self.workers.offer(a_pod)

    def exits(self, name, code=0):
        self.runtime.exit(name, code)
        self.observer.relist()

    def status(self):
        self.reporter.flush()
        found = self.client.get(kinds.POD, WEB)["status"].get("containerStatuses")
        return found[0] if found else {"restartCount": -1, "state": {}}

    def is_ready(self):
        return bool(self.status().get("ready"))

    def waits(self):
        return (self.status()["state"].get("waiting") or {}).get("reason")

    def events(self):
        return [e.split()[1] for e in self.recorder.events]

    def until(self, holds, seconds=5.0):
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                found = (self.runtime.calls, self.recorder.events, self.status())
                raise AssertionError(f"did not come true; {found}")
            self.reporter.flush()
            threading.Event().wait(0.002)

    def settles(self):
        """Let the workers come to rest."""
        threading.Event().wait(0.05)


@pytest.fixture
def node(tmp_path):
    (tmp_path / "cgroup").mkdir()
    made = Node(tmp_path)
    yield made
    made.workers.stop()
