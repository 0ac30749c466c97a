"""Objects are created, changed and deleted by Kubernetes' rules."""

import orjson
import pytest

from k3py import kinds
from k3py.api import errors
from k3py.api.objects import Key
from k3py.client.client import Patch

HOME = Key("default", "a")


def config_map(name="a", **data):
    return {"metadata": {"name": name, "namespace": "default"}, "data": data}


def pod(name="web", **spec):
    spec = {"containers": [{"name": "c", "image": "busybox"}]} | spec
    return {"metadata": {"name": name, "namespace": "default"}, "spec": spec}


def deployment(replicas=1):
    return {
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "c", "image": "busybox"}]},
            },
        },
    }


def test_a_new_object_gets_what_only_the_server_gives(client):
    made = client.create(
        kinds.CONFIG_MAP,
        {"metadata": {"name": "a", "namespace": "default", "uid": "mine", "generation": 9}},
    )
    metadata = made["metadata"]
    assert metadata["uid"] != "mine"
    assert "generation" not in metadata
    assert metadata["creationTimestamp"]
    assert (made["apiVersion"], made["kind"]) == ("v1", "ConfigMap")
    assert client.get(kinds.CONFIG_MAP, HOME) == made


def test_a_name_is_taken_only_once(client):
    client.create(kinds.CONFIG_MAP, config_map())
    with pytest.raises(errors.AlreadyExists, match='configmaps "a" already exists'):
        client.create(kinds.CONFIG_MAP, config_map())


def test_a_name_can_be_generated(client):
    obj = {"metadata": {"generateName": "x-", "namespace": "default"}}
    names = {client.create(kinds.CONFIG_MAP, obj)["metadata"]["name"] for _ in range(5)}
    assert len(names) == 5
    assert all(name.startswith("x-") for name in names)
    assert "name" not in obj["metadata"]


def test_a_dry_run_writes_nothing(ask, client):
    answer = ask("create", kinds.CONFIG_MAP, "default", body=config_map(x="y"), dry_run=True)
    assert orjson.loads(answer.value)["data"] == {"x": "y"}
    with pytest.raises(errors.NotFound):
        client.get(kinds.CONFIG_MAP, HOME)
    client.create(kinds.CONFIG_MAP, config_map())
    with pytest.raises(errors.AlreadyExists):
        ask("create", kinds.CONFIG_MAP, "default", body=config_map(), dry_run=True)
    ask("delete", kinds.CONFIG_MAP, "default", "a", dry_run=True)
    client.get(kinds.CONFIG_MAP, HOME)


@pytest.mark.parametrize(
    ("obj", "error", "message"),
    [
        ({"metadata": {"name": "Foo"}}, errors.Invalid, 'metadata.name: Invalid value: "Foo"'),
        ({"metadata": {}}, errors.Invalid, "name or generateName is required"),
        ({"metadata": {"name": "a"}, "data": {"x": 1}}, errors.BadRequest,
         "json: cannot unmarshal number into Go struct field ConfigMap.data of type string"),
        ({"metadata": {"name": "a"}, "date": {}}, errors.BadRequest,
         'strict decoding error: unknown field "date"'),
        ({"metadata": {"name": "a", "labels": {"x": "-"}}}, errors.Invalid, "metadata.labels"),
        ({"metadata": {"name": "a", "labels": []}}, errors.BadRequest, "metadata.labels"),
        ({"metadata": "a"}, errors.BadRequest, "metadata"),
        ({"kind": "Secret", "metadata": {"name": "a"}}, errors.BadRequest, "Secret"),
        ({"metadata": {"name": "a", "namespace": "other"}}, errors.BadRequest,
         "namespace of the provided object does not match"),
        ({"metadata": {"name": "a", "annotations": {"x": "y" * 300_000}}}, errors.Invalid,
         "Too long"),
        ([], errors.BadRequest, "not an object"),
    ],
)  # fmt: skip
def test_what_is_no_object_is_refused(ask, obj, error, message):
    with pytest.raises(error) as refused:
        ask("create", kinds.CONFIG_MAP, "default", body=obj)
    assert message in str(refused.value)


def test_an_update_based_on_an_old_version_conflicts(client):
    old = client.create(kinds.CONFIG_MAP, config_map(x="1"))
    client.update(kinds.CONFIG_MAP, old | {"data": {"x": "2"}})
    with pytest.raises(errors.Conflict, match="the object has been modified"):
        client.update(kinds.CONFIG_MAP, old | {"data": {"x": "3"}})


def test_an_update_that_changes_nothing_writes_nothing(client, store):
    old = client.create(kinds.CONFIG_MAP, config_map(x="1"))
    revision = store.revision
    assert client.update(kinds.CONFIG_MAP, old) == old
    assert client.patch(kinds.CONFIG_MAP, HOME, {"data": {"x": "1"}}) == old
    assert store.revision == revision


