"""Taints and tolerations: which nodes a pod puts up with."""

from k3py.api.objects import Object


def tolerates(toleration: Object, taint: Object) -> bool:
    """Kubernetes' rule: an empty effect or key (with Exists) stands for every one."""
    if toleration.get("effect") and toleration["effect"] != taint["effect"]:
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    match toleration.get("operator") or "Equal":
        case "Exists":
            return True
        case "Equal":
            same = (toleration.get("value") or "") == (taint.get("value") or "")
            return bool(toleration.get("key")) and same
        case _:
            return False
