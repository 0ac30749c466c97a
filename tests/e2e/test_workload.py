"""A Deployment and a Service on two nodes, and kubectl's commands on them, as on Kubernetes."""

import json
import os
import time
import urllib.request

import pytest

from k3py.base import commands
from tests.e2e import objects
from tests.e2e.cluster import manifest
from tests.e2e.objects import BUSYBOX
from tests.images import echo

pytestmark = pytest.mark.cluster
WEB = objects.deployment("web", objects.http_echo(), replicas=3)


def test_three_pods_on_two_nodes_answer_each_other_by_every_address_and_name(cluster):
    cluster.apply(WEB, objects.service("web", type="NodePort"))
    cluster.roll_out("web")
    pods = cluster.get("pods", "-l", "app=web")
    service = cluster.get("service", "web")
    node_port = service["spec"]["ports"][0]["nodePort"]
    assert {pod["spec"]["nodeName"] for pod in pods} == {"pi1", "pi2"}

    wait_served(cluster, pods, "web")
    names = {pod["metadata"]["name"] for pod in pods}
    for pod in pods:
        caller, address = pod["metadata"]["name"], pod["status"]["podIP"]
        for other in pods:
            answer = ask(cluster, caller, f"{other['status']['podIP']}:{echo.PORT}")
            assert answer["hostname"] == other["metadata"]["name"]
            assert answer["client"] == address
        for host in (
            *("web", f"web.{cluster.namespace}", f"web.{cluster.namespace}.svc"),
            *(f"web.{cluster.namespace}.svc.cluster.local", service["spec"]["clusterIP"]),
            *(f"{node.address}:{node_port}" for node in cluster.nodes),
        ):
            assert ask(cluster, caller, host)["hostname"] in names
    for node in cluster.nodes:
        outside = urllib.request.urlopen(f"http://{node.address}:{node_port}/cgi-bin/echo")
        assert hostname(outside.read().decode()) in names
        on_node = node.exec("busybox", "wget", "-qO-", f"http://{service['spec']['clusterIP']}/")
        assert on_node == "ok\n"


def test_a_service_leads_to_all_its_pods_and_only_to_them(cluster):
    cluster.apply(WEB, objects.service("web"))
    cluster.roll_out("web")
    pods = cluster.get("pods", "-l", "app=web")
    wait_served(cluster, pods, "web")
    caller = pods[0]["metadata"]["name"]
    answered = {ask(cluster, caller, "web")["hostname"] for _ in range(30)}
    assert answered == {pod["metadata"]["name"] for pod in pods}

    cluster.kubectl("scale", "deployment/web", "--replicas=1")
    cluster.wait_for(lambda: len(cluster.get("pods", "-l", "app=web")) == 1, what="one pod left")
    left = cluster.get("pods", "-l", "app=web")
    wait_served(cluster, left, "web")
    caller = left[0]["metadata"]["name"]
    assert {ask(cluster, caller, "web")["hostname"] for _ in range(10)} == {caller}


def test_a_service_without_pods_refuses_and_a_name_nobody_has_does_not_exist(cluster):
    cluster.apply(objects.pod("caller"), objects.service("nobody"))
    cluster.wait_ready("caller")
    refused = cluster.refusal(
        "exec", "caller", "--", "timeout", "5", "wget", "-qO-", "http://nobody"
    )
    assert "refused" in refused
    unknown = cluster.refusal("exec", "caller", "--", "nslookup", "missing.default.svc")
    assert "NXDOMAIN" in unknown or "can't" in unknown or "code 1" in unknown


def test_a_headless_service_names_its_pods_addresses(cluster):
    cluster.apply(WEB, objects.service("web", clusterIP="None"), objects.pod("caller"))
    cluster.roll_out("web")
    cluster.wait_ready("caller")
    wanted = {pod["status"]["podIP"] for pod in cluster.get("pods", "-l", "app=web")}

    def answered():
        name = f"web.{cluster.namespace}.svc.cluster.local"
        said = cluster.kubectl("exec", "caller", "--", "nslookup", "-type=a", name)
        return {line.split()[-1] for line in said.splitlines() if line.startswith("Address")}

    cluster.wait_for(lambda: wanted <= answered(), seconds=20, what="all pods' addresses")


