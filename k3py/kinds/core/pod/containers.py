"""What is wrong with a pod's containers: each by itself, and all of them together."""

from collections.abc import Iterator, Mapping, Set
from typing import Any

from k3py.api import labels, quantities
from k3py.api.kind import Problem
from k3py.api.objects import Object
from k3py.kinds import problems as wrong
from k3py.kinds.core.pod import environment, probes

_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_MESSAGE_POLICIES = ("FallbackToLogsOnError", "File")
PROTOCOLS = ("SCTP", "TCP", "UDP")
_RESTART_POLICIES = ("Always", "Never", "OnFailure")
_STANDARD = ("cpu", "memory", "ephemeral-storage")
_QUANTITY = "quantities must match the regular expression "
_QUANTITY += "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
_MOST_ID = 2**31 - 1


def problems(spec: Object, field: str, volumes: Set[str]) -> Iterator[Problem]:
    """What is wrong with any container; `volumes` are the names they may mount."""
    main, init = spec.get("containers") or (), spec.get("initContainers") or ()
    if not main:
        yield wrong.required(f"{field}.containers")
    seen: set[str] = set()
    for name, every in (("containers", main), ("initContainers", init)):
        for index, container in enumerate(every):
            path = f"{field}.{name}[{index}]"
            yield from _container(container, path, volumes)
            yield from _role(container, path, is_init=name == "initContainers")
            if (own := container.get("name")) and own in seen:
                yield wrong.duplicate(f"{path}.name", own)
            seen.add(own or "")
    yield from _host_ports(spec, field)


def user_id(field: str, value: int | None) -> Iterator[Problem]:
    if value is not None and not 0 <= value <= _MOST_ID:
        yield wrong.invalid(field, value, f"must be between 0 and {_MOST_ID}, inclusive")


def amount_problems(amounts: Mapping[str, Any] | None, field: str) -> Iterator[Problem]:
    """What is wrong with each of the quantities in a resource list."""
    for name, amount in (amounts or {}).items():
        path = f"{field}[{name}]"
        yield from _resource_name(name, path)
        if not quantities.is_quantity(amount):
            yield wrong.invalid(path, amount, _QUANTITY)
        elif quantities.parse(amount) < 0:
            yield wrong.invalid(path, amount, wrong.NOT_NEGATIVE)
        elif not _may_be_fraction(name) and quantities.millis(amount) % 1000:
            yield wrong.invalid(path, amount, "must be an integer")


def _container(container: Object, path: str, volumes: Set[str]) -> Iterator[Problem]:
    yield from wrong.named(f"{path}.name", container.get("name"))
    image = container.get("image") or ""
    if not image:
        yield wrong.required(f"{path}.image")
    elif image != image.strip():
        yield wrong.invalid(f"{path}.image", image, "must not have leading or trailing whitespace")
    yield from wrong.one_of(
        f"{path}.imagePullPolicy", container.get("imagePullPolicy"), _PULL_POLICIES
    )
    yield from wrong.one_of(
        f"{path}.terminationMessagePolicy",
        container.get("terminationMessagePolicy"),
        _MESSAGE_POLICIES,
    )
    yield from _ports(container.get("ports") or (), f"{path}.ports")
    yield from environment.problems(container, path)
    yield from _mounts(container, path, volumes)
    yield from _resources(container.get("resources") or {}, f"{path}.resources")
    yield from _security(container.get("securityContext") or {}, f"{path}.securityContext")


def _role(container: Object, path: str, *, is_init: bool) -> Iterator[Problem]:
    """What depends on whether a container initializes, runs, or does both."""
    policy = container.get("restartPolicy")
    if policy and policy not in _RESTART_POLICIES:
        yield wrong.unsupported(f"{path}.restartPolicy", policy, _RESTART_POLICIES)
    if not is_init or policy == "Always":
        yield from probes.problems(container, path)
        return
    for name in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe"):
        if container.get(name):
            yield wrong.forbidden(
                f"{path}.{name}", "may not be set for init containers without restartPolicy=Always"
            )


def _ports(ports: Any, field: str) -> Iterator[Problem]:
    named = [(f"[{i}].name", p["name"]) for i, p in enumerate(ports) if p.get("name")]
    yield from wrong.unique(field, named)
    for index, port in enumerate(ports):
        path = f"{field}[{index}]"
        if port.get("name") and (why := wrong.port_name_problem(port["name"])):
            yield wrong.invalid(f"{path}.name", port["name"], why)
        if not port.get("containerPort"):
            yield wrong.required(f"{path}.containerPort")
        else:
            yield from wrong.port(f"{path}.containerPort", port["containerPort"])
        if port.get("hostPort"):
            yield from wrong.port(f"{path}.hostPort", port["hostPort"])
        if port.get("hostIP"):
            yield from wrong.address(f"{path}.hostIP", port["hostIP"])
        yield from wrong.one_of(f"{path}.protocol", port.get("protocol"), PROTOCOLS)


