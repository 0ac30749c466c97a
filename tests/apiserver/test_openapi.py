"""OpenAPI lists what is served, so that kubectl explains it and leaves validation to us."""

import json

import pytest

from k3py import kinds
from k3py.api import protobuf
from k3py.apiserver import openapi_protobuf, operations
from k3py.apiserver.openapi import OpenApi

PODS = "/api/v1/namespaces/{namespace}/pods"
DOCUMENTS = OpenApi(kinds.ALL)


def test_the_index_lists_every_group_version_with_a_hash():
    paths = DOCUMENTS.index()["paths"]
    assert set(paths) == {operations.root(kind) for kind in kinds.ALL}
    url = paths["apis/apps/v1"]["serverRelativeURL"]
    assert url == f"/openapi/v3/apis/apps/v1?hash={DOCUMENTS.hash('apis/apps/v1')}"


def test_the_hash_changes_with_the_kinds():
    fewer = OpenApi([kind for kind in kinds.ALL if kind is not kinds.DEPLOYMENT])
    assert fewer.hash("apis/apps/v1") != DOCUMENTS.hash("apis/apps/v1")
    assert fewer.hash("api/v1") == DOCUMENTS.hash("api/v1")
    assert fewer.hash() != DOCUMENTS.hash()


def test_a_group_that_is_not_served_has_no_document():
    assert DOCUMENTS.v3("apis/cars/v1") is None


@pytest.mark.parametrize("path", sorted({operations.root(kind) for kind in kinds.ALL}))
def test_every_reference_leads_somewhere(path):
    document = json.loads(DOCUMENTS.v3(path))
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert set(references(document)) <= known


def test_every_reference_of_v2_leads_somewhere():
    document = json.loads(DOCUMENTS.v2())
    assert set(references(document)) <= {
        f"#/definitions/{name}" for name in document["definitions"]
    }


def test_operations_have_names_of_their_own():
    ids = [o.id for kind in kinds.ALL for o in operations.operations(kind, everything)]
    assert len(ids) == len(set(ids))
    assert {
        "createCoreV1NamespacedPod",
        "listAppsV1DeploymentForAllNamespaces",
        "deleteCoreV1CollectionNamespacedConfigMap",
        "replaceRbacAuthorizationV1ClusterRole",
        "createCoreV1NamespacedPodEviction",
    } <= set(ids)


def test_every_write_takes_field_validation():
    """kubectl validates by itself where a PATCH of the kind does not."""
    for kind in kinds.ALL:
        for operation in operations.operations(kind, everything):
            if operation.action in ("post", "put", "patch"):
                names = [p.name for p in operations.parameters(operation)]
                assert {"fieldValidation", "dryRun", "fieldManager"} <= set(names), operation
    pod = v3("api/v1")["paths"][PODS + "/{name}"]["patch"]
    assert {"name": "fieldValidation", "in": "query", "schema": STRING} in pod["parameters"]
    assert pod["x-kubernetes-group-version-kind"] == POD


def test_no_other_patch_passes_for_that_of_the_object():
    for path, item in v3("api/v1")["paths"].items():
        if "patch" in item and item["patch"]["x-kubernetes-group-version-kind"] == POD:
            assert item["patch"]["x-kubernetes-action"] == "patch", path


def test_subresources_speak_kinds_of_their_own():
    paths = v3("api/v1")["paths"]
    eviction = paths[PODS + "/{name}/eviction"]["post"]
    assert eviction["x-kubernetes-group-version-kind"]["kind"] == "Eviction"
    scale = v3("apis/apps/v1")["paths"]
    scale = scale["/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale"]["patch"]
    assert scale["x-kubernetes-group-version-kind"]["group"] == "autoscaling"
    assert "io.k8s.api.autoscaling.v1.Scale" in v3("apis/apps/v1")["components"]["schemas"]


def test_subresources_that_are_not_served_are_left_out():
    bare = OpenApi([kinds.POD], served=lambda kind, subresource: subresource == "status")
    paths = json.loads(bare.v3("api/v1"))["paths"]
    assert PODS + "/{name}/status" in paths
    assert PODS + "/{name}/exec" not in paths


def test_verbs_that_a_kind_lacks_are_left_out():
    paths = v3("apis/authorization.k8s.io/v1")["paths"]
    review = paths["/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"]
    assert set(review) == {"post"}


def test_definitions_say_what_they_are_for():
    pod = v3("api/v1")["components"]["schemas"]["io.k8s.api.core.v1.Pod"]
    assert pod["x-kubernetes-group-version-kind"] == [POD]
    assert pod["description"].startswith("Pod is a collection of containers")
    assert pod["properties"]["spec"]["allOf"] == [
        {"$ref": "#/components/schemas/io.k8s.api.core.v1.PodSpec"}
    ]
    assert pod["properties"]["spec"]["description"]


def test_lists_say_how_they_merge():
    spec = v3("api/v1")["components"]["schemas"]["io.k8s.api.core.v1.PodSpec"]
    containers = spec["properties"]["containers"]
    assert containers["x-kubernetes-patch-merge-key"] == "name"
    assert containers["x-kubernetes-list-map-keys"] == ["name"]
    assert spec["required"] == ["containers"]


def test_int_or_string_is_written_as_each_version_does():
    name = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
    three = v3("api/v1")["components"]["schemas"][name]
    assert three["oneOf"] == [{"type": "integer"}, {"type": "string"}]
    two = json.loads(DOCUMENTS.v2())["definitions"][name]
    assert (two["type"], two["format"]) == ("string", "int-or-string")


def test_the_second_answer_is_the_first():
    assert DOCUMENTS.v3("api/v1") == DOCUMENTS.v3("api/v1")


def test_v2_in_protobuf_names_every_definition_and_path():
    document = json.loads(DOCUMENTS.v2())
    fields = read(DOCUMENTS.v2_protobuf())
    assert fields[1] == [b"2.0"]
    assert read(fields[2][0]) == {1: [b"Kubernetes"], 2: [b"v1.36.0"]}
    paths = [read(item)[1][0].decode() for item in read(fields[8][0])[2]]
    assert paths == list(document["paths"])
    definitions = [read(item) for item in read(fields[9][0])[1]]
    assert [d[1][0].decode() for d in definitions] == list(document["definitions"])


def test_v2_in_protobuf_says_the_same_of_a_field():
    pod = {"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}}
    v2 = {"swagger": "2.0", "info": {"title": "t", "version": "v"}, "paths": {}}
    found = read(openapi_protobuf.document(v2 | {"definitions": {"Pod": pod}}))
    schema = read(read(read(found[9][0])[1][0])[2][0])
    assert read(schema[22][0]) == {1: [b"object"]}
    assert schema[19] == [b"a"]
    field = read(read(schema[25][0])[1][0])
    assert field[1] == [b"a"]
    assert read(read(field[2][0])[22][0]) == {1: [b"string"]}


STRING = {"type": "string", "uniqueItems": True}
POD = {"group": "", "version": "v1", "kind": "Pod"}


def everything(kind, subresource):
    return True


def v3(path):
    return json.loads(DOCUMENTS.v3(path))


def references(node):
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for child in node.values():
            yield from references(child)
    elif isinstance(node, list):
        for child in node:
            yield from references(child)


def read(data):
    """Any message: field number → the bytes of each occurrence."""
    found = {}
    for number, value in protobuf.entries(memoryview(data)):
        found.setdefault(number, []).append(bytes(value) if hasattr(value, "nbytes") else value)
    return found
