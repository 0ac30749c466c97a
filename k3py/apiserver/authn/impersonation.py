"""Acting as somebody else, for who has the verb "impersonate" on all that is asked for.

Impersonate-User, Impersonate-Group (any number), Impersonate-Uid, Impersonate-Extra-KEY.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from k3py.api import errors
from k3py.apiserver.authz import Attributes
from k3py.apiserver.request import ANONYMOUS, AUTHENTICATED, UNAUTHENTICATED, User

_HEADER = "HTTP_IMPERSONATE_"
_EXTRA = "EXTRA_"
_AUTHENTICATION = "authentication.k8s.io"
_ACCOUNT = "system:serviceaccount:"


def impersonated(
    environ: Mapping[str, Any], user: User, authorize: Callable[[User, Attributes], None]
) -> User:
    """Whom `user` wants to be, by the headers in a WSGI environ; mostly just `user`.

    Raises whatever `authorize` does, and BadRequest for somebody without a name.
    """
    asked = {k.removeprefix(_HEADER): v for k, v in environ.items() if k.startswith(_HEADER)}
    if not asked:
        return user
    wanted = _wanted(asked)
    for attributes in _needed(wanted):
        authorize(user, attributes)
    last = UNAUTHENTICATED if wanted.name == ANONYMOUS.name else AUTHENTICATED
    groups = wanted.groups or _groups_of_account(wanted.name)
    return User(wanted.name, tuple(dict.fromkeys((*groups, last))), wanted.uid, wanted.extra)


def _wanted(asked: Mapping[str, str]) -> User:
    """Exactly what the headers say."""
    name = asked.get("USER", "")
    if not name:
        raise errors.BadRequest("requested attributes without impersonating a user")
    extra: dict[str, tuple[str, ...]] = {
        unquote(key.removeprefix(_EXTRA).replace("_", "-").lower()): _values(value)
        for key, value in asked.items()
        if key.startswith(_EXTRA)
    }
    return User(name, _values(asked.get("GROUP", "")), asked.get("UID", ""), extra)


def _values(header: str) -> tuple[str, ...]:
    """A header that came several times is one with commas, by now."""
    return tuple(filter(None, (value.strip() for value in header.split(","))))


def _needed(wanted: User) -> Iterator[Attributes]:
    """The rights it takes to be `wanted`."""
    account = _account(wanted.name)
    if account:
        namespace, name = account
        yield Attributes("impersonate", "", "serviceaccounts", namespace=namespace, name=name)
    else:
        yield Attributes("impersonate", "", "users", name=wanted.name)
    for group in wanted.groups:
        yield Attributes("impersonate", "", "groups", name=group)
    if wanted.uid:
        yield Attributes("impersonate", _AUTHENTICATION, "uids", name=wanted.uid)
    for key, values in wanted.extra.items():
        for value in values:
            yield Attributes("impersonate", _AUTHENTICATION, "userextras", key, name=value)


def _account(name: str) -> tuple[str, str] | None:
    """The namespace and name of the service account that a user is."""
    if not name.startswith(_ACCOUNT):
        return None
    namespace, _, account = name.removeprefix(_ACCOUNT).partition(":")
    return (namespace, account) if namespace and account and ":" not in account else None


def _groups_of_account(name: str) -> tuple[str, ...]:
    account = _account(name)
    if account is None:
        return ()
    return "system:serviceaccounts", f"system:serviceaccounts:{account[0]}"