def _host_ports(spec: Object, field: str) -> Iterator[Problem]:
    seen = set()
    for index, container in enumerate(spec.get("containers") or ()):
        for place, port in enumerate(container.get("ports") or ()):
            number = port.get("hostPort")
            if not number:
                continue
            path = f"{field}.containers[{index}].ports[{place}]"
            key = f"{port.get('protocol', '')}/{port.get('hostIP') or ''}/{number}"
            if key in seen:
                yield wrong.duplicate(f"{path}.hostPort", key)
            seen.add(key)
            if spec.get("hostNetwork") and number != port.get("containerPort"):
                yield wrong.invalid(
                    f"{path}.containerPort",
                    port.get("containerPort"),
                    "must match `hostPort` when `hostNetwork` is true",
                )


def _mounts(container: Object, path: str, volumes: Set[str]) -> Iterator[Problem]:
    mounted = set()
    for index, mount in enumerate(container.get("volumeMounts") or ()):
        where = f"{path}.volumeMounts[{index}]"
        name, target = mount.get("name"), mount.get("mountPath")
        if not name:
            yield wrong.required(f"{where}.name")
        elif name not in volumes:
            yield wrong.not_found(f"{where}.name", name)
        if not target:
            yield wrong.required(f"{where}.mountPath")
        elif target in mounted:
            yield wrong.invalid(f"{where}.mountPath", target, "must be unique")
        mounted.add(target)
        yield from _mount_options(container, mount, where)


def _mount_options(container: Object, mount: Object, where: str) -> Iterator[Problem]:
    if mount.get("subPath") and mount.get("subPathExpr"):
        yield wrong.invalid(
            f"{where}.subPathExpr",
            mount["subPathExpr"],
            "subPathExpr and subPath are mutually exclusive",
        )
    for name in ("subPath", "subPathExpr"):
        yield from local_path(f"{where}.{name}", mount.get(name))
    propagation = mount.get("mountPropagation")
    choices = ("None", "HostToContainer", "Bidirectional")
    if propagation and propagation not in choices:
        yield wrong.unsupported(f"{where}.mountPropagation", propagation, choices)
    privileged = (container.get("securityContext") or {}).get("privileged")
    if propagation == "Bidirectional" and not privileged:
        yield wrong.forbidden(
            f"{where}.mountPropagation",
            "Bidirectional mount propagation is available only to privileged containers",
        )


def local_path(field: str, path: str | None) -> Iterator[Problem]:
    """Unless `path` stays below where it starts."""
    if path and path.startswith("/"):
        yield wrong.invalid(field, path, "must be a relative path")
    if path and ".." in path.split("/"):
        yield wrong.invalid(field, path, "must not contain '..'")


def _resources(resources: Mapping[str, Any], field: str) -> Iterator[Problem]:
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    yield from amount_problems(limits, f"{field}.limits")
    yield from amount_problems(requests, f"{field}.requests")
    for name, asked in requests.items():
        limit = limits.get(name)
        if limit is None:
            if not _may_be_fraction(name):
                yield wrong.required(
                    f"{field}.limits", "Limit must be set for non overcommitable resources"
                )
        elif quantities.is_quantity(asked) and quantities.is_quantity(limit):
            yield from _within(name, asked, limit, f"{field}.requests")


def _within(name: str, asked: Any, limit: Any, field: str) -> Iterator[Problem]:
    if not _may_be_fraction(name) and quantities.parse(asked) != quantities.parse(limit):
        yield wrong.invalid(field, asked, f"must be equal to {name} limit of {limit}")
    elif quantities.parse(asked) > quantities.parse(limit):
        yield wrong.invalid(field, asked, f"must be less than or equal to {name} limit of {limit}")


def _resource_name(name: str, path: str) -> Iterator[Problem]:
    if not labels.is_key(name):
        yield wrong.invalid(path, name, wrong.KEY_RULE)
    elif "/" not in name and name not in _STANDARD and not name.startswith("hugepages-"):
        yield wrong.invalid(path, name, "must be a standard resource type or fully qualified")
        yield wrong.invalid(path, name, "must be a standard resource for containers")


def _may_be_fraction(name: str) -> bool:
    """Whether a resource can be shared out finely and promised twice (Kubernetes: overcommit)."""
    return "/" not in name and not name.startswith("hugepages-")


def _security(context: Mapping[str, Any], field: str) -> Iterator[Problem]:
    yield from user_id(f"{field}.runAsUser", context.get("runAsUser"))
    yield from user_id(f"{field}.runAsGroup", context.get("runAsGroup"))
    escalation = context.get("allowPrivilegeEscalation")
    if escalation is False and context.get("privileged"):
        yield wrong.invalid(
            field,
            dict(context),
            "cannot set `allowPrivilegeEscalation` to false and `privileged` to true",
        )
