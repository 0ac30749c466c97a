"""The k3py command on a node: what runs, who may join, and kubectl without a kubectl."""

import json
import time

import pytest

from k3py.base import commands
from tests.e2e import objects
from tests.e2e.cluster import all_ready, manifest

pytestmark = pytest.mark.cluster
NO_KUBECTL = {"PATH": "/usr/local/sbin:/usr/local/bin:/root/no-kubectl"}


def test_help_says_what_to_do_first(cluster):
    said = k3py(cluster, 1, "--help")
    assert "k3py server" in said
    assert "k3py agent --server https://IP:6443 --token TOKEN" in said
    for command in ("server", "agent", "status", "stop", "token", "kubectl", "lab"):
        assert f"\n  {command} " in said
        k3py(cluster, 1, command, "--help")
    assert k3py(cluster, 1, "--version").startswith("k3py version v1.36.")


def test_status_says_what_runs_and_what_is_wrong(cluster):
    said = k3py(cluster, 1, "status")
    for part in ("server", "node agent", "API server", "node pi1", "node pi2", "is ready"):
        assert part in said
    assert f"k3py agent --server https://{cluster.node(1).address}:6443 --token K10" in said
    assert "is ready" in k3py(cluster, 2, "status")

    cluster.apply(
        objects.pod("lonely", objects.container(image="docker.io/library/no-such-image:1"))
    )
    cluster.wait_for(lambda: "lonely" in trouble(cluster), what="status tells of the pod")
    assert "no-such-image" in trouble(cluster)
    cluster.kubectl("delete", "pod", "lonely")
    findings = json.loads(k3py(cluster, 1, "status", "--json"))
    assert all(finding["well"] for finding in findings)


def test_tokens_are_made_listed_and_deleted(cluster):
    token = k3py(cluster, 1, "token", "create", "--description", "for the shed").strip()
    assert token.startswith("K10")
    identity = token.rpartition("::")[2].partition(".")[0]
    [row] = [line for line in k3py(cluster, 1, "token", "list").splitlines() if identity in line]
    assert row.endswith("for the shed")
    assert token.rpartition(".")[2] not in row
    k3py(cluster, 1, "token", "delete", identity)
    assert identity not in k3py(cluster, 1, "token", "list")
    assert one_line(failure(cluster, 1, "token", "delete", identity)).count("there is no token")
    failure(cluster, 1, "token", "create", "--ttl", "-1")


def test_a_node_joins_with_a_made_token_and_not_once_it_is_expired_or_deleted(cluster, blank):
    short = k3py(cluster, 1, "token", "create", "--ttl", "0.001").strip()
    deleted, good = (k3py(cluster, 1, "token", "create").strip() for _ in range(2))
    k3py(cluster, 1, "token", "delete", deleted.rpartition("::")[2])
    time.sleep(4)
    for token in (short, deleted):
        assert "k3py token create" in one_line(join(cluster, blank, "--token", token))
    cluster.join(blank, good)


def test_a_wrong_token_is_one_clear_line(cluster, blank):
    token = cluster.node(1).exec("cat", "/var/lib/k3py/server/node-token").strip()
    pinned, _, _ = token.rpartition("::")
    for text, part in (
        (f"{pinned}::server:wrong", "k3py token create"),
        (f"K10{'0' * 64}::server:{token.rpartition(':')[2]}", "token"),
        ("nonsense", "token"),
        ("K10short::server:x", "token"),
        ("", "--token"),
    ):
        assert part in one_line(join(cluster, blank, "--token", text)), text


def test_a_server_that_cannot_be_reached_is_one_clear_line(cluster, blank):
    token = cluster.node(1).exec("cat", "/var/lib/k3py/server/node-token").strip()
    nowhere = f"https://{cluster.node(1).address}:7999"
    said = one_line(refused(blank, "agent", "--server", nowhere, "--token", token))
    assert nowhere in said
    assert "Is the server running" in said
    assert "--server https://IP:6443" in one_line(refused(blank, "agent", "--token", token))


def test_a_taken_port_and_a_second_server_are_one_clear_line(cluster, blank):
    blank.exec("busybox", "httpd", "-p", "6443")
    said = one_line(refused(blank, "server"))
    assert "port 6443" in said
    assert "httpd" in said or "busybox" in said
    assert "--https-listen-port" in said
    assert "already running" in one_line(failure(cluster, 1, "server"))


def test_status_of_a_machine_where_nothing_runs_says_how_to_start(blank):
    with pytest.raises(commands.CommandFailed) as failed:
        blank.exec("sh", "-c", "k3py status >&2")
    assert "k3py start" in failed.value.stderr


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("server", "--nonsense"), "--nonsense"),
        (("server", "--https-listen-port", "many"), "https-listen-port"),
        (("server", "--cluster-cidr", "10.42"), "cluster-cidr"),
        (("server", "--node-label", "a=b=c"), "node-label"),
        (("server", "--config", "/missing.yaml"), "/missing.yaml"),
        (("agent", "--server", "172.30.0.11"), "https://"),
        (("agent", "--node-name", "Not_A_Name"), "node"),
        (("nonsense",), "nonsense"),
        (("kubectl", "get", "pods", "--kubeconfig", "/missing"), "/missing"),
    ],
)
def test_a_bad_option_is_one_clear_line(cluster, arguments, part):
    said = failure(cluster, 1, *arguments)
    assert part in said.strip().splitlines()[-1]
    assert "Traceback" not in said


