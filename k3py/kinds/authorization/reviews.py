"""May they do that? Answered, never stored."""

from k3py.api.kind import Kind

SUBJECT_ACCESS_REVIEW = Kind(
    "authorization.k8s.io/v1",
    "SubjectAccessReview",
    "subjectaccessreviews",
    namespaced=False,
    verbs=("create",),
    virtual=True,
)
SELF_SUBJECT_ACCESS_REVIEW = Kind(
    "authorization.k8s.io/v1",
    "SelfSubjectAccessReview",
    "selfsubjectaccessreviews",
    namespaced=False,
    verbs=("create",),
    virtual=True,
)
SELF_SUBJECT_RULES_REVIEW = Kind(
    "authorization.k8s.io/v1",
    "SelfSubjectRulesReview",
    "selfsubjectrulesreviews",
    namespaced=False,
    verbs=("create",),
    virtual=True,
)
LOCAL_SUBJECT_ACCESS_REVIEW = Kind(
    "authorization.k8s.io/v1",
    "LocalSubjectAccessReview",
    "localsubjectaccessreviews",
    namespaced=True,
    verbs=("create",),
    virtual=True,
)
