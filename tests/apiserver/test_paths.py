"""A URL means one kind, one object, one part of it, or nothing at all."""

import pytest

from k3py import kinds
from k3py.api import errors
from k3py.apiserver import paths
from k3py.apiserver.paths import Target

RESOURCES = paths.Resources(kinds.ALL)


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/api/v1/pods", Target(kinds.POD)),
        ("/api/v1/namespaces/home/pods", Target(kinds.POD, "home")),
        ("/api/v1/namespaces/home/pods/web", Target(kinds.POD, "home", "web")),
        ("/api/v1/namespaces/home/pods/web/log", Target(kinds.POD, "home", "web", "log")),
        ("/api/v1/namespaces", Target(kinds.NAMESPACE)),
        ("/api/v1/namespaces/home", Target(kinds.NAMESPACE, "", "home")),
        ("/api/v1/namespaces/home/finalize", Target(kinds.NAMESPACE, "", "home", "finalize")),
        ("/api/v1/nodes/pi1/proxy/a/b%2Fc", Target(kinds.NODE, "", "pi1", "proxy", "a/b%2Fc")),
        ("/apis/apps/v1/deployments", Target(kinds.DEPLOYMENT)),
        (
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode",
            Target(kinds.CLUSTER_ROLE, "", "system:node"),
        ),
        ("/api/v1", None),
        ("/api/v1/", None),
        ("/apis/apps/v1", None),
        ("/healthz", None),
    ],
)
def test_a_path_names(path, target):
    assert RESOURCES.find(path) == target


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/shoes",
        "/api/v2/pods",
        "/apis/none/v1/pods",
        "/api/v1/pods/web",
        "/api/v1/namespaces/home/nodes",
        "/api/v1/namespaces/home/pods/a%2Fb",
        "/api/v1/namespaces/home/pods/%2e%2e",
        "/api/v1/namespaces/home/pods/..",
        "/api/v1/namespaces/home/pods/" + "x" * 254,
        "/api/v1/namespaces/home/pods/a/log/b",
        "/api/v1/namespaces//pods",
    ],
)
def test_what_names_nothing_is_not_found(path):
    with pytest.raises(errors.NotFound):
        RESOURCES.find(path)


@pytest.mark.parametrize(
    ("method", "path", "watch", "verb"),
    [
        ("GET", "/api/v1/pods", False, "list"),
        ("GET", "/api/v1/pods", True, "watch"),
        ("GET", "/api/v1/nodes/pi1", False, "get"),
        ("GET", "/api/v1/nodes/pi1", True, "watch"),
        ("POST", "/api/v1/pods", False, "create"),
        ("PUT", "/api/v1/nodes/pi1", False, "update"),
        ("DELETE", "/api/v1/nodes/pi1", False, "delete"),
        ("DELETE", "/api/v1/nodes", False, "deletecollection"),
    ],
)
def test_a_method_is_a_verb(method, path, watch, verb):
    assert paths.verb(method, RESOURCES.find(path), watch=watch) == verb


def test_options_that_make_no_sense_are_refused():
    for query in ({"limit": "many"}, {"dryRun": "Some"}, {"fieldValidation": "Maybe"}):
        with pytest.raises(errors.BadRequest):
            paths.options(query)
