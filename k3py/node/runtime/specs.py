"""From a container of a pod to what Podman must be told to make it: pure.

Kubernetes' defaults are those of containerd: its capabilities, no seccomp profile unless one
is named, and nothing of Podman's own (no DNS files, no init, no volumes of the image).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson

from k3py.api.objects import Object
from k3py.node import cgroups
from k3py.node.runtime.runtime import ContainerSpec, Image, Labels, Role

# What containerd grants and Podman does not.
MORE_CAPABILITIES = ("NET_RAW", "MKNOD", "AUDIT_WRITE")
PAUSE = "/pause"
INFRA_OOM_SCORE = -998
_NO_PROFILE = "unconfined"


class Refused(Exception):
    """The container's own settings contradict each other or the image."""


@dataclass(frozen=True)
class Place:
    """The pod's sandbox, as its containers see it."""

    id: str
    net: Path | None
    """None: the host's network."""
    ipc: Path | None
    hostname: str
    files: Mapping[str, Path]
    """Files and folders of the pod by where containers find them, for example /etc/hosts."""


@dataclass(frozen=True)
class Mount:
    """A volume or a file at its place. `propagation` is Kubernetes' word, "" for None."""

    source: Path
    target: str
    read_only: bool = False
    propagation: str = ""


@dataclass(frozen=True)
class Given:
    """All that a spec depends on besides the pod."""

    place: Place
    image: Image
    image_name: str
    environment: Mapping[str, str]
    mounts: tuple[Mount, ...] = ()
    role: Role = Role.APP
    attempt: int = 0
    back_off: int = 0
    infra: int = 0
    """Process 1 of the pod, where its containers share a process namespace.

    By its number, not by its container: Podman would then let nobody remove that one first.
    """
    cgroup: str = ""
    logs: Path = Path("/var/log/pods")
    machine_memory: int = 1 << 30
    limits_memory: bool = True
    limits_swap: bool = True
    least_oom_score: int = -1000
    """What this machine's agent has the right to give: without it less is an error."""


def spec(pod: Object, container: Object, given: Given) -> ContainerSpec:
    """Raises Refused."""
    metadata = pod["metadata"]
    labels = Labels(
        metadata["uid"],
        metadata["namespace"],
        metadata["name"],
        container["name"],
        given.role,
        given.attempt,
        given.back_off,
        digest(container),
        given.place.id,
        given.image_name,
        given.image.reference,
    ).as_dict()
    body = {
        "image": given.image.id,
        "env": dict(given.environment),
        "stdin": bool(container.get("stdin")),
        "terminal": bool(container.get("tty")),
        "mounts": _mounts(given),
        "cgroup_parent": given.cgroup,
        "oom_score_adj": max(
            cgroups.oom_score(pod, container, given.machine_memory), given.least_oom_score
        ),
        "resource_limits": _limits(container, given),
        "image_volume_mode": "tmpfs" if _read_only(container) else "anonymous",
        "use_image_hosts": True,
        "use_image_resolve_conf": True,
        "systemd": "false",
        "stop_timeout": 0,
        **_command(container, given),
        **_namespaces(pod, given),
        **_security(pod, container, given),
    }
    if container.get("workingDir"):
        body["work_dir"] = expand(container["workingDir"], given.environment)
    name = f"{container['name']}_{given.attempt}_{metadata['uid']}"
    return ContainerSpec(name, labels, body, str(log_file(given.logs, pod, container, given)))


def infra(pod: Object, given: Given, rootfs: Path) -> ContainerSpec:
    """The container that is process 1 of a pod with one process namespace.

    `rootfs` holds nothing but the program that waits, and the folders it is mounted on.
    """
    metadata = pod["metadata"]
    whose = Labels(
        metadata["uid"],
        metadata["namespace"],
        metadata["name"],
        "",
        Role.INFRA,
        given.attempt,
        sandbox=given.place.id,
    )
    body = {
        "rootfs": str(rootfs),
        "command": [PAUSE, "-P"],
        "cgroup_parent": given.cgroup,
        "oom_score_adj": max(INFRA_OOM_SCORE, given.least_oom_score),
        "use_image_hosts": True,
        "use_image_resolve_conf": True,
        "systemd": "false",
        "stop_timeout": 0,
        "read_only_filesystem": True,
        "read_write_tmpfs": False,
        **_namespaces(pod, given, shared=False),
    }
    return ContainerSpec(f"infra_{given.attempt}_{metadata['uid']}", whose.as_dict(), body)


