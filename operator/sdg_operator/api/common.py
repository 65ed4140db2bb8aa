"""Types that both kinds and the settings share."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic.config import JsonDict

from sdg_operator.api.quantity import QUANTITY, Quantity
from sdg_operator.api.rules import WORDS, rules

State = Literal["queued", "running", "completed", "failed", "canceled"]
TERMINAL_STATES: frozenset[State] = frozenset({"completed", "failed", "canceled"})


class ApiModel(BaseModel):
    """Part of an API object: camelCase on the wire, immutable in memory.

    Unknown keys are ignored: the API server has pruned them already, and an older operator must be able to read what
    a newer CRD admitted.
    """

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore")


_LABEL_VALUE = r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$"
_PRINTABLE = r"^[!-~]+$"

RESERVED_PREFIXES = ("sdg-operator.io", "kubernetes.io", "k8s.io", "x-k8s.io")
"""Label and annotation prefixes that `Placement` may not use, with all their subdomains: what Kubernetes, Kueue and
this operator read there must not come from a user by a side door."""
_RUNTIME_KEYS = r"^io\.(kubernetes|containerd|katacontainers)\.|^([^/]*\.)?(crio\.io|cncf\.io|openshift\.io)(/|$)"
_RUNTIME_WORDS = "annotations for the container runtime, the network and OpenShift are the administrator's to set"
RESERVED_LABELS = ("controller-uid", "job-name")
"""Labels without a prefix that the Job controller owns; it refuses a Job that brings them."""


_FOLDER = r"^[A-Za-z0-9_][A-Za-z0-9._=-]*(/[A-Za-z0-9_][A-Za-z0-9._=-]*)*/?$"
_FOLDER_WORDS = (
    "give a folder: parts joined by '/', each of letters, digits, '.', '_', '=' and '-' and beginning with a letter, "
    "digit or '_'"
)


def _check_folder(value: str) -> str:
    if not re.fullmatch(_FOLDER, value):
        raise ValueError(_FOLDER_WORDS)
    return value


DNS_NAME = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
_NAME_WORDS: JsonDict = {
    WORDS: "a name has lower-case letters, digits, '-' and '.', and begins and ends with a letter or digit"
}
SecretName = Annotated[
    str,
    Field(
        min_length=1, max_length=253, pattern=DNS_NAME, description="Name of a Secret.", json_schema_extra=_NAME_WORDS
    ),
]
DnsName = Annotated[str, Field(min_length=1, max_length=253, pattern=DNS_NAME, json_schema_extra=_NAME_WORDS)]
"""Name of a ConfigMap, a PriorityClass and the like."""
NAME_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
NAME_LENGTH = 32
"""Longest name of a Taxonomy or DataGeneration: names of Jobs and pods are made from it."""
ObjectName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=NAME_LENGTH,
        pattern=NAME_PATTERN,
        description="Name of a resource.",
        json_schema_extra={
            WORDS: "a name has lower-case letters, digits and '-', and begins and ends with a letter or digit"
        },
    ),
]
BucketKey = Annotated[
    str,
    Field(
        min_length=1,
        max_length=1024,
        description="Key of an object in the bucket.",
        json_schema_extra=rules(
            ("!self.contains('://')", "give the object's key alone; the bucket and its address come from the Secret"),
            ("!self.startsWith('/')", "a key does not begin with a slash"),
        ),
    ),
]
Folder = Annotated[
    str,
    AfterValidator(_check_folder),
    Field(min_length=1, max_length=255, json_schema_extra=rules((f"self.matches(r'{_FOLDER}')", _FOLDER_WORDS))),
]
ImageRef = Annotated[
    str, Field(min_length=1, max_length=512, pattern=_PRINTABLE, description="Container image reference.")
]
"""Also a glob of such, in the settings."""
_IMAGE = (
    r"^([A-Za-z0-9.:\[\]-]+/)?[a-z0-9]+([._/-]+[a-z0-9]+)*"
    r"(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@[a-z0-9]+:[0-9a-f]{32,128})?$"
)
"""Source: https://github.com/distribution/reference, regexp.go, simplified."""
Image = Annotated[
    str,
    Field(
        min_length=1,
        max_length=512,
        description="Container image reference.",
        json_schema_extra=rules(
            (
                f"self.matches(r'{_IMAGE}')",
                "an image is written registry/path:tag or registry/path@sha256:…, in lower case and without https://",
            )
        ),
    ),
]
_HOST = r"([A-Za-z0-9._][A-Za-z0-9._-]{0,252}|\[[0-9A-Fa-f]*:[0-9A-Fa-f:.]*\])"
_PORT = r"(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?"
_USER = r"([A-Za-z0-9._][A-Za-z0-9._-]{0,63}@)?"
_NEVER = r"^[a-z]+:/(/|/[^/]*[@.])([.]|[A-Za-z0-9_-]{64}([^@]|$))|/[.]{1,2}(/|$)|%2[EeFf]"
"""Parts of a host's name that no resolver can ask for, and paths that lead out of the repository."""
_SERVER = f"^(https://|ssh://{_USER}){_HOST}{_PORT}"