def test_get_shows_the_columns_that_kubernetes_shows(cluster):
    cluster.apply(WEB, objects.service("web"))
    cluster.roll_out("web")

    def rows(*args):
        return [line.split() for line in cluster.kubectl("get", *args).splitlines()]

    header, row = rows("deployment", "web", "-o", "wide")
    assert " ".join(header) == "NAME READY UP-TO-DATE AVAILABLE AGE CONTAINERS IMAGES SELECTOR"
    assert row[:4] == ["web", "3/3", "3", "3"]
    assert row[5:] == ["main", echo.NAME, "app=web"]
    header, row = rows("rs")
    assert " ".join(header) == "NAME DESIRED CURRENT READY AGE"
    assert row[1:4] == ["3", "3", "3"]
    header, *pods = rows("pods", "-o", "wide")
    assert " ".join(header) == (
        "NAME READY STATUS RESTARTS AGE IP NODE NOMINATED NODE READINESS GATES"
    )
    assert {tuple(row[1:4]) for row in pods} == {("1/1", "Running", "0")}
    assert {row[6] for row in pods} == {"pi1", "pi2"}
    header, row = rows("service", "web", "-o", "wide")
    assert " ".join(header) == "NAME TYPE CLUSTER-IP EXTERNAL-IP PORT(S) AGE SELECTOR"
    assert [row[1], *row[3:5], row[6]] == ["ClusterIP", "<none>", "80/TCP", "app=web"]
    header, *nodes = rows("nodes", "-o", "wide")
    assert " ".join(header) == (
        "NAME STATUS ROLES AGE VERSION INTERNAL-IP EXTERNAL-IP OS-IMAGE KERNEL-VERSION "
        "CONTAINER-RUNTIME"
    )
    assert [[row[0], row[1], row[5]] for row in nodes] == [
        [node.name, "Ready", node.address] for node in cluster.nodes
    ]
    assert rows("endpoints", "web")[1][1].count(f":{echo.PORT}") == 3
    assert rows("endpointslices")[1][1:3] == ["IPv4", str(echo.PORT)]


def test_get_selects_sorts_and_formats(cluster):
    cluster.apply(
        objects.config_map("b", key="1"), objects.config_map("a", key="2"), objects.pod("one")
    )
    cluster.kubectl("label", "configmap", "a", "tier=front")
    own = "metadata.name!=kube-root-ca.crt"
    names = ["get", "configmaps", "--field-selector", own, "-o", "name"]
    assert cluster.kubectl(*names).split() == ["configmap/a", "configmap/b"]
    assert cluster.kubectl(*names, "-l", "tier=front").split() == ["configmap/a"]
    assert cluster.kubectl(*names, "-l", "tier notin (front)").split() == ["configmap/b"]
    assert cluster.kubectl(*names, "--sort-by=.data.key").split() == ["configmap/b", "configmap/a"]
    assert cluster.kubectl("get", "cm", "a", "-o", "jsonpath={.data.key}") == "2"
    columns = "custom-columns=NAME:.metadata.name,KEY:.data.key"
    assert cluster.kubectl("get", "cm", "b", "-o", columns).split() == ["NAME", "KEY", "b", "1"]
    assert 'key: "2"' in cluster.kubectl("get", "cm", "a", "-o", "yaml")
    everything = cluster.kubectl("get", "pods,configmaps", "-A", "--show-labels")
    assert "kube-root-ca.crt" in everything
    assert "pod/one" in everything
    assert "No resources found in" in commands_stderr(cluster, "get", "secrets")


def test_get_watches(cluster):
    with cluster.running("get", "configmaps", "--watch", "-o", "name") as watching:
        watching.wait_said("configmap/kube-root-ca.crt")
        cluster.apply(objects.config_map("later"))
        watching.wait_said("configmap/later\n")


def test_describe_tells_what_there_is_and_what_happened(cluster):
    cluster.apply(WEB, objects.service("web"))
    cluster.roll_out("web")
    deployment = cluster.kubectl("describe", "deployment", "web")
    assert "3 desired | 3 updated | 3 total | 3 available | 0 unavailable" in deployment
    assert "ScalingReplicaSet" in deployment
    pod = cluster.get("pods", "-l", "app=web")[0]
    told = cluster.kubectl("describe", "pod", pod["metadata"]["name"])
    for reason in ("Scheduled", "Created", "Started"):
        assert reason in told
    assert f"Node:             {pod['spec']['nodeName']}/" in told
    assert "QoS Class:                   BestEffort" in told
    service = cluster.kubectl("describe", "service", "web")
    assert f"{pod['status']['podIP']}:{echo.PORT}" in service
    node = cluster.kubectl("describe", "node", "pi1")
    for part in ("Allocatable:", "InternalIP:", "Non-terminated Pods:", "MemoryPressure"):
        assert part in node


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


