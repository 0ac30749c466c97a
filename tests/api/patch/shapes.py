"""A schema small enough to read: enough of a Deployment to patch one."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Shape:
    fields: dict[str, "Shape"] = field(default_factory=dict)
    any_key: "Shape | None" = None
    items: "Shape | None" = None
    merge_key: str = ""
    patch_strategy: str = ""
    list_type: str = ""
    list_map_keys: tuple[str, ...] = ()
    map_type: str = ""
    default: Any = None

    def property(self, name):
        return self.fields.get(name) or self.any_key

    def has_property(self, name):
        return name in self.fields


LEAF = Shape()
FREE = Shape(any_key=LEAF)


def struct(**fields):
    return Shape(fields)


def keyed(key, item, *keys):
    return Shape(
        items=item,
        merge_key=key,
        patch_strategy="merge",
        list_type="map",
        list_map_keys=keys or (key,),
    )


PORT = struct(name=LEAF, containerPort=LEAF, protocol=Shape(default="TCP"), hostPort=LEAF)
PROBE = struct(
    httpGet=struct(path=LEAF, port=LEAF, scheme=LEAF), periodSeconds=LEAF, failureThreshold=LEAF
)
CONTAINER = struct(
    name=LEAF,
    image=LEAF,
    imagePullPolicy=LEAF,
    command=Shape(items=LEAF, list_type="atomic"),
    env=keyed("name", struct(name=LEAF, value=LEAF)),
    ports=keyed("containerPort", PORT, "containerPort", "protocol"),
    resources=struct(limits=FREE, requests=FREE),
    livenessProbe=PROBE,
)
POD_SPEC = struct(
    containers=keyed("name", CONTAINER),
    nodeSelector=Shape(any_key=LEAF, map_type="atomic"),
    tolerations=Shape(items=struct(key=LEAF, operator=LEAF), list_type="atomic"),
    restartPolicy=LEAF,
)
META = struct(
    name=LEAF,
    namespace=LEAF,
    uid=LEAF,
    resourceVersion=LEAF,
    labels=FREE,
    annotations=FREE,
    finalizers=Shape(items=LEAF, patch_strategy="merge", list_type="set"),
    ownerReferences=keyed("uid", struct(uid=LEAF, name=LEAF)),
    managedFields=Shape(items=LEAF, list_type="atomic"),
)
DEPLOYMENT = struct(
    apiVersion=LEAF,
    kind=LEAF,
    metadata=META,
    spec=struct(
        replicas=LEAF,
        paused=LEAF,
        selector=Shape({"matchLabels": FREE}, map_type="atomic"),
        strategy=Shape(
            {"type": LEAF, "rollingUpdate": struct(maxSurge=LEAF)}, patch_strategy="retainKeys"
        ),
        template=struct(metadata=META, spec=POD_SPEC),
    ),
    status=struct(
        replicas=LEAF,
        conditions=keyed("type", struct(type=LEAF, status=LEAF)),
    ),
)
