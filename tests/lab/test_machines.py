"""A lab on this machine: nodes that are like Raspberry Pis, and gone without a trace.

The nodes here run no k3py: these are the claims that hold whatever runs on them.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from k3py.base import commands
from k3py.lab import busybox, images
from k3py.lab.lab import ROOT, Lab, LabFailed
from k3py.lab.node import NodeFailed, NodeOff
from tests.conftest import lab_named
from tests.images import echo, python

pytestmark = pytest.mark.cluster
BUSYBOX = "docker.io/library/busybox:1.36"


@pytest.fixture(scope="module")
def lab():
    with lab_named("test-machines") as lab:
        lab.up(2, internet=False, start_k3py=False)
        yield lab


@pytest.fixture
def pi1(lab):
    """Node 1, on."""
    node = lab.node("pi1")
    node.power_on()
    return node


def test_a_node_looks_like_a_machine_of_its_own(pi1):
    assert pi1.exec("hostname") == "pi1\n"
    assert "1 root" in pi1.exec("busybox", "ps")
    assert pi1.address in pi1.exec("ip", "address", "show", "eth0")
    roots = {line.split(":")[2] for line in pi1.exec("cat", "/proc/self/cgroup").splitlines()}
    assert roots <= {"/", "/init"}


def test_nodes_reach_each_other(pi1, lab):
    pi1.exec("busybox", "ping", "-c1", "-W5", lab.node("pi2").address)


def test_a_node_is_reached_over_ssh_with_the_labs_key(lab, pi1):
    assert ssh(lab, pi1, "hostname; command -v poweroff") == "pi1\n/usr/local/sbin/poweroff\n"


def test_a_program_in_a_node_gets_input_and_its_failure_is_told(pi1):
    assert pi1.exec("cat", stdin="héllo") == "héllo"
    with pytest.raises(commands.CommandFailed, match="pi1: sh -c exit 7") as failed:
        pi1.exec("sh", "-c", "exit 7")
    assert failed.value.code == 7


def test_a_container_runs_from_an_image_by_its_unmodified_name(pi1):
    hello = ("podman", "run", "--rm", "--network=none", "--memory=64m", BUSYBOX, "echo", "hello")
    assert pi1.exec(*hello) == "hello\n"


def test_offline_a_missing_image_is_told_at_once(pi1):
    start = time.monotonic()
    with pytest.raises(commands.CommandFailed, match="manifest unknown"):
        pi1.exec("podman", "pull", "docker.io/library/absent:1")
    assert time.monotonic() - start < 2


def test_saved_images_can_be_pushed_in_both_formats(lab, pi1, tmp_path):
    pi1.exec("podman", "pull", BUSYBOX)
    for form in ("docker-archive", "oci-archive"):
        pi1.exec("podman", "save", "--format", form, "-o", "/root/image.tar", BUSYBOX)
        lab.push(pi1.path("/root/image.tar"), f"quay.io/saved/{form}:1")
        pi1.exec("rm", "/root/image.tar")
        name = f"quay.io/saved/{form}:1"
        assert pi1.exec("podman", "run", "--rm", "--network=none", name, "echo", "hi") == "hi\n"


def test_a_power_cut_keeps_the_disk_and_the_identity_and_nothing_in_memory(lab, pi1):
    pi1.exec("sh", "-c", "echo kept > /root/kept; echo gone > /run/gone; echo gone > /tmp/gone")
    pi1.exec("podman", "run", "-d", "--name", "sleeper", "--network=none", BUSYBOX, "sleep", "600")
    identity = ("sh", "-c", "cat /etc/machine-id /etc/ssh/*.pub /sys/class/net/eth0/address")
    before, old = pi1.exec(*identity), pi1.init
    pi1.power_cut()
    assert not pi1.running
    with pytest.raises(NodeOff, match="k3py lab power-on pi1"):
        pi1.exec("true")
    pi1.power_on()
    assert pi1.init != old
    assert pi1.exec(*identity) == before
    assert pi1.exec("cat", "/root/kept") == "kept\n"
    assert pi1.exec("sh", "-c", "ls /run/gone /tmp/gone 2>/dev/null || true") == ""
    assert pi1.exec("podman", "ps", "-q") == ""
    assert pi1.exec("podman", "rm", "-f", "sleeper")


def test_a_node_that_is_told_to_power_off_is_off(pi1):
    pi1.shut_down()
    assert not pi1.running


def test_another_process_can_take_over(lab, pi1):
    again = Lab(lab.name).node("pi1")
    assert again.init == pi1.init
    again.power_cut()
    assert not pi1.running


def test_up_again_starts_what_is_off_and_adds_nodes(lab, pi1):
    pi1.exec("sh", "-c", "echo kept > /root/kept")
    pi1.power_cut()
    lab.up(3)
    assert [node.running for node in lab.nodes] == [True, True, True]
    assert lab.node(1).exec("cat", "/root/kept") == "kept\n"
    with pytest.raises(LabFailed, match="there is no node pi4; there are pi1, pi2, pi3"):
        lab.node("pi4")


def test_the_command_line_passes_exit_codes_and_a_terminal_through(lab, pi1):
    k3py = [sys.executable, "-m", "k3py", "lab", "exec", "--name", lab.name, "pi1", "--"]
    assert subprocess.run([*k3py, "sh", "-c", "exit 7"], check=False).returncode == 7
    command = " ".join([*k3py, "sh", "-c", "'test -t 0 && echo terminal'"])
    out = commands.run("script", "-qec", command, "/dev/null")
    assert out.strip() == "terminal"


def test_a_node_that_cannot_start_says_why_and_is_off(lab):
    node = lab.node("pi2")
    node.power_cut()
    (node.folder / "root/usr").rename(node.folder / "elsewhere")
    try:
        with pytest.raises(NodeFailed, match=r"pi2 did not start: mount: .*/root/usr"):
            node.power_on()
        assert not node.running
    finally:
        (node.folder / "elsewhere").rename(node.folder / "root/usr")
    node.power_on()


def test_two_labs_live_side_by_side_and_one_leaves_nothing_behind(lab, pi1):
    before = traces()
    with lab_named("test-machines-2") as other:
        other.up(1, internet=True, start_k3py=False)
        assert other.lan.subnet != lab.lan.subnet
        other.node(1).exec("podman", "run", "-d", "--network=none", BUSYBOX, "sleep", "600")
        assert traces() != before
    assert traces() == before
    assert pi1.exec("hostname") == "pi1\n"


def test_down_cleans_up_after_an_up_that_was_killed():
    before = traces()
    for seconds in (0.2, 0.35, 0.5, 0.7):
        up = [sys.executable, "-m", "k3py", "lab", "up", "--name", "test-machines-3"]
        process = subprocess.Popen(
            [*up, "--nodes", "3", "--plain", "--no-install"], stdout=subprocess.DEVNULL
        )
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()
        Lab("test-machines-3").down()
        assert traces() == before


def test_an_image_can_be_built_here_and_run_there(lab, pi1):
    files = images.Layer()
    files.file("greeting", "good day\n")
    built = images.build([busybox.layer(), files.content()], {"Cmd": ["cat", "/greeting"]})
    lab.registry.push(built, "greeting:1")
    name = "docker.io/library/greeting:1"
    assert pi1.exec("podman", "run", "--rm", "--network=none", name) == "good day\n"


def test_the_images_that_tests_use_do_what_they_say(lab, pi1):
    for built in (echo, python):
        lab.registry.push(built.image(), built.NAME)
    run = ("podman", "run", "--network=host")
    pi1.exec(*run, "-d", "--name", "echo", echo.NAME, "8088")
    answer = lab.node("pi2").exec("busybox", "wget", "-qO-", f"{pi1.address}:8088/cgi-bin/echo?x=1")
    pi1.exec("podman", "rm", "-f", "-t0", "echo")
    assert f"client={lab.node('pi2').address}" in answer
    assert "uri=/cgi-bin/echo?x=1" in answer
    code = "import json, ssl, sqlite3, ctypes; print(json.dumps(ssl.OPENSSL_VERSION[:7]))"
    assert pi1.exec(*run, "--rm", python.NAME, "python3", "-c", code) == '"OpenSSL"\n'


def test_a_machine_with_only_version_2_cgroups_has_nodes_too():
    """In a mount namespace where version 2 is all there is."""
    claim = """