def test_a_deployment_is_scaled_updated_undone_and_restarted(cluster):
    cluster.apply(objects.deployment("app", objects.container(), replicas=2))
    cluster.roll_out("app")
    assert "scaled" in cluster.kubectl("scale", "deployment", "app", "--replicas=4")
    assert 'deployment "app" successfully rolled out' in cluster.roll_out("app")
    assert len(cluster.get("pods", "-l", "app=app")) == 4
    cluster.kubectl("scale", "deployment", "app", "--replicas=2")

    cluster.kubectl("set", "image", "deployment/app", f"main={echo.NAME}")
    cluster.kubectl("annotate", "deployment/app", "kubernetes.io/change-cause=the other image")
    cluster.roll_out("app")
    assert images_of(cluster) == {echo.NAME}
    history = cluster.kubectl("rollout", "history", "deployment/app")
    assert [line.split(maxsplit=1) for line in history.strip().splitlines()[2:]] == [
        ["1", "<none>"],
        ["2", "the other image"],
    ]
    assert echo.NAME in cluster.kubectl("rollout", "history", "deployment/app", "--revision=2")

    assert "rolled back" in cluster.kubectl("rollout", "undo", "deployment/app")
    cluster.roll_out("app")
    assert images_of(cluster) == {BUSYBOX}
    old = {pod["metadata"]["uid"] for pod in cluster.get("pods", "-l", "app=app")}

    assert "restarted" in cluster.kubectl("rollout", "restart", "deployment/app")
    cluster.roll_out("app")
    assert not old & {pod["metadata"]["uid"] for pod in current(cluster)}
    assert len(current(cluster)) == 2


def test_a_rollout_that_cannot_succeed_keeps_what_works(cluster):
    cluster.apply(objects.deployment("app", objects.container(), replicas=2))
    cluster.roll_out("app")
    good = {pod["metadata"]["name"] for pod in current(cluster)}
    cluster.kubectl("set", "image", "deployment/app", "main=docker.io/library/no-such:1")
    slow = cluster.refusal("rollout", "status", "deployment/app", "--timeout=5s")
    assert "timed out waiting for the condition" in slow
    assert good <= {p["metadata"]["name"] for p in cluster.get("pods") if ready(p)}
    cluster.kubectl("rollout", "undo", "deployment/app")
    cluster.roll_out("app")
    assert {pod["metadata"]["name"] for pod in current(cluster)} == good


def test_a_paused_rollout_waits_until_it_is_resumed(cluster):
    cluster.apply(objects.deployment("app", objects.container()))
    cluster.roll_out("app")
    cluster.kubectl("rollout", "pause", "deployment/app")
    cluster.kubectl("set", "env", "deployment/app", "COLOUR=green")
    time.sleep(1)
    assert len(cluster.get("rs")) == 1
    cluster.kubectl("rollout", "resume", "deployment/app")
    cluster.roll_out("app")
    assert "COLOUR=green\n" in cluster.execute("deployment/app", "env")


def test_a_deleted_pod_is_replaced_and_a_deleted_deployment_takes_its_pods_along(cluster):
    cluster.apply(objects.deployment("app", objects.container(), replicas=2))
    cluster.roll_out("app")
    first, second = (pod["metadata"]["name"] for pod in cluster.get("pods"))
    assert f'pod "{first}" deleted' in cluster.kubectl("delete", "pod", first)
    cluster.wait_for(lambda: len([p for p in cluster.get("pods") if ready(p)]) == 2)
    names = {pod["metadata"]["name"] for pod in current(cluster)}
    assert first not in names
    assert second in names
    cluster.kubectl("delete", "deployment", "app", "--cascade=foreground", "--timeout=60s")
    assert cluster.get("rs,pods") == []


