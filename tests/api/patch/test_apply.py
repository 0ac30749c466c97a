"""Server-side apply: fields have owners, and nobody changes another's unasked."""

from datetime import UTC, datetime, timedelta

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k3py.api import errors, schema, wellknown
from k3py.api.objects import copy
from k3py.api.patch import apply as ssa
from k3py.api.patch import fieldset

DEPLOYMENT = schema.for_kind("apps/v1", "Deployment")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


def test_applying_makes_the_object_and_owns_what_was_applied():
    new = applied(None, deployment(replicas=3, labels={"app": "web"}))
    assert new["spec"]["replicas"] == 3
    assert new["metadata"]["managedFields"] == [
        {
            "manager": "ann",
            "operation": "Apply",
            "apiVersion": "apps/v1",
            "time": "2026-01-01T00:00:00Z",
            "fieldsType": "FieldsV1",
            "fieldsV1": {
                "f:metadata": {"f:labels": {"f:app": {}}},
                "f:spec": {
                    "f:replicas": {},
                    "f:template": {
                        "f:spec": {
                            "f:containers": {
                                'k:{"name":"web"}': {".": {}, "f:image": {}, "f:name": {}}
                            }
                        }
                    },
                },
            },
        }
    ]


def test_applying_the_same_again_changes_nothing():
    live = applied(None, deployment(replicas=3))
    assert applied(live, deployment(replicas=3), now=LATER) == live


def test_two_who_apply_different_fields_share_the_object():
    live = applied(None, deployment(replicas=3))
    new = applied(live, deployment(labels={"team": "a"}, containers=None), who="bob")
    assert new["spec"]["replicas"] == 3
    assert new["metadata"]["labels"] == {"team": "a"}
    assert owners(new) == {("ann", "Apply"), ("bob", "Apply")}


def test_changing_anothers_field_is_a_conflict():
    live = applied(None, deployment(replicas=3))
    with pytest.raises(errors.Conflict) as refused:
        applied(live, deployment(replicas=5), who="bob")
    assert str(refused.value) == 'Apply failed with 1 conflict: conflict with "ann": .spec.replicas'
    assert refused.value.details["causes"] == [
        {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "ann"',
            "field": ".spec.replicas",
        }
    ]


def test_a_conflict_with_an_update_names_its_version():
    live = updated(None, deployment(replicas=3), who="kubectl-client-side-apply")
    with pytest.raises(errors.Conflict) as refused:
        applied(live, deployment(replicas=5))
    assert str(refused.value) == (
        "Apply failed with 1 conflict: conflict with "
        '"kubectl-client-side-apply" using apps/v1: .spec.replicas'
    )


def test_many_conflicts_are_told_by_owner():
    live = applied(None, deployment(replicas=3))
    live = applied(live, deployment(labels={"a": "1"}, containers=None), who="zoe")
    with pytest.raises(errors.Conflict) as refused:
        applied(live, deployment(replicas=5, labels={"a": "2"}, image="web:2"), who="bob")
    assert str(refused.value) == (
        'Apply failed with 3 conflicts: conflicts with "ann":\n'
        "- .spec.replicas\n"
        '- .spec.template.spec.containers[name="web"].image\n'
        'conflicts with "zoe":\n'
        "- .metadata.labels.a"
    )


def test_force_takes_the_field():
    live = applied(None, deployment(replicas=3))
    new = applied(live, deployment(replicas=5), who="bob", force=True)
    assert new["spec"]["replicas"] == 5
    assert ("f:spec", "f:replicas") not in fields(new, "ann")
    assert ("f:spec", "f:replicas") in fields(new, "bob")


def test_applying_the_same_value_shares_the_field():
    live = applied(None, deployment(replicas=3))
    live = applied(live, deployment(replicas=3), who="bob")
    assert ("f:spec", "f:replicas") in fields(live, "ann") & fields(live, "bob")
    live = applied(live, deployment(), who="bob")
    assert live["spec"]["replicas"] == 3  # still ann's
    live = applied(live, deployment())
    assert "replicas" not in live["spec"]  # nobody's any more


def test_a_field_that_is_no_longer_applied_goes():
    live = applied(None, deployment(replicas=3, labels={"a": "1", "b": "2"}))
    new = applied(live, deployment(labels={"a": "1"}))
    assert new["metadata"]["labels"] == {"a": "1"}
    assert "replicas" not in new["spec"]
    assert "labels" not in applied(new, deployment())["metadata"]


