"""What a user can type is written down where a user looks."""

import dataclasses
from pathlib import Path

import pytest

from k3py import kinds
from k3py.cli.main import _COMMANDS, commands
from k3py.daemon import options
from k3py.daemon.config import ServerConfig

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("name", _COMMANDS)
def test_every_command_explains_itself(name):
    command = commands.get_command(None, name)
    assert command.help
    assert len(command.get_short_help_str(200)) > 20


@pytest.mark.parametrize("field", dataclasses.fields(ServerConfig), ids=lambda field: field.name)
def test_every_option_says_what_it_is(field):
    text = options.of(field).help
    assert text.endswith((".", ")."))
    assert options.variable(field).startswith("K3PY_")


@pytest.mark.parametrize("command", ["server", "agent", "status", "token", "lab"])
def test_the_readme_shows_the_commands_that_matter(command):
    assert f"k3py {command}" in README


def test_every_kind_has_a_name_of_its_own():
    names = [(kind.group, kind.plural) for kind in kinds.ALL]
    assert len(set(names)) == len(names)
