"""What every test may ask for, and what tests of the real thing need.

Tests marked kernel, podman or cluster need root; without it they are skipped, and only
for that reason: a missing program is a failure, which `tests/run` repairs by installing it.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from k3py.lab.lab import Lab

NEED_ROOT = ("kernel", "podman", "cluster")
CLOUD_SDK = Path("/usr/lib/google-cloud-sdk/bin")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_weight)
    if os.geteuid() == 0:
        return
    for item in items:
        if any(item.get_closest_marker(name) for name in NEED_ROOT):
            item.add_marker(pytest.mark.skip(reason="needs root"))


def _weight(item: pytest.Item) -> int:
    """Cheap tests first: a mistake that they find need not wait for a cluster."""
    marked = [bool(item.get_closest_marker(name)) for name in NEED_ROOT]
    return len(marked) - marked[::-1].index(True) if any(marked) else 0


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str], str]:
    """The text a test should produce, kept in a file beside it."""
    return lambda name: (Path(request.path).parent / "golden" / name).read_text()


@contextmanager
def lab_named(name: str) -> Iterator[Lab]:
    """A lab that is not there yet, and will be gone, also when it fails to start.

    Names begin with "test-": `tests/run` removes what an interrupted run left of those.
    """
    lab = Lab(name, say=print)
    lab.down()
    try:
        yield lab
    finally:
        lab.down()


@pytest.fixture(scope="session")
def kubectls() -> list[Path]:
    """Every kubectl of this machine, oldest first; each claim about kubectl holds for all."""
    found = find_kubectls()
    assert found, "no kubectl: tests/run installs one"
    return found


def find_kubectls() -> list[Path]:
    """The one on the PATH, and the Google Cloud SDK's, one for each version, oldest first."""
    found = [Path(place) for place in [shutil.which("kubectl")] if place]
    return found + sorted(CLOUD_SDK.glob("kubectl.1.*"))
