"""A container of a pod becomes exactly what Podman must be told."""

from dataclasses import replace
from pathlib import Path

import pytest

from k3py.node.runtime import specs
from k3py.node.runtime.runtime import Image
from k3py.node.runtime.specs import Given, Mount, Place, Refused, expand

from .arrange import container, pod

PLACE = Place("box", Path("/run/net"), Path("/run/ipc"), "web", {"/etc/hosts": Path("/d/hosts")})
IMAGE = Image("sha", "busybox@sha256:1", command=("/bin/sh",))
GIVEN = Given(PLACE, IMAGE, "busybox:1", {"NAME": "x"}, cgroup="/k3py/besteffort/poduid-web")


def body(a_container=None, given=GIVEN, **spec):
    a_container = a_container or container()
    return specs.spec(pod(a_container, **spec), a_container, given).body


def test_names_labels_and_log():
    made = specs.spec(pod(), container(), replace(GIVEN, attempt=3, back_off=20))
    assert made.name == "app_3_uid-web"
    assert made.labels["io.k3py.attempt"] == "3"
    assert made.labels["io.k3py.back-off"] == "20"
    assert made.log == "/var/log/pods/home_web_uid-web/app/3.log"


def test_the_pods_namespaces_are_joined_by_path():
    made = body()
    assert made["netns"] == {"nsmode": "path", "value": "/run/net"}
    assert made["ipcns"] == {"nsmode": "path", "value": "/run/ipc"}
    assert made["hostname"] == "web"
    assert "pidns" not in made


def test_the_hosts_namespaces():
    made = body(
        given=replace(GIVEN, place=replace(PLACE, net=None, ipc=None)), hostNetwork=True,
        hostPID=True,
    )  # fmt: skip
    assert made["netns"] == made["ipcns"] == made["pidns"] == made["utsns"] == {"nsmode": "host"}
    assert "hostname" not in made


def test_a_shared_process_namespace_is_the_infra_containers():
    made = body(given=replace(GIVEN, infra=77), shareProcessNamespace=True)
    assert made["pidns"] == {"nsmode": "path", "value": "/proc/77/ns/pid"}


@pytest.mark.parametrize(
    ("said", "entrypoint", "command"),
    [
        ({}, None, None),
        ({"command": ["a", "$(NAME)"]}, ["a", "x"], []),
        ({"args": ["b"]}, None, ["b"]),
        ({"command": ["a"], "args": ["$(NAME)"]}, ["a"], ["x"]),
    ],
)
def test_command_and_args(said, entrypoint, command):
    made = body(container(**said))
    assert (made.get("entrypoint"), made.get("command")) == (entrypoint, command)


def test_an_image_without_a_command_needs_one():
    with pytest.raises(Refused, match="no command specified"):
        body(given=replace(GIVEN, image=Image("sha", "x")))


@pytest.mark.parametrize(
    ("text", "expanded"),
    [("$(A)-$(B)", "1-$(B)"), ("$$(A)", "$(A)"), ("$A $", "$A $"), ("$(A", "$(A"), ("$$$(A)", "$1"),
     ("", "")],
)  # fmt: skip
def test_expansion(text, expanded):
    assert expand(text, {"A": "1"}) == expanded


def test_mounts_cover_the_pods_own_files():
    volume = Mount(Path("/v"), "/etc/hosts", read_only=True, propagation="HostToContainer")
    assert body(given=replace(GIVEN, mounts=(volume,)))["mounts"] == [
        {
            "type": "bind",
            "source": "/v",
            "destination": "/etc/hosts",
            "options": ["rbind", "ro", "rslave"],
        }
    ]
    assert [m["source"] for m in body()["mounts"]] == ["/d/hosts"]


def test_resources():
    wanted = {"requests": {"cpu": "250m"}, "limits": {"cpu": "1500m", "memory": "64Mi"}}
    assert body(container(resources=wanted))["resource_limits"] == {
        "cpu": {"shares": 256, "quota": 150_000, "period": 100_000},
        "memory": {"limit": 64 << 20, "swap": 64 << 20},
    }
    assert body()["resource_limits"] == {"cpu": {"shares": 2}}
    without = replace(GIVEN, limits_swap=False)
    assert body(container(resources=wanted), without)["resource_limits"]["memory"] == {
        "limit": 64 << 20
    }
    none = replace(GIVEN, limits_memory=False)
    assert "memory" not in body(container(resources=wanted), none)["resource_limits"]


def test_capabilities_are_those_of_containerd():
    assert body()["cap_add"] == ["NET_RAW", "MKNOD", "AUDIT_WRITE"]
    wanted = {"capabilities": {"add": ["CAP_NET_ADMIN"], "drop": ["NET_RAW"]}}
    made = body(container(securityContext=wanted))
    assert made["cap_add"] == ["MKNOD", "AUDIT_WRITE", "NET_ADMIN"]
    assert made["cap_drop"] == ["NET_RAW"]
    made = body(container(securityContext={"capabilities": {"drop": ["ALL"]}}))
    assert (made["cap_add"], made["cap_drop"]) == ([], ["ALL"])
    made = body(container(securityContext={"privileged": True}))
    assert made["privileged"]
    assert "cap_add" not in made


@pytest.mark.parametrize(
    ("settings", "user"),
    [
        ({}, "app"),
        ({"runAsUser": 7}, "7"),
        ({"runAsUser": 7, "runAsGroup": 8}, "7:8"),
        ({"runAsGroup": 8}, "app:8"),
        ({"runAsUser": 0}, "0"),
    ],
)
def test_users(settings, user):
    given = replace(GIVEN, image=replace(IMAGE, user="app"))
    assert body(given=given, securityContext=settings)["user"] == user


@pytest.mark.parametrize(
    ("settings", "image_user", "why"),
    [
        ({}, "", "container has runAsNonRoot and image will run as root"),
        ({}, "app", "image has non-numeric user"),
        ({"runAsUser": 0}, "1000", "container's runAsUser breaks non-root policy"),
    ],
)
def test_root_is_refused_where_the_pod_says_so(settings, image_user, why):
    given = replace(GIVEN, image=replace(IMAGE, user=image_user))
    with pytest.raises(Refused, match=why):
        body(given=given, securityContext={"runAsNonRoot": True, **settings})


def test_groups_and_privileges():
    context = {"fsGroup": 5, "supplementalGroups": [6, 5]}
    assert body(securityContext=context)["groups"] == ["6", "5"]
    assert body(container(securityContext={"allowPrivilegeEscalation": False}))["no_new_privileges"]
    assert body()["seccomp_profile_path"] == "unconfined"
    profile = {"seccompProfile": {"type": "RuntimeDefault"}}
    assert body(securityContext=profile)["seccomp_profile_path"] == ""


def test_only_the_image_of_a_running_container_may_change_in_place():
    assert specs.digest(container()) == specs.digest(container(args=["x"]))
    assert specs.digest(container()) != specs.digest(container(image="other"))
