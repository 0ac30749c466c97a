"""Bodies: from JSON, YAML or protobuf to objects, whatever a client sends.

YAML is read as Kubernetes reads it: `on` and `yes` are true as in YAML 1.1, but dates stay
text, and numbers are those of JSON.
"""

import re
import threading
from collections.abc import Iterable
from typing import Any

import orjson

from k3py.api import errors
from k3py.api.patch import bounds
from k3py.base import threads
from k3py.client.client import Patch

LARGEST_BYTES = 3 << 20
JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
_PATCHES = frozenset(how.value for how in Patch)
# A megabyte of YAML takes seconds: elsewhere, while others are served, and one at a time.
_yaml_turn = threading.Lock()
# So few brackets cannot nest too deep: most bodies need no closer look.
_FEW = bounds.DEEPEST


def decoded(body: bytes, content_type: str) -> Any:
    """The value that a body is; None for an empty one.

    Raises BadRequest for what cannot be read, UnsupportedMediaType for what is not known.
    """
    if not body:
        return None
    media = content_type.partition(";")[0].strip().lower() or JSON
    if media == PROTOBUF:
        from k3py.api import protobuf

        try:
            value: Any = protobuf.decode(body)
        except (ValueError, RecursionError) as wrong:
            raise errors.BadRequest(f"the object provided is unrecognized: {wrong}") from None
    elif media in (YAML, "text/yaml", "application/x-yaml", Patch.APPLY.value):
        value = _yaml(body)
    elif media == JSON or media in _PATCHES:
        value = _json(body)
    else:
        raise errors.UnsupportedMediaType(
            "the body of the request was in an unknown format - accepted media types include: "
            f"{JSON}, {YAML}, {PROTOBUF}"
        )
    if body.count(b"{") + body.count(b"[") > _FEW or media != JSON:
        bounds.check_depth(value)
    return value


def to_yaml(value: Any) -> bytes:
    with _yaml_turn:
        return threads.offload(_dumped, value)


def _dumped(value: Any) -> bytes:
    import yaml

    text: bytes = yaml.dump(value, Dumper=_dumper(), encoding="utf-8", default_flow_style=False)
    return text


def _json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except (orjson.JSONDecodeError, RecursionError) as wrong:
        raise errors.BadRequest(
            f"the object provided is unrecognized: invalid JSON: {wrong}"
        ) from None


def _yaml(body: bytes) -> Any:
    if body.lstrip()[:1] in (b"{", b"["):
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError:
            pass  # flow style YAML
    with _yaml_turn:
        return threads.offload(_loaded, body)


def _loaded(body: bytes) -> Any:
    import yaml

    try:
        if body.count(b"*") and _aliases(yaml, body):
            raise errors.BadRequest("error converting YAML to JSON: aliases are not allowed here")
        loaded = yaml.load(body, Loader=_loader())  # noqa: S506 - a safe loader
        # What JSON has no form for is refused here, and keys become text.
        return orjson.loads(orjson.dumps(loaded, option=orjson.OPT_NON_STR_KEYS))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, TypeError, ValueError) as wrong:
        raise errors.BadRequest(
            f"error converting YAML to JSON: yaml: {_first_line(wrong)}"
        ) from None


def _aliases(yaml: Any, body: bytes) -> bool:
    """Whether a document refers to parts of itself: a few bytes could stand for gigabytes."""
    events: Iterable[Any] = yaml.parse(body, Loader=_loader())
    return any(isinstance(event, yaml.AliasEvent) for event in events)


def _first_line(wrong: Exception) -> str:
    return " ".join(str(wrong).split())[:300]


_INTEGER = re.compile(r"^[-+]?(0|[1-9][0-9_]*)$|^0o[0-7]+$|^0x[0-9a-fA-F]+$|^0[0-7]+$|^0b[01]+$")
_FLOAT = re.compile(
    r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$|^[-+]?\.(inf|Inf|INF)$|^\.(nan|NaN|NAN)$"
)


def _number(text: str) -> int | float:
    digits = text.replace("_", "")
    if _INTEGER.match(text):
        sign = -1 if digits.startswith("-") else 1
        digits = digits.lstrip("+-")
        if len(digits) > 1 and digits[0] == "0" and digits[1].isdigit():
            return sign * int(digits, 8)  # YAML 1.1's octal, which Kubernetes still reads
        return sign * int(digits, 0)
    found = float(digits.replace(".inf", "inf").replace(".Inf", "inf").replace(".nan", "nan"))
    if found != found or found in (float("inf"), float("-inf")):
        raise ValueError(f"{text} is no JSON number")
    return found


_made: dict[str, Any] = {}


def _loader() -> Any:
    """A safe loader with Kubernetes' scalars; PyYAML is imported when it is first needed."""
    if "loader" not in _made:
        import yaml

        class Loader(yaml.CSafeLoader):
            """Dates stay text, base-60 numbers too; 1e3 is a number."""

        Loader.yaml_implicit_resolvers = {
            first: [
                (tag, pattern)
                for tag, pattern in resolvers
                if not tag.endswith(("timestamp", ":int", ":float"))
            ]
            for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
        }
        Loader.add_implicit_resolver("tag:yaml.org,2002:int", _INTEGER, list("-+0123456789"))
        Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+.0123456789"))
        for tag in ("int", "float"):
            Loader.add_constructor(
                f"tag:yaml.org,2002:{tag}", lambda loader, node: _number(node.value)
            )
        Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda _loader, node: node.value)
        _made["loader"] = Loader
    return _made["loader"]


def _dumper() -> Any:
    if "dumper" not in _made:
        import yaml

        class Dumper(yaml.CSafeDumper):
            def ignore_aliases(self, data: Any) -> bool:
                return True

        _made["dumper"] = Dumper
    return _made["dumper"]
