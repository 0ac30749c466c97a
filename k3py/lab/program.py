"""The k3py that runs now, as something a lab node can run too."""

import compileall
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

import k3py


@dataclass(frozen=True)
class Program:
    """`argv` starts it, given `environment` and with `folders` at their own places."""

    argv: tuple[str, ...]
    folders: tuple[Path, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()

    def script(self) -> str:
        """A shell script that is the command `k3py`."""
        words = [shlex.quote(word) for word in self.argv]
        exports = "".join(f"export {name}={shlex.quote(text)}\n" for name, text in self.environment)
        return f'#!/bin/sh\n{exports}exec {" ".join(words)} "$@"\n'


def running() -> Program:
    """This process's own program: a frozen executable, or an interpreter and a package."""
    executable = Path(sys.executable)
    if getattr(sys, "frozen", False):
        return Program((str(executable),), _outside_usr([executable.parent]))
    package = Path(k3py.__file__).parent
    # Nodes see it read-only, so what Python would compile at every start is compiled once, here.
    compileall.compile_dir(package, quiet=2)
    return Program(
        (str(executable), "-m", "k3py"),
        _outside_usr([Path(sys.prefix), Path(sys.base_prefix), package]),
        (("PYTHONPATH", str(package.parent)),),
    )


def _outside_usr(folders: list[Path]) -> tuple[Path, ...]:
    """Those that a node does not see anyway, without those inside another."""
    covered = [Path("/usr")]
    for folder in sorted(set(folders)):
        if not any(folder.is_relative_to(c) for c in covered):
            covered.append(folder)
    return tuple(covered[1:])
