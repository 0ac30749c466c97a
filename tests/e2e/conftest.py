"""A real cluster on lab nodes, and the real kubectl that talks to it.

One cluster of two nodes serves every test of a session; each test has a namespace of its
own to work in, and whoever cuts a node's power puts it back on.
"""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from k3py.base import commands
from k3py.lab.lab import LOG, Lab
from k3py.lab.node import Node
from tests.images import echo, python

T = TypeVar("T")
NODES = 2


class Cluster:
    """`kubectl` is the newest of this machine, unless a test sets another."""

    def __init__(self, lab: Lab, kubectl: Path, kubeconfig: Path, namespace: str = "") -> None:
        self.lab, self.program, self.kubeconfig = lab, kubectl, kubeconfig
        self.namespace = namespace

    @property
    def nodes(self) -> list[Node]:
        return self.lab.nodes

    def node(self, name: str | int) -> Node:
        """With exec, power_cut, power_on, path …"""
        return self.lab.node(name)

    def kubectl(self, *args: str, stdin: str | None = None, timeout: float = 60) -> str:
        """What kubectl prints. Raises CommandFailed."""
        where = ["--namespace", self.namespace] if self.namespace else []
        return commands.run(
            *(str(self.program), "--kubeconfig", str(self.kubeconfig), *where, *args),
            stdin=stdin,
            timeout=timeout,
        )

    def get(self, *args: str) -> Any:
        """The object, or the items of the list, that `kubectl get ARGS -o json` prints."""
        found = json.loads(self.kubectl("get", *args, "-o", "json"))
        return found["items"] if found["kind"].endswith("List") else found

    def apply(self, manifest: str) -> str:
        return self.kubectl("apply", "-f", "-", stdin=manifest)

    def wait_for(self, condition: Callable[[], T], *, seconds: float = 60, what: str = "") -> T:
        """Ask until the answer is true, and return it.

        While asking, a failed command or assertion counts as no; the last one is told
        when the time is up.
        """
        deadline = time.monotonic() + seconds
        last: Exception | None = None
        while time.monotonic() < deadline:
            try:
                answer = condition()
                last = None
            except (commands.CommandFailed, AssertionError, LookupError) as failure:
                last = failure
            else:
                if answer:
                    return answer
            time.sleep(0.2)
        raise AssertionError(f"not within {seconds:g} s: {what or condition}") from last

    def in_namespace(self, namespace: str) -> "Cluster":
        return Cluster(self.lab, self.program, self.kubeconfig, namespace)

    def with_kubectl(self, program: Path) -> "Cluster":
        return Cluster(self.lab, program, self.kubeconfig, self.namespace)


@pytest.fixture(scope="session")
def whole_cluster(
    kubectls: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """The cluster, without a namespace chosen."""
    lab = Lab("test-cluster", say=print)
    lab.down()
    lab.up(NODES, internet=False)
    for built in (echo, python):
        lab.registry.push(built.image(), built.NAME)
    kubeconfig = tmp_path_factory.mktemp("cluster") / "kubeconfig"
    kubeconfig.write_text(lab.kubeconfig())
    kubeconfig.chmod(0o600)
    yield Cluster(lab, kubectls[-1], kubeconfig)
    lab.down()


@pytest.fixture
def cluster(whole_cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """The cluster with every node on, and kubectl in a namespace of the test's own."""
    off = [node for node in whole_cluster.nodes if not node.running]
    for node in off:
        node.power_on()
    if off:
        whole_cluster.wait_for(lambda: all_ready(whole_cluster), what="all nodes Ready")
    letters = "".join(c if c.isalnum() else "-" for c in request.node.name.lower())
    namespace = letters.removeprefix("test-")[:50].strip("-")
    whole_cluster.kubectl("create", "namespace", namespace)
    yield whole_cluster.in_namespace(namespace)
    whole_cluster.kubectl("delete", "namespace", namespace, "--wait=false")


def all_ready(cluster: Cluster) -> bool:
    """Whether the Ready condition of every node is True."""
    conditions = [
        {c["type"]: c["status"] for c in node["status"]["conditions"]}
        for node in cluster.get("nodes")
    ]
    return len(conditions) == NODES and all(c["Ready"] == "True" for c in conditions)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """A failed test shows what the cluster says about itself."""
    report = yield
    cluster = getattr(item, "funcargs", {}).get("cluster")
    if report.failed and cluster is not None:
        report.sections.append(("cluster", _account(cluster)))
    return report


def _account(cluster: Cluster) -> str:
    parts = []
    for args in (("get", "nodes,pods", "-o", "wide"), ("get", "events")):
        try:
            parts.append(cluster.kubectl(*args, timeout=20))
        except commands.CommandFailed as failed:
            parts.append(str(failed))
    for node in cluster.nodes:
        log = node.folder / "root" / LOG
        end = log.read_text(errors="replace")[-4000:] if log.exists() else "(no log)"
        parts.append(f"--- {node.name} ({'on' if node.running else 'off'})\n{end}")
    return "\n".join(parts)
