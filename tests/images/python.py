"""A Python image, from the distribution's own /usr/bin/python3 and what it links to."""

import os
from pathlib import Path

from k3py.base import commands
from k3py.lab import busybox, images

NAME = "docker.io/library/python:3"
INTERPRETER = Path("/usr/bin/python3").resolve()
LIBRARY = Path("/usr/lib", INTERPRETER.name)
LEFT_OUT = {
    *("__pycache__", "test", "tests", "idlelib", "lib2to3", "ensurepip", "tkinter"),
    *("turtledemo", "pydoc_data"),
}


def image() -> images.Image:
    files = images.Layer()
    for library in sorted(_shared_libraries()):
        files.file(library.lstrip("/"), Path(library).resolve(), 0o755)
    files.file(f"usr/bin/{INTERPRETER.name}", INTERPRETER, 0o755)
    for name in ("python3", "python"):
        files.link(f"usr/bin/{name}", INTERPRETER.name)
    for path in _modules():
        files.file(str(path).lstrip("/"), path)
    return images.build(
        [busybox.layer(), files.content()],
        {"Env": [*busybox.ENVIRONMENT, "LANG=C.UTF-8"], "Cmd": ["python3"]},
    )


def _shared_libraries() -> set[str]:
    """What the dynamic linker loads for the interpreter and its modules, itself among it."""
    found: set[str] = set()
    for program in (INTERPRETER, *(LIBRARY / "lib-dynload").glob("*.so")):
        words = commands.run("ldd", str(program)).split()
        found.update(word for word in words if word.startswith("/"))
    return found


def _modules() -> list[Path]:
    found = []
    for folder, folders, names in os.walk(LIBRARY):
        folders[:] = [f for f in folders if f not in LEFT_OUT and not f.startswith("config-")]
        found += [Path(folder, name) for name in names if Path(folder, name).exists()]
    return sorted(found)
