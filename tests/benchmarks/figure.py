"""A measured figure, what it is measured beside, and how both are printed."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

HEADINGS = ("figure", "value", "unit", "beside", "its value", "ratio", "goal", "")
_RIGHT = {"value", "its value", "ratio"}


@dataclass(frozen=True)
class Beside:
    """A floor or a peer: what does less, or the same, measured in the same run and unit."""

    what: str
    value: float


@dataclass(frozen=True)
class Figure:
    """`most`: the goal for the value; `most_ratio`: the goal for its ratio to the first beside."""

    name: str
    value: float
    unit: str
    beside: tuple[Beside, ...] = ()
    most: float | None = None
    most_ratio: float | None = None

    @property
    def ratios(self) -> list[float | None]:
        """To each of those beside; None where there is nothing to divide by."""
        return [self.value / b.value if b.value else None for b in self.beside]

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None without a goal, or without what it refers to."""
        if self.most is not None:
            return self.value <= self.most
        if self.most_ratio is None or not self.beside or self.ratios[0] is None:
            return None
        return self.ratios[0] <= self.most_ratio

    @property
    def goal(self) -> str:
        if self.most is not None:
            return f"<= {number(self.most)} {self.unit}"
        return f"ratio <= {number(self.most_ratio)}" if self.most_ratio is not None else ""


def number(value: float | None) -> str:
    """Three digits that count, and no more zeros than it takes."""
    if value is None:
        return ""
    if abs(value) >= 100 or value == 0:
        return f"{value:,.0f}"
    decimals = 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    text = f"{value:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if float(text) else f"{value:.1e}"


def table(figures: Iterable[Figure]) -> str:
    """A line for each figure, and one more for each further thing that it stands beside."""
    rows = [HEADINGS, *(row for figure in figures for row in _rows(figure))]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADINGS))]
    return "".join(_line(row, widths) for row in rows)


def document(figures: Iterable[Figure]) -> str:
    """The same as JSON."""
    return json.dumps([_plain(figure) for figure in figures], indent=1) + "\n"


def _rows(figure: Figure) -> list[tuple[str, ...]]:
    verdict = {True: "met", False: "MISSED", None: ""}[figure.met]
    first = (figure.name, number(figure.value), figure.unit)
    if not figure.beside:
        return [(*first, "", "", "", figure.goal, verdict)]
    rows = []
    for beside, ratio in zip(figure.beside, figure.ratios, strict=True):
        other = (beside.what, number(beside.value), number(ratio))
        rows.append((*first, *other, figure.goal, verdict) if not rows else ("",) * 3 + other)
    return [row + ("",) * (len(HEADINGS) - len(row)) for row in rows]


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        text.rjust(width) if heading in _RIGHT else text.ljust(width)
        for text, width, heading in zip(row, widths, HEADINGS, strict=True)
    ]
    return "  ".join(cells).rstrip() + "\n"


def _plain(figure: Figure) -> dict[str, object]:
    return {
        "figure": figure.name,
        "value": figure.value,
        "unit": figure.unit,
        "beside": [
            {"what": b.what, "value": b.value, "ratio": ratio}
            for b, ratio in zip(figure.beside, figure.ratios, strict=True)
        ],
        "goal": figure.goal,
        "met": figure.met,
    }
