"""What pods find in their folders. A new type is a new file and a line here."""

from collections.abc import Mapping

from k3py.node.volumes.config_map import ConfigMapVolume
from k3py.node.volumes.downward import DownwardVolume
from k3py.node.volumes.empty_dir import EmptyDir
from k3py.node.volumes.host_path import HostPath
from k3py.node.volumes.projected import Projected
from k3py.node.volumes.secret import SecretVolume
from k3py.node.volumes.volume import Volume

TYPES: Mapping[str, Volume] = {
    "configMap": ConfigMapVolume(),
    "downwardAPI": DownwardVolume(),
    "emptyDir": EmptyDir(),
    "hostPath": HostPath(),
    "projected": Projected(),
    "secret": SecretVolume(),
}
