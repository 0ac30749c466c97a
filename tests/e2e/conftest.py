"""One cluster of two nodes serves every test here; each has a namespace of its own.

Whoever cuts a node's power or stops what runs on it need not repair it: that happens before
the next test. What is hard on the cluster comes last.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from k3py.base import commands, files
from k3py.lab import cgroups
from k3py.lab.cgroups import Cgroup
from k3py.lab.disk import Disk
from k3py.lab.lab import LOG
from k3py.lab.node import Node
from tests.conftest import find_kubectls, lab_named
from tests.e2e.cluster import Cluster, all_ready
from tests.images import echo, python

LAST = "test_failures.py"
NODES = 2
BLANK = 9
_numbers = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name == LAST)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`any_kubectl`: the test runs with each kubectl of this machine."""
    if "any_kubectl" in metafunc.fixturenames:
        found = find_kubectls()
        metafunc.parametrize("any_kubectl", found, ids=[path.name for path in found])


@pytest.fixture(scope="package")
def whole_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The cluster, without a namespace chosen."""
    kubectls = find_kubectls()
    assert kubectls, "no kubectl: tests/run installs one"
    with lab_named("test-cluster") as lab:
        lab.up(NODES, internet=False)
        for built in (echo, python):
            lab.registry.push(built.image(), built.NAME)
        kubeconfig = tmp_path_factory.mktemp("cluster") / "kubeconfig"
        kubeconfig.write_text(lab.kubeconfig())
        kubeconfig.chmod(0o600)
        yield Cluster(lab, kubectls[-1], kubeconfig)


@pytest.fixture
def cluster(whole_cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """The cluster with every node on, and kubectl in a namespace of the test's own."""
    off = [node for node in whole_cluster.nodes if not node.running]
    for node in off:
        node.power_on()
    whole_cluster.wait_for(lambda: all_ready(whole_cluster), seconds=90, what="all nodes Ready")
    letters = "".join(c if c.isalnum() else "-" for c in request.node.name.lower())
    namespace = f"{letters.removeprefix('test-')[:50].strip('-')}-{next(_numbers)}"
    whole_cluster.kubectl("create", "namespace", namespace)
    yield whole_cluster.in_namespace(namespace)
    whole_cluster.kubectl("delete", "namespace", namespace, "--wait=false", "--ignore-not-found")


@pytest.fixture
def blank(whole_cluster: Cluster) -> Iterator[Node]:
    """A machine beside the cluster's where k3py has never run."""
    lab = whole_cluster.lab
    settings, name = lab.settings, f"pi{BLANK}"
    group = Cgroup(f"{lab.name}/{name}", cgroups.mounted())
    shown = tuple(Path(folder) for folder in settings.shown)
    node = Node(BLANK, lab.folder / "nodes" / name, lab.lan, group, shown)
    Disk(
        folder=node.folder,
        name=name,
        role="",
        registry=settings.registry,
        internet=False,
        resolvers=[lab.lan.gateway],
        public_key=lab.key.with_suffix(".pub").read_text(),
        command="",
    ).make()
    files.write(node.folder / "usr/local/bin/k3py", settings.command, mode=0o755)
    node.power_on()
    yield node
    node.destroy()
    whole_cluster.kubectl("delete", "node", name, "--ignore-not-found")
    # The next machine of this name has another password.
    secret = ["secret", f"{name}.node-password.k3py", "--namespace", "kube-system"]
    whole_cluster.kubectl("delete", *secret, "--ignore-not-found")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """A failed test shows what the cluster says about itself."""
    report = yield
    cluster = getattr(item, "funcargs", {}).get("cluster")
    if report.failed and report.when == "call" and cluster is not None:
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
