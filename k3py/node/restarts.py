"""Crash loops: whether, when and as which attempt a container is started again.

    ends at once    0 s   10 s   20 s   40 s … 300 s
    ran 10 minutes  0 s   10 s  (the series begins again)

The delay stands in a label of the container that ended, so nothing need be remembered.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from k3py.api.objects import Object
from k3py.kinds.core import pod as pods
from k3py.node.runtime.runtime import Container
from k3py.node.seen import Seen, old_status, role

FIRST_SECONDS = 10
LONGEST_SECONDS = 300
FORGET_AFTER = timedelta(seconds=600)


@dataclass(frozen=True)
class Attempt:
    """A start to be made: its number, and what its container's end will cost."""

    number: int
    back_off: int = 0


def should_restart(pod: Object, container: Object, ended: Container) -> bool:
    """Whether the container's own policy, or its pod's, wants it to run again."""
    for rule in container.get("restartPolicyRules") or ():
        codes = rule.get("exitCodes") or {}
        listed = ended.exit_code in (codes.get("values") or ())
        if rule.get("action") == "Restart" and listed is (codes.get("operator") == "In"):
            return True
    match policy(pod, container):
        case "Never":
            return False
        case "OnFailure":
            return ended.exit_code != 0
        case _:
            return True


def policy(pod: Object, container: Object) -> str:
    """Always, OnFailure or Never. An init container of an Always pod needs success only."""
    own = container.get("restartPolicy")
    found = str(own or pod["spec"].get("restartPolicy", "Always"))
    is_init = role(pod, container["name"]).value == "init"
    return (
        "OnFailure" if is_init and found == "Always" and not pods.is_sidecar(container) else found
    )


def delay(ended: Container) -> timedelta:
    """How long after its end a container waits for the next attempt."""
    if ended.finished is None or _ran_long(ended):
        return timedelta(0)
    return timedelta(seconds=ended.back_off)


def due(ended: Container, now: datetime) -> datetime:
    """When the next attempt may start. An end in the future was seen by a clock since set back."""
    return min(ended.finished, now) + delay(ended) if ended.finished else now


def attempt(pod: Object, seen: Seen, name: str) -> Attempt:
    """The next attempt at a container.

    Containers that a reboot or a clean-up took away are still counted in the status.
    """
    latest = seen.latest(name)
    if latest:
        return Attempt(latest.attempt + 1, _next_back_off(latest))
    said = old_status(pod, name)
    if said and said.get("containerID"):
        return Attempt(said.get("restartCount", 0) + 1, FIRST_SECONDS)
    return Attempt(said.get("restartCount", 0) if said else 0)


def _next_back_off(ended: Container) -> int:
    if _ran_long(ended) or not ended.back_off:
        return FIRST_SECONDS
    return min(LONGEST_SECONDS, 2 * ended.back_off)


def _ran_long(ended: Container) -> bool:
    if ended.started is None or ended.finished is None:
        return False
    return ended.finished - ended.started >= FORGET_AFTER
