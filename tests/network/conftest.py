"""Golden files, and a namespace in which the kernel takes rules without harm."""

import os
from pathlib import Path

import pytest

from k3py.base import commands


@pytest.fixture
def golden(request):
    """golden("two.nft", text): whether `text` is what stands in golden/two.nft beside the test.

    With K3PY_GOLDEN=write the file is written instead.
    """

    def compare(name: str, text: str) -> bool:
        file = Path(request.path).parent / "golden" / name
        if os.environ.get("K3PY_GOLDEN") == "write":
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)
        assert text == file.read_text()
        return True

    return compare


@pytest.fixture
def nft():
    """Runs nft in a namespace of its own: nft("list ruleset") prints, and takes any script."""
    name = f"k3pynft{os.getpid()}"
    commands.run("ip", "netns", "add", name)

    def run(script: str) -> str:
        return commands.run("ip", "netns", "exec", name, "nft", "-f", "-", stdin=script)

    yield run
    commands.run("ip", "netns", "delete", name)
