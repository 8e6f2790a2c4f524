"""Fixed facts of every built-in node: names, ranges, ports.

They can be the same in all instances, because each has a network of its own; what differs is in `network.Link`.
"""

from __future__ import annotations

NODE = "looma"
CLUSTER_DOMAIN = "cluster.local"
POD_RANGE = "10.244.0.0/24"
SERVICE_RANGE = "10.96.0.0/16"
API_SERVICE_ADDRESS = "10.96.0.1"
DNS_ADDRESS = "10.96.0.10"
API_PORT = 6443
GATEWAY_NODE_PORT = 30080
GATEWAY_HTTPS_NODE_PORT = 30443
# 110 is Kubernetes' own default; the range above has room for 253.
MAX_PODS = 200

# As the node sees them: /run is the node's own, so these paths are short and the same in all instances. A Unix
# socket's path may have 107 bytes, which a state folder deep in a home would use up.
RUN = "/run/looma"
KUBELET_ROOT = f"{RUN}/kubelet"
VOLUMES = f"{RUN}/volumes"
POD_LOGS = f"{RUN}/pods"
CONTAINERD_ROOT = f"{RUN}/containerd"
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
PAUSE_IMAGE = "localhost/looma-pause"
