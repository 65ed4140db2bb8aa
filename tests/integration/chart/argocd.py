"""Argo CD's side of the examples: our Lua, run as Argo CD runs it."""

from typing import Any, Final

import yaml
from lupa import lua51  # the language that Argo CD's interpreter speaks

from hack.generate.chart import ROOT

DATA: Final[dict[str, str]] = yaml.safe_load((ROOT / "examples" / "argocd" / "argocd-cm.yaml").read_text())["data"]
GROUP: Final = "sdg-operator.io"


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
