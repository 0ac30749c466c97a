"""Packet marks, priorities and names that this node's network uses, all in one place.

Whoever else writes firewall rules on the machine (Docker, ufw, a real kube-proxy) must
be able to see here what is taken.
"""

# Bit 14 says "masquerade this when it leaves"; kube-proxy uses the same for the same.
MASQUERADE = 0x4000

# Priorities as numbers: the names dstnat and srcnat are not known in every hook.
# Ours run 10 before the customary -100 and 100, so that a Service's address is gone before
# anybody else's NAT sees the packet.
NAT_BEFORE_ROUTING = -110
NAT_AFTER_ROUTING = 90
# Pod to pod traffic is settled after the proxy has had its say, and before other programs.
NAT_LEAVING = 95
# Behind the NAT of the output hook: what still has a Service's address has no answer.
FILTER = -5

MASQUERADE_TABLE = "k3py-masquerade"
PROXY_TABLE = "k3py-proxy"

# flannel's device, network and port, so that its nodes and ours can be peers.
VXLAN_DEVICE = "flannel.1"
VXLAN_ID = 1
VXLAN_PORT = 8472
# What the tunnel's headers take from each packet: outer Ethernet, IPv4, UDP and VXLAN.
VXLAN_OVERHEAD = 50

# The alias of links and the label of addresses that are ours to remove.
OWNER = "k3py"
DNS_LABEL = "lo:k3py"
