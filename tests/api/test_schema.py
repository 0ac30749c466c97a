"""Schemas say what Kubernetes 1.36 says: which fields there are, what decoding refuses,
drops and fills in, and how lists merge. The expected texts are those of Go's decoder."""

import time

import pytest

from k3py import kinds
from k3py.api import decoding, quantities, schema
from k3py.api.objects import copy


def test_every_kind_has_a_schema():
    for kind in kinds.ALL:
        assert schema.for_kind(kind.api_version, kind.kind), kind


def test_kinds_that_are_not_served_have_schemas_too():
    for version, kind in (
        ("batch/v1", "CronJob"),
        ("v1", "PodList"),
        ("v1", "DeleteOptions"),
        ("policy/v1", "Eviction"),
        ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
    ):
        assert schema.for_kind(version, kind), kind


def test_an_unknown_kind_has_none():
    assert schema.for_kind("v1", "Pods") is None
    assert schema.definition("io.k8s.api.core.v1.Pods") is None


def test_a_schema_that_refers_to_itself_ends():
    props = schema.definition(
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps"
    )
    assert props.property("properties").values is props


def test_lists_say_how_they_merge():
    pod = at("v1", "Pod", "spec")
    containers = pod.property("containers")
    assert (containers.patch_strategy, containers.merge_key) == ("merge", "name")
    assert (containers.list_type, containers.list_map_keys) == ("map", ("name",))
    assert pod.property("volumes").patch_strategy == "merge,retainKeys"
    ports = containers.items.property("ports")
    assert (ports.merge_key, ports.list_map_keys) == (
        "containerPort",
        ("containerPort", "protocol"),
    )
    assert ports.items.property("protocol").default == "TCP"
    assert containers.items.property("command").list_type == "atomic"
    assert at("v1", "Pod", "metadata", "finalizers").list_type == "set"


def test_a_use_may_merge_otherwise_than_its_type():
    assert at("apps/v1", "Deployment", "spec", "strategy").patch_strategy == "retainKeys"
    assert at("v1", "Pod", "spec", "affinity").patch_strategy == ""
    assert at("v1", "PersistentVolume", "spec", "claimRef").map_type == "granular"
    assert at("apps/v1", "Deployment", "spec", "selector").map_type == "atomic"


def test_formats_tell_special_strings_apart():
    assert at("v1", "Pod", "metadata", "creationTimestamp").format == "date-time"
    assert at("coordination.k8s.io/v1", "Lease", "spec", "renewTime").format == "micro-time"
    limits = at("v1", "Pod", "spec", "containers").items.property("resources").property("limits")
    assert limits.property("cpu").format == "quantity"
    assert at("v1", "Service", "spec", "ports").items.property("targetPort").format == (
        "int-or-string"
    )
    assert at("v1", "Secret", "data").values.format == "byte"


CONTAINER = {"name": "web", "image": "nginx"}


PORT = "spec.containers.ports.containerPort"
PORT_FIELD = "ContainerPort.spec.containers.ports.containerPort"
LIMITS = "spec.containers.resources.limits"
CREATED = "metadata.creationTimestamp"


@pytest.mark.parametrize(
    ("field", "value", "literal", "go_field", "go_type"),
    [
        ("spec", "y", "string", "Pod.spec", "v1.PodSpec"),
        ("metadata", [], "array", "Pod.metadata", "v1.ObjectMeta"),
        ("metadata.labels", {"x": 1}, "number", "ObjectMeta.metadata.labels", "string"),
        ("spec.containers", "x", "string", "PodSpec.spec.containers", "[]v1.Container"),
        (PORT, "80", "string", PORT_FIELD, "int32"),
        (PORT, 80.5, "number 80.5", PORT_FIELD, "int32"),
        (PORT, 80_000_000_000, "number 80000000000", PORT_FIELD, "int32"),
        (PORT, True, "bool", PORT_FIELD, "int32"),
        ("spec.hostNetwork", "true", "string", "PodSpec.spec.hostNetwork", "bool"),
        (CREATED, 1, "number", "ObjectMeta.metadata.creationTimestamp", "string"),
    ],
)
def test_a_wrong_json_type_is_refused_in_gos_words(field, value, literal, go_field, go_type):
    assert decoding.problem(pods(), with_value(field, value)) == (
        f"json: cannot unmarshal {literal} into Go struct field {go_field} of type {go_type}"
    )


