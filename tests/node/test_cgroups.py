"""Pods get the share of the machine that their requests and limits say."""

import pytest

from k3py.node import cgroups
from k3py.node.cgroups import Cgroups, Resources

from .arrange import container, pod


def limited(name="app", cpu=None, memory=None, **requests):
    limits = {k: v for k, v in (("cpu", cpu), ("memory", memory)) if v}
    return container(name, resources={"limits": limits, "requests": requests or limits})


@pytest.mark.parametrize(
    ("containers", "path"),
    [
        ([container()], "/k3py/besteffort/poduid-web"),
        ([limited(memory="64Mi")], "/k3py/burstable/poduid-web"),
        ([limited(cpu="1", memory="64Mi")], "/k3py/poduid-web"),
    ],
)
def test_a_pods_place_follows_its_class(containers, path):
    assert cgroups.parent("/k3py", pod(*containers)) == path


def test_a_pod_is_limited_where_all_its_containers_are():
    a, b = limited("a", cpu="500m", memory="64Mi"), limited("b", cpu="1", memory="64Mi")
    assert cgroups.pod_resources(pod(a, b)) == Resources(1536, 150_000, 128 << 20)
    assert cgroups.pod_resources(pod(a, container("b"))) == Resources(512, None, None)


def test_oom_scores():
    best, full = container(), limited(cpu="1", memory="64Mi")
    some = limited(memory="512Mi")
    assert cgroups.oom_score(pod(best), best, 1 << 30) == 1000
    assert cgroups.oom_score(pod(full), full, 1 << 30) == -997
    assert cgroups.oom_score(pod(some), some, 1 << 30) == 500


def test_weights_of_version_2():
    assert [cgroups.weight(s) for s in (2, 1024, 262_144)] == [1, 39, 10_000]


def test_version_1_makes_one_folder_in_each_tree(tmp_path):
    for tree in ("cpu", "memory", "cpuset"):
        (tmp_path / tree).mkdir()
    for name in ("cpus", "mems"):
        (tmp_path / "cpuset" / f"cpuset.{name}").write_text("0-3")
    groups = Cgroups("/k3py", tmp_path)
    groups.create("/k3py/poduid", Resources(512, 50_000, 1 << 20))
    assert (tmp_path / "memory/k3py/poduid/memory.limit_in_bytes").read_text() == str(1 << 20)
    assert (tmp_path / "cpu/k3py/poduid/cpu.cfs_quota_us").read_text() == "50000"
    assert (tmp_path / "cpuset/k3py/poduid/cpuset.cpus").read_text() == "0-3"
    assert groups.pods() == [("uid", "/k3py/poduid")]


def test_version_2_has_one_tree(tmp_path):
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids")
    groups = Cgroups("/k3py", tmp_path)
    groups.create("/k3py/burstable/poduid", Resources(1024, None, None))
    folder = tmp_path / "k3py/burstable/poduid"
    assert (folder / "cpu.weight").read_text() == "39"
    assert (folder / "cpu.max").read_text() == "max 100000"
    assert (folder / "memory.max").read_text() == "max"
    assert (tmp_path / "k3py/cgroup.subtree_control").read_text() == "+cpu +memory +pids"
    assert groups.controllers == {"cpu", "memory", "pids"}


def test_kills_are_counted(tmp_path):
    (tmp_path / "events").write_text("low 0\noom 2\noom_kill 1\n")
    with (tmp_path / "events").open() as file:
        assert cgroups.oom_kills(file.fileno()) == 1
