"""ConfigMaps: settings, as keys and values."""

from k3py.api.kind import Kind

CONFIG_MAP = Kind("v1", "ConfigMap", "configmaps", short_names=("cm",))
