"""The chart on a real API server: install, upgrade, rollback, uninstall, and the rights that come of it."""

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.cluster.apiserver import ApiServer
from hack.cluster.steps import run, succeeds, until_established, wait_for
from hack.cluster.tools import tool
from hack.generate.chart import CHART
from tests.integration.chart.charting import VALUE_SETS
from tests.integration.chart.others import install_kinds


@dataclass(frozen=True)
class Release:
    """A release of the chart in a namespace of its own."""

    helm: str
    server: ApiServer
    namespace: str

    def run(self, *args: str, values: dict[str, Any] | None = None) -> str:
        options = [f"--kubeconfig={self.server.kubeconfig}", f"--namespace={self.namespace}"]
        return run([tool(self.helm), *args, *options], stdin=yaml.safe_dump(values or {}))

    def install(self, values: dict[str, Any]) -> str:
        return self.run("install", "sdg-operator", str(CHART), "--create-namespace", "--values=-", values=values)

    def upgrade(self, values: dict[str, Any]) -> str:
        return self.run("upgrade", "sdg-operator", str(CHART), "--values=-", values=values)

    def kubectl(self, *args: str, stdin: str | None = None) -> str:
        return self.server.kubectl(*args, stdin=stdin)

    def may(self, right: str, namespace: str = "users") -> bool:
        account = f"--as=system:serviceaccount:{self.namespace}:sdg-operator"
        command = [str(tool("kubectl")), f"--kubeconfig={self.server.kubeconfig}", "auth", "can-i"]
        answer = run([*command, *right.split(), f"--namespace={namespace}", account], check=False).strip()
        assert answer in ("yes", "no"), answer
        return answer == "yes"

    def left(self) -> set[str]:
        """Everything with the chart's labels that is still there, and any Lease in its namespace."""
        kinds = (
            "deployments,services,configmaps,serviceaccounts,roles,rolebindings,poddisruptionbudgets,networkpolicies"
        )
        policies = "validatingadmissionpolicies,validatingadmissionpolicybindings"
        cluster = f"clusterroles,clusterrolebindings,customresourcedefinitions,{policies}"
        selector = "--selector=app.kubernetes.io/name=sdg-operator"
        namespaced = self.kubectl("get", kinds, "--all-namespaces", selector, "--output=name").split()
        leases = self.kubectl("get", "leases", f"--namespace={self.namespace}", "--output=name").split()
        return {*namespaced, *leases, *self.kubectl("get", cluster, selector, "--output=name").split()}


@pytest.fixture(params=("helm3", "helm4"))
def release(request: pytest.FixtureRequest) -> Iterator[Release]:
    """On a server of its own: CRDs that another test has applied are none of Helm's, and are slow to go."""
    with ApiServer() as server:
        yield Release(request.param, server, f"sdg-{secrets.token_hex(3)}")


CRDS = {
    "customresourcedefinition.apiextensions.k8s.io/taxonomies.sdg-operator.io",
    "customresourcedefinition.apiextensions.k8s.io/datagenerations.sdg-operator.io",
}
TAXONOMY = """
apiVersion: sdg-operator.io/v1alpha1
kind: Taxonomy
metadata: {name: birds, namespace: default}
spec: {source: {bucket: {key: taxonomies/taxonomy.tar.gz}}}
"""


def test_uninstalling_keeps_the_users_resources_and_nothing_else(release: Release) -> None:
    release.install({})
    until_established(release.kubectl)
    release.kubectl("apply", "--filename=-", stdin=TAXONOMY)
    release.run("uninstall", "sdg-operator")
    assert release.left() == CRDS
    assert release.kubectl("get", "taxonomies", "birds", "--namespace=default", "--output=name").strip()


def test_uninstalling_leaves_nothing_but_the_crds_whatever_was_chosen(release: Release) -> None:
    """Monitors and rules need CRDs of others, so they are left out."""
    others = {"podMonitor", "prometheusRule"}
    for team in VALUE_SETS["namespaced"]["watchNamespaces"]:
        release.kubectl("create", "namespace", team)
    for name, values in VALUE_SETS.items():
        release.install({key: value for key, value in values.items() if key not in others} | {"crds": {"keep": True}})
        assert release.left() > CRDS, name
        release.run("uninstall", "sdg-operator")
        assert release.left() == CRDS, name


def test_uninstalling_takes_the_crds_along_where_they_are_not_kept(release: Release) -> None:
    release.install({"crds": {"keep": False}})
    # One that was deleted at once, before it was served, was still there two minutes later: seen once, under load.
    until_established(release.kubectl)
    release.run("uninstall", "sdg-operator")
    release.kubectl("wait", "--for=delete", "--timeout=120s", *sorted(CRDS))
    assert release.left() == set()


def test_a_second_install_takes_up_the_kept_crds(release: Release) -> None:
    release.install({})
    release.run("uninstall", "sdg-operator")
    release.install({})
    assert release.left() >= CRDS


def test_upgrade_and_rollback_change_settings_and_leave_resources_alone(release: Release) -> None:
    release.install({})
    until_established(release.kubectl)
    release.kubectl("apply", "--filename=-", stdin=TAXONOMY)

    def scale() -> int:
        got = release.kubectl(
            "get", "configmap", "sdg-operator-settings", f"--namespace={release.namespace}", "--output=json"
        )
        return int(yaml.safe_load(json.loads(got)["data"]["settings.yaml"])["defaults"]["scaleFactor"])

    release.upgrade({"settings": {"defaults": {"scaleFactor": 7}}, "replicas": 2})
    assert scale() == 7
    release.run("rollback", "sdg-operator", "1")
    assert scale() == 30
    assert release.kubectl("get", "taxonomies", "birds", "--namespace=default", "--output=name").strip()


