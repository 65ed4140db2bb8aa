"""Run instructlab-sdg's own stages in one process, for comparison: ``python upstream.py <JSON of options>``.

Stock but for two things: the chunker is ours (its own needs torch), and the four sources of randomness of mixing are
fixed, without which it does not agree with itself.
"""

import glob
import importlib
import json
import os
import random
import sys
import types
import uuid
from functools import partial
from pathlib import Path
from typing import Any

os.environ["HF_HOME"] = str(Path(json.loads(sys.argv[1])["out"]) / "hf")

import openai
from instructlab.sdg import datamixing
from instructlab.sdg.pipeline import PipelineContext
from instructlab.sdg.utils import taxonomy as taxonomy_utils

from sdg_operator.engine.chunker import chunks_of

# Its package hides the module behind a function of the same name; its attributes are ours to replace.
G: Any = importlib.import_module("instructlab.sdg.generate_data")


class Chunker:
    def __init__(self, document_paths: list[Path], **_: object) -> None:
        self.paths = document_paths

    def chunk_documents(self) -> list[str]:
        return [chunk for path in self.paths for chunk in chunks_of(path.name, path.read_bytes())]


def fix_randomness(seed: int) -> None:
    chance = random.Random(seed)
    datamixing.random = chance
    datamixing.uuid = types.SimpleNamespace(uuid4=lambda: uuid.UUID(int=chance.getrandbits(128), version=4))
    datamixing.set = dict.fromkeys
    G.glob = types.SimpleNamespace(glob=lambda pattern: sorted(glob.glob(pattern)))  # noqa: PTH207


def main(
    *,
    taxonomy: str,
    out: str,
    url: str,
    pipeline: str,
    scale: int,
    batch_size: int,
    family: str,
    system_prompt: str | None,
) -> None:
    taxonomy_utils.DocumentChunker = Chunker
    # Forks for every filter of every batch only cost time here.
    G.PipelineContext = partial(PipelineContext, dataset_num_procs=None)
    G.PipelineContext.DEFAULT_DATASET_NUM_PROCS = 8
    G.preprocess_taxonomy(taxonomy, Path(out) / "pre", taxonomy_base="empty")
    client = openai.OpenAI(base_url=url, api_key="none")
    G.generate_taxonomy(
        client, f"{out}/pre", f"{out}/generated", model_family=family, model_id="teacher", num_cpus=4,
        num_instructions_to_generate=scale, console_output=False, pipeline=pipeline, batch_size=batch_size,
    )  # fmt: skip
    fix_randomness(0)
    G.postprocess_taxonomy(
        f"{out}/generated", out, "run", pipeline=pipeline, num_procs=None, system_prompt=system_prompt,
        use_legacy_pretraining_format=False,
    )  # fmt: skip
    for kind in ("knowledge", "skills"):
        G.mix_datasets(
            f"{out}/{kind}_recipe_run.yaml", f"{out}/{kind}_train_msgs.jsonl", num_proc=None,
            system_prompt=system_prompt,
        )  # fmt: skip


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
