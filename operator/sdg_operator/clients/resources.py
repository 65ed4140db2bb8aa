"""The resources that the operator reads or writes, as the API server's paths name them."""

from enum import Enum
from urllib.parse import quote

from sdg_operator.api import GROUP, VERSION


class Resource(Enum):
    """API group (empty for the core group), version, plural name, and whether it lives in a namespace."""

    TAXONOMIES = (GROUP, VERSION, "taxonomies", True)
    DATA_GENERATIONS = (GROUP, VERSION, "datagenerations", True)
    JOBS = ("batch", "v1", "jobs", True)
    PODS = ("", "v1", "pods", True)
    EVENTS = ("", "v1", "events", True)
    """Events as the cluster's components publish them; both event APIs give the same objects."""
    PUBLISHED_EVENTS = ("events.k8s.io", "v1", "events", True)
    SECRETS = ("", "v1", "secrets", True)
    CONFIG_MAPS = ("", "v1", "configmaps", True)
    NETWORK_POLICIES = ("networking.k8s.io", "v1", "networkpolicies", True)
    LEASES = ("coordination.k8s.io", "v1", "leases", True)
    ACCESS_REVIEWS = ("authorization.k8s.io", "v1", "selfsubjectaccessreviews", False)
    WORKLOADS = ("kueue.x-k8s.io", "v1beta1", "workloads", True)

    @property
    def group(self) -> str:
        return self.value[0]

    @property
    def version(self) -> str:
        return self.value[1]

    @property
    def plural(self) -> str:
        return self.value[2]

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """Path below the server's address; without a namespace that of all namespaces."""
        group, version, plural, namespaced = self.value
        parts = ["apis", group, version] if group else ["api", version]
        if namespace is not None and namespaced:
            parts += ["namespaces", namespace]
        parts += [part for part in (plural, name, subresource) if part is not None]
        return "/" + "/".join(quote(part, safe="") for part in parts)

    def __str__(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural
