"""What all pods of ours have in common: labels, restricted security, placement, Secrets as files, proxies."""

from typing import Any, Final

from sdg_operator.api import API_VERSION
from sdg_operator.api.common import Resources
from sdg_operator.api.quantity import value_of
from sdg_operator.reconcile.jobs import JobHeader, PodSettings
from sdg_operator.reconcile.names import QUEUE_LABEL, QUEUE_PRIORITY_LABEL, Owner

Json = dict[str, Any]

WORK: Final = "/work"
STORAGE_FOLDER: Final = "/var/run/secrets/sdg/storage"
CA_FOLDER: Final = "/etc/sdg/ca"
CA_FILE: Final = f"{CA_FOLDER}/ca.crt"
GRACE_SECONDS: Final = 60
"""Time to flush after SIGTERM: checkpoints are small, a leaf's samples a few megabytes."""

_OWN_STORAGE: Final = "64Mi"

_CONFINED: Final[Json] = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def job(header: JobHeader, pod: PodSettings, spec: Json, pod_spec: Json) -> Json:
    """A batch/v1 Job of one pod template. `spec` is the Job's own, without the template."""
    labels = {**pod.labels, **pod.placement.labels, **header.labels}
    annotations = dict(pod.placement.annotations)
    kueue = {QUEUE_LABEL: header.queue_name, QUEUE_PRIORITY_LABEL: header.queue_priority}
    metadata: Json = {
        "name": header.name,
        "namespace": header.namespace,
        "labels": labels | {label: value for label, value in kueue.items() if value},
        "ownerReferences": [owned_by(header.owner)],
    }
    template: Json = {"metadata": {"labels": labels}, "spec": {**_pod(pod), **pod_spec}}
    if annotations:
        metadata["annotations"] = annotations
        template["metadata"]["annotations"] = annotations
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {**spec, "template": template}}


def owned_by(owner: Owner) -> Json:
    """The owner reference by which Kubernetes deletes what we make for a resource with it."""
    return {
        "apiVersion": API_VERSION,
        "kind": owner.kind,
        "name": owner.name,
        "uid": owner.uid,
        "controller": True,
        # Deleting the owner must not wait for what it owns: the rights for that are more than ours.
        "blockOwnerDeletion": False,
    }


def _pod(pod: PodSettings) -> Json:
    security: Json = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    if pod.run_as_user is not None:
        security["runAsUser"] = pod.run_as_user
    if pod.fs_group is not None:
        security["fsGroup"] = pod.fs_group
    spec: Json = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "securityContext": security,
    }
    placement = pod.placement
    if pod.image_pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in pod.image_pull_secrets]
    if placement.node_selector:
        spec["nodeSelector"] = dict(placement.node_selector)
    if placement.tolerations:
        spec["tolerations"] = [item.model_dump(by_alias=True, exclude_none=True) for item in placement.tolerations]
    if placement.priority_class_name:
        spec["priorityClassName"] = placement.priority_class_name
    if placement.runtime_class_name:
        spec["runtimeClassName"] = placement.runtime_class_name
    return spec


def container(name: str, image: str, pod: PodSettings, resources: Resources, *, read_only: bool = True) -> Json:
    """A container under the restricted profile. `read_only`: its root; a served model's image may write there."""
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": pod.image_pull_policy,
        "resources": _with_own_storage(resources_of(resources)),
        "securityContext": {**_CONFINED, **({"readOnlyRootFilesystem": True} if read_only else {})},
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def resources_of(resources: Resources) -> Json:
    return {
        kind: dict(amounts)
        for kind, amounts in (("limits", resources.limits), ("requests", resources.requests))
        if amounts
    }


def _with_own_storage(resources: Json) -> Json:
    """Room for a container's logs and what it writes beside its volumes; a quota may want a request of each."""
    if any("ephemeral-storage" in amounts for amounts in resources.values()):
        return resources
    return {**resources, "requests": {**resources.get("requests", {}), "ephemeral-storage": _OWN_STORAGE}}


def with_ephemeral_storage(container: Json, size: int) -> Json:
    """Ask the scheduler for a node with room for the work folder.

    Not where the container asks for more, or has a limit of its own: it counts as the request too, and a request above
    it is refused.
    """
    resources = container["resources"]
    if "ephemeral-storage" in resources.get("limits", {}):
        return container
    own = resources.get("requests", {})
    if "ephemeral-storage" in own and value_of(own["ephemeral-storage"]) >= size:
        return container
    requests = {**own, "ephemeral-storage": str(size)}
    return {**container, "resources": {**resources, "requests": requests}}


def env(name: str, value: str) -> Json:
    """A variable with a value as it is: Kubernetes reads ``$$`` as ``$``, and would replace ``$(NAME)``."""
    return {"name": name, "value": literal(value)}


NODE: Final[Json] = {"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}
"""For what talks to a bucket: a store that finds a clock wrong cannot say whose."""


def literal(text: str) -> str:
    """A text as Kubernetes writes it down for env, command and args, so that nothing in it is replaced."""
    return text.replace("$", "$$")


def proxies(pod: PodSettings) -> list[Json]:
    """Proxy variables in both spellings: programs disagree on which they read."""
    # What runs in the same pod is never behind the proxy.
    no_proxy = ",".join(part for part in (pod.no_proxy, "localhost,127.0.0.1") if part)
    given = {"HTTP_PROXY": pod.http_proxy, "HTTPS_PROXY": pod.https_proxy}
    found = {name: value for name, value in given.items() if value}
    if not found:
        return []
    found["NO_PROXY"] = no_proxy
    return [env(spelling, value) for name, value in found.items() for spelling in (name, name.lower())]


def mount(name: str, path: str, *, read_only: bool = False) -> Json:
    return {"name": name, "mountPath": path, **({"readOnly": True} if read_only else {})}


def scratch(name: str, size: int | str | None = None) -> Json:
    """An emptyDir of at most `size` bytes (or a quantity)."""
    return {"name": name, "emptyDir": {} if size is None else {"sizeLimit": str(size)}}


def secret(name: str, secret_name: str) -> Json:
    return {"name": name, "secret": {"secretName": secret_name}}


def authorities(pod: PodSettings) -> tuple[list[Json], list[Json]]:
    """Volumes and mounts of the administrator's CA bundle; both empty where there is none."""
    if pod.ca_config_map is None:
        return [], []
    volume = {"name": "ca", "configMap": {"name": pod.ca_config_map, "items": [{"key": "ca.crt", "path": "ca.crt"}]}}
    return [volume], [mount("ca", CA_FOLDER, read_only=True)]


def network_env(pod: PodSettings) -> list[Json]:
    """Environment of every container that needs the network: proxies, and the administrator's CA bundle.

    The bundle takes the place of the image's own for requests and boto3, and is beside it for OpenSSL (and Go), which
    has a folder of authorities too; each reads a variable of its own.
    """
    names = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE") if pod.ca_config_map else ()
    return [*proxies(pod), *(env(name, CA_FILE) for name in names)]
