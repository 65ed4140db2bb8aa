"""What Helm's own linter and a real API server's strict reading say of the chart. Further tools: tests/chart."""

import json

import pytest
import yaml

from hack.cluster.apiserver import ApiAccess
from hack.cluster.steps import run
from hack.cluster.tools import tool
from hack.generate.chart import CHART
from tests.integration.chart.charting import VALUE_SETS, render


@pytest.mark.parametrize("name", VALUE_SETS)
def test_helm_lint_has_nothing_to_say(name: str) -> None:
    said = run([tool("helm4"), "lint", "--strict", CHART, "--values=-"], stdin=yaml.safe_dump(VALUE_SETS[name]))
    assert "0 chart(s) failed" in said


@pytest.mark.parametrize("name", VALUE_SETS)
def test_a_real_api_server_takes_every_object_to_the_letter(foreign_kinds: ApiAccess, name: str) -> None:
    """But for our CRDs, which it has."""
    values = VALUE_SETS[name]
    namespaces = {"sdg-system", *values.get("watchNamespaces", [])}
    wanted = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": each}} for each in sorted(namespaces)]
    foreign_kinds.kubectl("apply", "--filename=-", stdin=yaml.safe_dump_all(wanted))
    objects = render({**values, "crds": {"enabled": False}})
    said = foreign_kinds.kubectl(
        "apply",
        "--server-side",
        "--dry-run=server",
        "--validate=strict",
        "--filename=-",
        stdin=yaml.safe_dump_all(objects),
    )
    assert len(said.splitlines()) == len(objects)


# Without a securityContext of the pod it is OpenShift that completes it.
@pytest.mark.parametrize("name", sorted({*VALUE_SETS} - {"openshift"}))
def test_the_charts_pods_pass_the_restricted_profile(api_server: ApiAccess, namespace: str, name: str) -> None:
    api_server.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    api_server.kubectl("create", "serviceaccount", "sdg-operator", f"--namespace={namespace}")
    objects = render(VALUE_SETS[name])
    specs = [o["spec"]["template"]["spec"] for o in objects if o["kind"] == "Deployment"]
    specs += [o["spec"] for o in objects if o["kind"] == "Pod"]
    assert len(specs) == 2
    for spec in specs:
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "try", "namespace": namespace}, "spec": spec}
        api_server.kubectl("create", "--dry-run=server", "--filename=-", stdin=json.dumps(pod))
