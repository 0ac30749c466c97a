"""Volumes show the right files, and change them all at once."""

import base64
import os
from datetime import timedelta

import pytest

from k3py import kinds
from k3py.api import errors
from k3py.api.objects import Key
from k3py.node.environment import Facts
from k3py.node.runtime.specs import Refused
from k3py.node.sandbox import Folders
from k3py.node.sources import ApiSources, Token
from k3py.node.volumes import atomic
from k3py.node.volumes.atomic import File
from k3py.node.volumes.mounting import Volumes, container_mounts, unwritable
from k3py.node.volumes.volume import VolumeProblem
from k3py.testing.client import FakeClient
from k3py.testing.clock import FakeClock

from .arrange import NOW, container, pod

FACTS = Facts("pi-1", ("192.168.1.7",), ("10.42.1.5",), 4, 1 << 30)
CONFIG = {
    "metadata": {"name": "cfg", "namespace": "home"},
    "data": {"a": "1", "b": "2"},
    "binaryData": {"raw": base64.b64encode(b"\0\xff").decode()},
}
SECRET = {
    "metadata": {"name": "key", "namespace": "home"},
    "data": {"pass": base64.b64encode(b"s3cret").decode()},
}


def listing(folder):
    found = {}
    for path in sorted(folder.iterdir()):
        if not path.name.startswith(".."):
            found[path.name] = listing(path) if path.is_dir() else path.read_bytes()
    return found


def test_files_change_at_one_moment_and_old_ones_go(tmp_path):
    assert atomic.write(tmp_path, {"a": File(b"1", 0o644), "d/b": File(b"2", 0o600)}, now=NOW)
    assert listing(tmp_path) == {"a": b"1", "d": {"b": b"2"}}
    before = (tmp_path / "..data").resolve()
    assert not atomic.write(tmp_path, {"a": File(b"1", 0o644), "d/b": File(b"2", 0o600)}, now=NOW)
    later = NOW + timedelta(seconds=1)
    assert atomic.write(tmp_path, {"a": File(b"3", 0o644), "c": File(b"4", 0o644)}, now=later)
    assert listing(tmp_path) == {"a": b"3", "c": b"4"}
    assert not before.exists()
    assert (tmp_path / "a").readlink() == atomic.Path("..data/a")


def test_modes_are_kept(tmp_path):
    atomic.write(tmp_path, {"a": File(b"1", 0o400)}, now=NOW)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o400
    assert not atomic.write(tmp_path, {"a": File(b"1", 0o400)}, now=NOW)
    assert atomic.write(tmp_path, {"a": File(b"1", 0o444)}, now=NOW + timedelta(seconds=1))


def test_config_maps_and_secrets(at):
    paths = at.prepare(
        {"name": "c", "configMap": {"name": "cfg"}},
        {"name": "s", "secret": {"secretName": "key", "defaultMode": 0o400}},
        {"name": "i", "configMap": {"name": "cfg", "items": [{"key": "a", "path": "x/y"}]}},
    )
    assert listing(paths["c"]) == {"a": b"1", "b": b"2", "raw": b"\0\xff"}
    assert listing(paths["s"]) == {"pass": b"s3cret"}
    assert (paths["s"] / "pass").stat().st_mode & 0o777 == 0o400
    assert listing(paths["i"]) == {"x": {"y": b"1"}}
    assert paths["s"].is_relative_to(at.where.memory)


@pytest.mark.parametrize(
    ("volume", "why"),
    [
        ({"configMap": {"name": "no"}},
         'MountVolume.SetUp failed for volume "v" : configmap "no" not found'),
        ({"configMap": {"name": "cfg", "items": [{"key": "z", "path": "z"}]}},
         "references non-existent configmap key: z"),
        ({"configMap": {"name": "cfg", "items": [{"key": "a", "path": "../x"}]}}, "invalid path"),
        ({"hostPath": {"path": "/none-such", "type": "Directory"}},
         "hostPath type check failed: /none-such is not a directory"),
        ({"nfs": {"server": "x"}}, "volumes of type nfs are not supported"),
    ],
)  # fmt: skip
def test_what_cannot_be_had_is_named(at, volume, why):
    with pytest.raises(VolumeProblem, match=why):
        at.prepare({"name": "v", **volume})


def test_what_is_optional_may_be_absent(at):
    paths = at.prepare({"name": "v", "configMap": {"name": "no", "optional": True}})
    assert listing(paths["v"]) == {}


