"""What is wrong with a container's probes and lifecycle hooks."""

from collections.abc import Iterator
from typing import Any

from k3py.api.kind import Problem
from k3py.api.objects import Object
from k3py.kinds import problems as wrong

_NUMBERS = (
    "initialDelaySeconds",
    "timeoutSeconds",
    "periodSeconds",
    "successThreshold",
    "failureThreshold",
)
_PROBE_ACTIONS = ("exec", "httpGet", "tcpSocket", "grpc")
_HOOK_ACTIONS = ("exec", "httpGet", "tcpSocket", "sleep")


def problems(container: Object, path: str) -> Iterator[Problem]:
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if (probe := container.get(name)) is not None:
            yield from _probe(probe, f"{path}.{name}", once=name != "readinessProbe")
    for name in ("postStart", "preStop"):
        if (hook := (container.get("lifecycle") or {}).get(name)) is not None:
            yield from _action(hook, f"{path}.lifecycle.{name}", _HOOK_ACTIONS)


def _probe(probe: Object, path: str, *, once: bool) -> Iterator[Problem]:
    """`once`: one success is all that counts, as for liveness and startup."""
    yield from _action(probe, path, _PROBE_ACTIONS)
    for name in _NUMBERS:
        yield from wrong.not_negative(f"{path}.{name}", probe.get(name))
    grace = probe.get("terminationGracePeriodSeconds")
    if once:
        if probe.get("successThreshold", 1) != 1:
            yield wrong.invalid(f"{path}.successThreshold", probe["successThreshold"], "must be 1")
        if grace is not None and grace <= 0:
            yield wrong.invalid(
                f"{path}.terminationGracePeriodSeconds", grace, "must be greater than 0"
            )
    elif grace is not None:
        yield wrong.invalid(
            f"{path}.terminationGracePeriodSeconds", grace, "must not be set for readinessProbes"
        )


def _action(action: Object, path: str, kinds: tuple[str, ...]) -> Iterator[Problem]:
    given = [name for name in kinds if action.get(name) is not None]
    if not given:
        yield wrong.required(path, "must specify a handler type")
    for name in given[1:]:
        yield wrong.forbidden(f"{path}.{name}", "may not specify more than 1 handler type")
    for name in given[:1]:
        yield from _handler(name, action[name], f"{path}.{name}")


def _handler(name: str, handler: Object, path: str) -> Iterator[Problem]:
    match name:
        case "exec":
            if not handler.get("command"):
                yield wrong.required(f"{path}.command")
        case "httpGet":
            if not handler.get("path"):
                yield wrong.required(f"{path}.path")
            yield from _port(handler.get("port"), f"{path}.port")
            yield from wrong.one_of(f"{path}.scheme", handler.get("scheme"), ("HTTP", "HTTPS"))
            for index, header in enumerate(handler.get("httpHeaders") or ()):
                if not header.get("name"):
                    yield wrong.required(f"{path}.httpHeaders[{index}].name")
        case "tcpSocket" | "grpc":
            yield from _port(handler.get("port"), f"{path}.port")
        case "sleep":
            if (handler.get("seconds") or 0) < 0:
                yield wrong.invalid(f"{path}.seconds", handler["seconds"], wrong.NOT_NEGATIVE)


def _port(port: Any, path: str) -> Iterator[Problem]:
    if isinstance(port, str):
        if why := wrong.port_name_problem(port):
            yield wrong.invalid(path, port, why)
    else:
        yield from wrong.port(path, port)
