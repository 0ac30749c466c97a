"""Names of images, and what is pushed for them."""

import io
import json
import tarfile

import pytest

from k3py.lab import images
from k3py.lab.disk import registries
from k3py.lab.registry import BadName, Name, parse


@pytest.mark.parametrize(
    ("text", "repository", "tag"),
    [
        ("busybox", "docker.io/library/busybox", "latest"),
        ("busybox:1.36", "docker.io/library/busybox", "1.36"),
        ("docker.io/library/busybox:1.36", "docker.io/library/busybox", "1.36"),
        ("docker.io/busybox:1.36", "docker.io/library/busybox", "1.36"),
        ("me/app", "docker.io/me/app", "latest"),
        ("quay.io/me/app:v1", "quay.io/me/app", "v1"),
        ("registry.k8s.io/pause:3.10", "registry.k8s.io/pause", "3.10"),
    ],
)
def test_short_and_full_names_are_the_same(text, repository, tag):
    assert parse(text) == Name(repository, tag)


@pytest.mark.parametrize(
    "text", ["Busybox", "a b", "localhost:5000/x", "x:", "x:a/b", "/x", "", "x:-"]
)
def test_what_is_no_name_is_refused(text):
    with pytest.raises(BadName):
        parse(text)


def test_offline_a_missing_image_is_not_looked_for_elsewhere():
    text = registries("172.30.0.1:5000", internet=False)
    assert 'prefix = "docker.io"\nlocation = "172.30.0.1:5000/docker.io"' in text
    assert "mirror" not in text


def test_with_internet_the_public_registry_comes_second():
    text = registries("172.30.0.1:5000", internet=True)
    assert 'location = "quay.io"\n[[registry.mirror]]\nlocation = "172.30.0.1:5000/quay.io"' in text


def test_a_built_image_names_its_blobs():
    layer = images.Layer()
    layer.file("etc/motd", "hello\n")
    image = images.build([layer.content()], {"Cmd": ["sh"]})
    manifest = json.loads(image.manifests[0].content)
    named = [manifest["config"], *manifest["layers"]]
    assert [entry["digest"] for entry in named] == [blob.digest for blob in image.blobs]
    assert json.loads(image.blobs[0].open().read())["config"] == {"Cmd": ["sh"]}


def test_a_layer_has_every_path_once():
    layer = images.Layer()
    layer.file("a/b/c", "1")
    layer.file("a/b/d", "2")
    with pytest.raises(ValueError, match="already"):
        layer.file("a/b/c", "3")
    with tarfile.open(fileobj=io.BytesIO(layer.content())) as tar:
        assert tar.getnames() == ["a", "a/b", "a/b/c", "a/b/d"]


def test_docker_archives_are_read(tmp_path):
    layer, config = b"layer" * 1000, b'{"os": "linux"}'
    listed = [{"Config": "c.json", "RepoTags": None, "Layers": ["1/layer.tar"]}]
    files = {"manifest.json": json.dumps(listed).encode(), "c.json": config, "1/layer.tar": layer}
    with images.read(archive(tmp_path, files)) as image:
        config_blob, layer_blob = image.blobs
        assert config_blob.open().read() == config
        with layer_blob.open() as packed:
            assert len(packed.read()) == layer_blob.size < len(layer)


def test_oci_archives_are_pushed_byte_for_byte(tmp_path):
    built = images.build([b"layer"], {})
    with images.read(archive(tmp_path, oci(built))) as image:
        assert image.manifests == built.manifests
        assert [b.open().read() for b in image.blobs] == [b.open().read() for b in built.blobs]


def test_an_oci_archive_of_one_platform_out_of_many_is_pushed_as_that_one(tmp_path):
    built = images.build([b"layer"], {})
    mine = {"mediaType": images.OCI_MANIFEST, "digest": built.manifests[0].digest, "size": 1}
    index = json.dumps({"manifests": [{**mine, "digest": "sha256:absent"}, mine]}).encode()
    top = images.Manifest(images.OCI_INDEX, index)
    files = oci(built) | {f"blobs/{top.digest.replace(':', '/')}": index}
    files["index.json"] = json.dumps(
        {"manifests": [{"mediaType": top.media_type, "digest": top.digest}]}
    ).encode()
    with images.read(archive(tmp_path, files)) as image:
        assert image.manifests == built.manifests


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"manifest.json": b"[]"},
        {"manifest.json": b"{"},
        {"manifest.json": b'[{"Config": "absent", "Layers": []}]'},
        {"index.json": b'{"manifests": [{"digest": "sha256:absent", "mediaType": "x"}]}'},
    ],
)
def test_other_archives_are_refused(tmp_path, files):
    with pytest.raises(images.BadArchive), images.read(archive(tmp_path, files)):
        pass


def test_what_is_no_tar_is_refused(tmp_path):
    (tmp_path / "x").write_text("not a tar")
    with pytest.raises(images.BadArchive), images.read(tmp_path / "x"):
        pass


def oci(image: images.Image) -> dict[str, bytes]:
    files = {f"blobs/{blob.digest.replace(':', '/')}": blob.open().read() for blob in image.blobs}
    manifest = image.manifests[-1]
    entry = {"mediaType": manifest.media_type, "digest": manifest.digest}
    files[f"blobs/{manifest.digest.replace(':', '/')}"] = manifest.content
    return files | {"index.json": json.dumps({"manifests": [entry]}).encode()}


def archive(folder, files: dict[str, bytes]):
    path = folder / "image.tar"
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path