RFC_3339 = '"2006-01-02T15:04:05Z07:00"'
SUFFIXES = "([eEinumkKMGTP]*[-+]?[0-9]*)"


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        (LIMITS, {"cpu": "1Kk"}, "unable to parse quantity's suffix"),
        (LIMITS, {"cpu": "x"},
         f"quantities must match the regular expression '^([+-]?[0-9.]+){SUFFIXES}$'"),
        (CREATED, "foo", f'parsing time "foo" as {RFC_3339}: cannot parse "foo" as "2006"'),
        (CREATED, "", f'parsing time "" as {RFC_3339}: cannot parse "" as "2006"'),
        (CREATED, "2024-13-01T00:00:00Z",
         'parsing time "2024-13-01T00:00:00Z": month out of range'),
    ],
)  # fmt: skip
def test_a_text_with_a_format_is_refused_in_gos_words(field, value, message):
    assert decoding.problem(pods(), with_value(field, value)) == message


def test_a_micro_time_needs_its_fraction():
    lease = {"spec": {"renewTime": "2024-01-01T00:00:00Z"}}
    assert decoding.problem(schema.for_kind("coordination.k8s.io/v1", "Lease"), lease) == (
        'parsing time "2024-01-01T00:00:00Z" as "2006-01-02T15:04:05.000000Z07:00": '
        'cannot parse "Z" as ".000000"'
    )


def test_data_must_be_base64():
    secrets = schema.for_kind("v1", "Secret")
    assert decoding.problem(secrets, {"data": {"x": "!!"}}) == "illegal base64 data at input byte 0"
    assert decoding.problem(secrets, {"data": {"x": "aGk="}}) is None


def test_what_go_can_decode_passes():
    assert decoding.problem(pods(), POD) is None
    assert decoding.problem(pods(), POD | {"unheard": ["of"]}) is None
    assert decoding.problem(pods(), with_value("spec.hostNetwork", None)) is None


def test_nesting_without_end_is_refused():
    crd = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
    nested = {}
    for _ in range(5000):
        nested = {"not": nested}
    crd["spec"] = {"versions": [{"schema": {"openAPIV3Schema": nested}}]}
    found = schema.for_kind("apiextensions.k8s.io/v1", "CustomResourceDefinition")
    assert decoding.problem(found, crd) == "exceeded max depth"


def test_unknown_fields_are_named_by_their_paths():
    pod = copy(POD)
    pod["foo"] = pod["spec"]["bar"] = pod["spec"]["containers"][0]["baz"] = 1
    pod["metadata"]["labels"] = {"any": "label"}
    assert decoding.unknown(pods(), pod) == ["spec.containers[0].baz", "spec.bar", "foo"]


def test_free_form_fields_have_no_unknown_fields():
    entry = {"fieldsV1": {"f:spec": {"f:anything": {}}}}
    assert decoding.unknown(pods(), {"metadata": {"managedFields": [entry]}}) == []


def test_pruning_drops_unknown_fields_and_nulls():
    pod = with_value("spec.hostNetwork", None)
    pod["spec"]["foo"] = {"deep": 1}
    pod["spec"]["containers"] = [{**CONTAINER, "bar": 1}, None]
    pod["metadata"]["labels"] = {"empty": None}
    decoding.prune(pods(), pod)
    assert pod["spec"] == {"containers": [CONTAINER, {}]}
    assert pod["metadata"]["labels"] == {"empty": ""}