def test_a_setting_nobody_knows_in_the_file_is_told(cluster):
    node = cluster.node(2)
    node.exec("sh", "-c", "echo 'no-such-option: 1' > /root/config.yaml")
    said = failure(cluster, 2, "agent", "--config", "/root/config.yaml")
    assert "no-such-option" in one_line(said)
    node.exec("sh", "-c", "echo '[: bad' > /root/config.yaml")
    assert "/root/config.yaml" in one_line(
        failure(cluster, 2, "agent", "--config", "/root/config.yaml")
    )


@pytest.mark.parametrize("which", ["real", "built-in"])
def test_kubectl_on_the_node_does_the_everyday_work(cluster, which):
    """With the machine's own kubectl, and with the small one where there is none."""
    env = {} if which == "real" else NO_KUBECTL
    cluster.node(1).exec("mkdir", "-p", "/root/no-kubectl")

    def kubectl(*args, stdin=None):
        where = ["--namespace", cluster.namespace]
        return cluster.node(1).exec(
            "/usr/local/bin/k3py", "kubectl", *args, *where, stdin=stdin, env=env
        )

    text = manifest(
        objects.deployment("web", objects.http_echo()), objects.config_map("c", key="1")
    )
    assert kubectl("apply", "-f", "-", stdin=text) == (
        "deployment.apps/web created\nconfigmap/c created\n"
    )
    assert kubectl("apply", "-f", "-", stdin=text) == (
        "deployment.apps/web unchanged\nconfigmap/c unchanged\n"
    )
    cluster.roll_out("web")
    assert kubectl("get", "deployments").splitlines()[0].split() == [
        *("NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE")
    ]
    name = cluster.get("pods")[0]["metadata"]["name"]
    wide = kubectl("get", "pods", "-o", "wide")
    assert "NODE" in wide.splitlines()[0]
    assert name in wide
    assert json.loads(kubectl("get", "configmap", "c", "-o", "json"))["data"] == {"key": "1"}
    assert 'key: "1"' in (yaml := kubectl("get", "cm", "c", "-o", "yaml")) or "key: '1'" in yaml
    described = kubectl("describe", "pod", name)
    assert "Started" in described
    assert name in described
    execute = [cluster.node(1), ["/usr/local/bin/k3py", "kubectl", "-n", cluster.namespace]]
    assert on(execute, env, "exec", name, "--", "hostname") == f"{name}\n"
    assert on(execute, env, "exec", "-i", name, "--", "cat", stdin="echoed") == "echoed"
    with pytest.raises(commands.CommandFailed) as failed:
        on(execute, env, "exec", name, "--", "sh", "-c", "exit 9")
    assert failed.value.code == 9
    cluster.execute(name, "wget", "-qO-", "http://127.0.0.1:8080/cgi-bin/echo")
    assert kubectl("logs", name) == cluster.kubectl("logs", name)
    assert 'configmap "c" deleted' in kubectl("delete", "configmap", "c")
    assert "deleted" in kubectl(
        "delete", "-f", "-", stdin=manifest(objects.deployment("web", objects.http_echo()))
    )
    with pytest.raises(commands.CommandFailed) as missing:
        kubectl("get", "pod", "nobody")
    assert 'pods "nobody" not found' in missing.value.stderr


def test_kubectl_on_an_agent_says_that_it_needs_a_kubeconfig(cluster):
    said = failure(cluster, 2, "kubectl", "get", "nodes", env=NO_KUBECTL)
    assert "kubeconfig" in one_line(said)


def test_stop_ends_k3py_and_not_the_containers(cluster):
    """The lab's init starts it again at once, as systemd would after a crash."""
    cluster.apply(objects.deployment("app", objects.container(), replicas=2))
    cluster.roll_out("app")
    before = [
        (p["metadata"]["name"], p["status"]["containerStatuses"]) for p in cluster.get("pods")
    ]
    assert "stopped" in k3py(cluster, 2, "stop")
    cluster.wait_for(lambda: all_ready(cluster))
    time.sleep(3)
    assert before == [
        (p["metadata"]["name"], p["status"]["containerStatuses"]) for p in cluster.get("pods")
    ]


# How the claims are looked into.


def k3py(cluster, number, *args):
    return cluster.node(number).exec("k3py", *args)


def failure(cluster, number, *args, env=None):
    return refused(cluster.node(number), *args, env=env)


def refused(node, *args, env=None):
    """What a k3py command that must fail says."""
    with pytest.raises(commands.CommandFailed) as failed:
        node.exec("/usr/local/bin/k3py", *args, env=env, timeout=30)
    assert failed.value.code not in (0, 124, 126, 127), failed.value
    return failed.value.stderr


def one_line(said):
    """The last line, which must be all that is said beside the log's lines."""
    assert "Traceback" not in said, said
    lines = [line for line in said.strip().splitlines() if " INFO " not in line]
    lines = [line for line in lines if " WARNING " not in line]
    assert len(lines) == 1, said
    return lines[0]


def trouble(cluster):
    """What `k3py status` says when something is wrong: its exit code is 1."""
    with pytest.raises(commands.CommandFailed) as failed:
        cluster.node(1).exec("sh", "-c", "k3py status >&2")
    return failed.value.stderr


def on(where, env, *args, stdin=None):
    node, program = where
    return node.exec(*program, *args, stdin=stdin, env=env)


def join(cluster, blank, *args):
    """What an agent that must not join says."""
    return refused(blank, *cluster.agent(blank), *args)
