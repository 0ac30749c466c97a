"""Who is this? Answered, never stored."""

from k3py.api.kind import Kind

TOKEN_REVIEW = Kind(
    "authentication.k8s.io/v1",
    "TokenReview",
    "tokenreviews",
    namespaced=False,
    verbs=("create",),
    virtual=True,
)
SELF_SUBJECT_REVIEW = Kind(
    "authentication.k8s.io/v1",
    "SelfSubjectReview",
    "selfsubjectreviews",
    namespaced=False,
    verbs=("create",),
    virtual=True,
)
