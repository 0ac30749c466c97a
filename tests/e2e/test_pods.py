"""What happens to containers on a node, and what kubectl users see of it."""

import json
import re

import pytest

from tests.e2e import objects
from tests.e2e.cluster import condition
from tests.e2e.objects import BUSYBOX, container, pod, shell
from tests.images import echo, python

pytestmark = pytest.mark.cluster
HTTP_READY = {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1}
MISSING = "docker.io/library/no-such-image:1"


def test_a_killed_container_starts_again_and_says_how_it_ended(cluster):
    cluster.apply(pod("p"))
    cluster.wait_ready("p")
    before = state(cluster, "p")
    # Nobody inside can kill the first process of a container: the node does.
    node = cluster.node(cluster.get("pod", "p")["spec"]["nodeName"])
    node.exec("kill", "-9", container_pid(node, before["containerID"]))
    cluster.wait_for(lambda: state(cluster, "p")["restartCount"] == 1, seconds=15)
    cluster.wait_ready("p", seconds=15)
    after = state(cluster, "p")
    ended = after["lastState"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (137, "Error")
    assert ended["containerID"] == before["containerID"] != after["containerID"]
    assert after["state"]["running"]["startedAt"] >= ended["finishedAt"]
    assert re.search(r"p +1/1 +Running +1 \(\d+s ago\)", cluster.kubectl("get", "pod", "p"))


def test_a_container_that_keeps_ending_is_restarted_ever_later(cluster):
    cluster.apply(pod("p", shell("exit 5")))
    cluster.wait_for(
        lambda: state(cluster, "p")["state"]["waiting"]["reason"] == "CrashLoopBackOff", seconds=30
    )
    found = state(cluster, "p")
    assert "restarting failed container=main" in found["state"]["waiting"]["message"]
    assert found["lastState"]["terminated"]["exitCode"] == 5
    assert "CrashLoopBackOff" in cluster.kubectl("get", "pod", "p")
    cluster.wait_for(lambda: "BackOff" in reasons(cluster, "p"), what="the event")


@pytest.mark.parametrize(
    ("policy", "script", "phase", "restarts"),
    [
        ("Never", "exit 0", "Succeeded", 0),
        ("Never", "exit 3", "Failed", 0),
        ("OnFailure", "test -e /there/been && exit 0; touch /there/been; exit 1", "Succeeded", 1),
    ],
)
def test_a_pod_that_may_end_ends(cluster, policy, script, phase, restarts):
    once = shell(script, volumeMounts=[{"name": "there", "mountPath": "/there"}])
    cluster.apply(pod("p", once, restartPolicy=policy, volumes=[{"name": "there", "emptyDir": {}}]))
    found = cluster.wait_phase("p", phase, seconds=40)
    assert found["status"]["containerStatuses"][0]["restartCount"] == restarts
    shown = "Completed" if phase == "Succeeded" else "Error"
    assert shown in cluster.kubectl("get", "pod", "p")
    assert condition(found, "Ready") == "False"


def test_a_pod_past_its_deadline_fails(cluster):
    cluster.apply(pod("p", activeDeadlineSeconds=3))
    found = cluster.wait_phase("p", "Failed", seconds=30)
    assert found["status"]["reason"] == "DeadlineExceeded"


def test_a_pod_that_is_not_ready_gets_no_traffic(cluster):
    gate = {"exec": {"command": ["test", "-e", "/tmp/open"]}, "periodSeconds": 1}
    gated = objects.http_echo(readinessProbe=gate)
    cluster.apply(objects.deployment("web", gated), objects.service("web"))
    cluster.wait_for(
        lambda: cluster.get("pods")[0]["status"]["phase"] == "Running", what="the pod runs"
    )
    name = cluster.get("pods")[0]["metadata"]["name"]
    assert "0/1" in cluster.kubectl("get", "pod", name)
    assert ready_endpoints(cluster, "web") == []
    cluster.wait_for(lambda: "Unhealthy" in reasons(cluster, name), what="the event")

    cluster.execute(name, "touch", "/tmp/open")
    cluster.wait_ready(name, seconds=10)
    cluster.wait_for(lambda: len(ready_endpoints(cluster, "web")) == 1, seconds=10)
    cluster.execute(name, "rm", "/tmp/open")
    cluster.wait_for(lambda: ready_endpoints(cluster, "web") == [], seconds=15)
    assert state(cluster, name)["restartCount"] == 0


def test_a_container_that_is_not_alive_is_restarted(cluster):
    alive = {"exec": {"command": ["test", "!", "-e", "/tmp/dead"]}, "periodSeconds": 1}
    alive["failureThreshold"] = 2
    cluster.apply(pod("p", container(livenessProbe=alive)))
    cluster.wait_ready("p")
    cluster.execute("p", "touch", "/tmp/dead")
    cluster.wait_for(lambda: state(cluster, "p")["restartCount"] == 1, seconds=20)
    assert {"Unhealthy", "Killing"} <= set(reasons(cluster, "p"))


def test_a_slow_starter_is_given_its_time(cluster):
    started = {"exec": {"command": ["test", "-e", "/tmp/up"]}, "periodSeconds": 1}
    started["failureThreshold"] = 30
    tense = {"exec": {"command": ["test", "-e", "/tmp/up"]}, "periodSeconds": 1}
    tense["failureThreshold"] = 1
    slow = shell("sleep 4; touch /tmp/up; sleep 600", startupProbe=started, livenessProbe=tense)
    cluster.apply(pod("p", slow))
    cluster.wait_for(lambda: state(cluster, "p")["started"] is False, what="not started yet")
    cluster.wait_ready("p", seconds=20)
    assert state(cluster, "p")["restartCount"] == 0


def test_probes_by_http_and_by_connection_succeed_on_what_answers(cluster):
    web = objects.http_echo(
        readinessProbe=HTTP_READY, livenessProbe={"tcpSocket": {"port": echo.PORT}}
    )
    wrong = objects.http_echo(readinessProbe={"httpGet": {"path": "/missing", "port": "http"}})
    cluster.apply(pod("right", web), pod("wrong", wrong))
    cluster.wait_ready("right")
    cluster.wait_for(
        lambda: (
            "Readiness probe failed: HTTP probe failed with statuscode: 404"
            in [message for _, message in cluster.events("wrong")]
        ),
        what="why it is not ready",
    )


def test_init_containers_run_one_after_the_other_before_the_others(cluster):
    mounts = [{"name": "work", "mountPath": "/work"}]
    inits = [
        shell(f"echo {name} >> /work/order; sleep 1", name=name, volumeMounts=mounts)
        for name in ("one", "two")
    ]
    main = shell("cat /work/order; sleep 600", volumeMounts=mounts)
    cluster.apply(pod("p", main, initContainers=inits, volumes=[{"name": "work", "emptyDir": {}}]))
    cluster.wait_for(lambda: "Init:1/2" in cluster.kubectl("get", "pod", "p"), pause=0.1)
    cluster.wait_ready("p")
    assert cluster.kubectl("logs", "p") == "one\ntwo\n"
    assert cluster.kubectl("logs", "p", "-c", "one") == ""


def test_an_init_container_that_fails_keeps_the_pod_from_starting(cluster):
    cluster.apply(
        pod("p", initContainers=[shell("exit 4", name="bad")]),
        pod("q", initContainers=[shell("exit 4", name="bad")], restartPolicy="Never"),
    )
    cluster.wait_for(lambda: "Init:CrashLoopBackOff" in cluster.kubectl("get", "pod", "p"))
    cluster.wait_phase("q", "Failed")
    assert "Init:Error" in cluster.kubectl("get", "pod", "q")


def test_config_maps_and_secrets_are_files_and_change_where_they_are_used(cluster):
    cluster.kubectl("create", "secret", "generic", "s", "--from-literal=password=swordfish")
    cluster.apply(objects.config_map("c", **{"a.txt": "first\n", "b.txt": "unused"}))
    labels = {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}
    volumes = [
        {"name": "c", "configMap": {"name": "c", "items": [{"key": "a.txt", "path": "d/a"}]}},
        {"name": "s", "secret": {"secretName": "s", "defaultMode": 0o400}},
        {"name": "o", "configMap": {"name": "missing", "optional": True}},
        {"name": "l", "downwardAPI": {"items": [labels]}},
    ]
    mounts = [{"name": v["name"], "mountPath": f"/{v['name']}"} for v in volumes]
    cluster.apply(pod("p", container(volumeMounts=mounts), volumes=volumes))
    cluster.wait_ready("p")
    assert cluster.execute("p", "cat", "/c/d/a", "/s/password") == "first\nswordfish"
    assert cluster.execute("p", "ls", "/c", "/o") == "/c:\nd\n\n/o:\n"
    assert cluster.execute("p", "stat", "-L", "-c", "%a", "/s/password") == "400\n"
    assert "Read-only" in cluster.refusal("exec", "p", "--", "touch", "/c/new")

    cluster.apply(objects.config_map("c", **{"a.txt": "second\n"}))
    cluster.kubectl("label", "pod", "p", "more=yes")
    changed = 'second\napp="p"\nmore="yes"'
    cluster.wait_for(
        lambda: cluster.execute("p", "cat", "/c/d/a", "/l/labels").strip() == changed,
        seconds=100,
        pause=1,
    )


def test_a_pod_waits_for_a_config_map_that_is_not_there_yet(cluster):
    volumes = [{"name": "c", "configMap": {"name": "later"}}]
    mounts = [{"name": "c", "mountPath": "/c"}]
    cluster.apply(pod("p", container(volumeMounts=mounts), volumes=volumes))
    cluster.wait_for(
        lambda: any(
            reason == "FailedMount" and 'configmap "later" not found' in message
            for reason, message in cluster.events("p")
        ),
        what="the event",
    )
    cluster.wait_for(lambda: "ContainerCreating" in cluster.kubectl("get", "pod", "p"), seconds=5)
    cluster.apply(objects.config_map("later", key="1"))
    cluster.wait_ready("p", seconds=60)
    assert cluster.execute("p", "cat", "/c/key") == "1"


def test_containers_of_a_pod_share_volumes_memory_network_and_host_paths(cluster):
    volumes = [
        {"name": "disk", "emptyDir": {}},
        {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "8Mi"}},
        {"name": "host", "hostPath": {"path": "/var/lib/shown", "type": "DirectoryOrCreate"}},
    ]
    mounts = [{"name": v["name"], "mountPath": f"/{v['name']}"} for v in volumes]
    writer = shell(
        "echo disk > /disk/f; echo memory > /memory/f; echo host > /host/f; sleep 600",
        name="writer",
        volumeMounts=mounts,
    )
    reader = objects.http_echo(
        name="reader", volumeMounts=[*mounts[:2], {**mounts[2], "readOnly": True}]
    )
    cluster.apply(pod("p", writer, reader, volumes=volumes))
    cluster.wait_ready("p")
    read = ["exec", "p", "-c", "reader", "--"]
    assert cluster.kubectl(*read, "cat", "/disk/f", "/memory/f", "/host/f") == (
        "disk\nmemory\nhost\n"
    )
    assert "tmpfs" in cluster.kubectl(*read, "sh", "-c", "grep ' /memory ' /proc/mounts")
    assert "Read-only" in cluster.refusal(*read, "touch", "/host/new")
    local = ["exec", "p", "-c", "writer", "--", "wget", "-qO-", f"http://127.0.0.1:{echo.PORT}/"]
    assert cluster.kubectl(*local) == "ok\n"
    node = cluster.node(cluster.get("pod", "p")["spec"]["nodeName"])
    assert node.exec("cat", "/var/lib/shown/f") == "host\n"


