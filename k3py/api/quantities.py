"""Quantities: 500m, 64Mi, 1e3. Exact, never floating.

Syntax and canonical form: Kubernetes' resource.Quantity.
"""

import re
from decimal import ROUND_UP, Decimal

_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_MAX = Decimal((1 << 63) - 1)
_NANO = Decimal("1e-9")
_SYNTAX = re.compile(
    r"(?P<number>[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+))"
    r"(?P<suffix>[KMGTPE]i|[numkMGTPE]?|[eE][+-]?[0-9]{1,3})"
)


def parse(text: str | float) -> Decimal:
    """The number that a quantity stands for. Raises ValueError."""
    found = _SYNTAX.fullmatch(str(text))
    if not found:
        raise ValueError(f"{text!r} is not a quantity")
    number, suffix = Decimal(found["number"]), found["suffix"]
    if suffix in _BINARY:
        return number * Decimal(1024) ** _BINARY[suffix]
    if suffix in _DECIMAL:
        return number.scaleb(_DECIMAL[suffix])
    return number.scaleb(int(suffix[1:]))


def is_quantity(text: object) -> bool:
    return isinstance(text, str | int | float) and bool(_SYNTAX.fullmatch(str(text)))


def millis(text: str | float) -> int:
    """A quantity in thousandths, rounded up: how CPU is counted."""
    return int((parse(text) * 1000).to_integral_value(ROUND_UP))


def whole(text: str | float) -> int:
    """A quantity in units, rounded up: how bytes and pods are counted."""
    return int(parse(text).to_integral_value(ROUND_UP))


def from_millis(thousandths: int) -> str:
    """The canonical text: 1500 is 1500m, 2000 is 2."""
    units, rest = divmod(thousandths, 1000)
    return f"{thousandths}m" if rest else str(units)


def from_bytes(count: int) -> str:
    """The canonical text with binary suffixes: 67108864 is 64Mi."""
    for suffix, power in reversed(_BINARY.items()):
        if count and count % 1024**power == 0:
            return f"{count // 1024**power}{suffix}"
    return str(count)


def canonical(text: str | float) -> str:
    """The form in which Kubernetes stores a quantity: 1000m is 1, 1024Mi is 1Gi, 0.5 is 500m.

    The family of suffixes stays; what is finer than a billionth is rounded up. Raises ValueError.
    """
    text = str(text).strip()
    value = parse(text)
    suffix = text.lstrip("+-.0123456789")
    if suffix in _BINARY:
        value = max(min(value, _MAX), -_MAX)
        if abs(value) >= 1024 and value == value.to_integral_value():
            return from_bytes(int(value))
    if not value:
        return "0"
    if int(value.as_tuple().exponent) < -9:
        value = value.quantize(_NANO, ROUND_UP)
    sign, digits, exponent = value.normalize().as_tuple()
    power = int(exponent) // 3 * 3
    number = int("".join(map(str, digits))) * 10 ** (int(exponent) - power)
    if suffix[:1] in ("e", "E") and suffix != "E":
        unit = f"e{power}" if power else ""
    else:
        unit = next((s for s, p in _DECIMAL.items() if p == power), f"e{power}")
    return f"{'-' if sign else ''}{number}{unit}"