def git_url_rules(path: str, words: str) -> JsonDict:
    """Rules of a URL whose path matches `path`: what the validate pod takes, in the language of both (RE2, Python)."""
    return rules(
        (
            "self.startsWith('https://') || self.startsWith('ssh://')",
            "use an https:// or ssh:// URL (git@host:path is written ssh://git@host/path)",
        ),
        (
            "!self.matches('^https://[^/]*@') && !self.matches('^ssh://[^/@]*:[^/]*@')",
            "no credentials in URLs: put them into a Secret and name it in spec.credentials",
        ),
        (f"self.matches('{_PRINTABLE}')", "a URL has no spaces or other than plain ASCII characters"),
        ("!self.matches('[?#]')", "no query or fragment: give the repository's own URL"),
        (
            f"self.matches(r'{_SERVER}{path}') && !self.matches(r'{_NEVER}')",
            f"{words}; a host has no empty part, a port is a number, and the path has no '.' or '..' parts",
        ),
    )


GitUrl = Annotated[
    str,
    Field(
        min_length=9,
        max_length=1024,
        json_schema_extra=git_url_rules("/+[^/-].*$", "give a repository as https://host/path or ssh://user@host/path"),
    ),
]
GitUrlPrefix = Annotated[
    str,
    Field(
        min_length=9,
        max_length=1024,
        json_schema_extra=git_url_rules("(/.*)?$", "give a prefix as https://host/path or ssh://user@host/path"),
    ),
]
Timestamp = Annotated[str, Field(max_length=32, json_schema_extra={"format": "date-time"})]
"""RFC 3339, UTC."""


QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
QUEUE_WORDS = f"put {QUEUE_LABEL} on the DataGeneration's own metadata.labels"
KEY_WORDS = "each key is a name, or a DNS domain, a slash and a name (at most 63 letters, digits, '-', '_' and '.')"
_VALID_KEYS = ("self.all(key, !format.qualifiedName().validate(key).hasValue())", KEY_WORDS)


def reserved_words(what: str) -> str:
    return f"{what} below {', '.join(RESERVED_PREFIXES)} are reserved: choose a prefix of your own"


RESERVED_LABEL_WORDS = f"the labels {' and '.join(RESERVED_LABELS)} belong to the Job controller: choose other names"


def _keys_are_free(what: str, *further: tuple[str, str]) -> JsonDict:
    domains = "|".join(prefix.replace(".", r"\.") for prefix in RESERVED_PREFIXES)
    return rules(
        (f"self.all(key, key != '{QUEUE_LABEL}')", QUEUE_WORDS),
        (rf"self.all(key, !key.matches(r'^([^/]*\.)?({domains})/'))", reserved_words(what)),
        _VALID_KEYS,
        *further,
    )


