"""Which names Kubernetes allows (RFC 1123, RFC 1035), and names made up for generateName."""

import re
import secrets

# No vowels and nothing that looks alike: generated names should not spell words.
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_LONGEST_BASE = 58

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LABEL_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")

LABEL_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "
    "must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used "
    "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used "
    "for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
LABEL_1035_RULE = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
    "alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', "
    "regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
)
PATH_RULE = "may not be '.' or '..', nor contain '/' or '%'"


def label_problem(name: str) -> str | None:
    """Why `name` is no RFC 1123 label (namespaces, containers); None when it is one."""
    return _problem(name, _LABEL, 63, LABEL_RULE)


def label_1035_problem(name: str) -> str | None:
    """Why `name` is no RFC 1035 label (Services); None when it is one."""
    return _problem(name, _LABEL_1035, 63, LABEL_1035_RULE)


def subdomain_problem(name: str) -> str | None:
    """Why `name` is no RFC 1123 subdomain (most objects); None when it is one."""
    return _problem(name, _SUBDOMAIN, 253, SUBDOMAIN_RULE)


def path_problem(name: str) -> str | None:
    """Why `name` cannot be a path segment (RBAC objects); None when it can."""
    return PATH_RULE if name in (".", "..") or "/" in name or "%" in name else None


def generated(base: str) -> str:
    """`base` with five random characters behind it."""
    return base[:_LONGEST_BASE] + "".join(secrets.choice(_ALPHABET) for _ in range(5))


def _problem(name: str, pattern: re.Pattern[str], longest: int, rule: str) -> str | None:
    if len(name) > longest:
        return f"must be no more than {longest} characters"
    return None if pattern.fullmatch(name) else rule
