"""Events: what happened to an object, for a person to read."""

from k3py.api.kind import Kind

EVENT = Kind("v1", "Event", "events", short_names=("ev",))