def test_orphans_stay_and_are_adopted(cluster):
    cluster.apply(objects.deployment("app", objects.container()))
    cluster.roll_out("app")
    pod = cluster.get("pods")[0]["metadata"]["uid"]
    cluster.kubectl("delete", "deployment", "app", "--cascade=orphan")
    cluster.wait_for(
        lambda: not cluster.get("rs")[0]["metadata"].get("ownerReferences"), what="an orphan"
    )
    cluster.apply(objects.deployment("app", objects.container()))
    cluster.roll_out("app")
    assert [p["metadata"]["uid"] for p in cluster.get("pods")] == [pod]


def test_labels_annotations_patches_and_edits_arrive(cluster):
    cluster.apply(objects.config_map("c", key="old"))

    def changed(*args):
        return cluster.kubectl(*args).strip()

    assert changed("label", "cm", "c", "a=1", "b=2") == "configmap/c labeled"
    assert "--overwrite is false" in cluster.refusal("label", "cm", "c", "a=3")
    changed("label", "cm", "c", "a=3", "b-", "--overwrite")
    changed("annotate", "cm", "c", "note=two words")
    changed("patch", "cm", "c", "-p", '{"data": {"merged": "yes"}}')
    changed("patch", "cm", "c", "--type=merge", "-p", '{"data": {"other": "yes"}}')
    step = [{"op": "replace", "path": "/data/key", "value": "new"}]
    changed("patch", "cm", "c", "--type=json", "-p", json.dumps(step))
    edit = {"EDITOR": "sed -i s/merged/edited/", "KUBE_EDITOR": ""}
    assert "edited" in cluster.kubectl("edit", "configmap", "c", env=edit)
    found = cluster.get("cm", "c")
    assert found["metadata"]["labels"] == {"a": "3"}
    assert found["metadata"]["annotations"]["note"] == "two words"
    assert found["data"] == {"edited": "yes", "other": "yes", "key": "new"}


def test_a_patch_of_a_list_changes_the_entry_of_that_name_only(cluster):
    cluster.apply(objects.deployment("app", objects.container(name="a"), objects.http_echo()))
    change = {"spec": {"template": {"spec": {"containers": [{"name": "a", "tty": True}]}}}}
    cluster.kubectl("patch", "deployment", "app", "-p", json.dumps(change))
    found = cluster.get("deployment", "app")["spec"]["template"]["spec"]["containers"]
    assert [(c["name"], c["image"], c.get("tty")) for c in found] == [
        ("a", BUSYBOX, True),
        ("main", echo.NAME, None),
    ]


@pytest.mark.parametrize("side", ["client", "server"])
def test_apply_creates_then_changes_nothing_then_only_what_differs(cluster, side):
    how = ["apply", "-f", "-", *(["--server-side"] if side == "server" else [])]
    everything = [
        *(objects.deployment("web", objects.http_echo()), objects.service("web")),
        *(objects.config_map("c", kept="1", dropped="1"), objects.pod("p")),
    ]

    def applied(*these):
        return cluster.kubectl(*how, stdin=manifest(*these)).splitlines()

    first = applied(*everything)
    assert first[0].startswith("deployment.apps/web ")
    cluster.roll_out("web")
    before = versions(cluster)
    again = applied(*everything)
    assert versions(cluster) == before
    said = "serverside-applied" if side == "server" else "unchanged"
    assert all(line.endswith(f" {said}") for line in again)
    applied(objects.config_map("c", kept="2"))
    assert cluster.get("cm", "c")["data"] == {"kept": "2"}


def test_two_appliers_of_one_field_are_told_of_each_other(cluster):
    one, other = (
        manifest(objects.config_map("c", key="1")),
        manifest(objects.config_map("c", key="2")),
    )
    apply = ["apply", "--server-side", "-f", "-"]
    cluster.kubectl(*apply, "--field-manager=one", stdin=one)
    conflict = cluster.refusal(*apply, "--field-manager=two", stdin=other)
    assert 'conflict with "one"' in conflict
    assert ".data.key" in conflict
    cluster.kubectl(*apply, "--field-manager=two", "--force-conflicts", stdin=other)
    assert cluster.get("cm", "c")["data"] == {"key": "2"}
    managers = cluster.get("cm", "c", "--show-managed-fields")["metadata"]["managedFields"]
    assert [m["manager"] for m in managers if "f:data" in m["fieldsV1"]] == ["two"]