def test_what_is_the_servers_survives_an_update(client):
    old = client.create(kinds.CONFIG_MAP, config_map(x="1"))
    new = client.update(kinds.CONFIG_MAP, config_map(x="2"))
    for field in ("uid", "creationTimestamp"):
        assert new["metadata"][field] == old["metadata"][field]
    with pytest.raises(errors.Conflict, match="UID"):
        client.update(kinds.CONFIG_MAP, {"metadata": new["metadata"] | {"uid": "other"}})


def test_spec_and_status_are_written_apart(client):
    made = client.create(kinds.DEPLOYMENT, deployment())
    assert made["metadata"]["generation"] == 1
    both = {"spec": made["spec"] | {"replicas": 3}, "status": {"replicas": 7}}
    main = client.update(kinds.DEPLOYMENT, made | both)
    assert main["spec"]["replicas"] == 3
    assert main["status"].get("replicas", 0) != 7
    assert main["metadata"]["generation"] == 2
    both = {"spec": main["spec"] | {"replicas": 9}, "status": {"replicas": 7}}
    status = client.update(kinds.DEPLOYMENT, main | both, subresource="status")
    assert (status["spec"]["replicas"], status["status"]["replicas"]) == (3, 7)
    assert status["metadata"]["generation"] == 2


def test_every_patch_does_what_it_does(client):
    client.create(kinds.POD, pod())
    key = Key("default", "web")
    client.patch(kinds.POD, key, {"metadata": {"labels": {"a": "1"}}})
    client.patch(
        kinds.POD, key, [{"op": "add", "path": "/metadata/labels/b", "value": "2"}], how=Patch.JSON
    )
    image = {"spec": {"containers": [{"name": "c", "image": "busybox:2"}]}}
    done = client.patch(kinds.POD, key, image, how=Patch.STRATEGIC)
    assert done["metadata"]["labels"] == {"a": "1", "b": "2"}
    assert [c["image"] for c in done["spec"]["containers"]] == ["busybox:2"]
    with pytest.raises(errors.Conflict):
        client.patch(kinds.POD, key, {"metadata": {"resourceVersion": "1", "labels": {"a": "2"}}})


def test_a_scale_is_the_same_for_all(ask, client):
    client.create(kinds.DEPLOYMENT, deployment(replicas=2))
    key = Key("default", "web")
    scale = client.get(kinds.DEPLOYMENT, key, subresource="scale")
    assert (scale["kind"], scale["spec"]["replicas"]) == ("Scale", 2)
    assert scale["status"]["selector"] == "app=web"
    client.patch(kinds.DEPLOYMENT, key, {"spec": {"replicas": 4}}, subresource="scale")
    assert client.get(kinds.DEPLOYMENT, key)["spec"]["replicas"] == 4
    with pytest.raises(errors.Invalid):
        client.patch(kinds.DEPLOYMENT, key, {"spec": {"replicas": -1}}, subresource="scale")


def test_a_deleted_object_is_gone_unless_something_holds_it(client):
    obj = config_map()
    obj["metadata"]["finalizers"] = ["example.com/hold"]
    client.create(kinds.CONFIG_MAP, obj)
    client.delete(kinds.CONFIG_MAP, HOME)
    held = client.get(kinds.CONFIG_MAP, HOME)
    assert held["metadata"]["deletionTimestamp"]
    with pytest.raises(errors.Invalid, match="no new finalizers"):
        client.patch(
            kinds.CONFIG_MAP, HOME, {"metadata": {"finalizers": ["example.com/hold", "a.b/c"]}}
        )
    client.patch(kinds.CONFIG_MAP, HOME, {"metadata": {"finalizers": None}})
    with pytest.raises(errors.NotFound):
        client.get(kinds.CONFIG_MAP, HOME)


def test_propagation_leaves_finalizers_for_the_garbage_collector(client):
    client.create(kinds.DEPLOYMENT, deployment())
    key = Key("default", "web")
    client.delete(kinds.DEPLOYMENT, key, propagation="Foreground")
    found = client.get(kinds.DEPLOYMENT, key)["metadata"]["finalizers"]
    assert found == ["foregroundDeletion"]
    client.delete(kinds.DEPLOYMENT, key, propagation="Orphan")
    assert client.get(kinds.DEPLOYMENT, key)["metadata"]["finalizers"] == ["orphan"]
    client.delete(kinds.DEPLOYMENT, key, propagation="Background")
    with pytest.raises(errors.NotFound):
        client.get(kinds.DEPLOYMENT, key)