def digest(container: Object) -> str:
    """Changes with whatever must restart the container: only the image may change in place."""
    wanted = {"name": container["name"], "image": container["image"]}
    return hashlib.sha256(orjson.dumps(wanted)).hexdigest()[:16]


def log_folder(logs: Path, pod: Object) -> Path:
    metadata = pod["metadata"]
    whole = f"{metadata['namespace']}_{metadata['name']}_{metadata['uid']}"
    return logs / whole


def log_file(logs: Path, pod: Object, container: Object, given: Given) -> Path:
    name: str = container["name"]
    return log_folder(logs, pod) / name / f"{given.attempt}.log"


def expand(text: str, environment: Mapping[str, str]) -> str:
    """`$(NAME)` becomes its value, `$$(NAME)` stays `$(NAME)`, unknown names stay as they are."""
    done, position = [], 0
    while (dollar := text.find("$", position)) >= 0 and dollar + 1 < len(text):
        done.append(text[position:dollar])
        following, position = text[dollar + 1], dollar + 2
        end = text.find(")", position)
        if following == "$":
            done.append("$")
        elif following == "(" and end >= 0:
            name, position = text[position:end], end + 1
            done.append(environment.get(name, f"$({name})"))
        else:
            done.append(f"${following}")
    return "".join(done) + text[position:]


def _command(container: Object, given: Given) -> Object:
    """Kubernetes' command replaces the image's entrypoint, and then its command is not used."""
    found: Object = {}
    if container.get("command"):
        found["entrypoint"] = [expand(c, given.environment) for c in container["command"]]
        found["command"] = []
    if container.get("args"):
        found["command"] = [expand(a, given.environment) for a in container["args"]]
    if not found and not given.image.command:
        raise Refused("no command specified")
    return found


def shares_processes(pod: Object) -> bool:
    return bool(pod["spec"].get("shareProcessNamespace")) and not pod["spec"].get("hostPID")


def _namespaces(pod: Object, given: Given, *, shared: bool = True) -> Object:
    spec, place = pod["spec"], given.place
    found: Object = {"netns": _by_path(place.net), "ipcns": _by_path(place.ipc)}
    if place.net is None:
        found["utsns"] = {"nsmode": "host"}
    else:
        found["hostname"] = place.hostname
    if spec.get("hostPID"):
        found["pidns"] = {"nsmode": "host"}
    elif shared and given.infra:
        found["pidns"] = _by_path(Path(f"/proc/{given.infra}/ns/pid"))
    return found


def _by_path(path: Path | None) -> Object:
    return {"nsmode": "host"} if path is None else {"nsmode": "path", "value": str(path)}


def _mounts(given: Given) -> list[Object]:
    """The pod's own files first, unless a volume of the container covers them."""
    covered = {m.target.rstrip("/") for m in given.mounts}
    own = tuple(
        Mount(source, target)
        for target, source in given.place.files.items()
        if target not in covered
    )
    return [_mount(m) for m in (*own, *given.mounts)]


def _mount(mount: Mount) -> Object:
    propagation = {"HostToContainer": "rslave", "Bidirectional": "rshared"}
    return {
        "type": "bind",
        "source": str(mount.source),
        "destination": mount.target,
        "options": [
            "rbind",
            "ro" if mount.read_only else "rw",
            propagation.get(mount.propagation, "rprivate"),
        ],
    }


