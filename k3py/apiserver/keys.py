"""Where the objects of a kind lie in the store: /<group or core>/<plural>/<namespace>/<name>."""

from k3py.api.kind import Kind
from k3py.api.objects import Key


def key(kind: Kind, of: Key) -> str:
    return f"/{kind.group or 'core'}/{kind.plural}/{of.namespace}/{of.name}"


def prefix(kind: Kind, namespace: str = "") -> str:
    """What the keys of all objects of a kind begin with; of those in `namespace`, where given."""
    whole = f"/{kind.group or 'core'}/{kind.plural}/"
    return f"{whole}{namespace}/" if namespace else whole


def parse(text: str) -> Key:
    """The namespace and name that a store key ends with."""
    *_, namespace, name = text.split("/")
    return Key(namespace, name)
