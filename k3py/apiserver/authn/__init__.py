"""Who asks: a client certificate, a bearer token, or nobody."""

from collections.abc import Callable, Sequence
from typing import Any

from k3py.api import errors
from k3py.apiserver.authn import certificates
from k3py.apiserver.request import ANONYMOUS, User

Verify = Callable[[str], User | None]


def authenticated(subject: Any, authorization: str, verifiers: Sequence[Verify]) -> User:
    """The user behind a certificate's subject or an Authorization header.

    Raises Unauthorized for a token nobody knows: a bad credential is not no credential.
    """
    user = certificates.user(subject)
    if user is not None:
        return user
    scheme, _, token = authorization.partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        return ANONYMOUS
    for verify in verifiers:
        found = verify(token)
        if found is not None:
            return found
    raise errors.Unauthorized("Unauthorized")
