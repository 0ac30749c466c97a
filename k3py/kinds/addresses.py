"""How lists of addresses and ports are printed: the first three, and how many more."""

from collections.abc import Sequence

_SHOWN = 3


def shortened(items: Sequence[str], *, empty: str = "") -> str:
    """`items` for one cell of `kubectl get`; `empty` when there are none."""
    text = ",".join(items[:_SHOWN])
    more = len(items) - _SHOWN
    return f"{text} + {more} more..." if more > 0 else text or empty
