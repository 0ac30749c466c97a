"""What the node asks of whoever gives pods their addresses."""

from pathlib import Path
from typing import Protocol


class PodNetwork(Protocol):
    def attach(self, uid: str, netns: Path) -> tuple[str, ...]:
        """Connect the pinned network namespace of pod `uid`; its addresses, IPv4 first.

        Doing it again answers the same. Whatever it raises is told of the pod, and it is
        called again later: for example while there is no range to take an address from.
        """

    def detach(self, uid: str) -> None:
        """Undo attach, whatever of it was done. Unknown pods are no error."""

    def addresses(self, uid: str) -> tuple[str, ...]: ...

    def retain(self, uids: set[str]) -> None:
        """Free the addresses of all other pods."""
