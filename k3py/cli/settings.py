"""Command-line options from the fields of a configuration."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from k3py.daemon import options
from k3py.daemon.config import ServerConfig

C = TypeVar("C")
DEFAULT_FILE = "/etc/k3py/config.yaml"
Decorated = Callable[..., Any]


def options_of(config: type) -> Callable[[Decorated], Decorated]:
    """A decorator that gives a command a flag for every field, and --config."""

    def decorate(command: Decorated) -> Decorated:
        for field in reversed(dataclasses.fields(config)):
            command = _click_option(field)(command)
        return click.option(
            "--config",
            "-c",
            "config_file",
            default=DEFAULT_FILE,
            envvar="K3PY_CONFIG_FILE",
            show_default=True,
            metavar="FILE",
            help="Options as lines of 'name: value'; config.yaml.d/*.yaml beside it count too.",
        )(command)

    return decorate


def read(config: type[C], config_file: str, flags: dict[str, Any]) -> C:
    """The configuration a command was given. Raises options.BadConfiguration."""
    path = Path(config_file)
    if config_file != DEFAULT_FILE and not path.exists():
        raise options.BadConfiguration(f"--config: there is no file {path}")
    return options.build(config, flags, files=options.config_files(path), known=(ServerConfig,))


def _click_option(field: "dataclasses.Field[Any]") -> Callable[[Decorated], Decorated]:
    said = options.of(field)
    names = [f"--{options.flag(field)}", *([f"-{said.short}"] if said.short else []), field.name]
    text = f"{said.help}  [{options.variable(field)}]"
    if isinstance(field.default, bool):
        return click.option(*names, is_flag=True, default=None, help=text)
    if isinstance(field.default, tuple):
        return click.option(*names, multiple=True, metavar="TEXT", help=text)
    shown = f"  [default: {field.default}]" if field.default not in ("", ()) else ""
    return click.option(*names, default=None, metavar=said.metavar or "TEXT", help=text + shown)
