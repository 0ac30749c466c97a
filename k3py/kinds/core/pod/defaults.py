"""What a pod is when its author does not say: Kubernetes' own defaults."""

from collections.abc import Iterator

from k3py.api.objects import Object
from k3py.kinds.defaults import fill, fill_empty, section

GRACE_SECONDS = 30
_FILE_MODE = 0o644
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_CONTAINERS = ("initContainers", "containers", "ephemeralContainers")


def default_pod(pod: Object) -> None:
    """Defaults of a pod, beyond those it shares with pod templates."""
    spec = section(pod, "spec")
    default_spec(spec)
    fill(spec, enableServiceLinks=True)
    for container in _containers(spec, "initContainers", "containers"):
        resources = container["resources"]
        if limits := resources.get("limits"):
            resources["requests"] = {**limits, **(resources.get("requests") or {})}
        if spec.get("hostNetwork"):
            for port in container.get("ports") or ():
                fill_empty(port, hostPort=port.get("containerPort"))


def default_spec(spec: Object) -> None:
    """Defaults of the pod spec in a pod or in a template."""
    fill_empty(
        spec, dnsPolicy="ClusterFirst", restartPolicy="Always", schedulerName="default-scheduler"
    )
    fill(spec, securityContext={}, terminationGracePeriodSeconds=GRACE_SECONDS)
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:  # one field under two names, the older of them deprecated
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    for container in _containers(spec, *_CONTAINERS):
        _container(container)
    for volume in spec.get("volumes") or ():
        _volume(volume)


def is_latest(image: str) -> bool:
    """Whether an image's tag is latest, said or unsaid; a digest leaves nothing unsaid."""
    name, _, digest = image.partition("@")
    _, _, tag = name.rpartition("/")[2].partition(":")
    return tag == "latest" or not (tag or digest)


def _containers(spec: Object, *lists: str) -> Iterator[Object]:
    for name in lists:
        yield from spec.get(name) or ()


def _container(container: Object) -> None:
    image = container.get("image") or ""
    fill_empty(
        container,
        imagePullPolicy="Always" if image and is_latest(image) else "IfNotPresent",
        terminationMessagePath="/dev/termination-log",
        terminationMessagePolicy="File",
    )
    fill(container, resources={})
    for port in container.get("ports") or ():
        fill_empty(port, protocol="TCP")
    for variable in container.get("env") or ():
        _field_ref(variable.get("valueFrom") or {})
    for name in _PROBES:
        if probe := container.get(name):
            fill_empty(
                probe, timeoutSeconds=1, periodSeconds=10, successThreshold=1, failureThreshold=3
            )
            _action(probe)
    for action in (container.get("lifecycle") or {}).values():
        if isinstance(action, dict):
            _action(action)


def _action(action: Object) -> None:
    if isinstance(http := action.get("httpGet"), dict):
        fill_empty(http, path="/", scheme="HTTP")
    if isinstance(grpc := action.get("grpc"), dict):
        fill(grpc, service="")


def _field_ref(source: Object) -> None:
    if ref := source.get("fieldRef"):
        fill_empty(ref, apiVersion="v1")
    if ref := source.get("resourceFieldRef"):
        fill(ref, divisor="0")


def _volume(volume: Object) -> None:
    sources = [name for name in volume if name != "name" and volume[name] is not None]
    if not sources:
        volume["emptyDir"] = {}
    for name in ("secret", "configMap", "downwardAPI", "projected"):
        if isinstance(volume.get(name), dict):
            fill(volume[name], defaultMode=_FILE_MODE)
    if isinstance(volume.get("hostPath"), dict):
        fill(volume["hostPath"], type="")
    _downward(volume.get("downwardAPI") or {})
    for source in (volume.get("projected") or {}).get("sources") or ():
        _downward(source.get("downwardAPI") or {})
        if token := source.get("serviceAccountToken"):
            fill(token, expirationSeconds=3600)


def _downward(source: Object) -> None:
    for item in source.get("items") or ():
        _field_ref(item)
