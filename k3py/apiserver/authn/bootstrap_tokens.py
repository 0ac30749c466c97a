"""Tokens that somebody else knows: the server asks, and never keeps one."""

from collections.abc import Callable
from dataclasses import replace

from k3py.apiserver.request import AUTHENTICATED, User

Lookup = Callable[[str], User | None]


class Tokens:
    """Bearer tokens that `lookup` knows the users of."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    def user(self, token: str) -> User | None:
        found = self._lookup(token)
        if found is None or AUTHENTICATED in found.groups:
            return found
        return replace(found, groups=(*found.groups, AUTHENTICATED))
