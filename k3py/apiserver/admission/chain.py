"""The plugins, in the order they are asked."""

from k3py.apiserver.admission import Admission
from k3py.apiserver.admission.escalation import Escalation
from k3py.apiserver.admission.namespaces import NamespaceLifecycle
from k3py.apiserver.admission.node_restriction import NodeRestriction
from k3py.apiserver.admission.priority import Priority
from k3py.apiserver.admission.serviceaccounts import ServiceAccountAdmission
from k3py.apiserver.admission.tolerations import DefaultTolerations
from k3py.apiserver.authz import Authorizer
from k3py.apiserver.authz.rbac import Rbac
from k3py.apiserver.reading import Reader


def chain(reader: Reader, authorizer: Authorizer, rbac: Rbac) -> tuple[Admission, ...]:
    return (
        NamespaceLifecycle(reader),
        NodeRestriction(reader),
        ServiceAccountAdmission(reader),
        DefaultTolerations(),
        Priority(),
        Escalation(authorizer, rbac),
    )
