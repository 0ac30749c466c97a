"""Claiming and releasing what a selector matches.

An object has one controller at most. One that has none is adopted when the selector
matches it; one that no longer matches is released, and lives on alone.
"""

from collections.abc import Callable

from k3py.api import errors, labels, meta
from k3py.api.kind import Kind
from k3py.api.objects import Object, Objects
from k3py.controllers.controller import Controller


def claimed(controller: Controller, owner: Object, kind: Kind) -> Objects:
    """The objects of `kind` that are `owner`'s, after adopting and releasing."""
    selector = labels.selector(owner["spec"]["selector"])
    namespace = owner["metadata"]["namespace"]
    found: Objects = []
    for obj in controller.owned(kind, owner):
        if selector.matches(meta.labels(obj)):
            found.append(obj)
        elif not meta.is_deleting(owner):
            _release(controller, owner, kind, obj)
    if meta.is_deleting(owner):
        return found
    may_adopt = _once(lambda: _is_still_there(controller, owner))
    for obj in controller.orphans(kind, namespace):
        if selector.matches(meta.labels(obj)) and not meta.is_deleting(obj) and may_adopt():
            adopted = _adopt(controller, owner, kind, obj)
            found += [adopted] if adopted else []
    return found


def _is_still_there(controller: Controller, owner: Object) -> bool:
    """Asked of the API itself: an owner that is being deleted must not gather new children."""
    try:
        live = controller.client.live.get(controller.kind, meta.key(owner))
    except errors.NotFound:
        return False
    return meta.uid(live) == meta.uid(owner) and not meta.is_deleting(live)


def _adopt(controller: Controller, owner: Object, kind: Kind, obj: Object) -> Object | None:
    others = obj["metadata"].get("ownerReferences") or []
    refs = [*others, meta.controller_ref(controller.kind, owner)]
    return _write(controller, kind, obj, refs)


def _release(controller: Controller, owner: Object, kind: Kind, obj: Object) -> None:
    refs = obj["metadata"].get("ownerReferences") or []
    _write(controller, kind, obj, [ref for ref in refs if ref["uid"] != meta.uid(owner)])


def _write(controller: Controller, kind: Kind, obj: Object, refs: Objects) -> Object | None:
    """None when the object is gone or is another one by now. Raises Conflict."""
    about = {
        "uid": meta.uid(obj),
        "resourceVersion": obj["metadata"]["resourceVersion"],
        "ownerReferences": refs or None,
    }
    try:
        return controller.client.patch(kind, meta.key(obj), {"metadata": about})
    except errors.NotFound:
        return None


def _once(ask: Callable[[], bool]) -> Callable[[], bool]:
    answers: list[bool] = []

    def asked() -> bool:
        if not answers:
            answers.append(ask())
        return answers[0]

    return asked
