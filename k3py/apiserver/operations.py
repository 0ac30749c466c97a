"""What can be done to a kind: its paths and subresources, what each takes and gives.

Discovery tells it in its words, and `openapi` writes it down in either version of OpenAPI.
kubectl looks here for two things: the kinds behind a path (explain) and whether a PATCH
takes fieldValidation (if so, the server validates and not kubectl).
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from k3py.api.kind import Kind


class Gvk(NamedTuple):
    group: str
    version: str
    kind: str


class Parameter(NamedTuple):
    name: str
    type: str = "string"
    place: str = "query"


class Operation(NamedTuple):
    path: str
    method: str
    action: str  # Kubernetes' word: get list post put patch delete deletecollection connect
    id: str
    kind: Gvk
    takes: Gvk | None = None  # the body
    gives: Gvk | None = None  # the answer; None: text or a stream


class Speech(NamedTuple):
    """How a subresource is spoken to: its methods, and the kind that goes in and comes out."""

    methods: tuple[str, ...]
    kind: Gvk | None = None  # None: the kind it belongs to


STATUS = Gvk("", "v1", "Status")
DELETE_OPTIONS = Gvk("", "v1", "DeleteOptions")
PATCH = Gvk("", "v1", "Patch")

_CHANGE = ("get", "put", "patch")
_STREAM = ("get", "post")
_EVERYTHING = ("get", "post", "put", "patch", "delete")
SUBRESOURCES = {
    "status": Speech(_CHANGE),
    "scale": Speech(_CHANGE, Gvk("autoscaling", "v1", "Scale")),
    "finalize": Speech(("put",)),
    "binding": Speech(("post",), Gvk("", "v1", "Binding")),
    "eviction": Speech(("post",), Gvk("policy", "v1", "Eviction")),
    "token": Speech(("post",), Gvk("authentication.k8s.io", "v1", "TokenRequest")),
    "log": Speech(("get",)),
    "exec": Speech(_STREAM, Gvk("", "v1", "PodExecOptions")),
    "attach": Speech(_STREAM, Gvk("", "v1", "PodAttachOptions")),
    "portforward": Speech(_STREAM, Gvk("", "v1", "PodPortForwardOptions")),
    "proxy": Speech(_EVERYTHING),
}
_STREAMED = ("log", "exec", "attach", "portforward", "proxy")
_VERBS = {"get": "get", "post": "create", "put": "update", "patch": "patch", "delete": "delete"}
_WORDS = {"get": "read", "list": "list", "post": "create", "put": "replace", "patch": "patch",
          "delete": "delete", "deletecollection": "delete"}  # fmt: skip

_WRITE = tuple(Parameter(name) for name in ("dryRun", "fieldManager", "fieldValidation"))
_SELECT = (
    Parameter("continue"),
    Parameter("fieldSelector"),
    Parameter("labelSelector"),
    Parameter("limit", "integer"),
    Parameter("resourceVersion"),
    Parameter("resourceVersionMatch"),
    Parameter("sendInitialEvents", "boolean"),
    Parameter("timeoutSeconds", "integer"),
)
_DELETE = (
    Parameter("dryRun"),
    Parameter("gracePeriodSeconds", "integer"),
    Parameter("orphanDependents", "boolean"),
    Parameter("propagationPolicy"),
)
_PARAMETERS = {
    "list": (Parameter("allowWatchBookmarks", "boolean"), *_SELECT, Parameter("watch", "boolean")),
    "post": _WRITE,
    "put": _WRITE,
    "patch": (*_WRITE, Parameter("force", "boolean")),
    "delete": _DELETE,
    "deletecollection": (*_SELECT, *_DELETE),
}


def parameters(operation: Operation) -> tuple[Parameter, ...]:
    """What the query may say, and the parts of the path."""
    places = [
        Parameter(name, place="path")
        for name in ("name", "namespace", "path")
        if f"{{{name}}}" in operation.path
    ]
    return (*places, Parameter("pretty"), *_PARAMETERS.get(operation.action, ()))


def root(kind: Kind) -> str:
    """The group version's path: api/v1, apis/apps/v1."""
    return f"apis/{kind.api_version}" if kind.group else f"api/{kind.api_version}"


