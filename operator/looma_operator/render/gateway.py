"""Pods of the engine `gateway`: HAProxy and its controller, two containers of one image that share a folder.

| container             | runs                        | port                                  |
| --------------------- | --------------------------- | ------------------------------------- |
| first-configuration   | `looma-engine gateway-init` | none: writes what HAProxy begins with |
| engine                | HAProxy, master and worker  | http, https, probes, peers            |
| controller            | `looma-engine gateway`      | controller                            |

HAProxy serves on while its controller is away, so only HAProxy's readiness is the pod's. Kubernetes takes a pod out of
its Services while any container of it does not run, whatever its probes say: so the controller's container stays, and
begins the controller again when that ends. The two speak by sockets in the shared folder, which no other pod reaches.
"""

from __future__ import annotations

from ..names import CONTAINER, LABEL_PART_OF, PART_OF, PORT, PORT_NAME
from ..plan.observed import StoredRevision
from ..resources import AIService, Json
from .common import metadata, peers_service_name, selector
from .container import DRAIN_SECONDS, SHARED_SETTINGS, TMP, TMP_MOUNT, port, probe, restricted, settings

RUN = "/run/looma"
HTTPS_PORT = 8443
PROBES_PORT = 8404
CONTROLLER_PORT = 8081
PEERS_PORT = 10000
# Those that Services with the annotation `looma.dev/address-of` may lead to, each a Gateway's own address.
OWN_PORTS: Json = {"port": 20000, "endPort": 29999, "protocol": "TCP"}
# For streams that are under way when the pod ends, after it drained; `hardStopSeconds` of the config lengthens it.
STREAM_SECONDS = 50
SPARE_SECONDS = 5
_HAPROXY = f"haproxy -W -S {RUN}/master.sock,mode,600 -f {RUN}/haproxy.cfg"
# A container is stopped by SIGTERM, which ends HAProxy at once. By SIGUSR1 it takes no more connections and ends with
# the last one that it has.
RUN_HAPROXY = f"""\
trap 'ends=1; kill -USR1 $master 2>/dev/null' TERM
{_HAPROXY} & master=$!
if [ "$ends" ]; then kill -USR1 $master; fi
wait $master; status=$?
while kill -0 $master 2>/dev/null; do wait $master; status=$?; done
exit $status
"""
# A status of 2 says that the settings are wrong, which no further start mends. One that begins and ends again and again
# does not answer its liveness probe, so that the kubelet, its events and its count of restarts show that.
RUN_CONTROLLER = """\
trap 'ends=1; kill -TERM $controller 2>/dev/null' TERM
while [ -z "$ends" ]; do
  looma-engine gateway & controller=$!
  if [ "$ends" ]; then kill -TERM $controller; fi
  wait $controller; status=$?
  while kill -0 $controller 2>/dev/null; do wait $controller; status=$?; done
  if [ "$ends" ] || [ $status -eq 2 ]; then exit $status; fi
  printf '{"event": "the controller ended and begins again", "level": "error", "status": %d}\\n' $status >&2
  sleep 0.5
done
"""
_SMALL: Json = {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "384Mi"}}


def grace_seconds(revision: StoredRevision) -> int:
    """How long a pod may take to end: to drain, and then for the streams that are left."""
    streams = (revision.content.get("config") or {}).get("hardStopSeconds", STREAM_SECONDS)
    return DRAIN_SECONDS + int(streams) + SPARE_SECONDS


def _container(name: str, service: AIService, revision: StoredRevision) -> Json:
    from_pod = {"LOOMA_POD": "metadata.name", "LOOMA_POD_ADDRESS": "status.podIP"}
    return {
        "name": name,
        "image": revision.content["image"],
        "env": [
            *settings(service, revision),
            *(
                {"name": variable, "valueFrom": {"fieldRef": {"fieldPath": path}}}
                for variable, path in from_pod.items()
            ),
        ],
        # The ConfigMap alone: the Secret of the engines has the database, and a gateway has no business there.
        "envFrom": [{"configMapRef": {"name": SHARED_SETTINGS, "optional": True}}],
        "resources": _SMALL,
        "securityContext": restricted(),
        "volumeMounts": [TMP_MOUNT, {"name": "run", "mountPath": RUN}],
    }


def _engine(service: AIService, revision: StoredRevision) -> Json:
    return {
        **_container(CONTAINER, service, revision),
        "command": ["/bin/sh", "-c", RUN_HAPROXY],
        "ports": [
            port(PORT_NAME, PORT),
            port("https", HTTPS_PORT),
            port("probes", PROBES_PORT),
            port("peers", PEERS_PORT),
        ],
        "resources": revision.content.get("resources", {}),
        "startupProbe": probe("/healthz", "probes", period=1, failures=60),
        "readinessProbe": probe("/readyz", "probes", period=2, failures=2),
        "livenessProbe": probe("/healthz", "probes", period=10, failures=3),
        "lifecycle": {"preStop": {"sleep": {"seconds": DRAIN_SECONDS}}},
    }


def _controller(service: AIService, revision: StoredRevision) -> Json:
    return {
        **_container("controller", service, revision),
        "command": ["/bin/sh", "-c", RUN_CONTROLLER],
        "ports": [port("controller", CONTROLLER_PORT)],
        "startupProbe": probe("/healthz", "controller", period=1, failures=60),
        "livenessProbe": probe("/healthz", "controller", period=10, failures=3),
        # As long as requests may still come, endpoints that go must leave HAProxy.
        "lifecycle": {"preStop": {"sleep": {"seconds": DRAIN_SECONDS}}},
    }


def gateway_pod(service: AIService, revision: StoredRevision) -> Json:
    """The parts of a gateway's PodSpec that differ from other engines'."""
    first = {
        **_container("first-configuration", service, revision),
        "command": ["looma-engine", "gateway-init"],
    }
    return {
        # The controller reads routes and endpoints; the Role is bound to the pod's own account.
        "automountServiceAccountToken": True,
        "terminationGracePeriodSeconds": grace_seconds(revision),
        "initContainers": [first],
        "containers": [_engine(service, revision), _controller(service, revision)],
        "volumes": [TMP, {"name": "run", "emptyDir": {}}],
    }


def render_peers(service: AIService) -> Json:
    """A headless Service by which gateway pods find each other, ready or not, to share the counters of limits."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(service, peers_service_name(service.metadata.name)),
        "spec": {
            "type": "ClusterIP",
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": selector(service),
            "ports": [{"name": "peers", "port": PEERS_PORT, "protocol": "TCP", "targetPort": "peers"}],
        },
    }


def render_gateway_policy(service: AIService) -> Json:
    """Anybody may call the gateway; its probes, metrics, controller and peers are for pods of Looma."""
    open_ports, own_ports = (PORT, HTTPS_PORT), (PROBES_PORT, CONTROLLER_PORT, PEERS_PORT)
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(service, service.metadata.name),
        "spec": {
            "podSelector": {"matchLabels": selector(service)},
            "policyTypes": ["Ingress"],
            "ingress": [
                {"ports": [*({"port": number, "protocol": "TCP"} for number in open_ports), dict(OWN_PORTS)]},
                {
                    "from": [{"podSelector": {"matchLabels": {LABEL_PART_OF: PART_OF}}}],
                    "ports": [{"port": number, "protocol": "TCP"} for number in own_ports],
                },
            ],
        },
    }
