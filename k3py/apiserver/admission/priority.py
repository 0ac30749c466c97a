"""Pods get the number that their priority class stands for."""

from k3py import kinds
from k3py.apiserver.admission import Review, refusal

_BUILT_IN = {"system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000}


class Priority:
    """Knows the classes that Kubernetes itself has."""

    def admit(self, review: Review) -> None:
        if review.kind is not kinds.POD or review.verb != "create" or review.subresource:
            return
        assert review.obj is not None
        spec = review.obj["spec"]
        name = spec.get("priorityClassName", "")
        if name and name not in _BUILT_IN:
            raise refusal(review, f"no PriorityClass with name {name} was found")
        computed = _BUILT_IN.get(name, 0)
        given = spec.get("priority")
        if given is not None and given != computed:
            raise refusal(
                review,
                f"the integer value of priority ({given}) must not be provided in pod spec; "
                f"priority admission controller computed {computed} from the given PriorityClass "
                "name",
            )
        spec["priority"] = computed
        spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
