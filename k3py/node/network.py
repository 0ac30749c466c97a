"""What the node asks of whoever gives pods their addresses."""

from pathlib import Path
from typing import Protocol


class NotReady(Exception):
    """The network cannot serve pods yet; the message says what it waits for."""


class PodNetwork(Protocol):
    def attach(self, uid: str, netns: Path) -> tuple[str, ...]:
        """Connect the pinned network namespace of pod `uid`; its addresses, IPv4 first.

        Doing it again answers the same. Raises NotReady while there is no range to take
        an address from.
        """

    def detach(self, uid: str) -> None:
        """Undo attach, whatever of it was done. Unknown pods are no error."""

    def addresses(self, uid: str) -> tuple[str, ...]: ...

    def retain(self, uids: set[str]) -> None:
        """Free the addresses of all other pods."""
