"""Structured logs: a constant sentence, then the facts as key=value (logfmt)."""

import logging
import sys
from typing import Any, TextIO


class Log:
    """A logger whose keyword arguments become fields.

    >>> log = Log("k3py.node").bind(pod="default/web")
    >>> log.info("container started", name="nginx")   # container started pod=default/web name=nginx
    """

    def __init__(self, name: str, **fields: Any) -> None:
        self._logger = logging.getLogger(name)
        self._fields = fields

    def bind(self, **fields: Any) -> "Log":
        return Log(self._logger.name, **self._fields | fields)

    def debug(self, message: str, **fields: Any) -> None:
        self._log(logging.DEBUG, message, fields)

    def info(self, message: str, **fields: Any) -> None:
        self._log(logging.INFO, message, fields)

    def warning(self, message: str, **fields: Any) -> None:
        self._log(logging.WARNING, message, fields)

    def error(self, message: str, **fields: Any) -> None:
        self._log(logging.ERROR, message, fields)

    def exception(self, message: str, **fields: Any) -> None:
        """An error, with the traceback of the exception being handled."""
        self._log(logging.ERROR, message, fields, exc_info=True)

    def _log(self, level: int, message: str, fields: Any, *, exc_info: bool = False) -> None:
        if self._logger.isEnabledFor(level):
            facts = "".join(f" {k}={_quoted(v)}" for k, v in (self._fields | fields).items())
            self._logger.log(level, "%s%s", message, facts, exc_info=exc_info)


def configure(*, debug: bool = False, stream: TextIO | None = None) -> None:
    """Send every k3py log line to `stream` (standard error unless told)."""
    target = logging.StreamHandler(stream or sys.stderr)
    target.setFormatter(
        logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S%z")
    )
    root = logging.getLogger("k3py")
    root.handlers[:] = [target]
    root.setLevel(logging.DEBUG if debug else logging.INFO)
    root.propagate = False


def _quoted(value: Any) -> str:
    text = str(value)
    if any(c in text for c in ' "\n='):
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    return text