_LabelValue = Annotated[
    str,
    Field(
        max_length=63,
        pattern=_LABEL_VALUE,
        json_schema_extra={
            WORDS: "a label's value has letters, digits, '-', '_' and '.', and begins and ends with a letter or digit"
        },
    ),
]
NodeSelector = Annotated[dict[str, _LabelValue], Field(max_length=32, json_schema_extra=rules(_VALID_KEYS))]
LabelMap = Annotated[
    dict[str, _LabelValue],
    Field(
        max_length=32,
        json_schema_extra=_keys_are_free(
            "labels", (f"self.all(key, !(key in {list(RESERVED_LABELS)}))", RESERVED_LABEL_WORDS)
        ),
    ),
]
AnnotationMap = Annotated[
    dict[str, Annotated[str, Field(max_length=4096)]],
    Field(
        max_length=32,
        json_schema_extra=_keys_are_free(
            "annotations", (f"self.all(key, !key.matches(r'{_RUNTIME_KEYS}'))", _RUNTIME_WORDS)
        ),
    ),
]

PLAIN_RESOURCES = ("cpu", "memory", "ephemeral-storage")
HUGE_PAGES = r"^hugepages-[0-9]+[KMGT]i$"
DEVICES = r"^[0-9]{1,9}$"
RESOURCE_WORDS = (
    f"a resource is {', '.join(PLAIN_RESOURCES)}, hugepages-2Mi and the like, or has a domain: a GPU is "
    "nvidia.com/gpu, amd.com/gpu or the like"
)
DEVICES_WORDS = "a resource with a domain is counted in whole devices: write 1, not 500m or 0.5"
OVERCOMMIT_WORDS = (
    "what has a domain (nvidia.com/gpu) or is huge pages cannot be asked for beyond its limit: give it in limits, and "
    "in requests the same or nothing"
)
BYTES_WORDS = "memory and storage are in bytes: 512Mi, not 512m"
HUGE_PAGES_WORDS = "a container with huge pages needs cpu or memory too: Kubernetes refuses it else"
REQUEST_WORDS = "a request is at most its limit: raise the limit or lower the request"
QuantityMap = Annotated[
    dict[str, Quantity],
    Field(
        max_length=16,
        json_schema_extra=rules(
            _VALID_KEYS,
            (
                f"self.all(key, key in {list(PLAIN_RESOURCES)} || key.matches('{HUGE_PAGES}') || "
                "(key.contains('/') && !key.startsWith('requests.')))",
                RESOURCE_WORDS,
            ),
            (f"self.all(key, !key.contains('/') || string(self[key]).matches('{DEVICES}'))", DEVICES_WORDS),
            (
                "self.all(key, key == 'cpu' || key.contains('/') || !string(self[key]).matches('[num]$'))",
                BYTES_WORDS,
            ),
            (
                "!self.exists(key, key.startsWith('hugepages-')) || 'cpu' in self || 'memory' in self",
                HUGE_PAGES_WORDS,
            ),
        ),
    ),
]