def gvk(kind: Kind) -> Gvk:
    return Gvk(kind.group, kind.version, kind.kind)


def operations(kind: Kind, served: Callable[[Kind, str], bool]) -> Iterator[Operation]:
    """Every operation of a kind, and of those of its subresources that are served."""
    base = f"/{root(kind)}"
    plural = f"{base}/namespaces/{{namespace}}/{kind.plural}" if kind.namespaced else ""
    plural = plural or f"{base}/{kind.plural}"
    one = f"{plural}/{{name}}"
    yield from _collection(kind, plural)
    if kind.namespaced and "list" in kind.verbs:
        yield _operation(kind, f"{base}/{kind.plural}", "get", "list", suffix="ForAllNamespaces")
    for verb, method in (("get", "get"), ("update", "put"), ("patch", "patch")):
        if verb in kind.verbs:
            yield _operation(kind, one, method, method)
    if "delete" in kind.verbs:
        yield _operation(kind, one, "delete", "delete")
    for name in subresources(kind):
        if served(kind, name):
            yield from _subresource(kind, f"{one}/{name}", name)


def subresources(kind: Kind) -> tuple[str, ...]:
    named = (("status", kind.has_status), ("scale", kind.has_scale))
    return (*(name for name, there in named if there), *kind.subresources)


def spoken(kind: Kind, subresource: str) -> Gvk:
    """The kind that goes into a subresource and comes out."""
    if subresource == "proxy":
        return Gvk("", "v1", f"{kind.kind}ProxyOptions")
    return SUBRESOURCES[subresource].kind or gvk(kind)


def verbs(subresource: str) -> list[str]:
    """Kubernetes' verbs for a subresource, sorted."""
    return sorted(_VERBS[method] for method in SUBRESOURCES[subresource].methods)


def _collection(kind: Kind, path: str) -> Iterator[Operation]:
    for verb, method, action in (
        ("list", "get", "list"),
        ("create", "post", "post"),
        ("deletecollection", "delete", "deletecollection"),
    ):
        if verb in kind.verbs:
            yield _operation(kind, path, method, action)


def _subresource(kind: Kind, path: str, name: str) -> Iterator[Operation]:
    of = spoken(kind, name)
    suffix = name.title()
    for method in SUBRESOURCES[name].methods:
        if name in _STREAMED:
            id_ = _id("connect", kind, f"{method.title()}{suffix}")
            yield Operation(path, method, "connect", id_, of)
        else:
            made = _operation(kind, path, method, method, suffix=suffix)
            yield made._replace(
                kind=of,
                takes=of if made.takes == gvk(kind) else made.takes,
                gives=of,
            )


def _operation(kind: Kind, path: str, method: str, action: str, *, suffix: str = "") -> Operation:
    own = gvk(kind)
    id_ = _id(_WORDS[action], kind, suffix, "Collection" if action == "deletecollection" else "")
    takes = {
        "post": own,
        "put": own,
        "patch": PATCH,
        "delete": DELETE_OPTIONS,
        "deletecollection": DELETE_OPTIONS,
    }.get(action)
    gives = {
        "list": own._replace(kind=f"{kind.kind}List"),
        "delete": STATUS,
        "deletecollection": STATUS,
    }.get(action, own)
    return Operation(path, method, action, id_, own, takes, gives)


def _id(word: str, kind: Kind, suffix: str, scope: str = "") -> str:
    """createCoreV1NamespacedPod, deleteAppsV1CollectionNamespacedDeployment."""
    parts = kind.group.removesuffix(".k8s.io").split(".") if kind.group else ["core"]
    group = "".join(part.title() for part in parts)
    if kind.namespaced and suffix != "ForAllNamespaces":
        scope += "Namespaced"
    return f"{word}{group}{kind.version.capitalize()}{scope}{kind.kind}{suffix}"
