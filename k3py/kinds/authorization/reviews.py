"""May they do that? Answered, never stored."""

from collections.abc import Iterator

from k3py.api.kind import Kind, Problem
from k3py.api.objects import Object
from k3py.kinds import problems as wrong
from k3py.kinds.defaults import section


class AccessReviewKind(Kind):
    """A question about one request: to a resource or to a path, not to both."""

    def default(self, obj: Object) -> None:
        section(obj, "spec")

    def validate(self, obj: Object, old: Object | None) -> Iterator[Problem]:
        spec = obj["spec"]
        resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
        if resource is not None and path is not None:
            yield wrong.invalid(
                "spec.nonResourceAttributes",
                path,
                "cannot be specified in combination with resourceAttributes",
            )
        if resource is None and path is None:
            yield wrong.invalid(
                "spec.resourceAttributes",
                None,
                "exactly one of nonResourceAttributes or resourceAttributes must be specified",
            )


class SubjectAccessReviewKind(AccessReviewKind):
    """The same, about somebody else."""

    def validate(self, obj: Object, old: Object | None) -> Iterator[Problem]:
        yield from super().validate(obj, old)
        spec = obj["spec"]
        if not spec.get("user") and not spec.get("groups"):
            yield wrong.invalid("spec.user", "", "at least one of user or group must be specified")
        if self.namespaced:
            yield from self._namespace(obj)

    def _namespace(self, obj: Object) -> Iterator[Problem]:
        attributes = obj["spec"].get("resourceAttributes") or {}
        own = obj["metadata"].get("namespace", "")
        if (attributes.get("namespace") or "") != own:
            yield wrong.invalid(
                "spec.resourceAttributes.namespace",
                attributes.get("namespace") or "",
                "must match metadata.namespace",
            )


class RulesReviewKind(Kind):
    """A question about everything that somebody may do in a namespace."""

    def default(self, obj: Object) -> None:
        section(obj, "spec")


SUBJECT_ACCESS_REVIEW = SubjectAccessReviewKind(
    "authorization.k8s.io/v1",
    "SubjectAccessReview",
    "subjectaccessreviews",
    namespaced=False,
    verbs=("create",),
    virtual=True,
)
SELF_SUBJECT_ACCESS_REVIEW = AccessReviewKind(
    "authorization.k8s.io/v1",
    "SelfSubjectAccessReview",
    "selfsubjectaccessreviews",
    namespaced=False,
    verbs=("create",),
    virtual=True,
)
SELF_SUBJECT_RULES_REVIEW = RulesReviewKind(
    "authorization.k8s.io/v1",
    "SelfSubjectRulesReview",
    "selfsubjectrulesreviews",
    namespaced=False,
    verbs=("create",),
    virtual=True,
)
LOCAL_SUBJECT_ACCESS_REVIEW = SubjectAccessReviewKind(
    "authorization.k8s.io/v1",
    "LocalSubjectAccessReview",
    "localsubjectaccessreviews",
    namespaced=True,
    verbs=("create",),
    virtual=True,
)
