"""What a URL means: which kind, which object of it, which part of that object.

/api/v1/namespaces/home/pods/web/log        core group
/apis/apps/v1/namespaces/home/deployments   every other
"""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import unquote

from k3py.api import errors
from k3py.api.kind import Kind
from k3py.apiserver.request import DEFAULTS, Options

_METHODS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_TRUE = ("true", "1", "t", "T", "TRUE", "True")
_LONGEST_SEGMENT = 253
_INT64, _LIMIT = re.compile(r"[-+]?[0-9]{1,30}"), 1 << 63


class Target(NamedTuple):
    """What a path names. Without a `name`, all objects of `kind` in `namespace`."""

    kind: Kind
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    tail: str = ""


class Resources:
    """The kinds that are served, by group, version and plural."""

    def __init__(self, kinds: Iterable[Kind]) -> None:
        self.kinds = tuple(kinds)
        self._plurals: dict[tuple[str, str], dict[str, Kind]] = {}
        self._kinds: dict[tuple[str, str], Kind] = {}
        for kind in self.kinds:
            self._plurals.setdefault((kind.group, kind.version), {})[kind.plural] = kind
            self._kinds[kind.api_version, kind.kind] = kind

    def of_group(self, group: str, version: str) -> tuple[Kind, ...]:
        return tuple(self._plurals.get((group, version), {}).values())

    def groups(self) -> dict[str, list[str]]:
        """The versions of every group, preferred ones first; the core group is ""."""
        found: dict[str, list[str]] = {}
        for group, version in self._plurals:
            found.setdefault(group, []).append(version)
        return found

    def named(self, api_version: str, kind: str) -> Kind | None:
        return self._kinds.get((api_version, kind))

    def by_plural(self, group: str, plural: str) -> Kind | None:
        """The kind whose plural is `plural`, in any version of `group`."""
        found = (k for k in self.kinds if k.group == group and k.plural == plural)
        return next(found, None)

    def find(self, path: str) -> Target | None:
        """What an undecoded path names; None when it is not the path of a resource.

        Raises NotFound for a resource that is not served.
        """
        parts = path.split("/")
        if path.startswith("/api/") and len(parts) > 3:
            group, version, rest = "", parts[2], parts[3:]
        elif path.startswith("/apis/") and len(parts) > 4:
            group, version, rest = parts[2], parts[3], parts[4:]
        else:
            return None
        if rest[-1] == "" and len(rest) == 1:
            return None
        plurals = self._plurals.get((group, version))
        if plurals is None:
            raise _no_such_path()
        return _target(plurals, rest)


def verb(method: str, target: Target, *, watch: bool) -> str:
    """Kubernetes' verb for an HTTP method on a target."""
    if method in ("GET", "HEAD"):
        if target.name and not (watch and not target.subresource):
            return "get"
        return "watch" if watch else "list"
    if method == "DELETE" and not target.name:
        return "deletecollection"
    found = _METHODS.get(method)
    # What is created in a collection has its name in the body; all else is named in the path.
    in_collection = found == "create" and not target.subresource
    if found is None or in_collection is bool(target.name):
        raise errors.MethodNotAllowed(
            "the server does not allow this method on the requested resource"
        )
    return found


def options(query: Mapping[str, str]) -> Options:
    """The parameters of a query that have a meaning. Raises BadRequest."""
    if not query:
        return DEFAULTS
    initial = query.get("sendInitialEvents")
    return Options(
        dry_run=_dry_run(query.get("dryRun", "")),
        manager=query.get("fieldManager", ""),
        force=query.get("force", "") in _TRUE,
        validation=_validation(query.get("fieldValidation") or "Warn"),
        labels=query.get("labelSelector", ""),
        fields=query.get("fieldSelector", ""),
        limit=max(0, _number(query, "limit") or 0),
        continue_=query.get("continue", ""),
        since=query.get("resourceVersion", ""),
        match=query.get("resourceVersionMatch", ""),
        bookmarks=query.get("allowWatchBookmarks", "") in _TRUE,
        initial_events=None if initial is None else initial in _TRUE,
        timeout=_number(query, "timeoutSeconds"),
        grace=_number(query, "gracePeriodSeconds"),
        propagation=query.get("propagationPolicy", "")
        or ("Orphan" if query.get("orphanDependents", "") in _TRUE else ""),
    )


def is_watch(query: Mapping[str, str]) -> bool:
    return query.get("watch", "") in _TRUE


def _target(plurals: Mapping[str, Kind], rest: list[str]) -> Target:
    namespace = ""
    # namespaces/home/pods is the pods in home; namespaces/home/status a part of the namespace.
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] in plurals:
        kind, namespace = plurals[rest[2]], _segment(rest[1])
        if not kind.namespaced:
            raise _no_such_path()
        rest = rest[2:]
    elif rest[0] in plurals:
        kind = plurals[rest[0]]
    else:
        raise _no_such_path()
    name = _segment(rest[1]) if len(rest) > 1 else ""
    subresource = _segment(rest[2]) if len(rest) > 2 else ""
    if name and kind.namespaced and not namespace:
        raise _no_such_path()
    tail = "/".join(rest[3:]) if subresource == "proxy" else ""
    if len(rest) > 3 and subresource != "proxy":
        raise _no_such_path()
    return Target(kind, namespace, name, subresource, tail)


def _segment(raw: str) -> str:
    """A decoded path segment that is safe as a part of a store key."""
    text = unquote(raw)
    if not text or "/" in text or "%" in text or "\0" in text or text in (".", ".."):
        raise _no_such_path()
    if len(text) > _LONGEST_SEGMENT:
        raise _no_such_path()
    return text


def _no_such_path() -> errors.NotFound:
    return errors.NotFound("the server could not find the requested resource")


def _number(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name)
    if not text:
        return None
    number = int(text) if _INT64.fullmatch(text) else None
    if number is None or not -_LIMIT <= number < _LIMIT:
        why = "invalid syntax" if number is None else "value out of range"
        raise errors.BadRequest(
            f'unable to decode query parameters: strconv.ParseInt: parsing "{text}": {why}'
        )
    return number


def _dry_run(text: str) -> bool:
    if text not in ("", "All"):
        raise errors.BadRequest(f'dryRun: Unsupported value: "{text}": supported values: "All"')
    return text == "All"


def _validation(text: str) -> str:
    if text not in ("Strict", "Warn", "Ignore"):
        raise errors.BadRequest(
            f'fieldValidation: Unsupported value: "{text}": '
            'supported values: "Ignore", "Strict", "Warn"'
        )
    return text
