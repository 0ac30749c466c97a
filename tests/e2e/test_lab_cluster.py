"""`k3py lab up` gives a cluster whose nodes are all Ready, joined as real ones are."""

import pytest

from k3py.base import commands
from k3py.lab.lab import NODE_TOKEN

pytestmark = pytest.mark.cluster


def test_every_node_is_ready_and_every_kubectl_says_so(cluster, kubectls):
    for program in kubectls:
        table = cluster.with_kubectl(program).kubectl("get", "nodes")
        rows = [line.split()[:2] for line in table.splitlines()[1:]]
        assert rows == [["pi1", "Ready"], ["pi2", "Ready"]]


def test_agents_join_with_the_token_that_pins_the_clusters_ca(cluster):
    token = (cluster.node(1).folder / "root" / NODE_TOKEN).read_text().strip()
    config = cluster.node(2).exec("cat", "/etc/k3py/config.yaml")
    assert token.startswith("K10")
    assert f'token: "{token}"' in config
    assert f'server: "https://{cluster.node(1).address}:6443"' in config


def test_an_unmodified_image_name_runs_on_each_node(cluster):
    for node in cluster.nodes:
        cluster.kubectl(
            *("run", f"on-{node.name}", "--image=docker.io/library/busybox:1.36"),
            *("--restart=Never", f'--overrides={{"spec":{{"nodeName":"{node.name}"}}}}'),
            *("--", "sh", "-c", "echo hello from $(hostname)"),
        )
    for node in cluster.nodes:
        name = f"on-{node.name}"
        cluster.wait_for(
            lambda name=name: cluster.get("pod", name)["status"]["phase"] == "Succeeded"
        )
        assert cluster.kubectl("logs", name) == f"hello from {name}\n"


def test_k3py_kubectl_works_on_the_server_node(cluster):
    assert "pi2" in cluster.node(1).exec("k3py", "kubectl", "get", "nodes")


def test_what_the_console_of_an_agent_shows_is_in_its_log(cluster):
    with pytest.raises(commands.CommandFailed):
        cluster.node(2).exec("test", "!", "-s", "/var/log/k3py.log")
