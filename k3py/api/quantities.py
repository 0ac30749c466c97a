"""Quantities: 500m, 64Mi, 1e3. Exact, never floating.

Syntax and canonical form: Kubernetes' resource.Quantity.
"""

import re
from decimal import ROUND_UP, Decimal

_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BY_EXPONENT = {power: suffix for suffix, power in _DECIMAL.items()}
_SYNTAX = re.compile(
    r"^(?P<number>[+-]?(\d+\.?\d*|\.\d+))(?P<suffix>[KMGTPE]i|[numkMGTPE]?|[eE][+-]?\d{1,3})$"
)


def parse(text: str | float) -> Decimal:
    """The number that a quantity stands for. Raises ValueError."""
    found = _SYNTAX.match(str(text))
    if not found:
        raise ValueError(f"{text!r} is not a quantity")
    number, suffix = Decimal(found["number"]), found["suffix"]
    if suffix in _BINARY:
        return number * Decimal(1024) ** _BINARY[suffix]
    if suffix in _DECIMAL:
        return number.scaleb(_DECIMAL[suffix])
    return number.scaleb(int(suffix[1:]))


def is_quantity(text: object) -> bool:
    return isinstance(text, str | int | float) and bool(_SYNTAX.match(str(text)))


def millis(text: str | float) -> int:
    """A quantity in thousandths, rounded up: how CPU is counted."""
    return int((parse(text) * 1000).to_integral_value(ROUND_UP))


def whole(text: str | float) -> int:
    """A quantity in units, rounded up: how bytes and pods are counted."""
    return int(parse(text).to_integral_value(ROUND_UP))


def canonical(text: str | float) -> str:
    """The one way Kubernetes writes this quantity back: 1000m is 1, 0.5 is 500m, 1024Ki is 1Mi.

    Rounded up to thousandths. Raises ValueError.
    """
    found = _SYNTAX.match(str(text))
    if not found:
        raise ValueError(f"{text!r} is not a quantity")
    value = parse(text).quantize(Decimal("0.001"), ROUND_UP)
    if found["suffix"] in _BINARY and abs(value) >= 1024:
        return from_bytes(int(value.to_integral_value(ROUND_UP)))
    exponent = 18
    while exponent > -3 and value % Decimal(10) ** exponent:
        exponent -= 3
    digits = int(value.scaleb(-exponent)) if value else 0
    if found["suffix"][:1] in ("e", "E") and len(found["suffix"]) > 1:
        return f"{digits}e{exponent}" if exponent and digits else str(digits)
    return f"{digits}{_BY_EXPONENT[exponent]}" if digits else "0"


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
