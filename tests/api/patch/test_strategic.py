"""Strategic merge patches merge keyed lists by key, and obey their directives."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k3py.api import errors, schema
from k3py.api.objects import copy
from k3py.api.patch import merge_patch, strategic

DEPLOYMENT = schema.for_kind("apps/v1", "Deployment")
POD_SPEC = schema.definition("io.k8s.api.core.v1.PodSpec")


def test_a_container_is_found_by_its_name_and_keeps_what_is_not_mentioned():
    spec = pod(container("web", image="a:1", env=[{"name": "X", "value": "1"}]), container("log"))
    patched = patch(spec, {"containers": [{"name": "web", "image": "a:2"}]})
    assert patched["containers"] == [
        container("web", image="a:2", env=[{"name": "X", "value": "1"}]),
        container("log"),
    ]


def test_a_new_container_comes_first_as_in_kubernetes():
    patched = patch(pod(container("web")), {"containers": [container("redis")]})
    assert names(patched) == ["redis", "web"]


def test_atomic_lists_and_unknown_lists_are_replaced():
    spec = pod(container("web", command=["a", "b"])) | {"tolerations": [{"key": "x"}]}
    change = {"containers": [{"name": "web", "command": ["c"]}], "tolerations": [{"key": "y"}]}
    patched = patch(spec, change)
    assert patched["containers"][0]["command"] == ["c"]
    assert patched["tolerations"] == [{"key": "y"}]


def test_null_deletes_and_is_not_stored():
    spec = pod(container("web", image="a"))
    assert patch(spec, {"restartPolicy": None, "containers": [{"name": "web", "image": None}]}) == {
        "containers": [{"name": "web"}]
    }
    assert patch({}, {"nodeSelector": {"a": None, "b": "c"}}) == {"nodeSelector": {"b": "c"}}


def test_an_item_is_deleted_by_key():
    spec = pod(container("a"), container("b"))
    assert names(patch(spec, {"containers": [{"name": "a", "$patch": "delete"}]})) == ["b"]


def test_deleting_an_item_that_is_not_there_changes_nothing():
    spec = pod(container("a"))
    assert patch(spec, {"containers": [{"name": "x", "$patch": "delete"}]}) == spec
    assert patch({}, {"containers": [{"name": "x", "$patch": "delete"}]}) == {"containers": []}


def test_a_keyed_list_is_replaced_when_an_item_says_so():
    spec = pod(container("a"), container("b"))
    change = {"containers": [{"$patch": "replace"}, container("c")]}
    assert patch(spec, change)["containers"] == [container("c")]


def test_a_map_is_replaced_deleted_or_merged():
    spec = {"nodeSelector": {"a": "1", "b": "2"}}
    assert patch(spec, {"nodeSelector": {"$patch": "replace", "c": "3"}}) == {
        "nodeSelector": {"c": "3"}
    }
    assert patch(spec, {"nodeSelector": {"$patch": "delete"}}) == {"nodeSelector": {}}
    assert patch(spec, {"nodeSelector": {"$patch": "merge", "a": "3"}}) == {
        "nodeSelector": {"a": "3", "b": "2"}
    }


def test_retained_keys_are_all_that_stays():
    obj = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    change = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    assert strategic.apply(obj, change, DEPLOYMENT) == {"spec": {"strategy": {"type": "Recreate"}}}


def test_fields_outside_the_retained_keys_are_refused():
    change = {"spec": {"strategy": {"$retainKeys": ["type"], "rollingUpdate": {}}}}
    with pytest.raises(errors.BadRequest, match="retainKeys"):
        strategic.apply({"spec": {"strategy": {}}}, change, DEPLOYMENT)


def test_primitives_are_added_once_and_deleted_by_value():
    obj = {"metadata": {"finalizers": ["a", "b"]}}
    added = strategic.apply(obj, {"metadata": {"finalizers": ["b", "c"]}}, DEPLOYMENT)
    assert sorted(added["metadata"]["finalizers"]) == ["a", "b", "c"]
    change = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a", "x"]}}
    assert strategic.apply(obj, change, DEPLOYMENT) == {"metadata": {"finalizers": ["b"]}}
    assert strategic.apply({"metadata": {}}, change, DEPLOYMENT) == {"metadata": {}}


def test_the_order_can_be_set_with_and_without_changes():
    spec = pod(container("a"), container("b"), container("c"))
    order = [{"name": "c"}, {"name": "a"}, {"name": "b"}]
    assert names(patch(spec, {"$setElementOrder/containers": order})) == ["c", "a", "b"]
    change = {
        "$setElementOrder/containers": [{"name": "b"}, {"name": "new"}, {"name": "a"}],
        "containers": [{"name": "b"}, container("new"), {"name": "c", "$patch": "delete"}],
    }
    assert names(patch(spec, change)) == ["b", "new", "a"]


def test_items_only_the_server_knows_keep_their_place():
    spec = pod(container("a"), container("injected"), container("b"))
    change = {
        "$setElementOrder/containers": [{"name": "a"}, {"name": "b"}, {"name": "c"}],
        "containers": [container("c")],
    }
    assert names(patch(spec, change)) == ["a", "injected", "b", "c"]


def test_an_order_that_contradicts_the_patch_is_refused():
    change = {
        "$setElementOrder/containers": [{"name": "a"}, {"name": "b"}],
        "containers": [{"name": "b"}, {"name": "a"}],
    }
    with pytest.raises(errors.BadRequest, match="setElementOrder"):
        patch(pod(container("a")), change)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ([], errors.BadRequest),
        ({"$patch": "explode"}, errors.Invalid),
        ({"containers": [{"image": "x"}]}, errors.BadRequest),
        ({"containers": ["x"]}, errors.BadRequest),
        ({"containers": [{"name": {}}]}, errors.BadRequest),
        ({"containers": [{"name": "a", "$patch": "merge"}]}, errors.BadRequest),
        ({"containers": [{"name": "a", "$patch": "explode"}]}, errors.Invalid),
        ({"$setElementOrder/containers": "x"}, errors.BadRequest),
        ({"$deleteFromPrimitiveList/containers": [{}]}, errors.BadRequest),
        ({"$retainKeys": "x"}, errors.BadRequest),
        ({"$retainKeys": [{}], "a": 1}, errors.BadRequest),
    ],
)
def test_a_broken_patch_is_refused(change, error):
    with pytest.raises(error):
        patch(pod(container("a")), change)


def test_large_lists_are_merged_in_time():
    many = [container(f"c{n}") for n in range(20_000)]
    assert len(patch(pod(*many), {"containers": many[::-1]})["containers"]) == 20_000


def test_an_applied_deployment_changes_as_kubectl_means_it():
    """The three-way patch kubectl apply makes when an env variable and a port change."""
    live = {"spec": {"replicas": 3, "template": {"spec": pod(container(
        "web", image="a:1", imagePullPolicy="IfNotPresent",
        env=[{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
        ports=[{"containerPort": 80, "protocol": "TCP"}]))}}}  # fmt: skip
    change = {"spec": {"template": {"spec": {
        "$setElementOrder/containers": [{"name": "web"}],
        "containers": [{
            "$setElementOrder/env": [{"name": "A"}],
            "$setElementOrder/ports": [{"containerPort": 8080}],
            "env": [{"$patch": "delete", "name": "B"}],
            "name": "web",
            "ports": [{"containerPort": 8080}, {"$patch": "delete", "containerPort": 80}],
        }]}}}}  # fmt: skip
    patched = strategic.apply(live, change, DEPLOYMENT)
    assert patched["spec"]["template"]["spec"]["containers"] == [container(
        "web", image="a:1", imagePullPolicy="IfNotPresent",
        env=[{"name": "A", "value": "1"}], ports=[{"containerPort": 8080}])]  # fmt: skip


KEYS = st.text("abc", max_size=1)
JSON = st.recursive(
    st.integers(0, 3) | st.none(),
    lambda inner: st.lists(st.integers(), max_size=2) | st.dictionaries(KEYS, inner),
    max_leaves=8,
)
OBJECTS = st.dictionaries(KEYS, JSON)


@settings(max_examples=100, deadline=None)
@given(OBJECTS, OBJECTS)
def test_without_a_schema_it_is_a_merge_patch(obj, change):
    assert strategic.apply(obj, change, None) == merge_patch.apply(obj, change)


NAMES = st.lists(st.sampled_from("abcdef"), unique=True)


@settings(max_examples=100, deadline=None)
@given(NAMES, NAMES)
def test_an_order_moves_items_but_loses_none(have, order):
    spec = pod(*map(container, have))
    before = copy(spec)
    change = {"$setElementOrder/containers": [{"name": n} for n in order]}
    after = names(patch(spec, change))
    assert sorted(after) == sorted(have)
    assert [n for n in after if n in order] == [n for n in order if n in have]
    assert [n for n in after if n not in order] == [n for n in have if n not in order]
    assert spec == before


def patch(spec, change):
    return strategic.apply(spec, change, POD_SPEC)


def pod(*containers):
    return {"containers": list(containers)}


def container(name, **more):
    return {"name": name, **more}


def names(spec):
    return [c["name"] for c in spec["containers"]]
