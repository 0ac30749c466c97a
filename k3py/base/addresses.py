"""IPv4 arithmetic: ranges of addresses, and which one of a range to take next."""

from collections.abc import Container
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError


def network(text: str, *, strict: bool = True) -> IPv4Network | None:
    """The range that `text` ("10.42.1.0/24") stands for; None when it stands for none.

    Unless `strict`, any address of the range may stand before the slash.
    """
    try:
        return IPv4Network(text, strict)
    except (AddressValueError, NetmaskValueError, ValueError):
        return None


def address(text: str) -> IPv4Address | None:
    """The address that `text` stands for; None for anything else, IPv6 included."""
    try:
        return IPv4Address(text)
    except AddressValueError:
        return None


def next_free(
    first: IPv4Address, last: IPv4Address, used: Container[str], *, after: str = ""
) -> str | None:
    """The first address from `first` to `last` that is not in `used`; None when all are.

    Going on behind `after`, and around, means that an address just given back is the last
    to be given out again: old connections and caches have time to forget it.
    """
    count = int(last) - int(first) + 1
    previous = address(after)
    start = int(previous) - int(first) + 1 if previous and first <= previous <= last else 0
    for step in range(count):
        candidate = str(first + (start + step) % count)
        if candidate not in used:
            return candidate
    return None
