"""Deployments: replace pods gently when their template changes.

Each template has a ReplicaSet of its own, named by the template's hash. What sizes they
should have is decided in `rollout`, what the Deployment says of itself in `progress`; here
it is done.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from k3py.api import conditions, errors, labels, meta, wellknown
from k3py.api.objects import Key, Object, Objects, copy
from k3py.base.clock import Clock
from k3py.client.cached import CachedClient
from k3py.client.events import NORMAL, WARNING, Recorder
from k3py.client.informer import Informers
from k3py.controllers import adoption, progress, rollout
from k3py.controllers.controller import (
    BY_CONTROLLER,
    Controller,
    controllers_of,
)
from k3py.controllers.rollout import Aim
from k3py.kinds import DEPLOYMENT, POD, REPLICA_SET
from k3py.kinds.apps import deployment as deployments
from k3py.kinds.core import pod as pods

REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
_HISTORY_LENGTH = 2000
# What belongs to one object alone is not handed on from a Deployment to its ReplicaSets.
_OWN_ANNOTATIONS = (
    wellknown.LAST_APPLIED,
    wellknown.REVISION,
    REVISION_HISTORY,
    wellknown.DESIRED_REPLICAS,
    wellknown.MAX_REPLICAS,
)


@dataclass(frozen=True)
class _Rollout:
    """A Deployment, with the ReplicaSet of its template (if there is one) and the others."""

    d: Object
    goal: Aim
    new: Object | None
    old: Objects

    @property
    def sets(self) -> Objects:
        return [*self.old, *([self.new] if self.new else [])]


class DeploymentController(Controller):
    kind = DEPLOYMENT
    component = "deployment-controller"
    owns = (REPLICA_SET,)
    workers = 2

    def __init__(
        self, client: CachedClient, informers: Informers, recorder: Recorder, clock: Clock
    ) -> None:
        super().__init__(client, informers, recorder, clock)
        self._deployments = informers.of(DEPLOYMENT).cache
        self._sets = informers.of(REPLICA_SET).cache
        self.attend(informers.of(POD), self._pod_changed)
        self._pods = informers.of(POD).cache
        self._pods.add_index(BY_CONTROLLER, controllers_of)

    def reconcile(self, key: Key) -> None:
        d = self.find(key)
        if d is None:
            return
        at = _sorted_out(d, adoption.claimed(self, d, REPLICA_SET))
        if meta.is_deleting(d):
            self._report(at)
            return
        at = self._note_pause(at)
        was_resized = rollout.is_resized(at.goal, map(rollout.part, at.sets))
        if deployments.is_paused(d) or was_resized:
            self._resize(at)
        elif deployments.is_recreated(d):
            self._recreate(at)
        else:
            self._roll(at)

    def claimants(self, orphan: Object) -> Iterable[Key]:
        found = meta.labels(orphan)
        for d in self._deployments.list(orphan["metadata"]["namespace"]):
            if labels.selector(d["spec"]["selector"]).matches(found):
                yield meta.key(d)

    # The ways to go on.

    def _resize(self, at: _Rollout) -> None:
        """Follow a new number of replicas; a rollout stands still meanwhile."""
        at = self._note_revision(at)
        sizes = rollout.resized(
            at.goal,
            rollout.part(at.new) if at.new else None,
            [rollout.part(rs) for rs in at.old],
            is_rolling=not deployments.is_recreated(at.d),
            running=at.d.get("status", {}).get("replicas", 0),
        )
        at = self._size(at, sizes, note_all=True)
        if deployments.is_paused(at.d):
            self._clean(at)
        self._report(at)

    def _recreate(self, at: _Rollout) -> None:
        at = self._note_revision(at)
        if sizes := rollout.recreating_step([rollout.part(rs) for rs in at.old]):
            self._report(self._size(at, sizes), judge=True)
            return
        if self._old_pods_run(at):
            self._report(at, judge=True)
            return
        at = self._with_new(at)
        if at.new:
            at = self._size(at, {at.new["metadata"]["name"]: at.goal.replicas})
        self._finish(at)

    def _roll(self, at: _Rollout) -> None:
        at = self._with_new(self._note_revision(at))
        if at.new:
            old = [rollout.part(rs) for rs in at.old]
            sizes = rollout.rolling_step(at.goal, rollout.part(at.new), old)
            if sizes:
                self._report(self._size(at, sizes), judge=True)
                return
        self._finish(at)

    def _finish(self, at: _Rollout) -> None:
        if progress.is_complete(at.d, at.d.get("status", {})):
            self._clean(at)
        self._report(at, judge=True)

    # ReplicaSets.

    def _with_new(self, at: _Rollout) -> _Rollout:
        """With the ReplicaSet of the template, made if there is none."""
        if at.new:
            if conditions.find(at.d, "Progressing"):
                return at
            text = f'Found new replica set "{at.new["metadata"]["name"]}"'
            return self._progressed(at, "FoundNewReplicaSet", text)
        rs = self._new_set(at)
        try:
            made = self.client.create(REPLICA_SET, rs)
        except errors.AlreadyExists:
            return self._collided(at, rs)
        except errors.ApiError as refusal:
            if not errors.is_namespace_terminating(refusal):  # then there is nobody left to tell
                self._refused(at, rs, refusal)
            raise
        name, size = made["metadata"]["name"], made["spec"]["replicas"]
        if size:
            self._tell_scaled(at.d, name, 0, size)
        at = replace(at, new=made, d=_at_revision(at.d, made))
        return self._progressed(at, "NewReplicaSetCreated", f'Created new replica set "{name}"')

    def _new_set(self, at: _Rollout) -> Object:
        d, spec = at.d, at.d["spec"]
        template = copy(spec["template"])
        marked = rollout.template_hash(template, d.get("status", {}).get("collisionCount", 0))
        own = {wellknown.TEMPLATE_HASH: marked}
        template["metadata"]["labels"] = (template["metadata"].get("labels") or {}) | own
        selector = copy(spec["selector"])
        selector["matchLabels"] = (selector.get("matchLabels") or {}) | own
        size = rollout.first_size(at.goal, map(rollout.part, at.old))
        noted = _inherited(d) | _sized_for(at.goal)
        return {
            "apiVersion": REPLICA_SET.api_version,
            "kind": REPLICA_SET.kind,
            "metadata": {
                "name": f"{d['metadata']['name']}-{marked}",
                "namespace": d["metadata"]["namespace"],
                "labels": template["metadata"]["labels"],
                "annotations": noted | {wellknown.REVISION: str(_newest_revision(at.old) + 1)},
                "ownerReferences": [meta.controller_ref(DEPLOYMENT, d)],
            },
            "spec": {
                "replicas": size,
                "minReadySeconds": spec.get("minReadySeconds", 0),
                "selector": selector,
                "template": template,
            },
        }

    def _collided(self, at: _Rollout, wanted: Object) -> _Rollout:
        """The name is taken: by our own earlier self, or by another template of the same hash."""
        live = self.client.live.get(REPLICA_SET, meta.key(wanted))
        same = rollout.is_same_template(live["spec"]["template"], wanted["spec"]["template"])
        if meta.is_controlled_by(live, at.d) and same:
            return replace(at, new=live, d=_at_revision(at.d, live))
        status = at.d.get("status", {})
        count = status.get("collisionCount", 0) + 1
        self.report(at.d, status | {"collisionCount": count})
        raise errors.already_exists(REPLICA_SET, wanted["metadata"]["name"])

    def _refused(self, at: _Rollout, rs: Object, refusal: errors.ApiError) -> None:
        text = f'Failed to create new replica set "{rs["metadata"]["name"]}": {refusal}'
        self.recorder.event(DEPLOYMENT, at.d, WARNING, "ReplicaSetCreateError", text)
        if progress.has_deadline(at.d):
            status = at.d.get("status", {})
            state = ("Progressing", "False", "ReplicaSetCreateError", text)
            found = progress.stated(status.get("conditions") or [], *state, now=self.clock.now())
            self.report(at.d, status | {"conditions": found})

    def _note_revision(self, at: _Rollout) -> _Rollout:
        """Let the ReplicaSet of the template be the newest revision, and know what it inherits."""
        if at.new is None:
            return at
        rs = _revised(at.new, at.d, _newest_revision(at.old) + 1)
        if rs != at.new:
            rs = self.client.update(REPLICA_SET, rs)
        return replace(at, new=rs, d=_at_revision(at.d, rs))

    def _size(self, at: _Rollout, sizes: rollout.Sizes, *, note_all: bool = False) -> _Rollout:
        """Give ReplicaSets their new sizes; `note_all` tells the others what they are part of."""
        noted = _sized_for(at.goal)
        written: dict[str, Object] = {}
        for rs in at.sets:
            name, before = rs["metadata"]["name"], rs["spec"]["replicas"]
            after = sizes.get(name, before)
            is_noted = noted.items() <= meta.annotations(rs).items()
            if after == before and (is_noted or not note_all or not before):
                continue
            about = rs["metadata"] | {"annotations": meta.annotations(rs) | noted}
            written[name] = self.client.update(
                REPLICA_SET,
                rs | {"metadata": about, "spec": rs["spec"] | {"replicas": after}},
            )
            if after != before:
                self._tell_scaled(at.d, name, before, after)
        old = [written.get(rs["metadata"]["name"], rs) for rs in at.old]
        new = at.new and written.get(at.new["metadata"]["name"], at.new)
        return replace(at, old=old, new=new)

    def _clean(self, at: _Rollout) -> None:
        """Delete the oldest of the ReplicaSets that are kept for going back."""
        limit = at.d["spec"].get("revisionHistoryLimit")
        kept = sorted((rs for rs in at.old if not meta.is_deleting(rs)), key=_revision)
        for rs in kept[: max(0, len(kept) - limit)] if limit is not None else ():
            status = rs.get("status", {})
            observed = rs["metadata"].get("generation", 0) <= status.get("observedGeneration", 0)
            if observed and not rs["spec"]["replicas"] and not status.get("replicas"):
                self.client.delete(REPLICA_SET, meta.key(rs), uid=meta.uid(rs))

    def _old_pods_run(self, at: _Rollout) -> bool:
        """Whether any pod that is not of the template may still run, terminating ones too."""
        return any(
            not pods.is_finished(pod)
            for rs in at.old
            for pod in self._pods.by(BY_CONTROLLER, meta.uid(rs))
        ) or any(rs.get("status", {}).get("replicas", 0) for rs in at.old)

    # What it says.

    def _note_pause(self, at: _Rollout) -> _Rollout:
        """Say that the rollout is paused, or goes on, so that no deadline counts the pause."""
        current = conditions.find(at.d, "Progressing")
        if not progress.has_deadline(at.d) or (current and current["reason"] == progress.TIMED_OUT):
            return at
        said = current is not None and current["reason"] == progress.PAUSED
        paused = deployments.is_paused(at.d)
        if paused and not said:
            return self._progressed(at, progress.PAUSED, "Deployment is paused", "Unknown")
        if said and not paused:
            return self._progressed(at, progress.RESUMED, "Deployment is resumed", "Unknown")
        return at

    def _progressed(
        self, at: _Rollout, reason: str, message: str, status: str = "True"
    ) -> _Rollout:
        """Note the condition; `_report` writes it with the rest."""
        if not progress.has_deadline(at.d):
            return at
        old = at.d.get("status", {})
        found = old.get("conditions") or []
        state = ("Progressing", status, reason, message)
        found = progress.stated(found, *state, now=self.clock.now())
        return replace(at, d=at.d | {"status": old | {"conditions": found}})

    def _report(self, at: _Rollout, *, judge: bool = False) -> None:
        now = self.clock.now()
        status = progress.counted(at.d, at.goal, at.new, at.sets, now)
        if judge:
            status = progress.judged(at.d, status, at.new, at.sets, now)
        known = self.find(meta.key(at.d))
        if known is None or known != at.d | {"status": status}:
            self.client.update(DEPLOYMENT, at.d | {"status": status}, subresource="status")
        if judge and (seconds := progress.seconds_to_deadline(at.d, status, now)):
            self.queue.add_after(meta.key(at.d), seconds)

    def _tell_scaled(self, d: Object, name: str, before: int, after: int) -> None:
        way = "up" if after > before else "down"
        text = f"Scaled {way} replica set {name} from {before} to {after}"
        self.recorder.event(DEPLOYMENT, d, NORMAL, "ScalingReplicaSet", text)

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        """A Deployment that recreates its pods waits until the last old one is gone."""
        ref = meta.controller(old) if old and (new is None or pods.is_finished(new)) else None
        if old is None or ref is None or ref["kind"] != REPLICA_SET.kind:
            return
        rs = self._sets.get(Key(old["metadata"]["namespace"], ref["name"]))
        for key in self._owner(rs) if rs else ():
            d = self.find(key)
            if d and deployments.is_recreated(d):
                self.queue.add(key)


def _sorted_out(d: Object, sets: Objects) -> _Rollout:
    """Of several ReplicaSets with the Deployment's template the oldest is its own."""
    template = d["spec"]["template"]
    new = None
    for rs in sorted(sets, key=lambda rs: (rs["metadata"]["creationTimestamp"], meta.key(rs))):
        if new is None and rollout.is_same_template(rs["spec"]["template"], template):
            new = rs
    return _Rollout(d, rollout.aim(d), new, [rs for rs in sets if rs is not new])


