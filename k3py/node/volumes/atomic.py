"""Folders whose files all change at one moment.

    key -> ..data/key        ..data -> ..2030_01_01_12_00_00.123456/

A reader that opens files through the links sees the old content or the new, and programs
that watch for the replacement of `..data` see one event.
"""

import contextlib
import os
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

_DATA = "..data"


@dataclass(frozen=True)
class File:
    content: bytes
    mode: int


def write(
    folder: Path, wanted: Mapping[str, File], *, now: datetime, group: int | None = None
) -> bool:
    """Make `folder` hold exactly `wanted` (relative paths); whether anything changed."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    if _holds(folder, wanted):
        return False
    version = folder / now.strftime("..%Y_%m_%d_%H_%M_%S.%f")
    if version.exists():
        shutil.rmtree(version)
    version.mkdir(mode=0o755)
    for name, file in wanted.items():
        _write_file(version / name, file, version, group)
    if group is not None:
        _give(version, group, 0o2775)
    before = _target(folder)
    link = folder / "..data_tmp"
    link.unlink(missing_ok=True)
    link.symlink_to(version.name)
    link.replace(folder / _DATA)
    _link_names(folder, wanted)
    for old in folder.glob("..2*"):
        if old.name != version.name and (before is None or old.name != version.name):
            shutil.rmtree(old, ignore_errors=True)
    return True


def safe(path: str) -> bool:
    """Whether a relative path stays inside its folder and clear of the links."""
    parts = PurePosixPath(path).parts
    return bool(parts) and not path.startswith(("/", "..")) and ".." not in parts


def _holds(folder: Path, wanted: Mapping[str, File]) -> bool:
    data = folder / _DATA
    if not data.is_dir():
        return False
    there = {str(p.relative_to(data.resolve())) for p in data.resolve().rglob("*") if p.is_file()}
    if there != {str(PurePosixPath(name)) for name in wanted}:
        return False
    for name, file in wanted.items():
        path = data / name
        if stat.S_IMODE(path.stat().st_mode) & 0o777 != _with_group(file.mode, path) & 0o777:
            return False
        if path.read_bytes() != file.content:
            return False
    return True


def _with_group(mode: int, path: Path) -> int:
    """What a file's mode became if it was given to a group: see _give."""
    return mode | 0o040 if path.stat().st_gid else mode


def _write_file(path: Path, file: File, top: Path, group: int | None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(file.content)
    path.chmod(file.mode)
    if group is not None:
        os.chown(path, -1, group)
        path.chmod(file.mode | 0o040)
        for between in path.relative_to(top).parents:
            if str(between) != ".":
                _give(top / between, group, 0o2775)


def _give(folder: Path, group: int, mode: int) -> None:
    os.chown(folder, -1, group)
    folder.chmod(mode)


def _target(folder: Path) -> str | None:
    with contextlib.suppress(OSError):
        return str((folder / _DATA).readlink())
    return None


def _link_names(folder: Path, wanted: Mapping[str, File]) -> None:
    """One link for each first part of a path; those of files that are gone go too."""
    tops = {PurePosixPath(name).parts[0] for name in wanted}
    for name in tops:
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(f"{_DATA}/{name}")
    for entry in folder.iterdir():
        if entry.is_symlink() and entry.name not in tops and not entry.name.startswith(".."):
            entry.unlink()