from k3py.lab.lab import Lab
lab = Lab("test-machines-v2")
try:
    lab.up(1, internet=False, start_k3py=False)
    node = lab.node(1)
    assert "0::/init" in node.exec("cat", "/proc/self/cgroup").splitlines()
    node.exec("mkdir", "/sys/fs/cgroup/pods")
    inside = node.exec("cat", "/sys/fs/cgroup/pods/cgroup.controllers")
    assert inside == open("/sys/fs/cgroup/cgroup.controllers").read(), inside
    node.power_cut()
    node.power_on()
finally:
    lab.down()
"""
    mounts = "umount -l /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup"
    commands.run(
        *("unshare", "--mount", "--propagation", "private"),
        *("sh", "-ec", f'{mounts}; exec "$0" -c "$1"', sys.executable, claim),
    )


def traces() -> dict[str, list[str]]:
    """What labs could leave on this machine; of processes those of the second and third."""
    cgroups = [str(p) for p in Path("/sys/fs/cgroup").glob("**/k3py-lab/**") if p.is_dir()]
    return {
        "links": sorted(p.name for p in Path("/sys/class/net").iterdir() if "pilan" in p.name),
        "mounts": [m for m in Path("/proc/self/mountinfo").read_text().splitlines() if "lab" in m],
        "cgroups": sorted(cgroups),
        "processes": sorted(lab_processes()),
        "rules": [
            line for line in commands.run("nft", "list", "tables").splitlines() if "lab" in line
        ],
        "files": sorted(str(p) for p in ROOT.glob("*")),
        "forwarding": [Path("/proc/sys/net/ipv4/ip_forward").read_text()],
    }


def lab_processes() -> list[str]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if "k3py-lab/test-machines-" in (folder / "cgroup").read_text() and os.readlink(
                folder / "exe"
            ):
                found.append(folder.name)
        except OSError:
            continue
    return found


def ssh(lab: Lab, node, command: str) -> str:
    options = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
    return commands.run(
        "ssh",
        "-q",
        "-i",
        str(lab.key),
        *options,
        "-o",
        "BatchMode=yes",
        f"root@{node.address}",
        command,
    )
