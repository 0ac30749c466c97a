"""Running programs: the only place that does."""

import os
import subprocess
from collections.abc import Mapping, Sequence

Process = subprocess.Popen[bytes]


class CommandFailed(Exception):
    """A program ended with a code that is not 0, was not there, or took too long.

    `argv`, `code` (127: not found, 126: not allowed, 124: too slow) and what it printed on
    standard error.
    """

    def __init__(self, argv: Sequence[str], code: int, stderr: str) -> None:
        self.argv, self.code, self.stderr = tuple(argv), code, stderr
        super().__init__(f"{' '.join(argv)}: exit code {code}: {stderr.strip()[-2000:]}")


def run(
    *argv: str,
    stdin: str | None = None,
    timeout: float = 60,
    env: Mapping[str, str] | None = None,
) -> str:
    """What the program prints on standard output. `timeout` in seconds.

    Raises CommandFailed.
    """
    try:
        done = subprocess.run(
            argv,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            env=dict(env) if env is not None else clean_environment(),
            check=False,
        )
    except FileNotFoundError as missing:
        raise CommandFailed(argv, 127, f"{argv[0]}: not found") from missing
    except PermissionError as forbidden:
        raise CommandFailed(argv, 126, f"{argv[0]}: may not be run") from forbidden
    except subprocess.TimeoutExpired as late:
        raise CommandFailed(argv, 124, f"no answer within {timeout:g} s") from late
    if done.returncode:
        raise CommandFailed(argv, done.returncode, done.stderr or done.stdout)
    return done.stdout


def start(
    *argv: str,
    output: int | None = None,
    env: Mapping[str, str] | None = None,
    session: bool = True,
    cwd: str | None = None,
    pass_fds: Sequence[int] = (),
) -> Process:
    """A program that goes on running. `output`: a file descriptor for what it prints.

    With `session` it has a session of its own, so that a signal to us does not reach it.
    """
    return subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=output if output is not None else subprocess.DEVNULL,
        stderr=subprocess.STDOUT if output is not None else subprocess.DEVNULL,
        env=dict(env) if env is not None else clean_environment(),
        start_new_session=session,
        cwd=cwd,
        pass_fds=pass_fds,
    )


def clean_environment() -> dict[str, str]:
    """This process's environment without what a frozen executable put into it.

    The packaged program's loader points LD_LIBRARY_PATH at its own libraries; system
    programs must not load those.
    """
    env = {k: v for k, v in os.environ.items() if not k.startswith("_PYI_")}
    original = env.pop("LD_LIBRARY_PATH_ORIG", None)
    if original is not None:
        env["LD_LIBRARY_PATH"] = original
    elif "_PYI_ARCHIVE_FILE" in os.environ:
        env.pop("LD_LIBRARY_PATH", None)
    return env