def test_an_item_that_is_no_longer_applied_goes_with_its_defaults():
    config = deployment(containers=[{"name": "web", "image": "a:1"}, {"name": "log", "image": "b"}])
    live = applied(None, config)
    for container in live["spec"]["template"]["spec"]["containers"]:
        container["imagePullPolicy"] = "Always"
    new = applied(live, deployment(containers=[{"name": "web", "image": "a:1"}]))
    assert new["spec"]["template"]["spec"]["containers"] == [
        {"name": "web", "image": "a:1", "imagePullPolicy": "Always"}
    ]


def test_defaults_stay_where_only_a_part_is_no_longer_applied():
    probe = {"httpGet": {"port": 80, "path": "/"}, "periodSeconds": 5}
    live = applied(None, deployment(containers=[{"name": "web", "livenessProbe": probe}]))
    container = live["spec"]["template"]["spec"]["containers"][0]
    container["livenessProbe"]["failureThreshold"] = 3
    del probe["periodSeconds"]
    new = applied(live, deployment(containers=[{"name": "web", "livenessProbe": probe}]))
    assert new["spec"]["template"]["spec"]["containers"][0]["livenessProbe"] == {
        "httpGet": {"port": 80, "path": "/"},
        "failureThreshold": 3,
    }


def test_an_item_that_somebody_else_made_stays():
    live = applied(None, deployment())
    injected = copy(live)
    injected["spec"]["template"]["spec"]["containers"].append({"name": "proxy", "image": "p:1"})
    live = updated(live, injected, who="injector")
    new = applied(live, deployment(image="web:2"))
    assert [c["name"] for c in new["spec"]["template"]["spec"]["containers"]] == ["web", "proxy"]


def test_ports_are_told_apart_by_protocol_too():
    ports = [{"containerPort": 53}, {"containerPort": 53, "protocol": "UDP"}]
    live = applied(None, deployment(containers=[{"name": "web", "ports": ports}]))
    elements = {p[-1] for p in fields(live, "ann") if p[-1].startswith("k:") and "53" in p[-1]}
    assert elements == {
        'k:{"containerPort":53,"protocol":"TCP"}',
        'k:{"containerPort":53,"protocol":"UDP"}',
    }
    live["spec"]["template"]["spec"]["containers"][0]["ports"][0]["protocol"] = "TCP"
    config = deployment(containers=[{"name": "web", "ports": ports[1:]}])
    assert applied(live, config)["spec"]["template"]["spec"]["containers"][0]["ports"] == ports[1:]


def test_atomic_parts_have_one_owner():
    live = applied(None, deployment(selector={"matchLabels": {"app": "web"}}))
    assert ("f:spec", "f:selector") in fields(live, "ann")
    config = deployment(selector={"matchLabels": {"app": "web", "tier": "x"}})
    with pytest.raises(errors.Conflict, match=r"\.spec\.selector$"):
        applied(live, config, who="bob")


def test_sets_are_shared_by_value():
    live = applied(None, deployment(finalizers=["a/x"]))
    live = applied(live, deployment(finalizers=["b/y"]), who="bob")
    assert live["metadata"]["finalizers"] == ["a/x", "b/y"]
    live = applied(live, deployment(), who="ann")
    assert live["metadata"]["finalizers"] == ["b/y"]


def test_the_order_of_the_configuration_counts_and_others_keep_their_place():
    def containers(*names):
        return deployment(containers=[{"name": name} for name in names])

    live = updated(None, containers("a", "x", "b", "y"), who="other")
    new = applied(live, containers("b", "c", "a"))
    found = [c["name"] for c in new["spec"]["template"]["spec"]["containers"]]
    assert found.index("b") < found.index("c") < found.index("a")
    assert found.index("x") < found.index("y")
    assert sorted(found) == ["a", "b", "c", "x", "y"]
    live = updated(None, containers("a", "b"), who="other")
    new = applied(live, containers("n"))
    assert [c["name"] for c in new["spec"]["template"]["spec"]["containers"]] == ["a", "b", "n"]


def test_the_status_is_not_applied_with_the_rest():
    live = applied(None, deployment() | {"status": {"replicas": 3}})
    assert "status" not in live
    config = deployment() | {"status": {"replicas": 3}}
    new = applied(live, config, who="ctl", subresource="status")
    assert new["status"] == {"replicas": 3}
    assert fields(new, "ctl") == {("f:status", "f:replicas")}


def test_an_object_without_owners_belonged_to_those_before():
    live = deployment(replicas=3)
    with pytest.raises(errors.Conflict, match='"before-first-apply" using apps/v1'):
        applied(live, deployment(replicas=5))
    new = applied(live, deployment(replicas=3))
    assert owners(new) == {("ann", "Apply"), ("before-first-apply", "Update")}