def test_the_token_in_a_pod_opens_the_api_as_its_service_account(cluster):
    script = """
import json, os, ssl, urllib.error, urllib.request
here = "/var/run/secrets/kubernetes.io/serviceaccount/"
token, namespace = open(here + "token").read(), open(here + "namespace").read()
context = ssl.create_default_context(cafile=here + "ca.crt")
def get(host, path):
    headers = {"Authorization": "Bearer " + token}
    request = urllib.request.Request("https://" + host + path, headers=headers)
    try:
        return json.load(urllib.request.urlopen(request, context=context))
    except urllib.error.HTTPError as refused:
        return json.load(refused)
path = "/api/v1/namespaces/" + namespace + "/configmaps"
hosts = ["kubernetes.default", "kubernetes.default.svc.cluster.local",
         os.environ["KUBERNETES_SERVICE_HOST"] + ":" + os.environ["KUBERNETES_SERVICE_PORT"]]
print(json.dumps([get(host, path)["kind"] for host in hosts]
                 + [get(hosts[0], "/api/v1/secrets")["message"]]))
"""
    cluster.kubectl("create", "serviceaccount", "robot")
    cluster.kubectl("create", "role", "reader", "--verb=list", "--resource=configmaps")
    robot = f"{cluster.namespace}:robot"
    cluster.kubectl("create", "rolebinding", "r", "--role=reader", f"--serviceaccount={robot}")
    main = container("python3", "-c", script, image=python.NAME)
    cluster.apply(pod("p", main, serviceAccountName="robot", restartPolicy="Never"))
    cluster.wait_phase("p", "Succeeded")
    *kinds, refused = json.loads(cluster.kubectl("logs", "p"))
    assert kinds == ["ConfigMapList"] * 3
    assert f'User "system:serviceaccount:{robot}" cannot list resource "secrets"' in refused


