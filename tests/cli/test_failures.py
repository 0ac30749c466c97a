"""What a person can mend is one line with the way to mend it; a fault keeps its traceback."""

import errno
import os
import sys

import pytest

from k3py.api import errors
from k3py.base.commands import CommandFailed, run
from k3py.cli.failures import told
from k3py.client.connections import Unreachable
from k3py.daemon.preflight import NotReady, Obstacle


@pytest.mark.parametrize(
    ("failure", "text"),
    [
        (errors.NotFound('pods "web" not found'), 'the API server says: pods "web" not found'),
        (Unreachable("no answer from https://x"), "Is the server running? See: k3py status"),
        (NotReady([Obstacle("not installed: podman", "Run: apt-get install")]), "Run: apt-get"),
        (OSError(errno.ENOSPC, "No space left on device", "/var/x"), "/var/x: No space left"),
        (OSError(errno.EROFS, "Read-only file system", "/etc/x"), "/etc/x: Read-only"),
        (PermissionError(errno.EACCES, "Permission denied", "/run/x"), "/run/x: Permission denied"),
        (CommandFailed(["nft"], 1, "no such table"), "nft: exit code 1: no such table"),
    ],
)
def test_what_a_person_can_mend_is_told(failure, text):
    assert text in told(failure)


@pytest.mark.parametrize("failure", [KeyError("spec"), OSError("odd"), ValueError("x")])
def test_a_fault_is_not_hidden(failure):
    assert told(failure) is None


def test_a_program_that_may_not_be_run_ended_in_a_traceback(tmp_path):
    path = tmp_path / "podman"
    path.write_text("")
    with pytest.raises(CommandFailed, match="exit code 126"):
        run(str(path))


def test_the_version_is_told_without_what_only_a_server_needs():
    """Each of these costs a Raspberry Pi a tenth of a second and more."""
    script = "import sys, k3py.cli.main; print(*sys.modules)"
    loaded = run(sys.executable, "-c", script, env=dict(os.environ)).split()
    assert not {"flask", "gevent", "yaml", "cryptography", "k3py.kinds", "podman"} & set(loaded)
