"""Pods stay five minutes on a node that is lost, unless they say otherwise."""

from k3py import kinds
from k3py.api.wellknown import TAINT_NOT_READY, TAINT_UNREACHABLE
from k3py.apiserver.admission import Review

_SECONDS = 300


class DefaultTolerations:
    def admit(self, review: Review) -> None:
        if review.kind is not kinds.POD or review.verb != "create" or review.subresource:
            return
        assert review.obj is not None
        spec = review.obj["spec"]
        tolerations = spec.get("tolerations") or []
        for taint in (TAINT_NOT_READY, TAINT_UNREACHABLE):
            if not any(_covers(t, taint) for t in tolerations):
                tolerations = [
                    *tolerations,
                    {
                        "key": taint,
                        "operator": "Exists",
                        "effect": "NoExecute",
                        "tolerationSeconds": _SECONDS,
                    },
                ]
        spec["tolerations"] = tolerations


def _covers(toleration: dict[str, object], taint: str) -> bool:
    return toleration.get("key") in (None, "", taint) and toleration.get("effect") in (
        None,
        "",
        "NoExecute",
    )