def test_diff_shows_what_apply_would_change_and_changes_nothing(cluster):
    cluster.apply(objects.config_map("c", key="1"))
    changed = manifest(objects.config_map("c", key="2"))
    with pytest.raises(commands.CommandFailed) as differs:
        cluster.kubectl("diff", "-f", "-", stdin=changed)
    assert differs.value.code == 1
    assert cluster.get("cm", "c")["data"] == {"key": "1"}
    cluster.kubectl("diff", "-f", "-", stdin=manifest(objects.config_map("c", key="1")))
    said = cluster.kubectl("apply", "--dry-run=server", "-f", "-", stdin=changed)
    assert said == "configmap/c configured (server dry run)\n"
    assert cluster.get("cm", "c")["data"] == {"key": "1"}


def test_create_makes_every_kind_that_kubectl_has_a_command_for(cluster, tmp_path):
    (tmp_path / "file").write_bytes(bytes(range(256)))

    def create(*args):
        return cluster.kubectl("create", *args).strip()

    assert create("deployment", "d", f"--image={echo.NAME}", "--replicas=2", "--port=8080") == (
        "deployment.apps/d created"
    )
    create("configmap", "c", "--from-literal=a=1", f"--from-file={tmp_path / 'file'}")
    assert cluster.get("cm", "c")["data"] == {"a": "1"}
    assert list(cluster.get("cm", "c")["binaryData"]) == ["file"]
    create("secret", "generic", "s", "--from-literal=password=swordfish")
    assert cluster.get("secret", "s")["data"] == {"password": "c3dvcmRmaXNo"}
    create("secret", "docker-registry", "r", "--docker-username=u", "--docker-password=p")
    assert cluster.get("secret", "r")["type"] == "kubernetes.io/dockerconfigjson"
    create("serviceaccount", "robot")
    create("role", "reader", "--verb=get,list", "--resource=pods,deployments.apps")
    assert [rule["apiGroups"] for rule in cluster.get("role", "reader")["rules"]] == [
        [""],
        ["apps"],
    ]
    create("rolebinding", "reading", "--role=reader", f"--serviceaccount={cluster.namespace}:robot")
    create("service", "clusterip", "one", "--tcp=80:8080")
    create("service", "nodeport", "two", "--tcp=80:8080")
    create("service", "externalname", "three", "--external-name=example.com")
    assert [s["spec"]["type"] for s in cluster.get("services")] == [
        "ClusterIP",
        "ExternalName",
        "NodePort",
    ]
    cluster.kubectl("expose", "deployment", "d", "--port=80", "--target-port=8080")
    cluster.roll_out("d")
    assert 'serviceaccounts "robot" already exists' in cluster.refusal(
        "create", "serviceaccount", "robot"
    )


def test_a_service_account_may_do_what_its_role_says_and_no_more(cluster, tmp_path):
    cluster.kubectl("create", "serviceaccount", "robot")
    cluster.kubectl("create", "role", "reader", "--verb=get,list", "--resource=configmaps")
    account = f"system:serviceaccount:{cluster.namespace}:robot"
    cluster.kubectl("create", "rolebinding", "r", "--role=reader", f"--user={account}")

    def may(*args):
        asked = ["auth", "can-i", *args, f"--as={account}"]
        try:
            return cluster.kubectl(*asked).strip() == "yes"
        except commands.CommandFailed as failed:
            if failed.stderr.strip().splitlines()[-1:] != ["no"]:
                raise
            return False

    assert may("list", "configmaps")
    assert not may("delete", "configmaps")
    assert not may("list", "configmaps", "-A")
    listed = cluster.kubectl("auth", "can-i", "--list", f"--as={account}")
    assert any(line.startswith("configmaps ") for line in listed.splitlines())
    assert cluster.kubectl("auth", "can-i", "*", "*").strip() == "yes"

    token = cluster.kubectl("create", "token", "robot", "--duration=1h").strip()
    robot = cluster.with_kubeconfig(kubeconfig_for(cluster, token, tmp_path))
    assert account in robot.kubectl("auth", "whoami")
    assert robot.get("configmaps")
    forbidden = robot.refusal("get", "secrets")
    assert (
        f'Error from server (Forbidden): secrets is forbidden: User "{account}" cannot list '
        f'resource "secrets" in API group "" in the namespace "{cluster.namespace}"'
    ) in forbidden