class Resources(ApiModel):
    """Compute resources of a container, as everywhere in Kubernetes."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "!has(self.requests) || self.requests.all(key, !(key.contains('/') || key.startsWith('hugepages-')) || "
                "(has(self.limits) && key in self.limits && "
                "string(self.limits[key]) == string(self.requests[key])))",
                OVERCOMMIT_WORDS,
            ),
            (
                "!has(self.requests) || !has(self.limits) || self.requests.all(key, !(key in self.limits) || "
                f"!string(self.requests[key]).matches(r'{QUANTITY}') || "
                f"!string(self.limits[key]).matches(r'{QUANTITY}') || "
                "!quantity(string(self.requests[key])).isGreaterThan(quantity(string(self.limits[key]))))",
                REQUEST_WORDS,
            ),
        )
    )

    limits: QuantityMap = Field(
        default={}, description="Most that the container may use: nvidia.com/gpu: 1, cpu: 500m (not 0.5), memory: 16Gi."
    )
    requests: QuantityMap = Field(default={}, description="What the scheduler sets aside; limits where absent.")


TOLERATE_ALL_WORDS = "a toleration without key is for all taints: operator must be Exists"
EXISTS_WORDS = "operator Exists takes no value"
SECONDS_WORDS = "tolerationSeconds needs effect NoExecute"


class Toleration(ApiModel):
    """A toleration, as in a pod."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            ("has(self.key) || (has(self.operator) && self.operator == 'Exists')", TOLERATE_ALL_WORDS),
            ("!has(self.key) || !format.qualifiedName().validate(self.key).hasValue()", KEY_WORDS),
            ("!has(self.value) || self.value == '' || !has(self.operator) || self.operator == 'Equal'", EXISTS_WORDS),
            ("!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')", SECONDS_WORDS),
        )
    )

    key: Annotated[str, Field(max_length=317)] | None = Field(default=None, description="Taint key; absent for all.")
    operator: Literal["Exists", "Equal"] | None = Field(default=None, description="Exists or Equal (default).")
    value: _LabelValue | None = Field(default=None, description="Taint value.")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        default=None, description="Taint effect; absent for all."
    )
    toleration_seconds: Annotated[int, Field(ge=0, le=86_400_000)] | None = Field(
        default=None, description="How long a NoExecute taint is tolerated; absent for ever."
    )


class Placement(ApiModel):
    """Where a run's pods go, and what they carry. A narrow set of fields on purpose, never a pod template."""

    node_selector: NodeSelector = Field(default={}, description="Labels that the node must have.")
    tolerations: Annotated[list[Toleration], Field(max_length=16)] = Field(
        default=[], description="Taints that the pods tolerate."
    )
    priority_class_name: DnsName | None = Field(default=None, description="PriorityClass of the pods.")
    runtime_class_name: DnsName | None = Field(default=None, description="RuntimeClass of the pods.")
    labels: LabelMap = Field(default={}, description="Further labels of Jobs and pods; reserved prefixes are refused.")
    annotations: AnnotationMap = Field(
        default={}, description="Further annotations of Jobs and pods; reserved prefixes are refused."
    )


class Credentials(ApiModel):
    """A Secret that is used for URLs with one prefix, and never sent elsewhere nor along a redirect."""

    url_prefix: GitUrlPrefix = Field(
        description="https:// or ssh:// URL; the Secret serves this URL and what lies below it."
    )
    secret_name: SecretName = Field(
        description="Secret of type kubernetes.io/basic-auth or kubernetes.io/ssh-auth (with known_hosts)."
    )


class Condition(ApiModel):
    """A condition, as everywhere in Kubernetes."""

    type: Annotated[str, Field(max_length=316)] = Field(description="What is said, for example Complete.")
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it is so.")
    reason: Annotated[str, Field(min_length=1, max_length=128)] = Field(description="One word for machines.")
    message: Annotated[str, Field(max_length=4096)] = Field(default="", description="A sentence for people.")
    observed_generation: int | None = Field(default=None, description="metadata.generation that this is about.")
    last_transition_time: Timestamp = Field(description="When status last changed (RFC 3339).")


OWN_PLACEMENT = {"nodeSelector": 16, "labels": 16, "annotations": 16, "tolerations": 8}
OWN_PLACEMENT_WORDS = (
    "at most 16 node labels, 16 labels, 16 annotations and 8 tolerations, since a run's and the administrator's are "
    "added up"
)
OwnPlacement = Annotated[
    Placement,
    Field(
        json_schema_extra=rules(
            (
                " && ".join(f"(!has(self.{key}) || size(self.{key}) <= {most})" for key, most in OWN_PLACEMENT.items()),
                OWN_PLACEMENT_WORDS,
            )
        )
    ),
]
"""Placement as one person writes it: half of what `Placement` holds, so that a run's laid over the administrator's fits
into the status."""
