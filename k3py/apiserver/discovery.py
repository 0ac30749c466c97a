"""/api and /apis: what there is, for clients to find out. Made from the kinds, once."""

from collections.abc import Callable
from typing import Any

from k3py.api.kind import Kind
from k3py.api.objects import Object
from k3py.apiserver import operations
from k3py.apiserver.paths import Resources

_DISCOVERY = "apidiscovery.k8s.io"


class Discovery:
    """Answers for every discovery path. `served` says which subresources there really are."""

    def __init__(self, resources: Resources, served: Callable[[Kind, str], bool]) -> None:
        self._resources, self._served = resources, served
        self._made: dict[tuple[str, bool], Object | None] = {}

    def document(self, path: str, *, aggregated: bool) -> Object | None:
        """What lies at a path; `aggregated` is one document for everything."""
        at = (path, aggregated and path in ("/api", "/apis"))
        if at not in self._made:
            found = self._document(*at)
            if found is None:
                return None
            self._made[at] = found
        return self._made[at]

    def _document(self, path: str, aggregated: bool) -> Object | None:
        if path in ("/api", "/apis"):
            if aggregated:
                return self._aggregated(path)
            return self._core_versions() if path == "/api" else self._groups()
        parts = path.strip("/").split("/")
        match parts:
            case ["api", version]:
                return self._resource_list("", version)
            case ["apis", group]:
                return self._group(group) if group in self._resources.groups() else None
            case ["apis", group, version]:
                return self._resource_list(group, version)
        return None

    def _core_versions(self) -> Object:
        return {
            "kind": "APIVersions",
            "versions": self._resources.groups().get("", []),
            "serverAddressByClientCIDRs": [],
        }

    def _groups(self) -> Object:
        groups = [self._group(group) for group in self._resources.groups() if group]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}

    def _group(self, group: str) -> Object:
        versions = [
            {"groupVersion": f"{group}/{version}", "version": version}
            for version in self._resources.groups()[group]
        ]
        return {
            "kind": "APIGroup",
            "apiVersion": "v1",
            "name": group,
            "versions": versions,
            "preferredVersion": versions[0],
        }

    def _resource_list(self, group: str, version: str) -> Object | None:
        kinds = self._resources.of_group(group, version)
        if not kinds:
            return None
        rows = [row for kind in kinds for row in self._rows(kind)]
        return {
            "kind": "APIResourceList",
            "apiVersion": "v1",
            "groupVersion": f"{group}/{version}" if group else version,
            "resources": sorted(rows, key=lambda row: str(row["name"])),
        }

    def _rows(self, kind: Kind) -> list[Object]:
        row: Object = {
            "name": kind.plural,
            "singularName": kind.singular,
            "namespaced": kind.namespaced,
            "kind": kind.kind,
            "verbs": list(kind.verbs),
        }
        if kind.short_names:
            row["shortNames"] = list(kind.short_names)
        if kind.categories:
            row["categories"] = list(kind.categories)
        return [row, *(self._subrow(kind, name) for name in self._subresources(kind))]

    def _subrow(self, kind: Kind, name: str) -> Object:
        group, version, of = operations.spoken(kind, name)
        row: Object = {
            "name": f"{kind.plural}/{name}",
            "singularName": "",
            "namespaced": kind.namespaced,
            "kind": of,
            "verbs": operations.verbs(name),
        }
        if (group, version) != (kind.group, kind.version):
            row |= {"group": group, "version": version}
        return row

    def _subresources(self, kind: Kind) -> list[str]:
        return sorted(n for n in operations.subresources(kind) if self._served(kind, n))

    def _aggregated(self, path: str) -> Object:
        core = path == "/api"
        items = [
            {
                "metadata": {"name": group, "creationTimestamp": None} if group else {},
                "versions": [
                    {
                        "version": version,
                        "resources": [
                            self._aggregated_row(kind)
                            for kind in self._resources.of_group(group, version)
                        ],
                        "freshness": "Current",
                    }
                    for version in versions
                ],
            }
            for group, versions in self._resources.groups().items()
            if bool(group) is not core
        ]
        return {
            "kind": "APIGroupDiscoveryList",
            "apiVersion": f"{_DISCOVERY}/v2",
            "metadata": {},
            "items": items,
        }

    def _aggregated_row(self, kind: Kind) -> Object:
        row: Object = {
            "resource": kind.plural,
            "responseKind": _response_kind(kind.group, kind.version, kind.kind),
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "singularResource": kind.singular,
            "verbs": list(kind.verbs),
        }
        if kind.short_names:
            row["shortNames"] = list(kind.short_names)
        if kind.categories:
            row["categories"] = list(kind.categories)
        subrows = [
            {
                "subresource": name,
                "responseKind": _response_kind(*operations.spoken(kind, name)),
                "verbs": operations.verbs(name),
            }
            for name in self._subresources(kind)
        ]
        return row | ({"subresources": subrows} if subrows else {})


def wants_aggregated(accept: str) -> bool:
    """Whether an Accept header asks for aggregated discovery, in the version there is."""
    return any(
        "as=APIGroupDiscoveryList" in choice and "v=v2beta1" not in choice
        for choice in accept.replace(" ", "").split(",")
    )


AGGREGATED_TYPE = f"application/json;g={_DISCOVERY};v=v2;as=APIGroupDiscoveryList"


def _response_kind(group: str, version: str, kind: str) -> dict[str, Any]:
    return {"group": group, "version": version, "kind": kind}
