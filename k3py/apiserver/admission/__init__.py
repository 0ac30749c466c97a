"""What is asked of a write after it is authorized: each plugin may change it, or refuse it.

The chain and its order stand in `server`; one plugin is one file.
"""

from dataclasses import dataclass
from typing import Protocol

from k3py.api import errors
from k3py.api.kind import Kind
from k3py.api.objects import Key, Object
from k3py.apiserver.request import User


@dataclass
class Review:
    """One write about to happen. `verb` is create, update or delete.

    `obj` is what will be stored, for plugins to change in place; on a subresource that is
    no view of the object (binding, eviction, token) it is the body. None on delete.
    """

    user: User
    verb: str
    kind: Kind
    key: Key
    subresource: str
    obj: Object | None
    old: Object | None


class Admission(Protocol):
    def admit(self, review: Review) -> None:
        """Raises Forbidden (or another ApiError) to refuse."""


def refusal(review: Review, why: str) -> errors.Forbidden:
    """How every plugin says no."""
    kind, name = review.kind, review.key.name
    named = f'"{name}" ' if name else ""
    return errors.Forbidden(f"{kind.resource} {named}is forbidden: {why}", errors.about(kind, name))
