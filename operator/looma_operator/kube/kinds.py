"""Where each kind that Looma reads or writes lives in the Kubernetes API."""

from __future__ import annotations

from dataclasses import dataclass

from ..names import GATEWAY_API, GROUP, VERSION


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind; `prefix` is its API's path without the namespace."""

    name: str
    prefix: str
    plural: str

    @property
    def api_version(self) -> str:
        """Group and version as an object states them: apps/v1, or v1."""
        return self.prefix.removeprefix("/apis/").removeprefix("/api/")

    def path(self, namespace: str, name: str = "", subresource: str = "") -> str:
        """Path of the collection, of one object, or of its subresource."""
        parts = [self.prefix, "namespaces", namespace, self.plural, name, subresource]
        return "/".join(part for part in parts if part)

    @property
    def path_of_all(self) -> str:
        """Path of the collection over all namespaces, or of a kind that has none."""
        return f"{self.prefix}/{self.plural}"


DEPLOYMENT = Kind(name="Deployment", prefix="/apis/apps/v1", plural="deployments")
REVISION = Kind(name="ControllerRevision", prefix="/apis/apps/v1", plural="controllerrevisions")
POD = Kind(name="Pod", prefix="/api/v1", plural="pods")
SERVICE = Kind(name="Service", prefix="/api/v1", plural="services")
ACCOUNT = Kind(name="ServiceAccount", prefix="/api/v1", plural="serviceaccounts")
BUDGET = Kind(name="PodDisruptionBudget", prefix="/apis/policy/v1", plural="poddisruptionbudgets")
POLICY = Kind(name="NetworkPolicy", prefix="/apis/networking.k8s.io/v1", plural="networkpolicies")
HTTP_ROUTE = Kind(name="HTTPRoute", prefix=f"/apis/{GATEWAY_API}", plural="httproutes")
LEASE = Kind(name="Lease", prefix="/apis/coordination.k8s.io/v1", plural="leases")
QUOTA = Kind(name="ResourceQuota", prefix="/api/v1", plural="resourcequotas")
NODE = Kind(name="Node", prefix="/api/v1", plural="nodes")
SECRET = Kind(name="Secret", prefix="/api/v1", plural="secrets")
CONFIG_MAP = Kind(name="ConfigMap", prefix="/api/v1", plural="configmaps")
JOB = Kind(name="Job", prefix="/apis/batch/v1", plural="jobs")
CRON_JOB = Kind(name="CronJob", prefix="/apis/batch/v1", plural="cronjobs")
ROLE = Kind(name="Role", prefix="/apis/rbac.authorization.k8s.io/v1", plural="roles")
ROLE_BINDING = Kind(name="RoleBinding", prefix="/apis/rbac.authorization.k8s.io/v1", plural="rolebindings")
EVENT = Kind(name="Event", prefix="/apis/events.k8s.io/v1", plural="events")
AI_SERVICE = Kind(name="AIService", prefix=f"/apis/{GROUP}/{VERSION}", plural="aiservices")
MODEL_VERSION = Kind(name="ModelVersion", prefix=f"/apis/{GROUP}/{VERSION}", plural="modelversions")
SYNC_JOB = Kind(name="SyncJob", prefix=f"/apis/{GROUP}/{VERSION}", plural="syncjobs")

CHILDREN = (REVISION, ACCOUNT, POLICY, SERVICE, BUDGET, DEPLOYMENT)
OPTIONAL_CHILDREN = (HTTP_ROUTE,)
"""Children of kinds that a cluster need not serve: Looma goes on without them."""
SYNC_CHILDREN = (ACCOUNT, ROLE, ROLE_BINDING, CRON_JOB)
"""Children of a SyncJob, beside its Jobs."""
OWN = (AI_SERVICE, MODEL_VERSION, SYNC_JOB)
BY_NAME = {kind.name: kind for kind in (*CHILDREN, *OPTIONAL_CHILDREN, *SYNC_CHILDREN, JOB, *OWN)}
