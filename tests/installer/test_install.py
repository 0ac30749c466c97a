"""Two commands, from a checkout: install.sh leaves a cluster, k3py-uninstall.sh nothing.

On a lab node: a machine with an empty disk, and no systemd.
"""

import os
import shutil
from pathlib import Path

import pytest

from k3py.base import commands
from k3py.lab.node import Node
from tests.conftest import lab_named

pytestmark = pytest.mark.cluster
CHECKOUT = Path(__file__).parents[2]
PARTS = ("install.sh", "installer", "k3py", "pyproject.toml", "README.md", "LICENSE")
PIP = {name: os.environ[name] for name in ("PIP_CERT", "PIP_INDEX_URL") if name in os.environ}


@pytest.fixture(scope="module")
def lab():
    with lab_named("test-install") as lab:
        lab.up(2, internet=True, start_k3py=False)
        for node in lab.nodes:
            node.exec("rmdir", "/etc/k3py")  # a lab's node has its own, empty, from the start
            target = node.folder / "root/root/checkout"
            target.mkdir()
            for part in PARTS:
                copy = shutil.copytree if (CHECKOUT / part).is_dir() else shutil.copy
                copy(CHECKOUT / part, target / part)
        yield lab


def install(node: Node, **variables: str) -> str:
    return node.exec("/root/checkout/install.sh", env=PIP | variables, timeout=300)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"K3PY_URL": "https://192.0.2.1:6443"}, "K3PY_TOKEN is not"),
        ({"K3PY_URL": "192.0.2.1", "K3PY_TOKEN": "x"}, "must be like https://"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_installed(lab, variables, message):
    node = lab.node(1)
    with pytest.raises(commands.CommandFailed, match=message):
        install(node, **variables)
    assert not (node.folder / "usr/local/lib/k3py").exists()


def test_a_server_and_an_agent_are_installed_upgraded_and_removed(lab):
    server, agent = lab.nodes
    clean = traces(server)

    assert "sudo k3py kubectl get nodes" in install(server)
    assert nodes(server) == [["pi1", "Ready"]]

    url = f"https://{server.address}:6443"
    token = server.exec("cat", "/var/lib/k3py/server/node-token").strip()
    assert "this machine is a node" in install(agent, K3PY_URL=url, K3PY_TOKEN=token)
    assert nodes(server) == [["pi1", "Ready"], ["pi2", "Ready"]]

    config = server.exec("cat", "/etc/k3py/config.yaml")
    install(server)
    assert nodes(server) == [["pi1", "Ready"], ["pi2", "Ready"]]
    assert server.exec("cat", "/etc/k3py/config.yaml") == config

    server.exec("k3py-uninstall.sh")
    assert traces(server) == clean


def test_a_file_that_arrived_in_part_does_nothing(lab, tmp_path):
    text = (CHECKOUT / "install.sh").read_text()
    for length in range(0, len(text) - 10, 251):
        (tmp_path / "part.sh").write_text(text[:length])
        try:
            out = commands.run("sh", str(tmp_path / "part.sh"))
        except commands.CommandFailed as failed:
            out = "" if "yntax" in failed.stderr else str(failed)
        assert out == ""


def nodes(server: Node) -> list[list[str]]:
    table = server.exec("k3py", "kubectl", "get", "nodes")
    return [line.split()[:2] for line in table.splitlines()[1:]]


def traces(node: Node) -> str:
    """What k3py could leave on a machine."""
    return node.exec(
        *("sh", "-c"),
        "ls -d /usr/local/bin/* /usr/local/lib/k3py /etc/k3py /var/lib/k3py /run/k3py /var/log/*"
        " 2>/dev/null; ls /sys/class/net; nft list tables; mount | grep k3py; ps -eo comm,args"
        " | grep -E '[k]3py|[p]odman|[c]onmon' | grep -v defunct;"
        " ls -d /sys/fs/cgroup/*/k3py 2>/dev/null; true",
    )
