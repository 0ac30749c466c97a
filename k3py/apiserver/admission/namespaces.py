"""Nothing is created in a namespace that is not there or is going; the system's own stay."""

from k3py import kinds
from k3py.api import errors, meta
from k3py.api.objects import Key
from k3py.api.wellknown import DEFAULT, PUBLIC, SYSTEM
from k3py.apiserver.admission import Review, refusal
from k3py.apiserver.reading import Reader

_IMMORTAL = (DEFAULT, SYSTEM, PUBLIC)


class NamespaceLifecycle:
    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def admit(self, review: Review) -> None:
        if review.kind is kinds.NAMESPACE:
            if review.verb == "delete" and review.key.name in _IMMORTAL:
                raise refusal(review, "this namespace may not be deleted")
        elif review.verb == "create" and review.kind.namespaced:
            self._check_home(review)

    def _check_home(self, review: Review) -> None:
        name = review.key.namespace
        namespace = self._reader.get(kinds.NAMESPACE, Key("", name))
        if namespace is None:
            raise errors.not_found(kinds.NAMESPACE, name)
        if meta.is_deleting(namespace):
            refused = refusal(
                review,
                f"unable to create new content in namespace {name} because it is being terminated",
            )
            cause = f"namespace {name} is being terminated"
            refused.details["causes"] = [
                {"reason": "NamespaceTerminating", "message": cause, "field": "metadata.namespace"}
            ]
            raise refused