def test_pruning_brings_quantities_and_times_to_canonical_form():
    limits = {"cpu": "1000m", "memory": "1024Mi", "ephemeral-storage": 1000000}
    pod = with_value("spec.containers.resources.limits", limits)
    pod["metadata"]["creationTimestamp"] = "2024-01-01T00:00:00.5+02:00"
    decoding.prune(pods(), pod)
    found = pod["spec"]["containers"][0]["resources"]["limits"]
    assert found == {"cpu": "1", "memory": "1Gi", "ephemeral-storage": "1M"}
    assert pod["metadata"]["creationTimestamp"] == "2023-12-31T22:00:00Z"


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        ("1000m", "1"), ("0.5", "500m"), (0.5, "500m"), (1000000, "1M"), ("1500", "1500"),
        ("1024Mi", "1Gi"), ("1.5Gi", "1536Mi"), ("1Ki", "1Ki"), ("0.5Ki", "512"), ("1e3", "1e3"),
        ("0", "0"), ("0Mi", "0"), ("-5m", "-5m"), ("0.1n", "1n"), ("12E", "12E"), ("100k", "100k"),
        ("1.1Ki", "1126400m"), ("20Ei", "9223372036854775807"), ("1e30", "1e30"),
    ],
)  # fmt: skip
def test_quantities_have_one_canonical_form(given, canonical):
    assert quantities.canonical(given) == canonical


def test_completing_adds_what_readers_index():
    deployment = {"spec": {"replicas": 2, "selector": {}}}
    decoding.complete(schema.for_kind("apps/v1", "Deployment"), deployment)
    template = {"metadata": {}, "spec": {"containers": []}}
    assert deployment == {
        "metadata": {},
        "spec": {"replicas": 2, "selector": {}, "template": template},
    }


def test_required_fields_are_missed_in_kubernetes_words():
    deployment = {"metadata": {"name": "web"}, "spec": {}}
    deployments = schema.for_kind("apps/v1", "Deployment")
    decoding.complete(deployments, deployment)
    assert [(p.field, p.message, p.reason) for p in decoding.check(deployments, deployment)] == [
        ("spec.selector", "Required value", "FieldValueRequired"),
        ("spec.template.spec.containers", "Required value", "FieldValueRequired"),
    ]


def test_an_empty_name_is_a_missing_one():
    pod = with_value("spec.containers.name", "")
    assert [p.field for p in decoding.check(pods(), pod)] == ["spec.containers[0].name"]


def test_some_required_fields_may_be_empty():
    header = {"name": "x", "value": ""}
    pod = with_value("spec.containers.livenessProbe.httpGet", {"port": 80, "httpHeaders": [header]})
    assert list(decoding.check(pods(), pod)) == []


def test_nothing_is_required_of_a_status():
    assert list(decoding.check(pods(), POD | {"status": {"conditions": [{"type": "Ready"}]}})) == []


def test_a_wrong_type_is_a_problem():
    problem = next(decoding.check(pods(), with_value("spec.hostNetwork", "yes")))
    assert (problem.field, problem.reason) == ("spec.hostNetwork", "FieldValueTypeInvalid")
    assert problem.message == (
        'Invalid value: "string": spec.hostNetwork in body must be of type boolean: "string"'
    )


def test_a_pod_takes_well_under_a_millisecond():
    pod, found = copy(POD), pods()
    best = min(timed(lambda: life(found, pod)) for _ in range(20))
    assert best < 0.001


def life(found, pod):
    assert decoding.problem(found, pod) is None
    assert decoding.unknown(found, pod) == []
    decoding.prune(found, pod)
    decoding.complete(found, pod)
    assert list(decoding.check(found, pod)) == []


def timed(act):
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web", "namespace": "default", "labels": {"app": "web"}},
    "spec": {"containers": [CONTAINER]},
}


def pods():
    return schema.for_kind("v1", "Pod")


def at(version, kind, *fields):
    found = schema.for_kind(version, kind)
    for field in fields:
        found = found.property(field)
    return found


def with_value(path, value):
    """The pod with one field set; lists on the way have one item."""
    pod = copy(POD)
    place, *fields = pod, *path.split(".")
    for field in fields[:-1]:
        if field in ("containers", "ports"):
            place = place.setdefault(field, [{}])[0]
        else:
            place = place.setdefault(field, {})
    place[fields[-1]] = value
    return pod