def test_projected_volumes_put_everything_into_one_folder(cluster):
    cluster.apply(objects.config_map("c", key="from the map"))
    sources = [
        {"configMap": {"name": "c"}},
        {"serviceAccountToken": {"path": "token", "audience": "vault", "expirationSeconds": 600}},
        {
            "downwardAPI": {
                "items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]
            }
        },
    ]
    main = container(volumeMounts=[{"name": "all", "mountPath": "/all"}])
    cluster.apply(pod("p", main, volumes=[{"name": "all", "projected": {"sources": sources}}]))
    cluster.wait_ready("p")
    assert cluster.execute("p", "ls", "/all").split() == ["key", "labels", "token"]
    assert cluster.execute("p", "cat", "/all/labels").strip() == 'app="p"'
    assert len(cluster.execute("p", "cat", "/all/token").split(".")) == 3


def test_the_environment_comes_from_everywhere(cluster):
    cluster.apply(objects.config_map("c", FROM_MAP="map", OTHER="other"))
    cluster.kubectl("create", "secret", "generic", "s", "--from-literal=SECRET=hidden")
    field = {"NAME": "metadata.name", "NODE": "spec.nodeName", "IP": "status.podIP"}
    env = [
        {"name": "PLAIN", "value": "plain"},
        {"name": "BUILT", "value": "$(PLAIN)-$(FROM_MAP)-$$(PLAIN)"},
        {"name": "KEY", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "OTHER"}}},
        {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "s", "key": "SECRET"}}},
        {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
        *(
            {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
            for name, path in field.items()
        ),
    ]
    sources = [{"configMapRef": {"name": "c"}}, {"secretRef": {"name": "s"}, "prefix": "P_"}]
    limits = {"limits": {"cpu": "2", "memory": "32Mi"}}
    cluster.apply(pod("p", container(env=env, envFrom=sources, resources=limits)))
    cluster.wait_ready("p")
    said = cluster.execute("p", "env")
    found = dict(line.split("=", 1) for line in said.splitlines())
    one = cluster.get("pod", "p")
    wanted = {
        "PLAIN": "plain",
        "BUILT": "plain-map-$(PLAIN)",
        "KEY": "other",
        "PASSWORD": "hidden",
        "FROM_MAP": "map",
        "P_SECRET": "hidden",
        "CPU": "2",
        "NAME": "p",
        "HOSTNAME": "p",
        "NODE": one["spec"]["nodeName"],
        "IP": one["status"]["podIP"],
        "KUBERNETES_SERVICE_HOST": "10.43.0.1",
        "KUBERNETES_SERVICE_PORT": "443",
    }
    assert {name: found.get(name) for name in wanted} == wanted


def test_a_container_that_takes_too_much_memory_is_killed_for_that(cluster):
    hog = shell(
        "dd if=/dev/zero of=/dev/null bs=200M count=1", resources={"limits": {"memory": "32Mi"}}
    )
    cluster.apply(pod("p", hog, restartPolicy="Never"))
    found = cluster.wait_phase("p", "Failed")["status"]["containerStatuses"][0]
    ended = found["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (137, "OOMKilled")
    assert "OOMKilled" in cluster.kubectl("get", "pod", "p")


def test_limits_hold_and_requests_are_counted(cluster):
    busy = container(resources={"requests": {"cpu": "100m"}, "limits": {"cpu": "100m"}})
    cluster.apply(pod("p", busy))
    cluster.wait_ready("p")
    # A tenth of a core for 2 s of wanting all of it: 0.2 s, and some way over for the start.
    script = "timeout 2 sh -c 'while :; do :; done'; cat /proc/self/stat | cut -d' ' -f16,17"
    user, system = map(int, cluster.execute("p", "sh", "-c", script).split()[-2:])
    assert user + system < 80  # hundredths of a second
    assert cluster.get("pod", "p")["status"]["qosClass"] == "Burstable"


def test_a_pod_that_fits_nowhere_says_why(cluster):
    big = container(resources={"requests": {"cpu": "999"}})
    cluster.apply(pod("big", big), pod("picky", nodeSelector={"colour": "green"}), pod("fine"))
    cluster.wait_ready("fine")
    cluster.wait_for(lambda: "FailedScheduling" in reasons(cluster, "big"), what="the event")
    [scheduled] = [
        c for c in cluster.get("pod", "big")["status"]["conditions"] if c["type"] == "PodScheduled"
    ]
    assert scheduled["reason"] == "Unschedulable"
    assert "0/2 nodes are available: 2 Insufficient cpu" in scheduled["message"]
    assert "Pending" in cluster.kubectl("get", "pod", "picky")
    cluster.kubectl("label", "node", "pi2", "colour=green")
    try:
        cluster.wait_ready("picky")
        assert cluster.get("pod", "picky")["spec"]["nodeName"] == "pi2"
    finally:
        cluster.kubectl("label", "node", "pi2", "colour-")


def test_a_pod_is_told_to_stop_and_given_its_time(cluster):
    goodbye = {"preStop": {"exec": {"command": ["sh", "-c", "date +%s > /there/prestop; sleep 1"]}}}
    polite = shell(
        "trap 'sleep 1; date +%s > /there/term; exit 0' TERM; touch /tmp/up; "
        "while :; do sleep 1 & wait; done",
        lifecycle=goodbye,
        volumeMounts=[{"name": "there", "mountPath": "/there"}],
        readinessProbe={"exec": {"command": ["test", "-e", "/tmp/up"]}, "periodSeconds": 1},
    )
    there = f"/var/lib/there-{cluster.namespace}"
    volumes = [{"name": "there", "hostPath": {"path": there, "type": "DirectoryOrCreate"}}]
    cluster.apply(pod("p", polite, volumes=volumes, terminationGracePeriodSeconds=30))
    cluster.wait_ready("p")
    node = cluster.node(cluster.get("pod", "p")["spec"]["nodeName"])
    cluster.kubectl("delete", "pod", "p", "--wait=false")
    cluster.wait_for(lambda: "Terminating" in cluster.kubectl("get", "pod", "p"), seconds=5)
    cluster.kubectl("wait", "pod/p", "--for=delete", "--timeout=30s")
    assert int(node.exec("cat", f"{there}/prestop")) < int(node.exec("cat", f"{there}/term"))


def test_a_pod_that_does_not_listen_is_killed_after_its_grace(cluster):
    deaf = shell("trap '' TERM; while :; do sleep 1; done")
    cluster.apply(pod("p", deaf, terminationGracePeriodSeconds=3), pod("q", deaf))
    cluster.wait_ready("p", "q")
    with cluster.running("delete", "pod", "p") as deleting:
        cluster.kubectl("delete", "pod", "q", "--grace-period=0", "--force")
        assert "NotFound" in cluster.refusal("get", "pod", "q")
        assert deleting.end(seconds=25) == 0


def test_an_image_that_does_not_exist_is_said_in_status_and_events(cluster):
    cluster.apply(pod("p", container(image=MISSING)))
    seen = set()

    def waiting():
        reason = state(cluster, "p")["state"]["waiting"]["reason"]
        seen.add(reason)
        return reason == "ImagePullBackOff"

    cluster.wait_for(waiting, seconds=60, pause=0.05)
    assert seen <= {"ContainerCreating", "ErrImagePull", "ImagePullBackOff"}
    assert (
        f'Back-off pulling image "{MISSING}"' in state(cluster, "p")["state"]["waiting"]["message"]
    )
    told = dict(cluster.events("p"))
    assert {"Pulling", "Failed", "BackOff"} <= set(told)
    assert cluster.get("pod", "p")["status"]["phase"] == "Pending"
    assert "ImagePull" in cluster.kubectl("describe", "pod", "p")


def test_an_image_that_must_not_be_pulled_and_is_not_there_is_said(cluster):
    cluster.apply(
        pod("p", container(image=MISSING, imagePullPolicy="Never")),
        pod("q", container(image="docker.io/library/UPPER:1")),
    )
    cluster.wait_for(
        lambda: state(cluster, "p")["state"]["waiting"]["reason"] == "ErrImageNeverPull"
    )
    cluster.wait_for(
        lambda: state(cluster, "q")["state"]["waiting"]["reason"] == "InvalidImageName"
    )


def test_a_command_that_does_not_exist_is_said_in_status_and_events(cluster):
    cluster.apply(pod("p", container("/no/such/program"), restartPolicy="Never"))
    found = cluster.wait_phase("p", "Failed")["status"]["containerStatuses"][0]
    ended = found["state"]["terminated"]
    assert ended["reason"] in ("StartError", "ContainerCannotRun")
    assert "/no/such/program" in ended["message"]
    cluster.wait_for(
        lambda: any("/no/such/program" in m for r, m in cluster.events("p") if r == "Failed"),
        what="the event",
    )


def test_a_container_runs_as_whom_and_with_what_it_may(cluster):
    secure = container(
        securityContext={
            "runAsUser": 1234,
            "runAsGroup": 5678,
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
        workingDir="/tmp",
        volumeMounts=[{"name": "tmp", "mountPath": "/tmp"}],
    )
    forbidden = container(securityContext={"runAsNonRoot": True})
    cluster.apply(
        pod(
            "p",
            secure,
            volumes=[{"name": "tmp", "emptyDir": {}}],
            securityContext={"fsGroup": 4321},
        ),
        pod("q", forbidden),
    )
    cluster.wait_ready("p")
    assert cluster.execute("p", "sh", "-c", "id -u; id -g; pwd; touch f; stat -c %g f").split() == [
        *("1234", "5678", "/tmp", "4321")
    ]
    assert "Read-only" in cluster.refusal("exec", "p", "--", "touch", "/file")
    assert "CapEff:\t0000000000000000" in cluster.execute("p", "cat", "/proc/self/status")
    cluster.wait_for(
        lambda: state(cluster, "q")["state"]["waiting"]["reason"] == "CreateContainerConfigError"
    )


def test_pods_see_their_names_and_hosts(cluster):
    own = pod("p", hostAliases=[{"ip": "192.0.2.7", "hostnames": ["printer"]}])
    own["spec"] |= {"hostname": "special", "subdomain": "sub"}
    shared = pod("h", container("hostname"), hostNetwork=True, restartPolicy="Never")
    cluster.apply(own, shared)
    cluster.wait_ready("p")
    hosts = cluster.execute("p", "cat", "/etc/hosts")
    assert "192.0.2.7\tprinter" in hosts
    assert f"special.sub.{cluster.namespace}.svc.cluster.local\tspecial" in hosts
    resolver = cluster.execute("p", "cat", "/etc/resolv.conf")
    assert (
        f"search {cluster.namespace}.svc.cluster.local svc.cluster.local cluster.local" in resolver
    )
    assert "nameserver 10.43.0.10" in resolver
    assert cluster.execute("p", "hostname") == "special\n"
    ended = cluster.wait_phase("h", "Succeeded")
    assert ended["status"]["podIP"] == ended["status"]["hostIP"]
    assert cluster.kubectl("logs", "h").strip() == ended["spec"]["nodeName"]


def test_processes_of_a_pod_see_each_other_when_they_share(cluster):
    cluster.apply(
        pod("p", container(name="a"), shell("sleep 600", name="b"), shareProcessNamespace=True)
    )
    cluster.wait_ready("p")
    assert "sleep 600" in cluster.kubectl("exec", "p", "-c", "a", "--", "ps")


def test_the_last_words_of_a_container_are_its_message(cluster):
    cluster.apply(
        pod("p", shell("echo last words > /dev/termination-log; exit 1"), restartPolicy="Never"),
        pod(
            "q",
            shell("echo from the log; exit 1", terminationMessagePolicy="FallbackToLogsOnError"),
            restartPolicy="Never",
        ),
    )
    for name, message in (("p", "last words\n"), ("q", "from the log\n")):
        ended = cluster.wait_phase(name, "Failed")["status"]["containerStatuses"][0]
        assert ended["state"]["terminated"]["message"] == message


def test_the_image_is_used_as_it_is_when_the_pod_says_nothing(cluster):
    cluster.apply(pod("p", {"name": "main", "image": echo.NAME}))
    cluster.kubectl("run", "q", f"--image={BUSYBOX}", "--restart=Never", "--", "echo", "hello")
    cluster.wait_ready("p")
    found = state(cluster, "p")
    assert found["image"] == echo.NAME
    assert "sha256:" in found["imageID"]
    assert cluster.execute("p", "wget", "-qO-", "http://127.0.0.1:8080/") == "ok\n"
    cluster.wait_phase("q", "Succeeded")
    assert cluster.kubectl("logs", "q") == "hello\n"


# How the claims are looked into.


def state(cluster, name):
    """The status of a pod's first container. Raises LookupError before it has one."""
    return cluster.get("pod", name)["status"]["containerStatuses"][0]


def reasons(cluster, name):
    return [reason for reason, _ in cluster.events(name)]


def ready_endpoints(cluster, service):
    slices = cluster.get("endpointslices", "-l", f"kubernetes.io/service-name={service}")
    found = [e for s in slices for e in s["endpoints"] or () if e["conditions"]["ready"]]
    return [address for e in found for address in e["addresses"]]


def container_pid(node, container_id):
    """The pid, on the node, of a container's first process."""
    identity = container_id.removeprefix("podman://")
    script = f"find /sys/fs/cgroup -path '*{identity}*' -name cgroup.procs ! -path '*conmon*'"
    return node.exec("sh", "-c", f"cat $({script}) | sort -n | head -1").strip()
