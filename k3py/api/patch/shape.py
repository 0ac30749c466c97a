"""What patches ask of a schema: how its lists and maps merge, and what lies below."""

from collections.abc import Sequence
from typing import Any, Protocol


class Schema(Protocol):
    """One node of a kind's schema. `None` in its place: nothing is known, so it is atomic."""

    @property
    def items(self) -> "Schema | None":
        """What a list's items look like."""

    @property
    def merge_key(self) -> str:
        """The field that identifies an item in a strategic merge; empty for none."""

    @property
    def patch_strategy(self) -> str:
        """`merge`, `replace`, `retainKeys` or a comma-separated mix; empty for none."""

    @property
    def list_type(self) -> str:
        """`atomic`, `set` or `map`; empty means atomic."""

    @property
    def list_map_keys(self) -> Sequence[str]:
        """The fields that identify an item of a list of type map."""

    @property
    def map_type(self) -> str:
        """`atomic` or `granular`; empty means granular."""

    @property
    def default(self) -> Any:
        """The value of an absent field; None for none."""

    def property(self, name: str) -> "Schema | None":
        """The schema of a field or, in a free map, of any value."""

    def has_property(self, name: str) -> bool:
        """Whether `name` is a declared field, rather than a key of a free map."""