def test_the_service_accounts_token_and_its_rotation(at):
    sources = [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}},
        {"configMap": {"name": "cfg", "items": [{"key": "a", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [
            {"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
    ]  # fmt: skip
    volume = {"name": "v", "projected": {"sources": sources}}
    paths = at.prepare(volume)
    assert listing(paths["v"]) == {"token": b"token-1", "ca.crt": b"1", "namespace": b"home"}
    at.clock.advance(2000)
    at.prepare(volume)
    assert listing(paths["v"])["token"] == b"token-1"
    at.clock.advance(1000)
    at.prepare(volume)
    assert listing(paths["v"])["token"] == b"token-2"
    assert at.bound == [("home", "default", "uid-web")] * 2


def test_a_token_is_old_after_four_fifths_of_its_life():
    token = Token("t", NOW, NOW + timedelta(seconds=1000))
    assert not token.is_old(NOW + timedelta(seconds=799))
    assert token.is_old(NOW + timedelta(seconds=800))


def test_an_empty_dir_is_made_once_and_then_the_pods_own(at):
    paths = at.prepare({"name": "v", "emptyDir": {}}, {"name": "w"})
    assert paths["v"].stat().st_mode & 0o7777 == 0o777
    paths["v"].chmod(0o700)
    (paths["v"] / "f").write_text("x")
    at.prepare({"name": "v", "emptyDir": {}})
    assert paths["v"].stat().st_mode & 0o7777 == 0o700


def test_a_group_owns_the_files(at):
    if os.geteuid() != 0:
        pytest.skip("giving files away needs root")
    at.spec["securityContext"] = {"fsGroup": 77}
    paths = at.prepare({"name": "v", "secret": {"secretName": "key", "defaultMode": 0o400}})
    found = (paths["v"] / "pass").stat()
    assert (found.st_gid, found.st_mode & 0o777) == (77, 0o440)


def test_mounts_of_a_container(tmp_path):
    mounted = [{"name": "v", "mountPath": "/data", "readOnly": True}]
    (found,) = container_mounts(
        container(volumeMounts=mounted), {"v": tmp_path}, Folders(tmp_path, tmp_path), {}
    )
    assert (found.source, found.target, found.read_only) == (tmp_path, "/data", True)
    with pytest.raises(Refused, match="not found"):
        container_mounts(container(volumeMounts=mounted), {}, Folders(tmp_path, tmp_path), {})


def test_what_the_node_writes_no_container_may_write(tmp_path):
    volumes = [
        {"name": "c", "configMap": {"name": "cfg"}},
        {"name": "t", "projected": {"sources": []}},
        {"name": "e", "emptyDir": {}},
    ]
    mounted = [{"name": v["name"], "mountPath": f"/{v['name']}"} for v in volumes]
    found = container_mounts(
        container(volumeMounts=mounted),
        {v["name"]: tmp_path for v in volumes},
        Folders(tmp_path, tmp_path),
        {},
        read_only=unwritable({"spec": {"volumes": volumes}}),
    )
    assert [mount.read_only for mount in found] == [True, True, False]


@pytest.mark.parametrize("inside", ["../x", "/etc", "link"])
def test_a_sub_path_stays_inside_its_volume(tmp_path, inside):
    (tmp_path / "volume").mkdir()
    (tmp_path / "volume/link").symlink_to("/etc")
    mounted = [{"name": "v", "mountPath": "/data", "subPath": inside}]
    with pytest.raises(Refused, match=r"(inside|out of) the volume"):
        container_mounts(
            container(volumeMounts=mounted),
            {"v": tmp_path / "volume"},
            Folders(tmp_path / "disk", tmp_path / "memory"),
            {},
        )


def test_sources_are_believed_for_a_second():
    clock = FakeClock()
    client = FakeClient((kinds.CONFIG_MAP, CONFIG), clock=clock)
    sources, key = ApiSources(client, clock=clock), Key("home", "cfg")
    first = sources.get(kinds.CONFIG_MAP, key)
    client.put(kinds.CONFIG_MAP, CONFIG | {"data": {"a": "new"}})
    assert sources.get(kinds.CONFIG_MAP, key) is first
    clock.advance(1)
    assert sources.get(kinds.CONFIG_MAP, key)["data"] == {"a": "new"}
    client.remove(kinds.CONFIG_MAP, key)
    clock.advance(1)
    with pytest.raises(errors.NotFound):
        sources.get(kinds.CONFIG_MAP, key)


class Arranged:
    """A pod's volumes in a temporary place, with tokens that are numbered."""

    def __init__(self, folder):
        self.clock = FakeClock()
        self.where = Folders(folder / "disk", folder / "memory")
        self.spec, self.bound, self.issued = {}, [], 0
        client = FakeClient((kinds.CONFIG_MAP, CONFIG), (kinds.SECRET, SECRET), clock=self.clock)
        client.create_at = self.create_token
        sources = ApiSources(client, clock=self.clock)
        self.volumes = Volumes(sources, clock=self.clock)

    def create_token(self, kind, key, subresource, asked):
        self.bound.append((*key, asked["spec"]["boundObjectRef"]["uid"]))
        self.issued += 1
        life = timedelta(seconds=asked["spec"]["expirationSeconds"])
        expires = (self.clock.now() + life).isoformat()
        return {"status": {"token": f"token-{self.issued}", "expirationTimestamp": expires}}

    def prepare(self, *volumes):
        self.clock.advance(0.001)
        about = pod(volumes=list(volumes), **self.spec)
        return self.volumes.prepare(about, self.where, FACTS)


@pytest.fixture
def at(tmp_path):
    return Arranged(tmp_path)
