"""Mounts of the agent: tmpfs, binds, pinned namespaces; and taking them away again."""

import ctypes
import os
from pathlib import Path

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
_MS_BIND, _MS_REC, _MS_PRIVATE, _MS_SHARED = 4096, 16384, 1 << 18, 1 << 20
_MNT_DETACH, _UMOUNT_NOFOLLOW = 2, 8
_EINVAL, _ENOENT = 22, 2

_libc = ctypes.CDLL(None, use_errno=True)


def tmpfs(path: Path, *, size: int = 0, mode: int = 0o1777) -> None:
    """A file system in memory at `path`; `size` in bytes, 0 for the kernel's default."""
    options = f"mode={mode:o}" + (f",size={size}" if size else "")
    _mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, options)


def bind(source: str | Path, path: Path) -> None:
    _mount(str(source), path, "", _MS_BIND, "")


def share(path: Path) -> None:
    """Make `path` a mount whose submounts other mount namespaces see too; twice is once."""
    if not is_mount(path):
        bind(path, path)
    _mount("none", path, "", _MS_SHARED | _MS_REC, "")


def unmount(path: Path) -> None:
    """Take away every mount stacked on `path`; none is no error. Users of it keep it."""
    while True:
        if _libc.umount2(os.fsencode(path), _MNT_DETACH | _UMOUNT_NOFOLLOW) == 0:
            continue
        error = ctypes.get_errno()
        if error in (_EINVAL, _ENOENT):
            return
        raise OSError(error, os.strerror(error), str(path))


def below(path: Path) -> list[Path]:
    """The mount points at and below `path`, deepest first."""
    prefix = str(path) + "/"
    with Path("/proc/self/mountinfo").open() as table:
        found = [_unescaped(line.split(" ", 5)[4]) for line in table]
    inside = {p for p in found if p == str(path) or p.startswith(prefix)}
    return [Path(p) for p in sorted(inside, key=len, reverse=True)]


def is_mount(path: Path) -> bool:
    return path in below(path)


def _mount(source: str, target: Path, kind: str, flags: int, options: str) -> None:
    done = _libc.mount(
        source.encode(), os.fsencode(target), kind.encode(), flags, options.encode() or None
    )
    if done != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), str(target))


def _unescaped(text: str) -> str:
    """mountinfo writes blanks and backslashes as octal: \\040."""
    if "\\" not in text:
        return text
    return text.encode().decode("unicode_escape").encode("latin-1").decode(errors="replace")
