"""RFC 3339 times and durations as Kubernetes writes them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta


def stamp(when: datetime) -> str:
    """A metav1.Time: seconds, in UTC."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_stamp(when: datetime) -> str:
    """A metav1.MicroTime: microseconds, in UTC."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse(text: str) -> datetime:
    """The moment a timestamp names. Raises ValueError."""
    when = datetime.fromisoformat(text)
    if when.tzinfo is None:
        raise ValueError(f"{text}: a time needs a zone")
    return when.astimezone(UTC)


def age(since: datetime, now: datetime) -> str:
    """How long ago, the way kubectl says it: 5s, 3m20s, 2d4h, 3y."""
    seconds = int((now - since) / timedelta(seconds=1))
    if seconds < 0:
        return "<invalid>" if seconds < -1 else "0s"
    for limit, text in _STEPS:
        if seconds < limit:
            return text(seconds)
    return f"{seconds // 31_536_000}y"


def _two(seconds: int, big: int, big_unit: str, small: int, small_unit: str) -> str:
    whole, rest = divmod(seconds, big)
    part = rest // small
    return f"{whole}{big_unit}" + (f"{part}{small_unit}" if part else "")


# apimachinery's duration.HumanDuration: precision falls as the age grows.
_STEPS: tuple[tuple[int, Callable[[int], str]], ...] = (
    (120, lambda s: f"{s}s"),
    (600, lambda s: _two(s, 60, "m", 1, "s")),
    (10_800, lambda s: f"{s // 60}m"),
    (28_800, lambda s: _two(s, 3600, "h", 60, "m")),
    (172_800, lambda s: f"{s // 3600}h"),
    (691_200, lambda s: _two(s, 86_400, "d", 3600, "h")),
    (63_072_000, lambda s: f"{s // 86_400}d"),
    (252_288_000, lambda s: _two(s, 31_536_000, "y", 86_400, "d")),
)