def test_kubectl_may_take_over_what_it_applied_from_the_client_side():
    live = updated(None, deployment(replicas=3), who="kubectl-client-side-apply")
    last = orjson.dumps(deployment(replicas=3)).decode()
    live["metadata"]["annotations"] = {wellknown.LAST_APPLIED: last}
    new = applied(live, deployment(replicas=5), who="kubectl")
    assert new["spec"]["replicas"] == 5
    said = orjson.loads(new["metadata"]["annotations"][wellknown.LAST_APPLIED])
    assert said["spec"]["replicas"] == 5
    with pytest.raises(errors.Conflict):
        applied(live, deployment(replicas=5), who="ann")
    scaled = updated(live, live | {"spec": live["spec"] | {"replicas": 7}}, who="scaler")
    with pytest.raises(errors.Conflict, match="scaler"):
        applied(scaled, deployment(replicas=5), who="kubectl")


@pytest.mark.parametrize("annotation", ["no json", "[]", "{}", "[" * 5000, '{"metadata":1}', "3"])
def test_a_broken_annotation_helps_nobody(annotation):
    live = updated(None, deployment(replicas=3), who="other")
    live["metadata"]["annotations"] = {wellknown.LAST_APPLIED: annotation}
    with pytest.raises(errors.Conflict):
        applied(live, deployment(replicas=5), who="kubectl")


@pytest.mark.parametrize(
    "config",
    [
        {"apiVersion": "apps/v1", "kind": "Deployment"},
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"managedFields": [
            {"manager": "x", "operation": "Apply", "apiVersion": "v1"}]}},
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {}, "spec": {"replicas": "x"}},
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {}, "spec": {
            "template": {"spec": {"containers": [{"name": "a"}, {"name": "a"}]}}}},
    ],
)  # fmt: skip
def test_what_cannot_be_applied_is_a_bad_request(config):
    with pytest.raises(errors.BadRequest):
        applied(None, config)


def test_a_write_is_tracked():
    live = updated(None, deployment(replicas=1, labels={"a": "1"}), who="kubectl-create")
    assert live["metadata"]["managedFields"][0]["fieldsV1"] == {
        "f:metadata": {"f:labels": {".": {}, "f:a": {}}},
        "f:spec": {
            "f:replicas": {},
            "f:template": {
                "f:spec": {
                    "f:containers": {
                        'k:{"name":"web"}': {".": {}, "f:image": {}, "f:name": {}},
                    }
                }
            },
        },
    }
    scaled = copy(live)
    scaled["spec"]["replicas"] = 4
    live = updated(live, scaled, who="kubectl-scale", now=LATER)
    assert fields(live, "kubectl-scale") == {("f:spec", "f:replicas")}
    assert ("f:spec", "f:replicas") not in fields(live, "kubectl-create")
    times = {e["manager"]: e["time"] for e in live["metadata"]["managedFields"]}
    assert times == {
        "kubectl-create": "2026-01-01T00:00:00Z",
        "kubectl-scale": "2026-01-01T01:00:00Z",
    }


def test_a_write_that_changes_nothing_leaves_the_record_alone():
    live = updated(None, deployment(replicas=1))
    assert updated(live, copy(live), who="ann", now=LATER) == live
    assert updated(live, copy(live), who="bob", now=LATER) == live


def test_what_is_removed_has_no_owner():
    live = updated(None, deployment(replicas=1))
    without = copy(live)
    del without["spec"]["replicas"]
    assert ("f:spec", "f:replicas") not in fields(updated(live, without, who="bob"), "ann")


def test_the_status_is_tracked_through_its_own_endpoint():
    live = updated(None, deployment())
    new = updated(live, live | {"status": {"replicas": 1}}, who="ctl", subresource="status")
    entry = next(e for e in new["metadata"]["managedFields"] if e["manager"] == "ctl")
    assert entry["subresource"] == "status"
    assert entry["fieldsV1"] == {"f:status": {"f:replicas": {}}}


def test_ownership_can_be_forgotten_and_stays_so_until_the_next_apply():
    live = updated(None, deployment(replicas=1))
    reset = copy(live)
    reset["metadata"]["managedFields"] = [{}]
    live = updated(live, reset)
    assert live["metadata"]["managedFields"] == []
    changed = copy(live)
    changed["spec"]["replicas"] = 2
    assert updated(live, changed)["metadata"]["managedFields"] == []


