"""A node's cgroups: which hierarchies this machine has, and who lives where."""

from pathlib import Path

from k3py.lab.cgroups import Cgroup, Tree, trees


def test_version_1_has_a_tree_per_controller_and_hides_the_unified_one():
    found = trees(
        mount("/sys/fs/cgroup/cpu,cpuacct", "cgroup", "rw,cpu,cpuacct")
        + mount("/sys/fs/cgroup/memory", "cgroup", "rw,memory")
        + mount("/sys/fs/cgroup/systemd", "cgroup", "rw,xattr,release_agent=/x,name=systemd")
        + mount("/sys/fs/cgroup/unified", "cgroup2", "rw")
    )
    assert [(tree.path.name, tree.options) for tree in found] == [
        ("cpu,cpuacct", "cpu,cpuacct"),
        ("memory", "memory"),
        ("systemd", "none,name=systemd"),
    ]


def test_version_2_is_one_tree():
    found = trees(mount("/sys/fs/cgroup", "cgroup2", "rw,nsdelegate,memory_recursiveprot"))
    assert found == (Tree(Path("/sys/fs/cgroup"), ""),)


def test_a_second_mount_of_a_hierarchy_counts_once():
    memory = mount("/sys/fs/cgroup/memory", "cgroup", "rw,memory")
    assert len(trees(memory + mount("/other/memory", "cgroup", "rw,memory"))) == 1


def test_version_2_gets_its_controllers_level_by_level_and_processes_only_in_a_leaf(tmp_path):
    group = Cgroup("lab/pi1", (Tree(tmp_path, ""),))
    for folder in (tmp_path, tmp_path / "k3py-lab", tmp_path / "k3py-lab/lab", *group.folders()):
        pretend(folder)
    (group.folders()[0] / "cgroup.procs").write_text("")
    group.make()
    group.settle()
    assert group.doors() == [tmp_path / "k3py-lab/lab/pi1/init"]
    for folder in (tmp_path, tmp_path / "k3py-lab", tmp_path / "k3py-lab/lab", *group.folders()):
        assert (folder / "cgroup.subtree_control").read_text() == "+memory"


def mount(path: str, kind: str, options: str) -> str:
    return f"30 24 0:26 / {path} rw,nosuid shared:9 - {kind} cgroup {options}\n"


def pretend(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "cgroup.controllers").write_text("memory\n")
