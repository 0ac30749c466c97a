"""A node writes only what is its own: one stolen node is not the whole cluster."""

from k3py import kinds
from k3py.api import meta
from k3py.api.objects import Key, Object
from k3py.api.wellknown import MIRROR, NODE_LEASES
from k3py.apiserver.admission import Review, refusal
from k3py.apiserver.authz.node import node_name, references
from k3py.apiserver.reading import Reader

# Labels that say where pods may go: a node does not choose them for itself.
_RESTRICTED = ("node-restriction.kubernetes.io", "node-role.kubernetes.io")


class NodeRestriction:
    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def admit(self, review: Review) -> None:
        node = node_name(review.user)
        if node is None:
            return
        if review.kind is kinds.NODE:
            self._check_node(review, node)
        elif review.kind is kinds.POD:
            self._check_pod(review, node)
        elif review.kind is kinds.LEASE:
            if review.key != Key(NODE_LEASES, node):
                raise refusal(review, f'node "{node}" can only change its own lease')
        elif review.kind is kinds.SERVICE_ACCOUNT and review.subresource == "token":
            self._check_token(review, node)

    def _check_node(self, review: Review, node: str) -> None:
        if review.key.name != node:
            raise refusal(
                review, f'node "{node}" is not allowed to modify node "{review.key.name}"'
            )
        if review.verb == "delete":
            raise refusal(review, f'node "{node}" is not allowed to delete itself')
        if review.obj is None:
            return
        changed = _changed_labels(review.obj, review.old)
        forbidden = sorted(key for key in changed if _is_restricted(key))
        if forbidden:
            raise refusal(review, f"is not allowed to modify labels: {', '.join(forbidden)}")
        if _owners(review.obj) != _owners(review.old):  # whoever owns a node could have it deleted
            raise refusal(review, f'node "{node}" is not allowed to modify ownerReferences')
        if review.old is not None and review.obj["spec"].get("taints") != review.old["spec"].get(
            "taints"
        ):
            raise refusal(review, f'node "{node}" is not allowed to modify taints')

    def _check_pod(self, review: Review, node: str) -> None:
        if review.verb == "create" and not review.subresource:
            assert review.obj is not None
            self._check_mirror(review, review.obj, node)
            return
        pod = review.old or self._reader.get(kinds.POD, review.key)
        if pod is not None and pod["spec"].get("nodeName") != node:
            raise refusal(
                review, f'node "{node}" can only act on pods with spec.nodeName set to itself'
            )
        if review.verb == "update" and review.obj and _labels(review.obj) != _labels(review.old):
            raise refusal(review, f'node "{node}" cannot update labels through pod status')

    def _check_mirror(self, review: Review, pod: Object, node: str) -> None:
        """A node may show what it runs of its own accord, and gain no right by that."""
        if MIRROR not in meta.annotations(pod):
            raise refusal(
                review,
                f'pod does not have "{MIRROR}" annotation, node "{node}" can only '
                "create mirror pods",
            )
        if pod["spec"].get("nodeName") != node:
            raise refusal(
                review, f'node "{node}" can only create pods with spec.nodeName set to itself'
            )
        if pod["spec"].get("serviceAccountName"):
            raise refusal(
                review, f'node "{node}" can not create pods that reference a service account'
            )
        for which, named in (("secret", "secrets"), ("configMap", "configmaps")):
            if any(references(pod, which)):
                raise refusal(review, f'node "{node}" can not create pods that reference {named}')
        if any("persistentVolumeClaim" in v for v in pod["spec"].get("volumes") or ()):
            raise refusal(
                review, f'node "{node}" can not create pods that reference persistentvolumeclaims'
            )

    def _check_token(self, review: Review, node: str) -> None:
        """Only for a pod that runs here with that account."""
        spec = (review.obj or {}).get("spec") or {}
        ref = spec.get("boundObjectRef") or {}
        if ref.get("kind") != "Pod":
            raise refusal(review, "node requested token not bound to a pod")
        pod = self._reader.get(kinds.POD, Key(review.key.namespace, str(ref.get("name", ""))))
        if pod is None or pod["metadata"]["uid"] != ref.get("uid"):
            raise refusal(review, "node requested token bound to a pod that does not exist")
        if pod["spec"].get("nodeName") != node:
            raise refusal(
                review, "node requested token bound to a pod scheduled on a different node"
            )
        if pod["spec"].get("serviceAccountName") != review.key.name:
            raise refusal(review, "node requested token for another service account than the pod's")


def _changed_labels(new: Object, old: Object | None) -> set[str]:
    before, after = _labels(old), _labels(new)
    return {k for k in before.keys() | after.keys() if before.get(k) != after.get(k)}


def _owners(obj: Object | None) -> list[Object]:
    return (obj["metadata"].get("ownerReferences") or []) if obj else []


def _labels(obj: Object | None) -> dict[str, str]:
    return meta.labels(obj) if obj else {}


def _is_restricted(key: str) -> bool:
    prefix = key.rpartition("/")[0]
    return any(prefix == p or prefix.endswith("." + p) for p in _RESTRICTED)
