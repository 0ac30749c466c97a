"""Pods: containers that live and die together on one node."""

from k3py.kinds.core.pod.defaults import default_spec
from k3py.kinds.core.pod.kind import POD
from k3py.kinds.core.pod.questions import (
    Amounts,
    HostPort,
    containers,
    host_ports,
    is_finished,
    is_ready,
    is_scheduled,
    is_sidecar,
    limits,
    node_name,
    phase,
    qos_class,
    requests,
)
from k3py.kinds.core.pod.validation import template_problems

__all__ = [
    "POD",
    "Amounts",
    "HostPort",
    "containers",
    "default_spec",
    "host_ports",
    "is_finished",
    "is_ready",
    "is_scheduled",
    "is_sidecar",
    "limits",
    "node_name",
    "phase",
    "qos_class",
    "requests",
    "template_problems",
]
