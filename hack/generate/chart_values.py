"""The chart's values: what each is called, means and defaults to.

One source for ``values.yaml``, ``values.schema.json`` and the chart's README. ``settings`` is the operator's own
settings file, so a new setting of the operator is a new value of the chart without another line.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from sdg_operator.api.common import ImageRef, Resources, Toleration
from sdg_operator.api.settings import Images, Settings

PullPolicy = Literal["Always", "IfNotPresent", "Never"]
StringMap = dict[str, str]
_NAME = r"^([a-z]([-a-z0-9]*[a-z0-9])?)?$"
NamespaceName = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]


class Part(BaseModel):
    """A part of the values. Unknown keys are refused: a misspelt value must not be silently ignored."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")


class Image(Part):
    repository: str = Field(description="Name of the image, below images.registry.")
    tag: str = Field(default="", description="Tag; images.tag where empty.")
    digest: str = Field(
        default="", pattern=r"^(sha256:[0-9a-f]{64})?$", description="sha256:… digest; wins over the tag."
    )


class ChartImages(Part):
    registry: str = Field(default="", description="Registry and path that the images are pulled from.")
    tag: str = Field(default="", description="Tag of all images; the chart's appVersion where empty.")
    pull_policy: PullPolicy = Field(default="IfNotPresent", description="Pull policy of all images.")
    pull_secrets: list[dict[str, str]] = Field(
        default=[],
        description="Pull Secrets of the operator's pod, [{name: …}]; of runs: settings.images.pullSecrets.",
    )
    operator: Image = Field(default=Image(repository="sdg-operator"), description="Image of the operator.")
    engine: Image = Field(
        default=Image(repository="sdg-engine"),
        description="Image of engine and mix; settings.images.engine wins.",
    )
    runner: Image = Field(
        default=Image(repository="sdg-runner"),
        description="Image of validate, fetch and sync; settings.images.runner wins.",
    )


class Crds(Part):
    enabled: bool = Field(default=True, description="Install and upgrade the CustomResourceDefinitions with the chart.")
    keep: bool = Field(
        default=True, description="Keep them, and with them all users' resources, when the chart is uninstalled."
    )


class Rbac(Part):
    create: bool = Field(default=True, description="Create the operator's roles and bindings.")
    aggregate: bool = Field(
        default=True, description="Add rights on both kinds to the cluster's view, edit and admin roles."
    )
    network_policies: bool = Field(
        default=False,
        description="Keep the right to make NetworkPolicies also where settings.networkPolicy.create is false: for "
        "runs that were accepted while it was true.",
    )


class ServiceAccount(Part):
    create: bool = Field(default=True, description="Create the operator's service account.")
    name: str = Field(default="", description="Its name; the release's full name where empty.")
    annotations: StringMap = Field(default={}, description="Annotations of the service account.")


class CaBundle(Part):
    config_map_name: str = Field(
        default="",
        description="ConfigMap in the operator's namespace; none where empty. A storage Secret's own ca.crt wins.",
    )
    key: str = Field(
        default="ca.crt", min_length=1, description="Its key with PEM certificates; they replace the public ones."
    )


class Log(Part):
    level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Least level written.")
    format: Literal["json", "text"] = Field(default="json", description="One JSON object a line, or plain text.")


class PodDisruptionBudget(Part):
    enabled: bool = Field(default=True, description="Made only with more than one replica: with one it blocks drains.")
    max_unavailable: int = Field(default=1, ge=1, description="Replicas that may be away at once.")


class NetworkPolicyValues(Part):
    enabled: bool = Field(default=False, description="Close the operator's pods but for what is listed here.")
    metrics_from: list[dict[str, Any]] = Field(
        default=[], description="NetworkPolicy peers that may scrape metrics; everyone where empty."
    )
    egress: list[dict[str, Any]] = Field(
        default=[],
        description="NetworkPolicy egress rules: DNS, API server, S3 endpoints and proxies; everything where empty.",
    )


class Monitor(Part):
    enabled: bool = Field(default=False, description="Create a PodMonitor (needs the Prometheus operator's CRDs).")
    interval: str = Field(default="30s", min_length=1, description="Scrape interval.")
    labels: StringMap = Field(default={}, description="Labels that your Prometheus selects monitors by.")


class Rules(Part):
    enabled: bool = Field(default=False, description="Create a PrometheusRule with alerts.")
    labels: StringMap = Field(default={}, description="Labels that your Prometheus selects rules by.")
    runbook_url: str = Field(
        default="", description="Address of docs/troubleshooting.md where you keep it; alerts link to its sections."
    )


class Dashboard(Part):
    enabled: bool = Field(default=False, description="Create a ConfigMap with the Grafana dashboard.")
    labels: StringMap = Field(default={"grafana_dashboard": "1"}, description="Labels that Grafana looks for.")