def _revised(rs: Object, d: Object, revision: int) -> Object:
    """`rs` as the newest revision, with the Deployment's annotations and minReadySeconds."""
    noted = meta.annotations(rs) | _inherited(d)
    before = _revision(rs)
    if before < revision:
        if before:
            history = [*filter(None, noted.get(REVISION_HISTORY, "").split(",")), str(before)]
            while len(",".join(history)) > _HISTORY_LENGTH:
                history.pop(0)
            noted[REVISION_HISTORY] = ",".join(history)
        noted[wellknown.REVISION] = str(revision)
    spec = rs["spec"]
    patience = d["spec"].get("minReadySeconds", 0)
    if patience != spec.get("minReadySeconds", 0):
        spec = spec | {"minReadySeconds": patience}
    if noted == meta.annotations(rs) and spec is rs["spec"]:
        return rs
    return rs | {"metadata": rs["metadata"] | {"annotations": noted}, "spec": spec}


def _at_revision(d: Object, rs: Object) -> Object:
    """`d` noting the revision of its ReplicaSet, which a status update may write too."""
    noted = {wellknown.REVISION: str(_revision(rs))}
    if noted.items() <= meta.annotations(d).items():
        return d
    return d | {"metadata": d["metadata"] | {"annotations": meta.annotations(d) | noted}}


def _inherited(d: Object) -> dict[str, str]:
    return {k: v for k, v in meta.annotations(d).items() if k not in _OWN_ANNOTATIONS}


def _sized_for(goal: Aim) -> dict[str, str]:
    return {
        wellknown.DESIRED_REPLICAS: str(goal.replicas),
        wellknown.MAX_REPLICAS: str(goal.replicas + goal.surge),
    }


def _newest_revision(sets: Objects) -> int:
    return max(map(_revision, sets), default=0)


def _revision(rs: Object) -> int:
    text = meta.annotations(rs).get(wellknown.REVISION, "")
    return int(text) if text.isdecimal() else 0
