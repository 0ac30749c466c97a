"""The script that starts a node."""

from dataclasses import replace
from pathlib import Path

from k3py.base import commands
from k3py.lab.boot import Boot, script

BOOT = Boot(
    name="pi1",
    address="172.30.0.11",
    gateway="172.30.0.1",
    doors=[Path("/sys/fs/cgroup/memory/k3py-lab/lab/pi1")],
    cgroups=[("cpu,cpuacct", "cpu,cpuacct"), ("systemd", "none,name=systemd")],
    shown=[Path("/srv/my k3py")],
)


def test_it_mounts_pivots_and_becomes_init(golden):
    assert script(BOOT) == golden("boot")


def test_with_version_2_it_mounts_the_one_cgroup_tree():
    text = script(replace(BOOT, cgroups=[]))
    assert 'mount -t cgroup2 cgroup2 "$R/sys/fs/cgroup"' in text
    assert "mount -t cgroup -o" not in text


def test_it_is_a_script_that_bash_can_read(tmp_path):
    (tmp_path / "boot").write_text(script(BOOT))
    commands.run("bash", "-n", str(tmp_path / "boot"))
