"""What kubectl says to and hears from a container: logs, exec, attach, cp, port-forward."""

import os
import time
import urllib.request

import pytest

from k3py.base import commands
from tests.e2e import objects
from tests.e2e.objects import BUSYBOX
from tests.images import echo

pytestmark = pytest.mark.cluster
WEB = objects.deployment("web", objects.http_echo(), replicas=3)


def test_logs_are_shown_followed_and_cut(cluster):
    chatty = objects.shell(
        "for i in 1 2 3; do echo line $i; done; echo oops >&2; sleep 3; echo late; sleep 600"
    )
    cluster.apply(objects.pod("chatty", chatty))
    with_late = "line 1\nline 2\nline 3\noops\nlate\n"
    cluster.wait_ready("chatty")
    with cluster.running("logs", "-f", "chatty") as following:
        following.wait_said("late")
        assert following.said == with_late
        assert cluster.kubectl("logs", "chatty") == with_late
        assert cluster.kubectl("logs", "chatty", "--tail=2") == "oops\nlate\n"
        assert cluster.kubectl("logs", "chatty", "--since=1h") == with_late
        assert cluster.kubectl("logs", "chatty", "--limit-bytes=6") == "line 1"
        stamped = cluster.kubectl("logs", "chatty", "--timestamps", "--tail=1")
        assert stamped.split()[1:] == ["late"]
        later = cluster.kubectl("logs", "chatty", f"--since-time={stamped.split()[0]}")
        assert later == "late\n"
        cluster.kubectl("delete", "pod", "chatty")
        assert following.end() == 0


def test_logs_of_one_container_of_several_of_all_and_of_a_deployment(cluster):
    two = [objects.shell(f"echo I am {name}; sleep 600", name=name) for name in ("a", "b")]
    cluster.apply(objects.deployment("two", *two))
    cluster.roll_out("two")
    assert cluster.kubectl("logs", "deployment/two", "-c", "b") == "I am b\n"
    everything = cluster.kubectl("logs", "-l", "app=two", "--all-containers", "--prefix")
    assert sorted(line.rpartition("] ")[2] for line in everything.splitlines()) == [
        "I am a",
        "I am b",
    ]
    pod = cluster.get("pods", "-l", "app=two")[0]["metadata"]["name"]
    refused = cluster.refusal("logs", pod, "-c", "c")
    assert "container c is not valid for pod" in refused


def test_logs_of_the_container_before_the_last_restart(cluster):
    cluster.apply(objects.pod("brief", objects.shell("echo born $(date +%s%N); sleep 2; exit 3")))
    cluster.wait_for(
        lambda: cluster.get("pod", "brief")["status"]["containerStatuses"][0]["restartCount"] == 1
    )
    before, now = cluster.kubectl("logs", "brief", "--previous"), cluster.kubectl("logs", "brief")
    assert before.startswith("born")
    assert now.startswith("born")
    assert before != now


def test_exec_passes_input_output_and_the_exit_code(cluster):
    cluster.apply(objects.pod("shell", objects.container(name="a"), objects.container(name="b")))
    cluster.wait_ready("shell")
    assert cluster.execute("shell", "hostname") == "shell\n"
    assert cluster.execute("shell", "sh", "-c", "tr a-z A-Z", stdin="quiet\n") == "QUIET\n"
    with pytest.raises(commands.CommandFailed) as failed:
        cluster.execute("shell", "sh", "-c", "echo no >&2; exit 42")
    assert failed.value.code == 42
    assert "\nno\n" in failed.value.stderr
    big = "x" * 100_000
    assert cluster.execute("shell", "cat", stdin=big) == big
    with pytest.raises(commands.CommandFailed) as missing:
        cluster.execute("shell", "no-such-program")
    assert missing.value.code != 0
    assert "no-such-program" in missing.value.stderr
    assert "container c is not valid" in cluster.refusal("exec", "shell", "-c", "c", "--", "true")
    assert "not found" in cluster.refusal("exec", "nobody", "--", "true")


def test_exec_on_a_terminal_is_a_shell_to_work_in(cluster):
    cluster.apply(objects.pod("shell"))
    cluster.wait_ready("shell")
    with cluster.terminal("exec", "-it", "shell", "--", "sh") as screen:
        screen.expect("[#$] ")
        screen.type("tty; echo su$((40 + 2))\r")
        screen.expect("/dev/pts/0")
        screen.expect("su42")
        screen.type("sleep 100\r")
        screen.expect("sleep 100")
        time.sleep(0.5)
        screen.type("\x03")
        screen.type("echo still $((1 + 1))\r")
        screen.expect("still 2")
        screen.type("exit 7\r")
        assert screen.end() == 7


def test_port_forward_serves_many_requests_at_once(cluster):
    cluster.apply(WEB, objects.service("web"))
    cluster.roll_out("web")
    for target in ("deployment/web", "service/web"):
        port = echo.PORT if target.startswith("deployment") else 80
        with cluster.running("port-forward", target, f":{port}") as forwarding:
            local = forwarding.wait_said(r"127\.0\.0\.1:(\d+) ->")[1]
            url = f"http://127.0.0.1:{local}/cgi-bin/echo"
            answered = {
                hostname(urllib.request.urlopen(url, timeout=10).read().decode()) for _ in range(8)
            }
            assert len(answered) == 1
            many = commands.run(
                *("sh", "-c", f"for i in 1 2 3 4 5; do curl -sS -m 10 {url} & done; wait")
            )
            assert many.count("hostname=web-") == 5


def test_files_are_copied_in_and_out(cluster, tmp_path):
    cluster.apply(objects.pod("box"))
    cluster.wait_ready("box")
    content = os.urandom(300_000)
    (tmp_path / "in").write_bytes(content)
    cluster.kubectl("cp", str(tmp_path / "in"), "box:/tmp/there")
    cluster.kubectl("cp", "box:/tmp/there", str(tmp_path / "out"))
    assert (tmp_path / "out").read_bytes() == content


def test_attach_talks_to_the_process_that_runs(cluster):
    reader = objects.shell("while read line; do echo got $line; done; sleep 600", stdin=True)
    cluster.apply(objects.pod("reader", reader))
    cluster.wait_ready("reader")
    with cluster.running("attach", "-i", "reader") as attached:
        time.sleep(1)
        attached.say("something\n")
        attached.wait_said("got something")
    assert cluster.kubectl("logs", "reader") == "got something\n"


def test_run_on_a_terminal_gives_a_pod_for_a_moment(cluster):
    with cluster.terminal(
        *("run", "moment", "--rm", "-it", f"--image={BUSYBOX}", "--restart=Never", "--", "sh")
    ) as screen:
        screen.expect("[#$] ", seconds=40)
        screen.type("echo sum $((20 + 3))\r")
        screen.expect("sum 23")
        screen.type("exit\r")
        screen.expect('pod "moment" deleted', seconds=40)
        assert screen.end() == 0
    assert cluster.get("pods") == []


# How the claims are looked into.


def hostname(said):
    return dict(line.split("=", 1) for line in said.splitlines() if "=" in line)["hostname"]
