"""Names in the bucket."""

import pytest

from sdg_operator.storage.layout import RunLayout, leaf_id, leaf_path

LONG = "knowledge/" + "/".join(f"a_very_long_folder_name_{n}" for n in range(20))


def test_a_leaf_is_named_as_the_library_and_the_service_do() -> None:
    assert leaf_id("compositional_skills/STEM/math/area") == "compositional_skills_STEM_math_area"
    assert leaf_path("compositional_skills/STEM/math/area") == "compositional_skills->STEM->math->area"


@pytest.mark.parametrize("folder", [LONG, "knowledge/" + "ü" * 200])
def test_a_long_name_is_cut_to_what_a_file_system_takes_and_stays_unique(folder: str) -> None:
    name = leaf_id(folder)
    assert len(name.encode()) <= 180
    assert name == leaf_id(folder)
    assert name != leaf_id(folder + "x")


def test_two_pods_of_a_run_never_share_a_key() -> None:
    run = RunLayout.of("synthetic_data/", "uid")
    keys = {
        key
        for attempt, pod in ((1, "p-a"), (1, "p-b"), (2, "p-a"))
        for key in (
            run.samples("leaf", attempt, pod),
            run.leaf_record("leaf", attempt, pod),
            run.checkpoints("leaf", attempt, pod),
            run.log(attempt, pod, "engine.log"),
        )
    }
    assert len(keys) == 12
    assert all(key.startswith("synthetic_data/uid/") for key in keys)
