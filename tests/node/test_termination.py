"""A container's last words are what it wrote, or the end of its log where it wished so."""

import pytest

from k3py.node import termination

from .arrange import container

LOG = b"2030-01-01T12:00:00.1Z stdout F one\n2030-01-01T12:00:00.2Z stderr P tw\n" \
      b"2030-01-01T12:00:00.3Z stderr F o\n"  # fmt: skip
FALL_BACK = container(terminationMessagePolicy="FallbackToLogsOnError")


@pytest.mark.parametrize(
    ("about", "file", "failed", "said"),
    [
        (container(), b"words", True, "words"),
        (container(), b"", True, ""),
        (FALL_BACK, b"words", True, "words"),
        (FALL_BACK, b"", True, "one\ntwo\n"),
        (FALL_BACK, b"", False, ""),
        (container(), b"x" * 5000, True, "x" * 4096),
    ],
)
def test_last_words(tmp_path, about, file, failed, said):
    (tmp_path / "file").write_bytes(file)
    (tmp_path / "log").write_bytes(LOG)
    found = termination.message(about, tmp_path / "file", tmp_path / "log", failed=failed)
    assert found == said


def test_no_files_are_no_words(tmp_path):
    assert termination.message(FALL_BACK, tmp_path / "a", tmp_path / "b", failed=True) == ""


def test_a_long_log_is_cut():
    line = b"2030-01-01T12:00:00.1Z stdout F " + b"y" * 100 + b"\n"
    assert len(termination.log_end(line * 200)) == 2048
