"""What a type of volume is, and what it may use."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from k3py.api.kind import Kind
from k3py.api.objects import Key, Object
from k3py.node.environment import Facts
from k3py.node.sources import Token


class VolumeProblem(Exception):
    """The volume cannot be had (yet); the message is Kubernetes'."""


class Sources(Protocol):
    """Where the content of volumes comes from. Raises errors.ApiError."""

    def get(self, kind: Kind, key: Key) -> Object: ...
    def token(self, pod: Object, audience: str, seconds: int) -> Token: ...


@dataclass(frozen=True)
class Request:
    """One volume of one pod. `disk` and `memory` are folders for it alone, not yet made."""

    pod: Object
    name: str
    source: Object
    disk: Path
    memory: Path
    sources: Sources
    facts: Facts
    now: datetime

    @property
    def group(self) -> int | None:
        """The pod's fsGroup, to which the files shall belong."""
        context = self.pod["spec"].get("securityContext") or {}
        found: int | None = context.get("fsGroup")
        return found


class Volume(Protocol):
    def prepare(self, request: Request) -> Path:
        """The folder (or file) to mount, ready. Doing it again brings it up to date.

        Raises VolumeProblem, errors.ApiError, OSError.
        """

    def is_live(self, source: Object) -> bool:
        """Whether its content may change while the pod runs, so that `prepare` must come again."""
