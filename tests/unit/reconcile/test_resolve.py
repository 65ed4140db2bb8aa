"""What a run may choose, and what it gets where it is silent."""

from typing import Any

import pytest

from sdg_operator.api.common import Placement, Resources
from sdg_operator.api.datageneration import DataGenerationSpec
from sdg_operator.api.settings import Defaults, Settings
from sdg_operator.api.taxonomy import TaxonomySpec
from sdg_operator.reconcile.resolve import (
    choose,
    laid_over,
    overlay,
    refusal,
    resolve,
    resolved_teacher,
    taxonomy_refusal,
)
from sdg_operator.reconcile.snapshot import TeacherFound


def a_spec(**spec: Any) -> DataGenerationSpec:
    return DataGenerationSpec.model_validate({"taxonomyRef": {"name": "t"}, **spec})


def some_settings(**settings: Any) -> Settings:
    return Settings.model_validate({"images": {"engine": "engine:1", "runner": "runner:1"}, **settings})


REFUSED = [
    ("storage Secret", {"output": {"secretName": "other"}}, "spec.output.secretName names Secret 'other'"),
    ("teacher Secret", {"teacher": {"secretName": "other"}}, "spec.teacher.secretName names Secret 'other'"),
    ("engine image", {"engine": {"image": "evil:1"}}, "spec.engine.image 'evil:1'"),
    (
        "server image",
        {"teacher": {"server": {"image": "evil:1", "modelName": "m"}}},
        "spec.teacher.server.image 'evil:1'",
    ),
    (
        "model image",
        {"teacher": {"server": {"image": "vllm:1", "modelName": "m", "model": {"image": "evil:1"}}}},
        "spec.teacher.server.model.image",
    ),
    (
        "hub token",
        {
            "teacher": {
                "server": {
                    "image": "vllm:1",
                    "modelName": "m",
                    "model": {"hub": {"name": "a/b", "tokenSecretName": "other"}},
                }
            }
        },
        "tokenSecretName names Secret 'other'",
    ),
    ("reserved label", {"placement": {"labels": {"sdg-operator.io/watch": "x"}}}, "its prefix is reserved"),
    ("reserved subdomain", {"placement": {"annotations": {"batch.kubernetes.io/x": "y"}}}, "its prefix is reserved"),
]


