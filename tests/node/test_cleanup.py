"""What belongs to no pod any more is removed, and nothing else."""

from k3py.node import cleanup
from k3py.node.runtime.runtime import Container, Labels, State


def test_remains_of_unknown_pods_are_removed(tmp_path):
    for name in ("home_web_uid-web", "home_old_uid-old", "not-ours"):
        (tmp_path / name).mkdir()
    there = Remains()
    cleanup.sweep({"uid-web"}, there, there, tmp_path)
    assert there.removed == ["uid-old", "/k3py/poduid-old"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["home_web_uid-web", "not-ours"]


def test_a_pod_of_which_only_containers_are_known():
    labels = Labels("u", "home", "web", "app").as_dict()
    pod = cleanup.orphan("u", (Container("id", labels, State.RUNNING),))
    assert pod["metadata"] == {"uid": "u", "name": "web", "namespace": "home"}


class Remains:
    """Sandboxes and cgroups of a living pod and a forgotten one."""

    def __init__(self):
        self.removed = []

    def uids(self):
        return ["uid-old", "uid-web"]

    def pods(self):
        return [("uid-old", "/k3py/poduid-old"), ("uid-web", "/k3py/poduid-web")]

    def remove(self, what):
        self.removed.append(what)
