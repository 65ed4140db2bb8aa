"""The names of instructlab-sdg that `engine.library` touches, pinned: upstream is frozen, and so are these."""

import hashlib
import inspect
import subprocess
import sys
from importlib import import_module
from importlib.metadata import version
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdg_operator.engine import questions


def test_the_library_is_the_version_that_was_read() -> None:
    assert version("instructlab-sdg") == "0.8.3"
    assert int(version("pandas").split(".")[0]) < 3
    assert int(version("openai").split(".")[0]) < 2


TOUCHED = [
    ("instructlab.sdg.generate_data", "_SYS_PROMPT"),
    ("instructlab.sdg.utils.taxonomy", "DocumentChunker"),
    ("instructlab.sdg.utils.chunkers", "DocumentChunker"),
    ("instructlab.sdg.utils.taxonomy", "leaf_node_to_samples"),
    ("instructlab.sdg.registry", "PromptRegistry._template_env"),
    ("instructlab.sdg.pipeline", "Pipeline.from_file"),
    ("instructlab.sdg.pipeline", "Pipeline._split_dataset"),
    ("instructlab.sdg.pipeline", "Pipeline._drop_duplicates"),
    ("instructlab.sdg.pipeline", "_lookup_block_type"),
    ("instructlab.sdg.blocks.llmblock", "LLMBlock.generate"),
    ("instructlab.sdg.blocks.llmblock", "LLMBlock._parse"),
    ("instructlab.sdg.datamixing", "random.uniform"),
    ("instructlab.sdg.datamixing", "random.sample"),
    ("instructlab.sdg.datamixing", "random.shuffle"),
    ("instructlab.sdg.datamixing", "random.choice"),
    ("instructlab.sdg.datamixing", "uuid.uuid4"),
    ("instructlab.sdg.datamixing", "DataMixer.collect"),
    ("instructlab.sdg.datamixing", "Recipe.save_mixed_dataset"),
    ("instructlab.sdg.datamixing", "load_dataset"),
    ("instructlab.sdg.utils.pandas", "dataset_from_pandas_dataframe"),
    ("datasets", "Dataset.map"),
    ("datasets", "config.DEFAULT_MAX_BATCH_SIZE"),
    ("semchunk.semchunk", "_memoized_token_counters.clear"),
]


@pytest.mark.parametrize(("module", "name"), TOUCHED)
def test_a_name_that_is_touched_exists(module: str, name: str) -> None:
    found: Any = import_module(module)
    for part in name.split("."):
        found = getattr(found, part)


# What `run_batch` and `LeafMixer` stand in for. If upstream changes one of these, they have to be read again.
REPLACED = {
    ("instructlab.sdg.pipeline", "Pipeline._generate_single"): "133ff698bf5f50a4",
    ("instructlab.sdg.generate_data", "postprocess_taxonomy"): "2b5602ab3b4724e7",
    ("instructlab.sdg.datamixing", "Recipe._create_mixed_dataset"): "9ccbf05ecf740350",
    ("instructlab.sdg.datamixing", "Recipe._load_ds"): "277f4cac756d4fce",
    ("instructlab.sdg.datamixing", "_adjust_train_sample_size"): "6f0178677a7853cf",
    ("instructlab.sdg.datamixing", "_get_question_hack"): "ba25894e6a521ee1",
    ("instructlab.sdg.datamixing", "_get_response_hack"): "d593a089fe84ec1b",
}


@pytest.mark.parametrize(("where", "digest"), REPLACED.items())
def test_what_is_replaced_is_the_code_that_was_read(where: tuple[str, str], digest: str) -> None:
    found: Any = import_module(where[0])
    for part in where[1].split("."):
        found = getattr(found, part)
    assert hashlib.sha256(inspect.getsource(found).encode()).hexdigest()[:16] == digest


def test_the_engine_starts_without_torch_transformers_and_docling() -> None:
    code = (
        "import sys, sdg_operator.engine.library, sdg_operator.engine.generation, sdg_operator.engine.mixing\n"
        "names = ('torch', 'transformers', 'boto3', 'docling', 'docling_core', 'git.repo', 'kopf')\n"
        "print([name for name in names if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['git.repo']\n"  # upstream imports GitPython; nothing calls it


def test_a_block_that_ends_the_process_fails_its_batch_alone() -> None:
    from instructlab.sdg.blocks.block import Block  # noqa: PLC0415 - heavy
    from instructlab.sdg.pipeline import Pipeline  # noqa: PLC0415
    from instructlab.sdg.registry import BlockRegistry  # noqa: PLC0415

    from sdg_operator.engine import library  # noqa: PLC0415
    from sdg_operator.engine.failure import LeafFailure  # noqa: PLC0415
    from sdg_operator.storage.records import SampleSettings  # noqa: PLC0415

    class Exits(Block):  # type: ignore[misc]
        def generate(self, _samples: Any) -> Any:
            raise SystemExit("as upstream's lint does")

    BlockRegistry.get_registry()["Exits"] = Exits
    try:
        shared = library.context(None, SampleSettings(model="m"), "mixtral")  # type: ignore[arg-type]
        pipeline = Pipeline(shared, "flow.yaml", [{"name": "out", "type": "Exits", "config": {}}])
        with pytest.raises(LeafFailure, match="block out: SystemExit: as upstream's lint does"):
            library.run_batch(pipeline, shared, [{"a": 1}], lambda _done, _of: None)
    finally:
        del BlockRegistry.get_registry()["Exits"]


def test_a_row_is_written_as_upstream_does_and_as_json() -> None:
    from sdg_operator.engine import library  # noqa: PLC0415 - heavy

    assert library.dump_row({"a": "é\u2028", "b": [1.5, None]}) == '{"a": "é\u2028", "b": [1.5, null]}\n'.encode()
    assert library.dump_row({"a": float("nan"), "b": [float("-inf"), "NaN"]}) == b'{"a": null, "b": [null, "NaN"]}\n'


@settings(derandomize=True)
@given(st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("? ？\n"), min_size=1))
def test_samples_are_divided_as_upstream_does_where_it_can(output: str) -> None:
    from instructlab.sdg import datamixing  # noqa: PLC0415 - heavy

    theirs = (datamixing._get_question_hack({"output": output}), datamixing._get_response_hack({"output": output}))
    ours = questions.parts({"output": output})
    assert ours == theirs or ("?" not in output and not theirs[0] and ours[0].endswith("？"))