def test_a_second_upgrade_with_the_same_values_changes_no_object(release: Release) -> None:
    release.install(VALUE_SETS["default"])
    versions = (
        "jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.resourceVersion} {.metadata.generation}\n{end}"
    )
    kinds = "deployments,services,configmaps,roles,rolebindings"

    def seen() -> list[str]:
        selector = "--selector=app.kubernetes.io/name=sdg-operator"
        return release.kubectl(
            "get", kinds, f"--namespace={release.namespace}", selector, f"--output={versions}"
        ).split("\n")

    before = [line.rsplit(" ", 1)[1:] for line in seen()]
    release.upgrade(VALUE_SETS["default"])
    assert [line.rsplit(" ", 1)[1:] for line in seen()] == before


def test_what_is_installed_does_not_differ_from_what_is_rendered(release: Release) -> None:
    """No drift: the API server's defaults and forms change nothing of what the chart writes."""
    for team in VALUE_SETS["namespaced"]["watchNamespaces"]:
        release.kubectl("create", "namespace", team)
    install_kinds(release.server)
    diff: list[str | Path] = [tool("kubectl"), f"--kubeconfig={release.server.kubeconfig}", "diff", "--filename=-"]
    for values in VALUE_SETS.values():
        chosen = values | {"crds": {"keep": True}}
        release.install(chosen)
        options = ["template", "sdg-operator", str(CHART), "--kube-version=1.34", "--skip-tests", "--values=-"]
        rendered = release.run(*options, values=chosen)
        # A difference is an exit code other than 0, and raises.
        run(diff, stdin=rendered)
        run([*diff, "--server-side", "--field-manager=git"], stdin=rendered)
        assert "+  replicas: 7" in run(diff, stdin=rendered.replace("  replicas: ", "  replicas: 7 # "), check=False)
        release.run("uninstall", "sdg-operator")


def test_a_release_of_helm_3_goes_on_with_helm_4(release: Release) -> None:
    """And back; Helm 4 applies at the server, Helm 3 does not."""
    release.install({})
    for helm, replicas in (("helm4", 2), ("helm3", 1), ("helm4", 2)):
        replace(release, helm=helm).upgrade({"replicas": replicas})
        deployment = ("get", "deployment", "sdg-operator", f"--namespace={release.namespace}")
        assert release.kubectl(*deployment, "--output=jsonpath={.spec.replicas}") == str(replicas)
        budget = release.kubectl("get", "poddisruptionbudgets", f"--namespace={release.namespace}", "--output=name")
        assert bool(budget) == (replicas == 2)
    release.run("uninstall", "sdg-operator")
    assert release.left() == CRDS


RIGHTS = {
    "watch datagenerations.sdg-operator.io": True,
    "update datagenerations.sdg-operator.io --subresource=status": True,
    "update datagenerations.sdg-operator.io": False,
    "delete datagenerations.sdg-operator.io": False,
    "create jobs.batch": True,
    "delete jobs.batch": True,
    "update jobs.batch": False,
    "list pods": True,
    "delete pods": True,
    "get pods/any": False,
    "create pods": False,
    "create pods --subresource=exec": False,
    "get pods --subresource=log": False,
    "get secrets/sdg-storage": True,
    "get secrets/sdg-teacher": True,
    "get secrets/other": False,
    "list secrets": False,
    "watch secrets": False,
    "get configmaps/pipeline": True,
    "list configmaps": False,
    "create events.events.k8s.io": True,
    "create rolebindings.rbac.authorization.k8s.io": False,
    "delete customresourcedefinitions.apiextensions.k8s.io": False,
    "list nodes": False,
}


def test_the_operator_may_do_what_it_must_and_no_more(release: Release) -> None:
    release.install({})
    until_established(release.kubectl)
    got = {right: release.may(right) for right in RIGHTS}
    assert got == RIGHTS


def test_a_namespaced_operator_may_do_nothing_elsewhere(release: Release) -> None:
    team = f"team-{secrets.token_hex(3)}"
    release.kubectl("create", "namespace", team)
    release.install({"watchNamespaces": [team]})
    inside = [release.may("create jobs.batch", team), release.may("get secrets/sdg-storage", team)]
    outside = [release.may("create jobs.batch", "default"), release.may("get secrets/sdg-storage", "default")]
    assert (inside, outside) == ([True, True], [False, False])


def test_viewers_see_and_editors_make_the_two_kinds(release: Release) -> None:
    release.install({})
    until_established(release.kubectl)
    user = secrets.token_hex(4)
    for role in ("view", "edit"):
        name = f"{user}-{role}"
        release.kubectl("create", "rolebinding", name, f"--clusterrole={role}", f"--user={name}", "--namespace=default")

    def may(role: str, verb: str) -> bool:
        command = [str(tool("kubectl")), f"--kubeconfig={release.server.kubeconfig}", "auth", "can-i", verb]
        return succeeds([*command, "datagenerations.sdg-operator.io", "--namespace=default", f"--as={user}-{role}"])

    # Aggregation is the controller manager's work and takes a moment.
    wait_for("the aggregated roles", 120, lambda: may("edit", "create") and may("view", "list"))
    assert not may("view", "create")
    assert may("edit", "delete")
