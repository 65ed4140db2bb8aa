"""What the values mean: the settings file, names of Secrets, refusals. That Helm 3 does the same: tests/chart."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.cluster.steps import StepFailed, run
from hack.cluster.tools import tool
from hack.generate.chart import CHART
from hack.verify.links import anchors
from hack.version import VERSION
from sdg_operator.api.settings import Images, Settings
from sdg_operator.api.settings_file import load_settings
from sdg_operator.controller.rights import RIGHTS
from tests.integration.chart.charting import VALUE_SETS, container, find, render, template

IMAGES = {"engine": f"sdg-engine:{VERSION}", "runner": f"sdg-runner:{VERSION}"}


def settings_text(objects: list[dict[str, Any]]) -> str:
    return str(find(objects, "ConfigMap", "sdg-operator-settings")["data"]["settings.yaml"])


def settings_of(objects: list[dict[str, Any]]) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(settings_text(objects))
    return content


def test_without_values_the_operator_gets_its_own_defaults() -> None:
    given = Settings.model_validate(settings_of(render({})))
    assert given == Settings(images=Images.model_validate(IMAGES))


@pytest.mark.parametrize("name", VALUE_SETS)
def test_the_operator_takes_every_settings_file_that_the_chart_makes(name: str, tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(settings_text(render(VALUE_SETS[name])))
    load_settings(path)


def test_null_turns_the_start_deadline_off_instead_of_bringing_the_default_back() -> None:
    settings = settings_of(render({"settings": {"defaults": {"startDeadlineSeconds": None}}}))
    assert Settings.model_validate(settings).defaults.start_deadline_seconds is None


def test_large_numbers_stay_whole_numbers() -> None:
    settings = settings_of(render({"settings": {"taxonomies": {"maxArchiveBytes": 123456789012}}}))
    assert settings["taxonomies"]["maxArchiveBytes"] == 123456789012


def test_images_come_from_the_registry_and_a_digest_wins() -> None:
    objects = render(VALUE_SETS["everything"])
    assert container(objects)["image"] == f"registry.example.com/ai/sdg-operator@sha256:{'a' * 64}"
    assert settings_of(objects)["images"]["engine"] == f"registry.example.com/ai/sdg-engine:{VERSION}"


def test_images_of_runs_can_be_set_apart_from_the_charts() -> None:
    objects = render({"settings": {"images": {"engine": "mine/engine:1", "pullPolicy": "Always"}}})
    assert settings_of(objects)["images"] == {
        "engine": "mine/engine:1", "runner": f"sdg-runner:{VERSION}", "pullPolicy": "Always", "pullSecrets": [],
    }  # fmt: skip


def grants(rules: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
    return {
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


@pytest.mark.parametrize(
    ("values", "policies"),
    [
        ({}, False),
        ({"settings": {"networkPolicy": {"create": True}}}, True),
        ({"rbac": {"networkPolicies": True}}, True),
    ],
    ids=["without network policies", "with them", "for runs that have one still"],
)
def test_the_rights_granted_are_those_that_the_operator_asks_for(values: dict[str, Any], policies: bool) -> None:
    objects = render({"replicas": 2, **values})
    granted = find(objects, "ClusterRole", "sdg-system-sdg-operator")["rules"]
    leases = find(objects, "Role", "sdg-operator-lease")["rules"]
    assert grants([*granted, *leases]) == {
        (right.resource.group, "/".join(filter(None, (right.resource.plural, right.subresource))), verb)
        for right in RIGHTS
        for verb in right.verbs
        if policies or not right.network_policies
    }


def secret_rules(objects: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    roles = [o for o in objects if o["kind"] == kind]
    return [rule for role in roles for rule in role["rules"] if "secrets" in rule.get("resources", [])]


def test_secrets_are_readable_by_name_only_and_by_get_only() -> None:
    rules = secret_rules(render(VALUE_SETS["namespaced"]), "Role")
    names = ["git-token", "sdg-storage", "sdg-teacher", "team-bucket"]  # a hub's token is for pods alone
    assert rules == [{"apiGroups": [""], "resources": ["secrets"], "resourceNames": names, "verbs": ["get"]}] * 2


def test_a_default_secret_is_readable_though_no_list_names_it() -> None:
    rules = secret_rules(render({"settings": {"defaults": {"storageSecret": "mine"}}}), "ClusterRole")
    assert rules[0]["resourceNames"] == ["mine", "sdg-storage", "sdg-teacher"]


def test_what_the_operator_allows_by_itself_is_readable_where_no_list_is_given() -> None:
    rules = secret_rules(render({"settings": {"allowed": None, "defaults": {"storageSecret": "mine"}}}), "ClusterRole")
    assert rules[0]["resourceNames"] == ["mine", "sdg-storage", "sdg-teacher"]
    rules = secret_rules(render({"settings": {"allowed": {"storageSecrets": [], "teacherSecrets": []}}}), "ClusterRole")
    assert rules[0]["resourceNames"] == ["sdg-storage", "sdg-teacher"]


def test_a_namespaced_install_has_no_rights_beyond_its_namespaces() -> None:
    objects = render({**VALUE_SETS["namespaced"], "rbac": {"aggregate": False}})
    assert not [o for o in objects if o["kind"] in ("ClusterRole", "ClusterRoleBinding")]
    assert {o["metadata"]["namespace"] for o in objects if o["kind"] == "Role"} == {"team-a", "team-b", "sdg-system"}
    assert {"--namespace=team-a", "--namespace=team-b", "--leader-elect"} <= set(container(objects)["args"])


def test_one_replica_needs_no_election_and_no_disruption_budget() -> None:
    objects = render({})
    assert "--leader-elect" not in container(objects)["args"]
    assert not [o for o in objects if o["kind"] == "PodDisruptionBudget"]


def test_an_empty_security_context_is_none_and_an_absent_one_is_ours() -> None:
    def contexts(values: dict[str, Any]) -> list[Any]:
        objects = render(values)
        pods = [find(objects, "Deployment")["spec"]["template"]["spec"], find(objects, "Pod")["spec"]]
        return [
            context
            for pod in pods
            for context in (pod.get("securityContext"), pod["containers"][0].get("securityContext"))
        ]

    confined = {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
    }
    restricted = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert contexts({}) == contexts({"podSecurityContext": None}) == [restricted, confined] * 2
    assert contexts({"podSecurityContext": {}}) == [None, confined] * 2
    assert contexts({"securityContext": {}, "podSecurityContext": {"fsGroup": 1}}) == [{"fsGroup": 1}, None] * 2


def test_the_network_policy_lets_helm_test_in() -> None:
    objects = render(VALUE_SETS["everything"])
    _, tests = find(objects, "NetworkPolicy")["spec"]["ingress"]
    pod = find(objects, "Pod")
    assert tests["ports"] == [{"port": "health", "protocol": "TCP"}]
    assert tests["from"][0]["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    assert pod["metadata"]["labels"]["team"] == "ai"
    assert pod["spec"]["nodeSelector"] == {"kubernetes.io/os": "linux"}
    assert pod["spec"]["tolerations"] == [{"key": "infra", "operator": "Exists"}]


def test_each_alert_links_to_its_section_of_the_runbook() -> None:
    rules = find(render(VALUE_SETS["everything"]), "PrometheusRule")["spec"]["groups"][0]["rules"]
    page = "https://docs.example.com/troubleshooting.md"
    links = {rule["alert"]: rule["annotations"]["runbook_url"] for rule in rules}
    assert links == {alert: f"{page}#{alert.lower()}" for alert in links}
    headings = anchors((CHART.parents[1] / "docs" / "troubleshooting.md").read_text())
    assert {link.partition("#")[2] for link in links.values()} <= headings


def test_crds_are_kept_unless_told_otherwise() -> None:
    def policies(values: dict[str, Any]) -> list[str | None]:
        crds = [o for o in render(values) if o["kind"] == "CustomResourceDefinition"]
        return [o["metadata"].get("annotations", {}).get("helm.sh/resource-policy") for o in crds]

    assert policies({}) == ["keep", "keep"]
    assert policies({"crds": {"keep": False}}) == [None, None]
    assert policies({"crds": {"enabled": False}}) == []


def test_a_null_in_the_place_of_all_defaults_is_the_operators_own() -> None:
    settings = settings_of(render({"settings": {"defaults": None}}))
    assert Settings.model_validate(settings).defaults == Settings(images=Images.model_validate(IMAGES)).defaults


def test_a_label_that_is_given_twice_is_written_once() -> None:
    labels = {"release": "one", "app.kubernetes.io/name": "mine"}
    found_by = {"enabled": True, "labels": {"release": "two"}}
    values = {"labels": labels, "podMonitor": found_by, "prometheusRule": found_by, "dashboard": found_by}
    objects = render(values)
    for kind, name in (("PodMonitor", None), ("PrometheusRule", None), ("ConfigMap", "sdg-operator-dashboard")):
        assert find(objects, kind, name)["metadata"]["labels"]["release"] == "two"
    assert template(values).count("release: two") == 3
    deployment = find(objects, "Deployment")
    assert deployment["metadata"]["labels"]["release"] == "one"
    wanted = deployment["spec"]["selector"]["matchLabels"]
    assert wanted.items() <= deployment["spec"]["template"]["metadata"]["labels"].items()


def test_names_that_read_as_numbers_stay_texts() -> None:
    values = {
        "fullnameOverride": "sdg",
        "watchNamespaces": ["789"],
        "serviceAccount": {"name": "12"},
        "priorityClassName": "34",
        "caBundle": {"configMapName": "56", "key": "78"},
    }
    command: list[str | Path] = [tool("helm4"), "template", "123", CHART, "--namespace=456", "--kube-version=1.34"]
    said = run([*command, "--values=-"], stdin=yaml.safe_dump(values))
    objects = [each for each in yaml.safe_load_all(said) if each]
    namespaces = {each["metadata"].get("namespace") for each in objects}
    assert namespaces == {None, "456", "789"}
    assert {each["metadata"]["labels"]["app.kubernetes.io/instance"] for each in objects} == {"123"}
    assert find(objects, "ServiceAccount")["metadata"]["name"] == "12"
    assert {each["subjects"][0]["name"] for each in objects if each["kind"] == "RoleBinding"} == {"12"}
    pod = find(objects, "Deployment")["spec"]["template"]["spec"]
    assert (pod["serviceAccountName"], pod["priorityClassName"]) == ("12", "34")
    bundle = {"name": "56", "items": [{"key": "78", "path": "ca.crt"}]}
    assert bundle in [volume.get("configMap") for volume in pod["volumes"]]


@pytest.mark.parametrize("name", ["1st", "a.b"])
def test_a_release_whose_name_no_service_can_have_is_refused(name: str) -> None:
    with pytest.raises(StepFailed, match="set fullnameOverride"):
        run([tool("helm4"), "template", name, CHART, "--kube-version=1.34"])


def test_an_annotation_that_is_given_twice_is_written_once() -> None:
    ours = "kubectl.kubernetes.io/default-container"
    values = {"podAnnotations": {ours: "mine", "note": "kept"}}
    annotations = find(render(values), "Deployment")["spec"]["template"]["metadata"]["annotations"]
    assert (annotations[ours], annotations["note"]) == ("operator", "kept")
    assert template(values).count(ours) == 1


def test_other_settings_start_the_operator_anew() -> None:
    def checksum(values: dict[str, Any]) -> str:
        template = find(render(values), "Deployment")["spec"]["template"]
        return str(template["metadata"]["annotations"]["checksum/settings"])

    assert checksum({}) != checksum({"settings": {"defaults": {"scaleFactor": 5}}})
    assert checksum({}) == checksum({"labels": {"a": "b"}})


REFUSED = {
    "a misspelt setting": ({"settings": {"defaults": {"scaleFactr": 3}}}, "scaleFactr"),
    "a misspelt part of resources": (
        {"settings": {"defaults": {"engineResources": {"limit": {"memory": "1Gi"}}}}},
        "engineResources",
    ),
    "a misspelt part of a toleration": (
        {"settings": {"defaults": {"placement": {"tolerations": [{"key": "x", "operater": "Exists"}]}}}},
        "operater",
    ),
    "a misspelt value": ({"replica": 2}, "replica"),
    "a number below its bound": ({"settings": {"defaults": {"scaleFactor": 0}}}, "scaleFactor"),
    "a number above its bound": ({"replicas": 99}, "replicas"),
    "a text for a number": ({"settings": {"limits": {"workers": "many"}}}, "workers"),
    "a field group that is none": ({"settings": {"allowed": {"fields": ["everything"]}}}, "fields"),
    "a name that no Secret has": ({"settings": {"allowed": {"gitSecrets": ["Not A Name"]}}}, "gitSecrets"),
    "a digest that is none": ({"images": {"operator": {"digest": "sha256:short"}}}, "digest"),
    "a namespace that is none": ({"watchNamespaces": ["Team A"]}, "watchNamespaces"),
    "a policy without its limits": (
        {"admissionPolicy": {"enabled": True}, "settings": {"allowed": None}},
        "allowed.images",
    ),
    "a policy without one of them": (
        {"admissionPolicy": {"enabled": True}, "settings": {"allowed": {"fields": None}}},
        "settings.allowed.fields",
    ),
    "no word on the CRDs": ({"crds": {"enabled": None}}, "missing property 'enabled'"),
    "no level of the log": ({"log": {"level": None}}, "missing property 'level'"),
    "no settings": ({"settings": None}, "missing property 'settings'"),
    "a name that is none": ({"fullnameOverride": "My_Name"}, "fullnameOverride"),
    "a variable that tells the operator who it is": (
        {"extraEnv": [{"name": "POD_NAME", "value": "x"}]},
        "extraEnv/0/name",
    ),
    "one namespace twice": ({"watchNamespaces": ["team", "team"]}, "watchNamespaces"),
    "a pull policy that is none": ({"images": {"pullPolicy": "Sometimes"}}, "pullPolicy"),
}


@pytest.mark.parametrize(("values", "named"), REFUSED.values(), ids=REFUSED)
def test_a_bad_value_is_refused_by_its_name(values: dict[str, Any], named: str) -> None:
    with pytest.raises(StepFailed, match=named):
        template(values)


def test_an_old_cluster_is_refused() -> None:
    with pytest.raises(StepFailed, match="requires kubeVersion"):
        run([tool("helm4"), "template", "x", CHART, "--kube-version=1.31.9"])
