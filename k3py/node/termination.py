"""A container's last words: its termination message, or the end of its log."""

import contextlib
from pathlib import Path

from k3py.api.objects import Object

MOST_BYTES = 4096
# Of the log, for terminationMessagePolicy FallbackToLogsOnError.
MOST_LOG_BYTES, MOST_LOG_LINES = 2048, 80
_LOG_WINDOW = 16384


def message(container: Object, file: Path, log: Path, *, failed: bool) -> str:
    """What the container wrote to its termination log; its log's end where it wished so."""
    said = _read_end(file, MOST_BYTES).decode(errors="replace")
    policy = container.get("terminationMessagePolicy", "File")
    if said or not failed or policy != "FallbackToLogsOnError":
        return said
    return log_end(_read_end(log, _LOG_WINDOW))


def log_end(raw: bytes) -> str:
    """The last lines of a log file in the CRI format (`time stream tag text`)."""
    lines = []
    for line in raw.decode(errors="replace").splitlines(keepends=True)[-MOST_LOG_LINES:]:
        parts = line.split(" ", 3)
        if len(parts) == 4:
            lines.append(parts[3].removesuffix("\n") if parts[2] == "P" else parts[3])
    return "".join(lines)[-MOST_LOG_BYTES:]


def _read_end(path: Path, most: int) -> bytes:
    with contextlib.suppress(OSError), path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - most))
        return file.read(most)
    return b""
