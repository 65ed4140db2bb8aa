"""What a leaf is expected to give, against what the flow files of instructlab-sdg ask for."""

import subprocess
import sys

import pytest

from sdg_operator.engine import estimate
from sdg_operator.storage.records import LeafKind, SampleSettings


def settings(pipeline: str = "simple", scale_factor: int = 30, preview: int | None = None) -> SampleSettings:
    return SampleSettings(pipeline=pipeline, scale_factor=scale_factor, preview=preview, model="teacher")


@pytest.mark.parametrize(
    ("pipeline", "kind", "document_bytes", "samples", "requests"),
    [
        ("simple", "freeform", 0, 150, 5),
        ("simple", "grounded", 0, 150, 5),
        ("simple", "knowledge", 20_000, 20 * 5 * 30, 20 * 5),
        ("full", "freeform", 0, 150, 5 * 91),
        ("full", "grounded", 0, 150, 5 * 101),
        ("full", "knowledge", 20_000, 100 * 6, 100 * 21),
        ("llama", "freeform", 0, 250, 5 * 151),
        ("llama", "knowledge", 20_000, 100 * 12, 100 * 43),
        ("custom", "freeform", 0, 150, 5),
    ],
)
def test_a_leaf_of_five_seeds_is_expected_to_give(
    pipeline: str, kind: LeafKind, document_bytes: int, samples: int, requests: int
) -> None:
    assert estimate.expected_samples(kind, 5, document_bytes, settings(pipeline)) == samples
    assert estimate.teacher_requests(kind, 5, document_bytes, settings(pipeline)) == requests


def test_the_scale_factor_counts_only_where_a_pipeline_uses_it() -> None:
    assert estimate.expected_samples("freeform", 5, 0, settings("simple", scale_factor=7)) == 35
    assert estimate.expected_samples("freeform", 5, 0, settings("full", scale_factor=7)) == 150


def test_a_preview_bounds_samples_and_requests() -> None:
    assert estimate.expected_samples("knowledge", 5, 10_000_000, settings(preview=3)) == 3
    assert estimate.teacher_requests("knowledge", 5, 10_000_000, settings(preview=3)) == 1
    assert estimate.teacher_requests("freeform", 5, 0, settings("full", preview=40)) == 3 * 91
    assert estimate.expected_samples("freeform", 1, 0, settings(preview=1000)) == 30


def test_the_operator_can_import_it_without_the_engine_s_libraries() -> None:
    heavy = ("pandas", "datasets", "openai", "instructlab")
    code = f"import sys, sdg_operator.engine.estimate; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
