"""The shape of the code is kept: what import-linter cannot see."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "k3py").rglob("*.py"))
BANNED = {
    "util",
    "utils",
    "helper",
    "helpers",
    "common",
    "misc",
    "manager",
    "handler",
    "base_class",
}
LONGEST = 600


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_says_what_it_is_for_and_fits_a_reader(path):
    text = path.read_text()
    assert ast.get_docstring(ast.parse(text)), "has no docstring"
    assert len(text.splitlines()) <= LONGEST, "is too long: take it apart"
    assert path.stem not in BANNED, "is named for a pattern, not for what it defines"


def test_no_module_hides_one_of_the_standard_library():
    hidden = {path.stem for path in MODULES} & set(sys.stdlib_module_names) - _ALLOWED
    assert not hidden


def test_the_version_is_told_without_importing_the_program():
    """`k3py --version` must be quick on a Raspberry Pi."""
    code = "import sys, k3py.cli.main; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout.split()
    heavy = {"flask", "gevent", "cryptography", "yaml", "sqlite3", "ssl", "k3py.kinds", "k3py.api"}
    assert not heavy & set(loaded)


def test_an_agent_imports_no_server():
    code = "import sys, k3py.daemon.agent, k3py.node.agent, k3py.network.agent; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout.split()
    assert not {"flask", "gevent", "sqlite_utils", "paramiko", "rich"} & set(loaded)


# `python -m k3py` needs the first; the others are only ever imported by their full name.
_ALLOWED = {"__main__", "__init__", "copy", "select"}
