"""How one definition of an option becomes a flag, an environment variable and a line of YAML.

Precedence: flag > K3PY_* environment > config.yaml.d/*.yaml (later names win) > config.yaml >
default. Keys in the files are the flags' names; a repeatable option is a list there, and
`name+:` appends to what an earlier file said.
"""

import dataclasses
import difflib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

C = TypeVar("C")


class BadConfiguration(ValueError):
    """An option nobody knows, or a value it cannot have; the message says where it stands."""


@dataclass(frozen=True)
class Option:
    """What a configuration field says of itself, in its metadata."""

    help: str
    short: str = ""
    metavar: str = ""
    env: str = ""
    check: Callable[[Any], Any] | None = None


def option(
    default: Any,
    help: str,  # noqa: A002
    *,
    short: str = "",
    metavar: str = "",
    env: str = "",
    check: Callable[[Any], Any] | None = None,
) -> Any:
    """A configuration field. `check` raises ValueError for what it does not like.

    A tuple as default makes the option repeatable, a bool makes it a switch.
    """
    return dataclasses.field(
        default=default, metadata={"option": Option(help, short, metavar, env, check)}
    )


def of(field: "dataclasses.Field[Any]") -> Option:
    found: Option = field.metadata["option"]
    return found


def flag(field: "dataclasses.Field[Any]") -> str:
    """The option's name on the command line and in files: node_name is node-name."""
    return field.name.replace("_", "-")


def variable(field: "dataclasses.Field[Any]") -> str:
    """The environment variable that sets it."""
    return of(field).env or f"K3PY_{field.name.upper()}"


def build(
    config: type[C],
    flags: Mapping[str, Any],
    *,
    environment: Mapping[str, str] = os.environ,
    files: Iterable[Path] = (),
    known: Sequence[type] = (),
) -> C:
    """The configuration that flags, environment and files add up to.

    `known` are other configurations whose keys may stand in the same files without being
    meant for this one. Raises BadConfiguration.
    """
    fields = {flag(f): f for f in dataclasses.fields(config)}  # type: ignore[arg-type]
    others = {flag(f) for other in known for f in dataclasses.fields(other)}
    values: dict[str, Any] = {}
    for path in files:
        _merge(values, _read(path), fields, others, path)
    for name, field in fields.items():
        if (text := environment.get(variable(field))) is not None:
            values[name] = _converted(text, field, f"environment variable {variable(field)}")
        given = flags.get(field.name)
        if given is not None and given != ():
            values[name] = _converted(given, field, f"--{name}")
    return config(**{fields[name].name: value for name, value in values.items()})


def config_files(path: Path) -> list[Path]:
    """`path` and what lies in `path`.d, in the order in which they count."""
    beside = sorted(path.with_name(path.name + ".d").glob("*.yaml"))
    return [p for p in (path, *beside) if p.exists() and not p.is_char_device()]


def _read(path: Path) -> Mapping[str, Any]:
    try:
        content = yaml.safe_load(path.read_text())
    except yaml.YAMLError as wrong:
        mark = getattr(wrong, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        why = getattr(wrong, "problem", None) or " ".join(str(wrong).split())
        raise BadConfiguration(f"{path}{where}: is not YAML: {why}") from wrong
    except (OSError, ValueError) as wrong:
        raise BadConfiguration(f"{path}: cannot be read: {wrong}") from wrong
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise BadConfiguration(f"{path}: must be lines of 'name: value'")
    return {str(k): v for k, v in content.items()}


def _merge(
    values: dict[str, Any],
    content: Mapping[str, Any],
    fields: Mapping[str, "dataclasses.Field[Any]"],
    others: set[str],
    path: Path,
) -> None:
    for key, value in content.items():
        name = key.removesuffix("+").lstrip("-")
        if name not in fields:
            if name in others:
                continue
            close = difflib.get_close_matches(name, [*fields, *others], 1)
            hint = f"; did you mean '{close[0]}'?" if close else ""
            raise BadConfiguration(f"{path}: '{name}' is not an option{hint}")
        new = _converted(value, fields[name], f"{path}: {name}")
        if key.endswith("+") and isinstance(new, tuple):
            new = (*values.get(name, ()), *new)
        values[name] = new


def _converted(value: Any, field: "dataclasses.Field[Any]", where: str) -> Any:
    """`value` as the field's type, checked."""
    option = of(field)
    try:
        result = _typed(value, field.default)
        return option.check(result) if option.check else result
    except (ValueError, TypeError) as wrong:
        raise BadConfiguration(f"{where}: {wrong}") from wrong


def _typed(value: Any, like: Any) -> Any:
    if isinstance(like, bool):
        return _boolean(value)
    if isinstance(like, tuple):
        items = value.split(",") if isinstance(value, str) else value
        if not isinstance(items, list | tuple):
            items = [items]
        return tuple(part for item in items for part in str(item).split(",") if part)
    if isinstance(like, int):
        if isinstance(value, bool):
            raise ValueError(f"must be a number, not {value!r}")
        try:
            return int(value)
        except (TypeError, ValueError):
            raise ValueError(f"must be a number, not {value!r}") from None
    if isinstance(value, dict | list | tuple):
        raise ValueError("takes one value, not several")
    return type(like)(value)


def _boolean(value: Any) -> bool:
    known = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if isinstance(value, bool):
        return value
    try:
        return known[str(value).lower()]
    except KeyError:
        raise ValueError(f"must be true or false, not {value!r}") from None
