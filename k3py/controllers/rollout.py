"""How a Deployment gets from what runs to what is wanted: pure decisions.

Of each decision the answer is the sizes that its ReplicaSets should have now, by name, and
only where they differ. The arithmetic is that of Kubernetes' deployment controller.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import orjson

from k3py.api import meta, wellknown
from k3py.api.objects import Object
from k3py.kinds.apps import deployment as deployments

Sizes = dict[str, int]

_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_HASH_LENGTH = 10


class Aim(NamedTuple):
    """How many pods there should be, and how far a rollout may go above and below that."""

    replicas: int
    surge: int
    unavailable: int

    @property
    def most(self) -> int:
        return self.replicas + self.surge if self.replicas else 0


@dataclass(frozen=True)
class Part:
    """A ReplicaSet as a rollout sees it.

    `available` of its pods are. `aimed_at` and `most` are what the whole Deployment was to be
    when it was last sized: its replicas, and those with surge. None: it does not say.
    """

    name: str
    created: str
    replicas: int
    available: int = 0
    aimed_at: int | None = None
    most: int | None = None


def aim(deployment: Object) -> Aim:
    return Aim(
        deployment["spec"]["replicas"],
        deployments.max_surge(deployment),
        deployments.max_unavailable(deployment),
    )


def part(rs: Object) -> Part:
    noted = meta.annotations(rs)
    return Part(
        rs["metadata"]["name"],
        rs["metadata"]["creationTimestamp"],
        rs["spec"]["replicas"],
        rs.get("status", {}).get("availableReplicas", 0),
        _number(noted.get(wellknown.DESIRED_REPLICAS)),
        _number(noted.get(wellknown.MAX_REPLICAS)),
    )


def first_size(goal: Aim, others: Iterable[Part]) -> int:
    """How large a new ReplicaSet begins beside `others`."""
    return grown(goal, Part("", "", 0), others)


def grown(goal: Aim, new: Part, old: Iterable[Part]) -> int:
    """How large the new one may be, given what there is in all."""
    room = goal.most - new.replicas - sum(p.replicas for p in old)
    if room <= 0:
        return new.replicas
    return new.replicas + min(room, goal.replicas - new.replicas)


def rolling_step(goal: Aim, new: Part, old: Sequence[Part]) -> Sizes:
    """The next step of a rolling update: let the new one grow, else let the old ones shrink."""
    if new.replicas > goal.replicas:
        return {new.name: goal.replicas}
    if new.replicas < goal.replicas and (size := grown(goal, new, old)) != new.replicas:
        return {new.name: size}
    return _shrunk(goal, new, old)


def recreating_step(old: Iterable[Part]) -> Sizes:
    """First of all the old ones go."""
    return {p.name: 0 for p in old if p.replicas}


def is_resized(goal: Aim, parts: Iterable[Part]) -> bool:
    """Whether the number of replicas was changed since the parts were sized."""
    return any(p.replicas and p.aimed_at not in (None, goal.replicas) for p in parts)


def resized(
    goal: Aim, new: Part | None, old: Sequence[Part], *, is_rolling: bool, running: int
) -> Sizes:
    """Follow a change of the number of replicas, without going on with a rollout.

    `running` is how many pods the Deployment had, for parts that do not say what they were
    a part of.
    """
    parts = [*old, *([new] if new else [])]
    active = [p for p in parts if p.replicas]
    if len(active) <= 1:
        only = active[0] if active else new or max(old, key=lambda p: p.created, default=None)
        return _changed([only], {only.name: goal.replicas}) if only else {}
    if new and new.aimed_at == new.replicas == new.available == goal.replicas:
        return {p.name: 0 for p in old if p.replicas}
    return _proportional(goal, active, running) if is_rolling else {}


def template_hash(template: Object, collisions: int) -> str:
    """A label value for a pod template; another one for each collision."""
    text = orjson.dumps([_plain(template), collisions], option=orjson.OPT_SORT_KEYS)
    number = int.from_bytes(hashlib.sha256(text).digest()[:12], "big")
    letters = ""
    for _ in range(_HASH_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        letters += _ALPHABET[digit]
    return letters


def is_same_template(one: Object, other: Object) -> bool:
    """Whether two pod templates make the same pods: the hash label is not the user's."""
    return _plain(one) == _plain(other)


def _shrunk(goal: Aim, new: Part, old: Sequence[Part]) -> Sizes:
    """Let old ones go as far as enough pods stay available: first those that are not well."""
    old = sorted(old, key=lambda p: p.created)
    total = new.replicas + sum(p.replicas for p in old)
    least = goal.replicas - goal.unavailable
    allowed = total - least - (new.replicas - new.available)
    if allowed <= 0:
        return {}
    left: list[Part] = []
    for p in old:
        ill = min(allowed, max(0, p.replicas - p.available))
        allowed -= ill
        left.append(replace(p, replicas=p.replicas - ill))
    spare = new.available + sum(p.available for p in old) - least
    sizes: Sizes = {}
    for p in left:
        gone = min(p.replicas, max(0, spare))
        spare -= gone
        sizes[p.name] = p.replicas - gone
    return _changed(old, sizes)


def _proportional(goal: Aim, active: Sequence[Part], running: int) -> Sizes:
    """Spread the change over the parts by their size; what rounding leaves goes to the largest."""
    to_add = goal.most - sum(p.replicas for p in active)
    ordered = sorted(active, key=lambda p: p.created, reverse=to_add > 0)
    ordered.sort(key=lambda p: p.replicas, reverse=True)
    if to_add == 0:
        return {}
    added = 0
    sizes: Sizes = {}
    for p in ordered:
        share = _fraction(goal, p, running)
        share = min(share, to_add - added) if to_add > 0 else max(share, to_add - added)
        sizes[p.name] = p.replicas + share
        added += share
    largest = ordered[0].name
    sizes[largest] = max(0, sizes[largest] + to_add - added)
    return _changed(active, sizes)


def _fraction(goal: Aim, p: Part, running: int) -> int:
    """By how much a part should change to stay the same share of the whole."""
    if goal.replicas == 0:
        return -p.replicas
    before = p.most or running
    if not before:
        return 0
    return int(p.replicas * goal.most / before + 0.5) - p.replicas


def _changed(parts: Iterable[Part], sizes: Mapping[str, int]) -> Sizes:
    return {p.name: sizes[p.name] for p in parts if sizes[p.name] != p.replicas}


def _plain(template: Object) -> Object:
    about = dict(template.get("metadata") or {})
    labels = about.pop("labels", None) or {}
    found = {k: v for k, v in labels.items() if k != wellknown.TEMPLATE_HASH}
    about = {k: v for k, v in about.items() if v}  # null, {} and absent mean the same
    return {"metadata": about | {"labels": found}, "spec": template["spec"]}


def _number(text: str | None) -> int | None:
    try:
        return None if text is None else int(text)
    except ValueError:
        return None