def test_a_running_pod_has_its_grace_and_a_waiting_one_needs_none(client):
    key = Key("default", "web")
    client.create(kinds.POD, pod())
    client.delete(kinds.POD, key)
    with pytest.raises(errors.NotFound):
        client.get(kinds.POD, key)
    made = client.create(kinds.POD, pod(nodeName="pi1"))
    client.delete(kinds.POD, key)
    dying = client.get(kinds.POD, key)["metadata"]
    assert dying["deletionGracePeriodSeconds"] == 30
    client.delete(kinds.POD, key, grace=60)
    assert client.get(kinds.POD, key)["metadata"]["deletionTimestamp"] == dying["deletionTimestamp"]
    client.delete(kinds.POD, key, grace=5)
    assert client.get(kinds.POD, key)["metadata"]["deletionGracePeriodSeconds"] == 5
    with pytest.raises(errors.Conflict):
        client.delete(kinds.POD, key, grace=0, uid="another")
    client.delete(kinds.POD, key, grace=0, uid=made["metadata"]["uid"])
    with pytest.raises(errors.NotFound):
        client.get(kinds.POD, key)


def test_a_namespace_goes_when_it_is_finalized(client):
    key = Key("", "home")
    made = client.create(kinds.NAMESPACE, {"metadata": {"name": "home"}})
    assert made["spec"]["finalizers"] == ["kubernetes"]
    client.delete(kinds.NAMESPACE, key)
    dying = client.get(kinds.NAMESPACE, key)
    assert dying["status"]["phase"] == "Terminating"
    with pytest.raises(errors.Forbidden, match="because it is being terminated"):
        client.create(kinds.CONFIG_MAP, {"metadata": {"name": "a", "namespace": "home"}})
    client.update(kinds.NAMESPACE, dying | {"spec": {"finalizers": []}}, subresource="finalize")
    with pytest.raises(errors.NotFound):
        client.get(kinds.NAMESPACE, key)


def test_a_collection_is_deleted_by_selector(ask, client):
    for name in ("a", "b", "c"):
        obj = config_map(name)
        obj["metadata"]["labels"] = {"keep": "yes" if name == "b" else "no"}
        client.create(kinds.CONFIG_MAP, obj)
    ask("deletecollection", kinds.CONFIG_MAP, "default", labels="keep=no")
    left = client.list(kinds.CONFIG_MAP, "default").items
    assert [obj["metadata"]["name"] for obj in left] == ["b"]


def test_binding_places_a_pod_once(client):
    client.create(kinds.POD, pod())
    key = Key("default", "web")
    target = {"target": {"kind": "Node", "name": "pi1"}}
    client.create_at(kinds.POD, key, "binding", target)
    bound = client.get(kinds.POD, key)
    assert bound["spec"]["nodeName"] == "pi1"
    assert bound["status"]["conditions"][0]["type"] == "PodScheduled"
    with pytest.raises(errors.Conflict, match='already assigned to node "pi1"'):
        client.create_at(kinds.POD, key, "binding", target)


def test_eviction_deletes(client):
    client.create(kinds.POD, pod())
    client.create_at(kinds.POD, Key("default", "web"), "eviction", {"kind": "Eviction"})
    assert not client.list(kinds.POD, "default").items


def test_a_lease_renewed_is_fleeting_and_its_new_holder_is_not(client, store):
    durable = []
    write = store.write
    store.write = lambda *args, **options: (
        durable.append(options.get("durable", True)),
        write(*args, **options),
    )[1]
    spec = {"holderIdentity": "a", "renewTime": "2026-01-01T00:00:00.000000Z"}
    lease = client.create(
        kinds.LEASE, {"metadata": {"name": "l", "namespace": "default"}, "spec": spec}
    )
    lease["spec"]["renewTime"] = "2026-01-01T00:00:10.000000Z"
    lease = client.update(kinds.LEASE, lease)
    lease["spec"]["holderIdentity"] = "b"
    client.update(kinds.LEASE, lease)
    assert durable == [True, False, True]


def test_nobody_owned_the_fields_of_an_object_before_its_first_apply(ask):
    obj = {"metadata": {"name": "a"}, "data": {"x": "1"}}
    made = ask("create", kinds.CONFIG_MAP, "default", body=obj, manager="helm")
    (entry,) = orjson.loads(made.value)["metadata"]["managedFields"]
    assert (entry["manager"], entry["operation"]) == ("helm", "Update")
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
    with pytest.raises(errors.Conflict, match='conflict with "helm" using v1: .data.x'):
        ask(
            "patch", kinds.CONFIG_MAP, "default", "a", "", config | {"data": {"x": "2"}},
            "application/apply-patch+yaml", manager="flux",
        )  # fmt: skip


def test_who_binds_a_pod_does_not_own_its_fields(client, ask):
    spec = {"containers": [{"name": "c", "image": "x"}]}
    client.create(kinds.POD, {"metadata": {"name": "p", "namespace": "default"}, "spec": spec})
    client.create_at(kinds.POD, Key("default", "p"), "binding", {"target": {"name": "n"}})
    found = client.get(kinds.POD, Key("default", "p"))
    assert found["spec"]["nodeName"] == "n"
    assert len(found["metadata"]["managedFields"]) == 1
