"""What this node should run comes from the API, and from disk while the API is away."""

import pytest

from k3py import kinds
from k3py.client.informer import Informer
from k3py.node.desired import Desired
from k3py.testing.client import FakeClient

from .arrange import pod


def test_the_api_is_followed(kept):
    kept.desired.begin()
    kept.informer.replace([pod(name="a"), pod(name="b")], 5)
    kept.informer.replace([pod(name="a")], 6)
    assert kept.said == ["want a", "want b", "end b"]
    assert kept.files() == ["uid-a.json", "uid-b.json"]
    kept.desired.forget("uid-b")
    assert kept.files() == ["uid-a.json"]


def test_without_the_api_the_disk_is_believed_until_it_is_heard(kept):
    kept.desired.begin()
    kept.informer.replace([pod(name="a"), pod(name="b")], 5)
    later = Kept(kept.folder)
    later.desired.begin()
    assert later.said == ["want a", "want b"]
    later.informer.replace([pod(name="b")], 9)
    later.desired.settle(iter([pod(name="c")]))
    assert later.said[2:] == ["want b", "end a", "end c"]


def test_a_namesake_is_another_pod(kept):
    kept.desired.begin()
    kept.informer.replace([pod(name="a")], 5)
    again = pod(name="a")
    again["metadata"] |= {"uid": "other", "resourceVersion": "2"}
    kept.informer.replace([again], 6)
    assert kept.said == ["want a", "end a", "want a"]


def test_what_cannot_be_read_is_removed(kept):
    kept.folder.mkdir(exist_ok=True)
    (kept.folder / "x.json").write_text("{")
    (kept.folder / "y.json").write_text('{"metadata": {"uid": "z"}}')
    assert list(kept.desired.remembered()) == []
    assert kept.files() == []


class Kept:
    def __init__(self, folder):
        self.folder, self.said = folder, []
        self.informer = Informer(FakeClient(), kinds.POD)
        self.desired = Desired(
            self.informer,
            folder,
            wanted=lambda p: self.said.append(f"want {p['metadata']['name']}"),
            unwanted=lambda p: self.said.append(f"end {p['metadata']['name']}"),
        )

    def files(self):
        return sorted(f.name for f in self.folder.iterdir())


@pytest.fixture
def kept(tmp_path):
    return Kept(tmp_path / "desired")
