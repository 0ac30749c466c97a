"""The rules of placement, one file each. A new one is a new file and a line here.

Cheap filters come first: a node is asked no further once it is refused.
"""

from k3py.scheduler.framework import Filter, Score
from k3py.scheduler.plugins.node_affinity import NodeAffinity
from k3py.scheduler.plugins.ports import NodePorts
from k3py.scheduler.plugins.resources import BalancedAllocation, LeastAllocated, Resources
from k3py.scheduler.plugins.spread import TopologySpread
from k3py.scheduler.plugins.taints import NodeUnschedulable, TaintToleration

FILTERS: tuple[Filter, ...] = (
    NodeUnschedulable(),
    TaintToleration(),
    NodeAffinity(),
    NodePorts(),
    Resources(),
    TopologySpread(),
)
SCORES: tuple[Score, ...] = (
    TaintToleration(),
    NodeAffinity(),
    LeastAllocated(),
    BalancedAllocation(),
    TopologySpread(),
)
