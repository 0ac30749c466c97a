"""Labels, annotations, taints and names that have a meaning to more than one component."""

HOSTNAME = "kubernetes.io/hostname"
OS = "kubernetes.io/os"
ARCH = "kubernetes.io/arch"
INSTANCE_TYPE = "node.kubernetes.io/instance-type"
CONTROL_PLANE = "node-role.kubernetes.io/control-plane"

TAINT_NOT_READY = "node.kubernetes.io/not-ready"
TAINT_UNREACHABLE = "node.kubernetes.io/unreachable"
TAINT_UNSCHEDULABLE = "node.kubernetes.io/unschedulable"

SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY_SLICES = "endpointslice.kubernetes.io/managed-by"
SKIP_MIRROR = "endpointslice.kubernetes.io/skip-mirror"
SERVICE_PROXY_NAME = "service.kubernetes.io/service-proxy-name"
NAMESPACE_NAME = "kubernetes.io/metadata.name"

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
REVISION = "deployment.kubernetes.io/revision"
DESIRED_REPLICAS = "deployment.kubernetes.io/desired-replicas"
MAX_REPLICAS = "deployment.kubernetes.io/max-replicas"
TEMPLATE_HASH = "pod-template-hash"
MIRROR = "kubernetes.io/config.mirror"

SERVICE_ACCOUNT_NAME = "kubernetes.io/service-account.name"
SERVICE_ACCOUNT_UID = "kubernetes.io/service-account.uid"
ROOT_CA_CONFIG_MAP = "kube-root-ca.crt"

# flannel's own node annotations, so that a real flanneld could share the network.
FLANNEL_BACKEND_TYPE = "flannel.alpha.coreos.com/backend-type"
FLANNEL_BACKEND_DATA = "flannel.alpha.coreos.com/backend-data"
FLANNEL_PUBLIC_IP = "flannel.alpha.coreos.com/public-ip"
FLANNEL_SUBNET_MANAGER = "flannel.alpha.coreos.com/kube-subnet-manager"

NODE_LEASES = "kube-node-lease"
SYSTEM = "kube-system"
PUBLIC = "kube-public"
DEFAULT = "default"
SYSTEM_NAMESPACES = (DEFAULT, SYSTEM, PUBLIC, NODE_LEASES)

FINALIZER_KUBERNETES = "kubernetes"
FINALIZER_ORPHAN = "orphan"
FINALIZER_FOREGROUND = "foregroundDeletion"