class AdmissionPolicy(Part):
    enabled: bool = Field(
        default=False,
        description="Refuse already at apply what settings.allowed does not allow (ValidatingAdmissionPolicy).",
    )


class SettingsImages(Images):
    engine: ImageRef | None = Field(default=None, description="Default engine, and the mix; from images where absent.")  # type: ignore[assignment]
    runner: ImageRef | None = Field(  # type: ignore[assignment]
        default=None, description="validate, fetch and sync; from images where absent."
    )
    pull_policy: PullPolicy | None = Field(default=None, description="From images where absent.")  # type: ignore[assignment]


class SettingsValues(Settings):
    """The operator's settings file, but that images may be left to the chart."""

    images: SettingsImages = Field(default=SettingsImages(), description="Images of the containers of a run.")


class EnvVar(BaseModel):
    """A variable as a container has it, but for those that tell the operator which pod it is."""

    model_config = ConfigDict(extra="allow")

    name: str = Field(
        min_length=1, json_schema_extra={"not": {"enum": ["POD_NAME", "POD_NAMESPACE", "POD_UID", "NODE_NAME"]}}
    )


class Values(Part):
    """All values of the chart."""

    name_override: str = Field(
        default="", pattern=_NAME, max_length=50, description="Replaces the chart's name in names and labels."
    )
    fullname_override: str = Field(
        default="", pattern=_NAME, max_length=50, description="Replaces the whole name of all objects."
    )
    images: ChartImages = Field(default=ChartImages(), description="Where images come from.")
    replicas: int = Field(
        default=1, ge=0, le=5, description="Operator pods; with more than one a Lease decides which one works."
    )
    watch_namespaces: list[NamespaceName] = Field(
        default=[],
        json_schema_extra={"uniqueItems": True},
        description="Namespaces to serve, with rights in these alone; the whole cluster where empty.",
    )
    settings: SettingsValues = Field(
        default=SettingsValues(), description="The operator's settings: defaults of runs, and what users may choose."
    )
    crds: Crds = Field(default=Crds(), description="CustomResourceDefinitions.")
    rbac: Rbac = Field(default=Rbac(), description="Rights.")
    service_account: ServiceAccount = Field(default=ServiceAccount(), description="The operator's identity.")
    log: Log = Field(default=Log(), description="The operator's log.")
    resources: Resources = Field(
        default=Resources(
            requests={"cpu": "50m", "memory": "128Mi", "ephemeral-storage": "16Mi"},
            limits={"memory": "512Mi", "ephemeral-storage": "128Mi"},
        ),
        description="Resources of the operator's pod; no CPU limit, it would only make it late.",
    )
    # Defaults stand in the template: Helm would merge them into what a user gives, so that {} would change nothing.
    pod_security_context: dict[str, Any] | None = Field(
        default=None,
        description="securityContext of the operator's pod, {} for none; absent: one of ours that suits the "
        "restricted profile and OpenShift.",
    )
    security_context: dict[str, Any] | None = Field(
        default=None,
        description="securityContext of the operator's container, {} for none; absent: ours, which is "
        "that of the restricted profile, with a read-only root.",
    )
    node_selector: StringMap = Field(default={}, description="Labels that the operator's node must have.")
    tolerations: list[Toleration] = Field(default=[], description="Taints that the operator's pod tolerates.")
    affinity: dict[str, Any] = Field(
        default={},
        description="Affinity of the operator's pod; where empty, several replicas prefer nodes of their own.",
    )
    priority_class_name: str = Field(default="", description="PriorityClass of the operator's pod.")
    labels: StringMap = Field(default={}, description="Further labels of every object of the chart.")
    pod_labels: StringMap = Field(default={}, description="Further labels of the operator's pod.")
    pod_annotations: StringMap = Field(default={}, description="Further annotations of the operator's pod.")
    ca_bundle: CaBundle = Field(
        default=CaBundle(), description="Authorities of the stores' certificates, for the operator's own calls."
    )
    extra_env: list[EnvVar] = Field(
        default=[], description="Further environment variables of the operator; they win over those of settings.proxy."
    )
    pod_disruption_budget: PodDisruptionBudget = Field(
        default=PodDisruptionBudget(), description="PodDisruptionBudget of the operator."
    )
    network_policy: NetworkPolicyValues = Field(
        default=NetworkPolicyValues(), description="NetworkPolicy of the operator's pod."
    )
    pod_monitor: Monitor = Field(default=Monitor(), description="Metrics for the Prometheus operator.")
    prometheus_rule: Rules = Field(default=Rules(), description="Alerts for the Prometheus operator.")
    dashboard: Dashboard = Field(default=Dashboard(), description="Dashboard for Grafana.")
    admission_policy: AdmissionPolicy = Field(default=AdmissionPolicy(), description="Limits already at apply.")
