"""What Argo CD shows and does: our Lua on objects as a cluster gave them (``objects``).

On a node the same is asked of runs as they go on: tests/chart/node/test_states.py.
"""

import re
from typing import Any

import pytest
from lupa import lua51

from sdg_operator.api.common import TERMINAL_STATES
from tests.integration.chart.argocd import DATA, GROUP, act, enabled, from_lua, health, run, to_lua
from tests.integration.chart.recorded import recorded

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


ENDED = [name for name, (_, state) in HEALTH.items() if name.startswith("run-") and state in TERMINAL_STATES]


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
    if name not in ENDED:
        waiting = {"status": "Progressing", "message": "Waiting for the operator"}
        assert health(changed_since(resource)) == waiting


@pytest.mark.parametrize("name", ENDED)
def test_a_run_that_has_ended_stays_what_it_is(name: str) -> None:
    """Taking `suspend: true` out of Git after the end, say, changes the generation, and nothing else."""
    resource = recorded(name)
    assert health(changed_since(resource)) == health(resource)


def changed_since(resource: dict[str, Any]) -> dict[str, Any]:
    newer = {**resource["metadata"], "generation": resource["metadata"]["generation"] + 1}
    return {**resource, "metadata": newer}


@pytest.mark.parametrize(
    ("status", "want"),
    [
        ({"health": {"status": "Healthy"}}, "Healthy"),
        ({"health": {"status": "Degraded", "message": "no operator"}}, "Degraded"),
        ({"health": {}}, "Progressing"),
        ({}, "Progressing"),
        (None, "Progressing"),
    ],
)
def test_an_application_is_as_healthy_as_argo_cd_found_it(status: dict[str, Any] | None, want: str) -> None:
    said = run(
        DATA["resource.customizations.health.argoproj.io_Application"], {"kind": "Application", "status": status}
    )
    assert said["status"] == want


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
