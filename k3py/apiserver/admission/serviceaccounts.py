"""Every pod has a service account, and finds its token where programs look for it."""

from k3py import kinds
from k3py.api import names
from k3py.api.objects import Key, Object
from k3py.api.wellknown import DEFAULT, MIRROR, ROOT_CA_CONFIG_MAP
from k3py.apiserver.admission import Review, refusal
from k3py.apiserver.reading import Reader

MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
_VOLUME = "kube-api-access-"
# An hour, and the seven seconds that tell these tokens from those somebody asked for.
_TOKEN_SECONDS = 3607


class ServiceAccountAdmission:
    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def admit(self, review: Review) -> None:
        pod = review.obj
        if review.kind is not kinds.POD or review.verb != "create" or review.subresource:
            return
        assert pod is not None
        if MIRROR in (pod["metadata"].get("annotations") or {}):
            return
        spec = pod["spec"]
        name = spec.get("serviceAccountName") or spec.get("serviceAccount") or DEFAULT
        spec["serviceAccountName"] = spec["serviceAccount"] = name
        account = self._reader.get(kinds.SERVICE_ACCOUNT, Key(review.key.namespace, name))
        if account is None:
            raise refusal(
                review,
                f"error looking up service account {review.key.namespace}/{name}: "
                f'serviceaccount "{name}" not found',
            )
        if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
            spec["imagePullSecrets"] = [dict(s) for s in account["imagePullSecrets"]]
        if _wants_token(spec, account):
            _mount_token(spec)


def _wants_token(spec: Object, account: Object) -> bool:
    own = spec.get("automountServiceAccountToken")
    return bool(own if own is not None else account.get("automountServiceAccountToken", True))


def _mount_token(spec: Object) -> None:
    containers = [*spec.get("containers", ()), *spec.get("initContainers", ())]
    lacking = [c for c in containers if not _is_mounted(c)]
    if not lacking:
        return
    volumes = spec.get("volumes") or []
    there = next((v["name"] for v in volumes if v["name"].startswith(_VOLUME)), None)
    volume = there or names.generated(_VOLUME)
    if there is None:
        spec["volumes"] = [*volumes, _volume(volume)]
    for container in lacking:
        mount = {"name": volume, "readOnly": True, "mountPath": MOUNT_PATH}
        container["volumeMounts"] = [*(container.get("volumeMounts") or ()), mount]


def _is_mounted(container: Object) -> bool:
    return any(m.get("mountPath") == MOUNT_PATH for m in container.get("volumeMounts") or ())


def _volume(name: str) -> Object:
    return {
        "name": name,
        "projected": {
            "defaultMode": 0o644,
            "sources": [
                {"serviceAccountToken": {"expirationSeconds": _TOKEN_SECONDS, "path": "token"}},
                {
                    "configMap": {
                        "name": ROOT_CA_CONFIG_MAP,
                        "items": [{"key": "ca.crt", "path": "ca.crt"}],
                    }
                },
                {
                    "downwardAPI": {
                        "items": [
                            {
                                "path": "namespace",
                                "fieldRef": {
                                    "apiVersion": "v1",
                                    "fieldPath": "metadata.namespace",
                                },
                            }
                        ]
                    }
                },
            ],
        },
    }
