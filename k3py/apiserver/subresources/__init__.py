"""The parts of objects that have rules of their own: scale, binding, eviction, token and more.

Status is not here: it is the other half of the object itself (see registry, stewardship).
"""

from k3py.api.objects import Object


def success() -> Object:
    """What a subresource answers that has nothing to show."""
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
