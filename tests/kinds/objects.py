"""Objects as the registry would have them: completed, checked, ready to print."""

from k3py.api import decoding, schema
from k3py.api.objects import copy


def made(kind, obj, old=None):
    """What the registry stores for `obj`: the schema's work, then the kind's own."""
    done = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {}} | copy(obj)
    shape = schema.for_kind(kind.api_version, kind.kind)
    assert decoding.problem(shape, done) is None
    decoding.prune(shape, done)
    decoding.complete(shape, done)
    kind.default(done)
    kind.prepare(done, old)
    return done


def problems(kind, obj, old=None):
    """Everything the kind has against `obj`, as lines of a message."""
    found = kind.validate(made(kind, obj, old), old)
    return [f"{p.field}: {p.message}" for p in found]


def pod(name="web", **spec):
    """A pod with one container, unless told otherwise."""
    return {
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"containers": [{"name": "app", "image": "nginx:1.27"}]} | spec,
    }


def container(name="app", image="nginx:1.27", **more):
    return {"name": name, "image": image, **more}


def workload(kind, name="web", **spec):
    """A Deployment or ReplicaSet that is fine, unless told otherwise."""
    template = {"metadata": {"labels": {"app": "web"}}, "spec": pod()["spec"]}
    base = {"selector": {"matchLabels": {"app": "web"}}, "template": template}
    return {"metadata": {"name": name, "namespace": "default"}, "spec": base | spec}


def service(name="web", **spec):
    base = {"selector": {"app": "web"}, "ports": [{"port": 80}]}
    return {"metadata": {"name": name, "namespace": "default"}, "spec": base | spec}


def cells(kind, obj):
    """What `kubectl get -o wide` prints of `obj`, by column; ages at 2026-01-01 00:10."""
    from datetime import UTC, datetime

    from k3py.apiserver import table

    now = datetime(2026, 1, 1, 0, 10, tzinfo=UTC)
    printed = table.table(kind, [obj], now=now, revision=1)
    titles = [c["name"] for c in printed["columnDefinitions"]]
    return dict(zip(titles, printed["rows"][0]["cells"], strict=True))
