"""Taints and tolerations: which nodes a pod puts up with."""

from collections.abc import Mapping
from typing import Any


def tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
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