@pytest.mark.parametrize(("spec", "words"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_what_is_not_allowed_is_refused_by_name(spec: dict[str, Any], words: str) -> None:
    problem = refusal(a_spec(**spec), some_settings(allowed={"images": ["vllm:*"]}))
    assert problem is not None
    assert problem.reason == "NotAllowed"
    assert problem.final
    assert words in problem.message
    assert "administrator" in problem.message


@pytest.mark.parametrize(
    "spec",
    [
        {"teacher": {"secretName": "sdg-teacher"}},
        {"engine": {"resources": {}}},
        {"pipeline": {"name": "full"}},
        {"generation": {"scaleFactor": 1}},
        {"output": {"prefix": "x"}},
        {"parallelism": 2},
        {"placement": {"nodeSelector": {"a": "b"}}},
        {"startDeadlineSeconds": 60},
    ],
    ids=lambda spec: next(iter(spec)),
)
def test_a_group_of_fields_can_be_closed(spec: dict[str, Any]) -> None:
    assert refusal(a_spec(**spec), some_settings()) is None
    problem = refusal(a_spec(**spec), some_settings(allowed={"fields": []}))
    assert problem is not None
    assert next(iter(spec)) in problem.message


SERVED = {"server": {"image": "v:1", "modelName": "m", "resources": {"limits": {"nvidia.com/gpu": 4, "cpu": 8}}}}
ON_ONE_GPU = {"resources": {"limits": {"nvidia.com/gpu": "1", "rdma/hca": 1}}}


@pytest.mark.parametrize(
    ("spec", "price"),
    [
        ({"teacher": SERVED}, "10 EUR"),
        ({"engine": ON_ONE_GPU}, "2.5 EUR"),
        ({"teacher": SERVED, "engine": ON_ONE_GPU}, "12.5 EUR"),
        ({"engine": {"resources": {"limits": {"amd.com/gpu": 2}}}}, "0 EUR"),
        ({"engine": {"resources": {"limits": {"x/mig": 3, "nvidia.com/gpu": 999999999}}}}, "2499999997.500001 EUR"),
        ({}, None),
    ],
)
def test_a_pod_costs_what_its_devices_cost(spec: dict[str, Any], price: str | None) -> None:
    settings = some_settings(
        prices={"currency": "EUR", "gpuHour": {"nvidia.com/gpu": 2.5, "amd.com/gpu": 0, "x/mig": 1.9e-7}}
    )
    run = a_spec(**spec)
    choice = choose(run, None, settings)
    assert resolve(run, settings, choice, None, None).pod_hour_price == price


def test_an_empty_spec_gets_every_default() -> None:
    spec, settings = a_spec(), some_settings()
    choice = choose(spec, None, settings, "gpus", "urgent")
    teacher = resolved_teacher(choice, TeacherFound("http://t/v1", "m", has_token=True))
    got = resolve(spec, settings, choice, teacher, None)
    assert got.storage_secret_name == "sdg-storage"
    assert got.prefix == "synthetic_data"
    assert (got.engine_image, got.runner_image, got.mix_image) == ("engine:1", "runner:1", "engine:1")
    assert (got.pipeline, got.scale_factor, got.batch_size) == ("full", 30, 32)
    assert (got.max_failed_leaves, got.max_fruitless_attempts, got.start_deadline_seconds) == (0, 3, 3600)
    assert (got.queue_name, got.queue_priority_class_name) == ("gpus", "urgent")
    assert got.teacher is not None
    assert (got.teacher.endpoint, got.teacher.has_token, got.teacher.has_ca) == ("http://t/v1", True, False)


def test_a_spec_is_laid_over_the_defaults() -> None:
    spec = a_spec(
        output={"prefix": "team/data"},
        generation={"scaleFactor": 3, "systemPrompt": "p"},
        pipeline={"configMapName": "own"},
        preview={"samplesPerLeaf": 5},
        maxFailedLeaves=2,
        maxFruitlessAttempts=0,
        parallelism=4,
    )
    choice = choose(spec, "taxonomy-storage", some_settings())
    got = resolve(spec, some_settings(), choice, None, "sha256:x")
    assert got.storage_secret_name == "taxonomy-storage"
    assert (got.prefix, got.scale_factor, got.system_prompt, got.preview) == ("team/data", 3, "p", 5)
    assert (got.pipeline, got.pipeline_digest, choice.pipeline_config_map) == ("custom", "sha256:x", "own")
    assert (got.max_failed_leaves, got.max_fruitless_attempts, got.parallelism) == (2, 0, 4)


def test_a_teacher_in_the_pod_is_reached_by_loopback() -> None:
    spec = a_spec(teacher={"server": {"image": "vllm:1", "modelName": "granite", "port": 9000}})
    choice = choose(spec, None, some_settings())
    teacher = resolved_teacher(choice, None)
    assert choice.teacher_secret is None
    assert teacher is not None
    assert (teacher.endpoint, teacher.model) == ("http://127.0.0.1:9000/v1", "granite")


@pytest.mark.parametrize(
    ("default", "spec", "expected"),
    [
        (3600, {"startTimeoutSeconds": 7200}, 7800),
        (3600, {"startTimeoutSeconds": 60}, 3600),
        (60, {}, 2400),
        (None, {"startTimeoutSeconds": 7200}, None),
    ],
)
def test_a_served_model_has_its_own_time_to_load(
    default: int | None, spec: dict[str, Any], expected: int | None
) -> None:
    settings = some_settings(defaults={"startDeadlineSeconds": default})
    served = {"server": {"image": "vllm:1", "modelName": "granite", **spec}}

    def deadline(**own: Any) -> int | None:
        asked = a_spec(teacher=served, **own)
        return resolve(asked, settings, choose(asked, None, settings), None, None).start_deadline_seconds

    assert deadline() == expected
    assert deadline(startDeadlineSeconds=30) == 30


def test_the_teachers_patience_is_frozen_where_the_administrator_sets_it() -> None:
    def patience(**defaults: Any) -> int | None:
        settings = some_settings(defaults=defaults)
        return resolve(a_spec(), settings, choose(a_spec(), None, settings), None, None).teacher_patience_seconds

    assert patience() is None
    assert patience(teacherPatienceSeconds=60) == 60


@pytest.mark.parametrize(
    ("own", "limits", "requests"),
    [
        (None, {"cpu": "2", "memory": "4Gi"}, {"cpu": "500m", "memory": "1Gi"}),
        (
            {"limits": {"nvidia.com/gpu": 1}},
            {"cpu": "2", "memory": "4Gi", "nvidia.com/gpu": 1},
            {"cpu": "500m", "memory": "1Gi"},
        ),
        ({"limits": {"memory": "48Mi"}}, {"cpu": "2", "memory": "48Mi"}, {"cpu": "500m"}),
        ({"requests": {"cpu": 3}}, {"memory": "4Gi"}, {"cpu": 3, "memory": "1Gi"}),
    ],
    ids=["none", "a GPU", "a limit below the default request", "a request above the default limit"],
)
def test_resources_are_laid_over_the_administrators_one_by_one(
    own: dict[str, Any] | None, limits: dict[str, Any], requests: dict[str, Any]
) -> None:
    default = Resources.model_validate(
        {"limits": {"cpu": "2", "memory": "4Gi"}, "requests": {"cpu": "500m", "memory": "1Gi"}}
    )
    got = laid_over(default, None if own is None else Resources.model_validate(own))
    assert (got.limits, got.requests) == (limits, requests)


def test_placements_are_merged() -> None:
    default = Placement.model_validate(
        {"nodeSelector": {"a": "1", "b": "1"}, "tolerations": [{"key": "gpu"}], "priorityClassName": "low"}
    )
    own = Placement.model_validate({"nodeSelector": {"b": "2"}, "tolerations": [{"key": "gpu"}, {"key": "x"}]})
    both = overlay(default, own)
    assert both.node_selector == {"a": "1", "b": "2"}
    assert [t.key for t in both.tolerations] == ["gpu", "x"]
    assert both.priority_class_name == "low"


def test_a_taxonomys_secrets_must_be_listed() -> None:
    spec = TaxonomySpec.model_validate(
        {
            "source": {"bucket": {"key": "k"}},
            "credentials": [{"urlPrefix": "https://git.example/", "secretName": "mine"}],
        }
    )
    problem = taxonomy_refusal(spec, some_settings())
    assert problem is not None
    assert "'mine'" in problem.message
    assert taxonomy_refusal(spec, some_settings(allowed={"gitSecrets": ["mine"]})) is None


@pytest.mark.parametrize(
    ("own", "limits", "requests"),
    [
        (None, {"cpu": 2, "memory": "4Gi"}, {"cpu": "500m", "memory": "1Gi"}),
        ({}, {"cpu": 2, "memory": "4Gi"}, {"cpu": "500m", "memory": "1Gi"}),
        (
            {"limits": {"nvidia.com/gpu": 1}},
            {"cpu": 2, "memory": "4Gi", "nvidia.com/gpu": 1},
            {"cpu": "500m", "memory": "1Gi"},
        ),
        ({"limits": {"memory": "64Mi"}}, {"cpu": 2, "memory": "64Mi"}, {"cpu": "500m"}),
        ({"requests": {"cpu": 8}}, {"memory": "4Gi"}, {"cpu": 8, "memory": "1Gi"}),
    ],
)
def test_a_run_changes_only_the_resources_that_it_names(
    own: dict[str, Any] | None, limits: dict[str, Any], requests: dict[str, Any]
) -> None:
    found = laid_over(Defaults().engine_resources, None if own is None else Resources.model_validate(own))
    assert (found.limits, found.requests) == (limits, requests)