def test_explain_and_the_list_of_resources_know_every_kind(cluster):
    told = cluster.kubectl("explain", "deployment.spec.strategy.rollingUpdate")
    assert "maxSurge" in told
    assert "GROUP:      apps" in told
    assert "imagePullPolicy" in cluster.kubectl("explain", "pod", "--recursive")
    assert "doesn't exist" in (refused := cluster.refusal("explain", "pod.nonsense")) or (
        "does not exist" in refused
    )
    rows = [line.split() for line in cluster.kubectl("api-resources").splitlines()]
    known = {row[0] for row in rows}
    assert {
        *("pods", "nodes", "namespaces", "services", "endpoints", "endpointslices", "configmaps"),
        *("secrets", "serviceaccounts", "events", "leases", "deployments", "replicasets"),
        *("roles", "clusterroles", "rolebindings", "clusterrolebindings"),
    } <= known
    assert {"v1", "apps/v1"} <= set(cluster.kubectl("api-versions").split())
    told = json.loads(cluster.kubectl("version", "-o", "json"))
    assert told["serverVersion"]["gitVersion"].startswith("v1.36.")
    assert "is running at" in cluster.kubectl("cluster-info")


def test_events_are_listed_and_say_where_they_come_from(cluster):
    cluster.apply(objects.pod("p"))
    cluster.wait_ready("p")
    cluster.wait_for(
        lambda: {"Scheduled", "Created", "Started"} <= {reason for reason, _ in cluster.events("p")}
    )
    listed = cluster.kubectl("get", "events", "--sort-by=.metadata.creationTimestamp")
    assert listed.splitlines()[0].split() == ["LAST", "SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]
    assert f"Successfully assigned {cluster.namespace}/p to pi" in listed
    assert "Started" in cluster.kubectl("events", "--for", "pod/p")


def test_wait_returns_when_it_is_so_and_fails_when_it_never_is(cluster):
    cluster.apply(objects.pod("p"))
    assert "condition met" in cluster.kubectl("wait", "pod/p", "--for=condition=Ready")
    cluster.kubectl("wait", "pod/p", "--for=jsonpath={.status.phase}=Running")
    late = cluster.refusal("wait", "pod/p", "--for=condition=Nonsense", "--timeout=1s")
    assert "timed out waiting for the condition" in late
    with cluster.running("wait", "pod/p", "--for=delete", "--timeout=30s") as waiting:
        cluster.kubectl("delete", "pod", "p")
        assert waiting.end() == 0


def test_a_namespace_goes_with_all_that_is_in_it(cluster):
    cluster.kubectl("create", "namespace", "doomed")
    doomed = cluster.in_namespace("doomed")
    doomed.apply(WEB, objects.service("web"), objects.config_map("c"))
    doomed.kubectl("delete", "namespace", "doomed", "--timeout=60s")
    assert "NotFound" in cluster.refusal("get", "namespace", "doomed")
    gone = cluster.refusal("create", "configmap", "c", "-n", "doomed")
    assert 'namespaces "doomed" not found' in gone


def test_a_cordoned_node_gets_no_new_pods_and_a_drained_one_keeps_none(cluster):
    cluster.apply(objects.deployment("app", objects.container(), replicas=2))
    cluster.roll_out("app")
    try:
        drained = cluster.kubectl("drain", "pi2", "--pod-selector=app=app", timeout=90)
        assert "node/pi2 drained" in drained or "node/pi2 evicted" in drained
        table = cluster.kubectl("get", "node", "pi2")
        assert "Ready,SchedulingDisabled" in table
        cluster.roll_out("app")
        assert {pod["spec"]["nodeName"] for pod in current(cluster)} == {"pi1"}
    finally:
        cluster.kubectl("uncordon", "pi2")


def test_kustomizations_and_folders_are_applied(cluster, tmp_path):
    (tmp_path / "c.json").write_text(json.dumps(objects.config_map("c", key="1")))
    (tmp_path / "kustomization.yaml").write_text("resources: [c.json]\nnamePrefix: my-\n")
    assert cluster.kubectl("apply", "-k", str(tmp_path)) == "configmap/my-c created\n"
    (tmp_path / "kustomization.yaml").unlink()
    assert cluster.kubectl("apply", "-f", str(tmp_path)) == "configmap/c created\n"
    cluster.kubectl("delete", "-f", str(tmp_path))
    assert "NotFound" in cluster.refusal("get", "configmap", "c")


def test_every_kubectl_does_the_everyday_work(cluster, any_kubectl):
    cluster = cluster.with_kubectl(any_kubectl)
    cluster.kubectl("create", "deployment", "web", f"--image={echo.NAME}", "--port=8080")
    cluster.kubectl("expose", "deployment", "web", "--port=80", "--target-port=8080")
    cluster.apply(objects.config_map("c", key="1"))
    cluster.roll_out("web")
    assert "1/1" in cluster.kubectl("get", "deployment", "web", "-o", "wide")
    assert "ScalingReplicaSet" in cluster.kubectl("describe", "deployment", "web")
    pod = cluster.get("pods", "-l", "app=web")[0]["metadata"]["name"]
    assert cluster.execute(pod, "hostname") == f"{pod}\n"
    assert cluster.execute("deployment/web", "cat", stdin="echoed") == "echoed"
    with cluster.running("port-forward", pod, f":{echo.PORT}") as forwarding:
        local = forwarding.wait_said(r"127\.0\.0\.1:(\d+) ->")[1]
        answer = urllib.request.urlopen(f"http://127.0.0.1:{local}/cgi-bin/echo", timeout=10)
        assert hostname(answer.read().decode()) == pod
    cluster.kubectl("logs", "deployment/web", "--tail=1")
    cluster.kubectl("scale", "deployment", "web", "--replicas=2")
    cluster.kubectl("set", "env", "deployment/web", "A=B")
    cluster.roll_out("web")
    assert "REVISION" in cluster.kubectl("rollout", "history", "deployment/web")
    assert "unchanged" in cluster.apply(objects.config_map("c", key="1"))
    assert "maxSurge" in cluster.kubectl("explain", "deployment.spec.strategy.rollingUpdate")
    cluster.kubectl("delete", "deployment,service,configmap", "--all", "--wait=false")


# How the claims are looked into.


def ask(cluster, caller, host):
    """What the echo server at `host` told the pod `caller`, as a dict."""
    said = cluster.execute(caller, "timeout", "5", "wget", "-qO-", f"http://{host}/cgi-bin/echo")
    return dict(line.split("=", 1) for line in said.splitlines() if "=" in line)


def hostname(said):
    return dict(line.split("=", 1) for line in said.splitlines() if "=" in line)["hostname"]


def wait_served(cluster, pods, service):
    """Until the Service's slices name exactly these pods, and every node has had a moment."""
    wanted = {pod["status"]["podIP"] for pod in pods}

    def served():
        slices = cluster.get("endpointslices", "-l", f"kubernetes.io/service-name={service}")
        found = [e for s in slices for e in s["endpoints"] or () if e["conditions"]["ready"]]
        return {address for e in found for address in e["addresses"]} == wanted

    cluster.wait_for(served, seconds=20, what="the Service's endpoints")
    time.sleep(0.5)


def current(cluster):
    """The pods that are not on their way out."""
    return [p for p in cluster.get("pods") if "deletionTimestamp" not in p["metadata"]]


def ready(pod):
    conditions = {c["type"]: c["status"] for c in pod["status"].get("conditions", ())}
    return conditions.get("Ready") == "True" and "deletionTimestamp" not in pod["metadata"]


def images_of(cluster):
    return {c["image"] for pod in current(cluster) for c in pod["spec"]["containers"]}


def versions(cluster):
    found = cluster.get("deployments,services,configmaps,pods")
    return {(o["kind"], o["metadata"]["name"]): o["metadata"]["resourceVersion"] for o in found}


def commands_stderr(cluster, *args):
    """What kubectl says beside its output, when it succeeds."""
    with cluster.running(*args) as saying:
        assert saying.end() == 0
        return saying.said


def kubeconfig_for(cluster, token, folder):
    """A kubeconfig that differs from the administrator's only in who one is."""
    import yaml

    config = yaml.safe_load(cluster.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    file = folder / "kubeconfig"
    file.write_text(yaml.safe_dump(config))
    file.chmod(0o600)
    return file
