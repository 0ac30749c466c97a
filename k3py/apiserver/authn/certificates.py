"""Who a client certificate is for: the common name is the user, the organizations the groups."""

from collections.abc import Iterable

from k3py.apiserver.request import AUTHENTICATED, User


def user(subject: Iterable[Iterable[tuple[str, str]]] | None) -> User | None:
    """The user of a verified certificate's subject, as `ssl` tells it; None for nobody."""
    if not subject:
        return None
    pairs = [pair for name in subject for pair in name]
    name = next((value for key, value in pairs if key == "commonName"), "")
    groups = tuple(value for key, value in pairs if key == "organizationName")
    return User(name, (*groups, AUTHENTICATED)) if name else None
