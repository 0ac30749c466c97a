"""JSON patches (RFC 6902): a list of operations, all of which succeed, or none."""

from typing import Any

from k3py.api import errors
from k3py.api.objects import Object, copy
from k3py.api.patch import bounds

REFUSED = "the server rejected our request due to an error in our request"


def apply(obj: Object, ops: Any) -> Object:
    """A new object: `obj` after `ops`.

    Raises BadRequest for what is no list of operations, TooLarge for too many, and Invalid
    when an operation cannot be done, a test among them.
    """
    _check(ops)
    done: Any = copy(obj)
    copied = 0
    for op in copy(ops):
        if op.get("op") == "copy":
            copied += bounds.size(_source(done, op), bounds.MOST_COPIED_BYTES - copied + 1)
            if copied > bounds.MOST_COPIED_BYTES:
                raise errors.TooLarge("the copy operations of the JSON patch copy too much")
        if _levels(done, op) > bounds.DEEPEST:
            raise _refused(op, f"the result nests deeper than {bounds.DEEPEST} levels")
        done = _step(done, op)
    if not isinstance(done, dict):
        raise _refused({"path": ""}, "the result is not an object")
    return done


def _check(ops: Any) -> None:
    if not isinstance(ops, list) or not all(isinstance(op, dict) for op in ops):
        raise errors.BadRequest("error decoding patch: a JSON patch is a list of operations")
    if len(ops) > bounds.MOST_OPERATIONS:
        raise errors.TooLarge(
            "The allowed maximum operations in a JSON patch is "
            f"{bounds.MOST_OPERATIONS}, got {len(ops)}"
        )
    bounds.check_depth(ops)


def _step(doc: Any, op: Object) -> Any:
    """One operation on a document that is ours to change."""
    import jsonpatch
    import jsonpointer

    try:
        return jsonpatch.apply_patch(doc, [op], in_place=True)
    except jsonpatch.JsonPatchTestFailed as why:
        raise _refused(op, f"testing value {op['path']} failed: test failed") from why
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException) as why:
        raise _refused(op, str(why)) from why
    except (TypeError, KeyError, ValueError, IndexError, AttributeError) as why:
        raise _refused(op, "the operation does not fit the document") from why


def _levels(doc: Any, op: Object) -> int:
    """How deep the document may become by an operation, without a look at all of it."""
    value = _source(doc, op) if "from" in op else op.get("value")
    return str(op.get("path")).count("/") + bounds.depth(value, bounds.DEEPEST + 1)


def _source(doc: Any, op: Object) -> Any:
    """What a copy or move takes."""
    import jsonpointer

    try:
        return jsonpointer.resolve_pointer(doc, op["from"], None)
    except (KeyError, jsonpointer.JsonPointerException, TypeError, AttributeError):
        return None  # the operation itself will say what is wrong


def _refused(op: Object, why: str) -> errors.Invalid:
    path = op.get("path")
    field = path if isinstance(path, str) else ""
    cause = {"reason": "FieldValueInvalid", "message": why, "field": field}
    return errors.Invalid(REFUSED, {"causes": [cause]})