def _limits(container: Object, given: Given) -> Object:
    wanted = cgroups.container_resources(container)
    cpu: Object = {"shares": wanted.cpu_shares}
    if wanted.cpu_quota:
        cpu |= {"quota": wanted.cpu_quota, "period": cgroups.CPU_PERIOD}
    found: Object = {"cpu": cpu}
    if wanted.memory and given.limits_memory:
        found["memory"] = {"limit": wanted.memory}
        if given.limits_swap:
            found["memory"]["swap"] = wanted.memory
    return found


# --- security


def _security(pod: Object, container: Object, given: Given) -> Object:
    settings = security(pod, container)
    found: Object = {
        "privileged": bool(settings.get("privileged")),
        "read_only_filesystem": bool(settings.get("readOnlyRootFilesystem")),
        "no_new_privileges": settings.get("allowPrivilegeEscalation") is False,
        "seccomp_profile_path": _seccomp(settings),
        **_user(pod, container, settings, given),
        **_capabilities(settings),
    }
    groups = list(settings.get("supplementalGroups") or ())
    if settings.get("fsGroup") is not None:
        groups.append(settings["fsGroup"])
    if groups:
        found["groups"] = [str(g) for g in dict.fromkeys(groups)]
    if settings.get("procMount") == "Unmasked":
        found["unmask"] = ["ALL"]
    profile = settings.get("appArmorProfile") or {}
    if profile.get("type") == "Unconfined":
        found["apparmor_profile"] = _NO_PROFILE
    elif profile.get("type") == "Localhost":
        found["apparmor_profile"] = profile["localhostProfile"]
    return found


def security(pod: Object, container: Object) -> Object:
    """The container's security settings over the pod's."""
    of_pod = pod["spec"].get("securityContext") or {}
    return {**of_pod, **(container.get("securityContext") or {})}


def _user(pod: Object, container: Object, settings: Object, given: Given) -> Object:
    user = settings.get("runAsUser")
    named = str(user) if user is not None else given.image.user
    if settings.get("runAsNonRoot"):
        _refuse_root(pod, container, user, given.image.user)
    group = settings.get("runAsGroup")
    if group is not None:
        named = f"{named.partition(':')[0] or '0'}:{group}"
    return {"user": named} if named else {}


def _refuse_root(pod: Object, container: Object, user: int | None, image_user: str) -> None:
    metadata = pod["metadata"]
    where = (
        f'(pod: "{metadata["name"]}_{metadata["namespace"]}({metadata["uid"]})", '
        f"container: {container['name']})"
    )
    if user is not None:
        if user == 0:
            raise Refused(f"container's runAsUser breaks non-root policy {where}")
        return
    name = image_user.partition(":")[0]
    if name in ("", "0"):
        raise Refused(f"container has runAsNonRoot and image will run as root {where}")
    if not name.isdigit():
        raise Refused(
            f"container has runAsNonRoot and image has non-numeric user ({name}), "
            f"cannot verify user is non-root {where}"
        )


def _capabilities(settings: Object) -> Object:
    if settings.get("privileged"):
        return {}
    wanted = settings.get("capabilities") or {}
    add = [_capability(c) for c in wanted.get("add") or ()]
    drop = [_capability(c) for c in wanted.get("drop") or ()]
    if "ALL" in drop:
        return {"cap_drop": ["ALL"], "cap_add": add}
    kept = [c for c in (*MORE_CAPABILITIES, *add) if c not in drop]
    return {"cap_add": list(dict.fromkeys(kept)), "cap_drop": drop}


def _capability(name: str) -> str:
    return name.upper().removeprefix("CAP_")


def _seccomp(settings: Object) -> str:
    profile = settings.get("seccompProfile") or {}
    match profile.get("type"):
        case "RuntimeDefault":
            return ""
        case "Localhost":
            return f"/var/lib/kubelet/seccomp/{profile['localhostProfile']}"
        case _:
            return _NO_PROFILE


def _read_only(container: Object) -> bool:
    return bool((container.get("securityContext") or {}).get("readOnlyRootFilesystem"))
