"""Every built-in kind. A new kind is a new file and a line here."""

from k3py.api.kind import Kind
from k3py.kinds.apps.deployment import DEPLOYMENT
from k3py.kinds.apps.replicaset import REPLICA_SET
from k3py.kinds.authentication.reviews import SELF_SUBJECT_REVIEW, TOKEN_REVIEW
from k3py.kinds.authorization.reviews import (
    LOCAL_SUBJECT_ACCESS_REVIEW,
    SELF_SUBJECT_ACCESS_REVIEW,
    SELF_SUBJECT_RULES_REVIEW,
    SUBJECT_ACCESS_REVIEW,
)
from k3py.kinds.coordination.lease import LEASE
from k3py.kinds.core.configmap import CONFIG_MAP
from k3py.kinds.core.endpoints import ENDPOINTS
from k3py.kinds.core.event import EVENT
from k3py.kinds.core.namespace import NAMESPACE
from k3py.kinds.core.node import NODE
from k3py.kinds.core.pod import POD
from k3py.kinds.core.secret import SECRET
from k3py.kinds.core.service import SERVICE
from k3py.kinds.core.serviceaccount import SERVICE_ACCOUNT
from k3py.kinds.discovery.endpointslice import ENDPOINT_SLICE
from k3py.kinds.rbac.bindings import CLUSTER_ROLE_BINDING, ROLE_BINDING
from k3py.kinds.rbac.roles import CLUSTER_ROLE, ROLE

ALL: tuple[Kind, ...] = (
    CONFIG_MAP,
    ENDPOINTS,
    EVENT,
    NAMESPACE,
    NODE,
    POD,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
    DEPLOYMENT,
    REPLICA_SET,
    LEASE,
    ENDPOINT_SLICE,
    ROLE,
    CLUSTER_ROLE,
    ROLE_BINDING,
    CLUSTER_ROLE_BINDING,
    TOKEN_REVIEW,
    SELF_SUBJECT_REVIEW,
    SUBJECT_ACCESS_REVIEW,
    SELF_SUBJECT_ACCESS_REVIEW,
    SELF_SUBJECT_RULES_REVIEW,
    LOCAL_SUBJECT_ACCESS_REVIEW,
)
