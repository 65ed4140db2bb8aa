"""Rendering the chart with real Helm, and reading what comes out."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml

from hack.cluster.steps import run
from hack.cluster.tools import tool
from hack.generate.chart import CHART

Object = dict[str, Any]

VALUE_SETS: dict[str, dict[str, Any]] = {
    "default": {},
    "namespaced": {
        "watchNamespaces": ["team-a", "team-b"],
        "replicas": 2,
        "crds": {"keep": False},
        "settings": {
            "allowed": {
                "storageSecrets": ["sdg-storage", "team-bucket"],
                "gitSecrets": ["git-token"],
                "modelSecrets": ["hub-token"],
            },
            "defaults": {"startDeadlineSeconds": None},
        },
    },
    "everything": {
        "images": {
            "registry": "registry.example.com/ai/",
            "operator": {"digest": "sha256:" + "a" * 64},
            "pullSecrets": [{"name": "pull"}],
        },
        "replicas": 2,
        "labels": {"team": "ai"},
        "podLabels": {"cost": "shared"},
        "podAnnotations": {"note": "kept"},
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "infra", "operator": "Exists"}],
        "affinity": {
            "podAntiAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": [
                    {
                        "topologyKey": "kubernetes.io/hostname",
                        "labelSelector": {"matchLabels": {"app.kubernetes.io/name": "sdg-operator"}},
                    }
                ]
            }
        },
        "priorityClassName": "system-cluster-critical",
        "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://own-proxy.example.com:3128"}],
        "caBundle": {"configMapName": "company-ca"},
        "networkPolicy": {
            "enabled": True,
            "metricsFrom": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}],
            "egress": [{"ports": [{"port": 443, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]}],
        },
        "podMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        "prometheusRule": {"enabled": True, "runbookUrl": "https://docs.example.com/troubleshooting.md"},
        "dashboard": {"enabled": True},
        "admissionPolicy": {"enabled": True},
        "settings": {
            "proxy": {"httpsProxy": "http://proxy.example.com:3128", "noProxy": ".svc"},
            "queues": {"auxiliary": "cpu"},
            "podSecurity": {"fsGroup": 2000},
            "limits": {"jobTtlSeconds": 0},
            "networkPolicy": {"create": True, "ports": [443, 9000]},
            "prices": {"currency": "EUR", "gpuHour": {"nvidia.com/gpu": 2.5}},
            "defaults": {"placement": {"tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}]}},
        },
    },
    "openshift": {"podSecurityContext": {}, "settings": {"defaults": {"parallelism": 4}}},
}


def template(values: dict[str, Any], helm: str = "helm4") -> str:
    """What `helm template` prints for these values; Helm is asked once for each."""
    return _template(yaml.safe_dump(values), helm)


@cache
def _template(values: str, helm: str) -> str:
    command: list[str | Path] = [tool(helm), "template", "sdg-operator", CHART, "--namespace=sdg-system"]
    return run([*command, "--kube-version=1.34", "--values=-"], stdin=values)


def render(values: dict[str, Any], helm: str = "helm4") -> list[Object]:
    """The objects that Helm makes of these values, each time new ones."""
    return [each for each in yaml.safe_load_all(template(values, helm)) if each]


def find(objects: list[Object], kind: str, name: str | None = None) -> Object:
    """The one object of this kind (and name); fails if there is none or more than one."""
    found = [o for o in objects if o["kind"] == kind and name in (None, o["metadata"]["name"])]
    assert len(found) == 1, f"{len(found)} of {kind} {name or ''}"
    return found[0]


def container(objects: list[Object]) -> Object:
    return find(objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]  # type: ignore[no-any-return]
