"""The answers the API gives instead of an object.

    ApiError
    ├─ BadRequest            400
    ├─ Unauthorized          401
    ├─ Forbidden             403
    ├─ NotFound              404
    ├─ MethodNotAllowed      405
    ├─ NotAcceptable         406
    ├─ AlreadyExists         409
    ├─ Conflict              409
    ├─ Expired               410  (reason Expired: a revision or continue token too old)
    ├─ Gone                  410
    ├─ TooLarge              413
    ├─ UnsupportedMediaType  415
    ├─ Invalid               422
    ├─ TooManyRequests       429
    ├─ InternalError         500
    ├─ ServiceUnavailable    503
    └─ Timeout               504

Raised by the server, sent as a Status, raised again by the client: code that
catches `errors.NotFound` need not know which side of the wire it is on.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from k3py.api.kind import Kind, Problem
from k3py.api.objects import Object


class ApiError(Exception):
    """`details` is the Status' details: name, group, kind, causes, retryAfterSeconds."""

    code = 500
    reason = "InternalError"

    def __init__(self, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.details: dict[str, Any] = dict(details or {})

    def status(self) -> Object:
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": str(self),
            "reason": self.reason,
            # kubectl asks what was not found without looking whether that is told.
            **({"details": self.details} if self.details or self.code == 404 else {}),
            "code": self.code,
        }


class BadRequest(ApiError):
    code, reason = 400, "BadRequest"


class Unauthorized(ApiError):
    code, reason = 401, "Unauthorized"


class Forbidden(ApiError):
    code, reason = 403, "Forbidden"


class NotFound(ApiError):
    code, reason = 404, "NotFound"


class MethodNotAllowed(ApiError):
    code, reason = 405, "MethodNotAllowed"


class NotAcceptable(ApiError):
    code, reason = 406, "NotAcceptable"


class AlreadyExists(ApiError):
    code, reason = 409, "AlreadyExists"


class Conflict(ApiError):
    code, reason = 409, "Conflict"


class Expired(ApiError):
    code, reason = 410, "Expired"


class Gone(ApiError):
    code, reason = 410, "Gone"


class TooLarge(ApiError):
    code, reason = 413, "RequestEntityTooLarge"


class UnsupportedMediaType(ApiError):
    code, reason = 415, "UnsupportedMediaType"


class Invalid(ApiError):
    code, reason = 422, "Invalid"


class TooManyRequests(ApiError):
    code, reason = 429, "TooManyRequests"


class InternalError(ApiError):
    code, reason = 500, "InternalError"


class ServiceUnavailable(ApiError):
    code, reason = 503, "ServiceUnavailable"


class Timeout(ApiError):
    code, reason = 504, "Timeout"


def about(kind: Kind, name: str) -> dict[str, Any]:
    """Status details that say which object an error is about."""
    details = {"name": name, "group": kind.group, "kind": kind.plural}
    return {k: v for k, v in details.items() if v}


def not_found(kind: Kind, name: str) -> NotFound:
    return NotFound(f'{kind.resource} "{name}" not found', about(kind, name))


def already_exists(kind: Kind, name: str) -> AlreadyExists:
    return AlreadyExists(f'{kind.resource} "{name}" already exists', about(kind, name))


def conflict(kind: Kind, name: str, why: str = "") -> Conflict:
    """A write that was based on an older version of the object."""
    why = why or (
        "the object has been modified; "
        "please apply your changes to the latest version and try again"
    )
    return Conflict(
        f'Operation cannot be fulfilled on {kind.resource} "{name}": {why}', about(kind, name)
    )


def invalid(kind: Kind, name: str, problems: Iterable[Problem]) -> Invalid:
    """Everything wrong with an object, in one Status with a cause for each problem."""
    problems = list(problems)
    texts = [f"{p.field}: {p.message}" for p in problems]
    joined = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
    causes = [{"reason": p.reason, "message": p.message, "field": p.field} for p in problems]
    details = {"name": name, "group": kind.group, "kind": kind.kind, "causes": causes}
    named = f"{kind.kind}.{kind.group}" if kind.group else kind.kind
    return Invalid(
        f'{named} "{name}" is invalid: {joined}', {k: v for k, v in details.items() if v}
    )


_BY_REASON = {cls.reason: cls for cls in ApiError.__subclasses__()}
_BY_CODE = {cls.code: cls for cls in reversed(ApiError.__subclasses__())}


def is_namespace_terminating(error: ApiError) -> bool:
    """Whether a creation was refused because its namespace is going: asking again is no use."""
    causes = error.details.get("causes") or ()
    return any(cause.get("reason") == "NamespaceTerminating" for cause in causes)


def from_status(status: Object) -> ApiError:
    """The error that a Status stands for."""
    error = _BY_REASON.get(status.get("reason", "")) or _BY_CODE.get(status.get("code", 500))
    return (error or ApiError)(status.get("message", ""), status.get("details"))
