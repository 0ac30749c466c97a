"""How much a patch may ask for: what is refused before it can hurt the server.

Trees are walked recursively everywhere, so a tree deeper than `DEEPEST` is refused here,
without recursion, before anything else looks at it.
"""

from typing import Any

from k3py.api import errors

DEEPEST = 200  # levels; real objects have some 20, the deepest schemas in CRDs some 60
MOST_OPERATIONS = 10_000  # in one JSON patch
MOST_COPIED_BYTES = 3 << 20  # by all copy operations of one JSON patch together


def check_depth(value: Any) -> None:
    """Raises BadRequest for JSON nested deeper than any object is."""
    if depth(value, DEEPEST + 1) > DEEPEST:
        raise errors.BadRequest(f"the patch nests deeper than {DEEPEST} levels")


def depth(value: Any, limit: int) -> int:
    """How many levels of maps and lists `value` has; `limit` when it has at least so many."""
    level, here = 0, [value]
    while here and level < limit:
        here = [
            child
            for parent in here
            if isinstance(parent, dict | list)
            for child in (parent.values() if isinstance(parent, dict) else parent)
        ]
        level += bool(here)
    return level


def size(value: Any, limit: int) -> int:
    """Roughly how many bytes `value` is as JSON; at least `limit` when it is more than that."""
    total, rest = 0, [value]
    while rest and total < limit:
        node = rest.pop()
        if isinstance(node, dict):
            total += 2 + sum(len(key) + 4 for key in node)
            rest.extend(node.values())
        elif isinstance(node, list):
            total += 2 + len(node)
            rest.extend(node)
        else:
            total += len(node) + 2 if isinstance(node, str) else 8
    return total
