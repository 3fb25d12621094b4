"""What the published definitions of Kubernetes do not say about its fields."""

_CORE = "io.k8s.api.core.v1."
_META = "io.k8s.apimachinery.pkg.apis.meta.v1."

# Kinds, and the bodies of subresources; all that they refer to comes along.
ROOTS = [
    *(_CORE + k for k in ("Namespace", "Node", "Pod", "Service", "Event", "ConfigMap", "Secret",
                          "ServiceAccount", "ResourceQuota", "Binding")),
    "io.k8s.api.apps.v1.Deployment",
    "io.k8s.api.apps.v1.ReplicaSet",
    "io.k8s.api.batch.v1.Job",
    "io.k8s.api.discovery.v1.EndpointSlice",
    "io.k8s.api.events.v1.Event",
    "io.k8s.api.scheduling.v1.PriorityClass",
    "io.k8s.api.policy.v1.PodDisruptionBudget",
    "io.k8s.api.policy.v1.Eviction",
    "io.k8s.api.coordination.v1.Lease",
    *("io.k8s.api.rbac.v1." + k for k in ("Role", "RoleBinding", "ClusterRole",
                                          "ClusterRoleBinding")),
    "io.k8s.api.autoscaling.v1.Scale",
    "io.k8s.api.authentication.v1.TokenRequest",
    _META + "DeleteOptions",
    _META + "Status",
]

# Enumerations whose values the API server insists on. Others (condition types, resource names,
# reasons) are open.
CLOSED_ENUMS = {
    "core/v1.RestartPolicy",
}

RULES = {}