@pytest.mark.parametrize(
    "nonsense",
    [
        [{"manager": "x"}],
        ["x"],
        "x",
        [{"manager": "x", "operation": "Apply", "apiVersion": "v1", "fieldsV1": {"g:x": {}}}],
        [{"manager": "x", "operation": "Apply", "apiVersion": "v1", "fieldsV1": {"f:x": 3}}],
    ],
)
def test_a_record_that_cannot_be_read_is_ignored(nonsense):
    live = updated(None, deployment(replicas=1))
    broken = copy(live)
    broken["metadata"]["managedFields"] = nonsense
    assert updated(live, broken) == live


def test_too_many_updaters_are_made_into_one():
    live = updated(None, deployment())
    for n in range(15):
        new = copy(live)
        new["metadata"].setdefault("labels", {})[f"l{n}"] = "x"
        live = updated(live, new, who=f"tool-{n:02}", now=NOW + timedelta(minutes=n))
    entries = live["metadata"]["managedFields"]
    assert len(entries) == 10
    assert "ancient-changes" in {e["manager"] for e in entries}
    owned = set().union(*(fieldset.decode(e["fieldsV1"]) for e in entries))
    assert {("f:metadata", "f:labels", f"f:l{n}") for n in range(15)} <= owned


def test_fields_are_told_the_way_users_write_them():
    shown = fieldset.text(("f:spec", 'k:{"containerPort":80,"protocol":"TCP"}', 'v:"a"', "f:x"))
    assert shown == '.spec[containerPort=80,protocol="TCP"][="a"].x'


CONFIGS = st.builds(
    lambda replicas, labels, names: deployment(
        replicas=replicas,
        labels=dict.fromkeys(labels, "1"),
        containers=[{"name": n, "image": n} for n in names],
    ),
    st.none() | st.integers(0, 3),
    st.sets(st.sampled_from("abc")),
    st.lists(st.sampled_from("xyz"), unique=True, min_size=1),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(("ann", "bob")), CONFIGS), min_size=1, max_size=5))
def test_what_was_applied_last_holds_and_no_field_lacks_an_owner(steps):
    live = None
    for who, config in steps:
        before = copy(live)
        new = applied(live, config, who=who, force=True)
        assert live == before
        live = new
        own = fieldset.of(config, DEPLOYMENT) - {("f:apiVersion",), ("f:kind",)}
        assert {p for p in own if p != ("f:metadata", "f:name")} == fields(live, who)
        assert ssa.merging.merged(live, config, DEPLOYMENT) == live
        everyone = set().union(*(fields(live, name) for name in ("ann", "bob")))
        there = fieldset.of({k: live[k] for k in ("spec",) if k in live}, DEPLOYMENT)
        assert there <= everyone


@settings(max_examples=100, deadline=None)
@given(st.sets(st.lists(st.sampled_from(["f:a", "f:b", 'k:{"n":1}', "v:2"]), min_size=1, max_size=4)
               .map(tuple)))  # fmt: skip
def test_a_set_survives_being_written_and_read(paths):
    assert fieldset.decode(fieldset.encode(paths)) == paths


def applied(live, config, who="ann", *, force=False, now=NOW, subresource=""):
    return ssa.apply(
        live,
        config,
        manager=who,
        force=force,
        schema=DEPLOYMENT,
        now=now,
        subresource=subresource,
    )


def updated(live, new, who="ann", *, now=NOW, subresource=""):
    """`new` with its fields tracked, as after a create or an update."""
    entries = ssa.track(
        live,
        new,
        manager=who,
        now=now,
        api_version="apps/v1",
        schema=DEPLOYMENT,
        subresource=subresource,
    )
    return new | {"metadata": new["metadata"] | {"managedFields": entries}}


def deployment(image="web:1", containers=(), labels=None, finalizers=None, **spec):
    """A Deployment; without `containers` it has one, with None it has no template."""
    metadata = {"name": "web", "labels": labels, "finalizers": finalizers}
    if containers is not None:
        found = list(containers) or [{"name": "web", "image": image}]
        spec["template"] = {"spec": {"containers": found}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {k: v for k, v in metadata.items() if v},
        "spec": {k: v for k, v in spec.items() if v is not None},
    }


def owners(obj):
    return {(e["manager"], e["operation"]) for e in obj["metadata"]["managedFields"]}


def fields(obj, who):
    return set().union(
        *(
            fieldset.decode(e["fieldsV1"])
            for e in obj["metadata"]["managedFields"]
            if e["manager"] == who
        )
    )
