"""Every Job that the operator makes, field by field: read the files to see what runs, and what a change changes."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from sdg_operator.api.common import Resources
from sdg_operator.api.datageneration import EnvVar
from sdg_operator.builders import build, build_network_policy
from sdg_operator.reconcile.jobs import GenerateJob
from tests.golden.jobs.inputs import JOBS, OWNER, POLICY

_FOLDER = Path(__file__).parent


class _Plain(yaml.SafeDumper):
    """Writes what occurs twice twice: a golden file is read by people."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - PyYAML's signature
        return True


MANIFESTS = {name: build(job) for name, job in JOBS.items()} | {"network-policy": build_network_policy(OWNER, POLICY)}


@pytest.mark.parametrize("name", MANIFESTS)
def test_what_is_made_is_what_its_golden_file_says(name: str, update_golden: bool) -> None:
    file = _FOLDER / f"{name}.yaml"
    built = yaml.dump(MANIFESTS[name], Dumper=_Plain, sort_keys=False, width=120, allow_unicode=True)
    if update_golden:
        file.write_text(built)
    assert file.read_text() == built, (
        f"look at the change, then run `pytest tests/golden/jobs --update-golden`: {file.name}"
    )


def test_no_golden_file_is_left_over() -> None:
    assert {file.stem for file in _FOLDER.glob("*.yaml")} == set(MANIFESTS)


def test_a_policy_without_ports_leaves_dns_alone() -> None:
    """A rule without ports would be for all of them."""
    (dns,) = build_network_policy(OWNER, POLICY.model_copy(update={"ports": []}))["spec"]["egress"]
    assert {each["port"] for each in dns["ports"]} == {53, 5353}


def test_an_address_alone_is_a_range_of_one() -> None:
    policy = POLICY.model_copy(update={"cidrs": ["10.0.0.5", "fd00::1", "10.1.0.0/16"]})
    _, listed = build_network_policy(OWNER, policy)["spec"]["egress"]
    assert [each["ipBlock"]["cidr"] for each in listed["to"]] == ["10.0.0.5/32", "fd00::1/128", "10.1.0.0/16"]


def test_an_engines_own_limit_of_scratch_space_is_not_asked_beyond() -> None:
    job = JOBS["generate-endpoint"]
    assert isinstance(job, GenerateJob)
    small = Resources(limits={"ephemeral-storage": "1Mi"})
    (engine,) = build(replace(job, engine_resources=small))["spec"]["template"]["spec"]["containers"]
    assert engine["resources"] == {"limits": {"ephemeral-storage": "1Mi"}}


def test_more_scratch_space_than_is_needed_is_asked_for_where_somebody_wants_it() -> None:
    job = JOBS["generate-endpoint"]
    assert isinstance(job, GenerateJob)
    for asked, given in (("900Gi", "900Gi"), ("1Ki", str(job.work_bytes))):
        wanted = Resources(requests={"ephemeral-storage": asked})
        (engine,) = build(replace(job, engine_resources=wanted))["spec"]["template"]["spec"]["containers"]
        assert engine["resources"]["requests"]["ephemeral-storage"] == given


def test_only_a_job_of_several_shards_has_a_limit_for_each() -> None:
    """With such a limit Kubernetes keeps a failed pod until the next is made: for ever, where the namespace ends."""
    job = JOBS["generate-endpoint"]
    assert isinstance(job, GenerateJob)
    one, two = (build(replace(job, shards=shards))["spec"] for shards in (1, 2))
    assert one["backoffLimit"] == two["backoffLimitPerIndex"]
    assert "backoffLimitPerIndex" not in one
    assert "backoffLimit" not in two
    actions = [spec["podFailurePolicy"]["rules"][1]["action"] for spec in (one, two)]
    assert actions == ["FailJob", "FailIndex"]  # the API server takes FailIndex only with a limit for each


def test_kubernetes_replaces_nothing_in_what_a_user_wrote() -> None:
    """It reads ``$$`` as ``$``, and ``$(NAME)`` as a variable."""
    job = JOBS["generate-vllm"]
    assert isinstance(job, GenerateJob)
    server = job.teacher.server
    assert server is not None
    env = [EnvVar(name="PRICE", value="$(HOME) $$5")]
    mine = server.model_copy(update={"model_name": "m$$", "env": env, "args": [], "command": []})
    changed = replace(job, teacher=job.teacher.model_copy(update={"server": mine, "model": "m$$"}))
    spec = build(changed)["spec"]["template"]["spec"]
    (teacher,) = (c for c in spec["initContainers"] if c["name"] == "teacher")
    assert {"name": "PRICE", "value": "$$(HOME) $$$$5"} in teacher["env"]
    assert "m$$$$" in teacher["args"]
    assert {"name": "SDG_TEACHER_MODEL", "value": "m$$$$"} in spec["containers"][0]["env"]
