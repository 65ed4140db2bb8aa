"""What Argo CD shows and does: our Lua on objects as a cluster gave them (``tests/chart/objects``)."""

import re
from typing import Any

import pytest
import yaml
from lupa import lua51  # the language that Argo CD's interpreter speaks

from tests.chart.charting import ROOT
from tests.chart.recorded import recorded

DATA: dict[str, str] = yaml.safe_load((ROOT / "examples" / "argocd" / "argocd-cm.yaml").read_text())["data"]
GROUP = "sdg-operator.io"


def to_lua(runtime: lua51.LuaRuntime, value: Any) -> Any:
    if isinstance(value, dict):
        return runtime.table_from({key: to_lua(runtime, item) for key, item in value.items()})
    if isinstance(value, list):
        return runtime.table_from([to_lua(runtime, item) for item in value])
    return value


def from_lua(value: Any) -> Any:
    if lua51.lua_type(value) == "table":
        return {key: from_lua(item) for key, item in value.items()}
    return value


def run(script: str, resource: dict[str, Any]) -> Any:
    """Run a script as Argo CD does: the object is the global `obj`; no libraries but those that scripts ask for."""
    runtime = lua51.LuaRuntime(unpack_returned_tuples=True)
    kept = " ".join(("ipairs", "pairs", "tostring", "type", "require"))
    strip = f'if not (" {kept} "):find(" " .. name .. " ", 1, true) then all[name] = nil end'
    runtime.execute(f"local all = _G for name in pairs(all) do {strip} end")
    runtime.globals()["obj"] = to_lua(runtime, resource)
    return from_lua(runtime.execute(script))


def health(resource: dict[str, Any]) -> dict[str, str]:
    answer: dict[str, str] = run(DATA[f"resource.customizations.health.{GROUP}_{resource['kind']}"], resource)
    return answer


def actions(resource: dict[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(DATA[f"resource.customizations.actions.{GROUP}_{resource['kind']}"])
    return content


def enabled(resource: dict[str, Any]) -> set[str]:
    found = run(actions(resource)["discovery.lua"], resource)
    return {name for name, action in found.items() if not action["disabled"]}


def act(name: str, resource: dict[str, Any]) -> dict[str, Any]:
    script = next(a["action.lua"] for a in actions(resource)["definitions"] if a["name"] == name)
    changed: dict[str, Any] = run(script, resource)
    return changed


HEALTH = {
    "run-queued": ("Progressing", "queued"),
    "run-running": ("Progressing", "running"),
    "run-suspended": ("Suspended", "queued"),
    "run-completed": ("Healthy", "completed"),
    "run-canceled": ("Healthy", "canceled"),
    "run-failed": ("Degraded", "failed"),
    "run-failed-at-work": ("Degraded", "failed"),
    "taxonomy-checking": ("Progressing", "queued"),
    "taxonomy-ready": ("Healthy", "completed"),
    "taxonomy-invalid": ("Degraded", "failed"),
}


@pytest.mark.parametrize(("name", "want"), HEALTH.items(), ids=HEALTH)
def test_health(name: str, want: tuple[str, str]) -> None:
    resource = recorded(name)
    assert resource["status"]["state"] == want[1]
    assert health(resource) == {"status": want[0], "message": resource["status"]["message"]}


@pytest.mark.parametrize("name", ["run-created", "taxonomy-created"])
def test_a_resource_without_a_status_is_progressing(name: str) -> None:
    assert health(recorded(name)) == {"status": "Progressing", "message": "Waiting for the operator"}


@pytest.mark.parametrize("name", HEALTH)
def test_a_resource_that_the_operator_has_not_seen_is_progressing(name: str) -> None:
    resource = recorded(name)
    assert health({**resource, "status": None})["status"] == "Progressing"
    newer = {**resource["metadata"], "generation": resource["metadata"]["generation"] + 1}
    assert health({**resource, "metadata": newer}) == {"status": "Progressing", "message": "Waiting for the operator"}


ACTIONS = {
    "run-created": {"suspend", "cancel"},
    "run-queued": {"suspend", "cancel"},
    "run-running": {"suspend", "cancel"},
    "run-suspended": {"resume", "cancel"},
    "run-completed": set[str](),
    "run-canceled": set[str](),
    "run-failed": set[str](),
    "run-failed-at-work": set[str](),
    "taxonomy-created": {"check"},
    "taxonomy-checking": {"check"},
    "taxonomy-ready": {"check"},
    "taxonomy-invalid": {"check"},
}


@pytest.mark.parametrize(("name", "want"), ACTIONS.items(), ids=ACTIONS)
def test_only_actions_that_can_have_an_effect_are_offered(name: str, want: set[str]) -> None:
    assert enabled(recorded(name)) == want


CHANGES = {
    "suspend": ("run-running", "spec", "suspend", "True"),
    "resume": ("run-suspended", "spec", "suspend", "False"),
    "cancel": ("run-running", "spec", "cancel", "True"),
    "check": ("taxonomy-ready", "annotations", f"{GROUP}/check-requested", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"),
}


@pytest.mark.parametrize(("action", "case"), CHANGES.items(), ids=CHANGES)
def test_an_action_changes_one_field_and_leaves_the_rest(action: str, case: tuple[str, str, str, str]) -> None:
    name, part, field, want = case
    before, changed = (
        from_lua(to_lua(lua51.LuaRuntime(unpack_returned_tuples=True), recorded(name))),
        act(action, recorded(name)),
    )

    def holder(resource: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = resource["metadata"].setdefault(part, {}) if part == "annotations" else resource[part]
        return found

    value = holder(changed).pop(field)
    assert re.fullmatch(want, str(value))
    assert holder(before).pop(field, None) != value
    assert changed == before
