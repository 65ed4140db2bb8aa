"""Everything we touch of instructlab-sdg 0.8.3 beside its public functions, and every change to it, in one place.

Upstream is frozen, so its inner names are stable; a test pins the ones used here. What is changed, and why:

- ``utils.taxonomy.DocumentChunker``: ours needs no torch and no tokenizer (`chunker`). Its module is not even imported:
  docling is a third of an engine's start, and only leaves with documents need it.
- ``PromptRegistry._template_env``: prompt templates of custom pipelines render in Jinja's sandbox.
- ``generate_data.jlload`` is not used: it breaks lines at U+2028 and others that JSON leaves as they are.
- ``Pipeline.generate`` is not used: it runs one leaf at a time, loses finished batches behind a failed one, and forgets
  checkpoints when batching is off. `run_batch` runs the same blocks, in the same order, on one batch.
- ``LLMBlock._parse`` of one block is listened to: an answer without a sample is counted and shown, and of one that was
  cut off at the limit of tokens only what is whole is read. A row for which the teacher said nothing ends there.
- ``datamixing.random``, ``.uuid`` and ``.set``: seeded or ordered, so that equal samples mix to equal bytes.
- ``datamixing._get_question_hack`` and ``_get_response_hack``: question marks of other scripts count too (`questions`).
- ``datamixing.load_dataset``: Arrow's reader takes text columns with nothing but dates for times, which upstream then
  cannot write; ours keeps text as text.
- ``datamixing._adjust_train_sample_size``: the same rows are drawn, without loading all others.
- ``Dataset.map`` writes what it made after fewer rows where rows are large.

Import this module only after `environment.prepare`: Hugging Face's libraries read their folders at import.
"""

import importlib
import itertools
import json
import platform
import random
import re
import shutil
import sys
import threading
import types
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Literal, Protocol

_CHUNKERS: Final = "instructlab.sdg.utils.chunkers"
sys.modules[_CHUNKERS] = types.ModuleType(_CHUNKERS)
sys.modules[_CHUNKERS].DocumentChunker = None  # type: ignore[attr-defined]

import datasets
import pandas as pd
from datasets import Dataset, concatenate_datasets
from datasets.fingerprint import get_temporary_cache_files_directory
from instructlab.sdg import datamixing
from instructlab.sdg.blocks import filterblock, utilblocks
from instructlab.sdg.blocks.llmblock import LLMBlock
from instructlab.sdg.pipeline import Pipeline, PipelineContext, _lookup_block_type
from instructlab.sdg.registry import PromptRegistry
from instructlab.sdg.utils import taxonomy as taxonomy_utils
from instructlab.sdg.utils.pandas import dataset_from_pandas_dataframe
from jinja2 import StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

from sdg_operator.engine import estimate, pdf, questions, table, thinking
from sdg_operator.engine.contract import ExitCode
from sdg_operator.engine.failure import EngineFailure, LeafFailure
from sdg_operator.engine.leaves import Seed
from sdg_operator.engine.pipelines import BUILT_IN, CUSTOM, SITE
from sdg_operator.engine.reading import Reading
from sdg_operator.engine.workfolder import lines
from sdg_operator.storage.records import KNOWLEDGE_FLOW, SampleSettings

del sys.modules[_CHUNKERS]
# The package attribute of that name is a function that hides the module.
generate_data: Final = importlib.import_module("instructlab.sdg.generate_data")

Row = dict[str, Any]
TrainFile = Literal["knowledge", "skills"]

DROWNED_BELOW: Final[float] = datamixing.MIN_UPSAMPLE_THRESHOLD
"""The share of knowledge in the skills file below which upstream repeats its rows, lest a model forget them. It does so
only beside the skills file of an image for InstructLab, and so never here."""

_FLOW_FILES: Final = {
    "knowledge": KNOWLEDGE_FLOW,
    "freeform": "freeform_skills.yaml",
    "grounded": "grounded_skills.yaml",
}
_local_blocks = threading.Lock()
"""Blocks that only compute take turns: they gain nothing from threads, and `datasets` does not promise to be safe."""
_LOCAL_MODULES: Final = (filterblock.__name__, utilblocks.__name__)


class _Chunker:
    """Stands in for upstream's ``DocumentChunker``; only the paths matter."""

    read: Callable[[Path], bytes] = Path.read_bytes

    def __init__(self, document_paths: Sequence[Path], **_: Any) -> None:
        self._paths = document_paths

    def chunk_documents(self) -> list[str]:
        from sdg_operator.engine.chunker import chunks_of  # noqa: PLC0415 - see above: docling

        return [chunk for path in self._paths for chunk in chunks_of(path.name, type(self).read(path))]


def apply(read_document: Callable[[Path], bytes]) -> None:
    """Change the library as the module's docstring says; `read_document` reads a knowledge leaf's document."""
    datasets.disable_progress_bars()
    datasets.disable_caching()
    _Chunker.read = staticmethod(read_document)
    taxonomy_utils.DocumentChunker = _Chunker
    PromptRegistry._template_env = SandboxedEnvironment(undefined=StrictUndefined)
    datamixing._get_question_hack = _question_of
    datamixing._get_response_hack = _response_of
    datamixing.load_dataset = _read
    datamixing._adjust_train_sample_size = _drawn
    Dataset.map = _map


_their_question: Final = datamixing._get_question_hack
_their_response: Final = datamixing._get_response_hack


def _question_of(sample: Row) -> Any:
    return questions.split(sample["output"])[0] if _without_ascii_mark(sample) else _their_question(sample)


def _response_of(sample: Row) -> Any:
    return questions.split(sample["output"])[1] if _without_ascii_mark(sample) else _their_response(sample)


def _without_ascii_mark(sample: Row) -> bool:
    output = None if "question" in sample or "response" in sample else sample.get("output")
    return isinstance(output, str) and output != "" and questions.ASCII not in output


def fix_randomness(seed: int) -> None:
    """Make mixing a pure function of its samples: sample choice, order of contexts and row ids come from `seed`."""
    chance = random.Random(seed)  # noqa: S311 - chooses samples, guards nothing
    datamixing.random = chance
    datamixing.uuid = types.SimpleNamespace(uuid4=lambda: uuid.UUID(int=chance.getrandbits(128), version=4))
    datamixing.set = dict.fromkeys


def input_rows(seeds: Sequence[Seed]) -> list[Row]:
    """Return what a leaf feeds into its pipeline: a row a seed (skills) or a chunk and seed (knowledge)."""
    rows = taxonomy_utils.leaf_node_to_samples(list(seeds), 4096, 1000, None, None)
    return list(rows)


class Client(Protocol):
    """What the blocks use of an OpenAI client."""

    server_supports_batched: bool
    completions: Any
    chat: Any
    reading: Reading

    def unparsed(self, text: str) -> None:
        """Take note of an answer in which a block finds nothing."""


def context(client: Client, settings: SampleSettings, family: str) -> PipelineContext:
    """Return what a pipeline's blocks share. Filters run in this process: no forks."""
    scale = settings.scale_factor
    if settings.preview is not None:
        scale = min(scale, estimate.PREVIEW_MARGIN * settings.preview)
    return PipelineContext(
        client=client,
        model_family=family,
        model_id=settings.model,
        num_instructions_to_generate=scale,
        dataset_num_procs=None,
        max_num_tokens=settings.max_tokens,
        batch_size=settings.batch_size,
        batch_num_workers=None,
    )


def pipeline_folder(name: str, custom: Path) -> Path:
    """Return the folder with the flow files of a pipeline; `custom` is that of ``custom``.

    Raises EngineFailure (InvalidPipeline).
    """
    if name in BUILT_IN:
        return Path(str(generate_data.__file__)).parent / "pipelines" / name
    if name == CUSTOM:
        folder = custom
    elif Path(name).is_absolute():
        folder = Path(name)
    else:
        folder = SITE / name
    if not any((folder / file).is_file() for file in _FLOW_FILES.values()):
        raise _invalid_pipeline(
            f"pipeline {name!r}: {folder} holds none of {', '.join(_FLOW_FILES.values())}; "
            f"use {', '.join(BUILT_IN)}, {CUSTOM} or a folder with those of them that your leaves need"
        )
    return folder


def load_pipelines(folder: Path, kinds: Iterable[str], shared: PipelineContext) -> dict[str, Pipeline]:
    """Read the flow files for these kinds of leaf and build each block once, so that a mistake costs no answer.

    Raises EngineFailure (InvalidPipeline).
    """
    pipelines = {}
    for kind in sorted(set(kinds)):
        file = folder / _FLOW_FILES[kind]
        if not file.is_file():
            raise _invalid_pipeline(f"the pipeline has no {file.name}, which {kind} leaves need")
        try:
            pipeline = Pipeline.from_file(shared, str(file))
            for block in pipeline.chained_blocks:
                _build(pipeline, block)
        except (Exception, SystemExit) as error:
            raise _invalid_pipeline(f"pipeline file {file.name}: {type(error).__name__}: {error}") from error
        pipelines[kind] = pipeline
    return pipelines


def _invalid_pipeline(message: str) -> EngineFailure:
    return EngineFailure(ExitCode.INVALID_INPUT, "InvalidPipeline", message)


def _build(pipeline: Pipeline, block: Row) -> Any:
    return _lookup_block_type(block["type"])(pipeline.ctx, pipeline, block["name"], **block["config"])


def run_batch(
    pipeline: Pipeline, ctx: PipelineContext, rows: Sequence[Row], passed: Callable[[int, int], None]
) -> list[Row]:
    """Run a pipeline's blocks on one batch and return the rows that come out.

    What ``Pipeline._generate_single`` does, row for row, but for one thing: a block that asks the teacher gets all its
    rows at once instead of `batch_size` at a time, so that none waits for the slowest answer to another. Those blocks
    treat each row by itself, so the result is the same. `passed` is told of each block: how many are done, of how many.

    Raises LeafFailure: the client's own, or PipelineFailed. What is no Exception (BaseException) passes.
    """
    pipeline = Pipeline(ctx, pipeline.config_path, pipeline.chained_blocks, pipeline.auxiliary_inst)
    dataset = Dataset.from_list(list(rows))
    blocks = pipeline.chained_blocks
    for number, properties in enumerate(blocks):
        try:
            dataset = _run_block(pipeline, properties, dataset)
        except LeafFailure:
            raise
        except (Exception, SystemExit) as error:  # a block may not end the engine
            raise LeafFailure(
                "PipelineFailed", f"block {properties['name']}: {type(error).__name__}: {error}"
            ) from error
        passed(number + 1, len(blocks))
        if len(dataset) == 0:
            return []
    return list(dataset)


def _run_block(pipeline: Pipeline, properties: Row, dataset: Dataset) -> Dataset:
    block = _build(pipeline, properties)
    if isinstance(block, LLMBlock):
        dataset = _answered(block, dataset)
    elif type(block).__module__ in _LOCAL_MODULES:
        with _local_blocks:
            dataset = _in_splits(pipeline, block, dataset)
    else:
        dataset = _in_splits(pipeline, block, dataset)
    if len(dataset) == 0:
        return dataset
    unwanted = [name for name in properties.get("drop_columns", []) if name in dataset.column_names]
    if unwanted:
        dataset = dataset.remove_columns(unwanted)
    if columns := properties.get("drop_duplicates", False):
        dataset = pipeline._drop_duplicates(dataset, cols=columns)
    return dataset


def _answered(block: LLMBlock, dataset: Dataset) -> Dataset:
    """Let a block ask the teacher, and leave out rows for which it got nothing: the next block would ask about None."""
    client: Client = block.ctx.client
    client.reading = Reading(_marks(block), lambda text: _whole_of(block, text))
    parse = block._parse

    bound = max(_LONGEST_ANSWER, _LETTERS_A_TOKEN * int(block.gen_kwargs.get("max_tokens") or 0))
    bounded = block.parser_name == "custom" or any(start or end for start, end in _tags(block))

    def listened(text: str) -> dict[str, list[str | None]]:
        if bounded and len(text) > bound:
            client.unparsed(text)
            return {name: [] for name in block.output_cols}
        found: dict[str, list[str | None]] = parse(text)
        if not any(value for values in found.values() for value in values):
            client.unparsed(text)
        return found

    block._parse = listened
    made = block.generate(dataset)
    columns = [list(made[name]) for name in block.output_cols if name in made.column_names]
    answered = [any(value is not None for value in values) for values in zip(*columns, strict=True)]
    if all(answered):
        return made
    return Dataset.from_list([row for row, keep in zip(made, answered, strict=True) if keep])


_LONGEST_ANSWER: Final = 64 << 10
_LETTERS_A_TOKEN: Final = 16
"""Upstream looks for tags in a time that grows with the square of an answer, and nothing stops it meanwhile: an answer
of many more letters than its tokens can have is not looked at."""


def _tags(block: LLMBlock) -> list[tuple[str, str]]:
    config = block.block_config
    return list(zip(config.get("start_tags", []), config.get("end_tags", []), strict=False))


def _marks(block: LLMBlock) -> frozenset[str]:
    """Return the marks by which a block reads its answers, its own and those of thinking that its pattern names."""
    pattern = (block.parsing_pattern or "").replace("\\", "").lower()
    tags = {mark.strip().lower() for tags in _tags(block) for mark in tags}
    return frozenset(tags | {mark for mark in thinking.MARKS if mark in pattern})


def _whole_of(block: LLMBlock, text: str) -> str:
    """Return what is whole in an answer that was cut off: what stands between tags, or all matches but the last."""
    if block.parser_name == "custom":
        found = list(re.compile(block.parsing_pattern, re.DOTALL).finditer(text))
        return text[: found[-1].start()] if found else ""
    tags = _tags(block)
    return text if tags and all(start and end for start, end in tags) else ""


def _in_splits(pipeline: Pipeline, block: Any, dataset: Dataset) -> Dataset:
    return concatenate_datasets([block.generate(part) for part in pipeline._split_dataset(dataset)])


def usable(row: Row) -> bool:
    """Whether mixing can take this row. Upstream dies on a null answer, after all of the teacher's work."""
    output = row.get("output")
    question = row["question"] is not None if "question" in row else bool(output)
    response = row["response"] is not None if "response" in row else output is not None
    return question and response


def auxiliary(pipeline: str, custom: Path) -> Row | None:
    """Return what a pipeline's flow for knowledge says of rows that are no questions (summaries, say), if anything."""
    if pipeline == CUSTOM and not (custom / KNOWLEDGE_FLOW).is_file():
        return None  # it makes no knowledge
    flow = pipeline_folder(pipeline, custom) / KNOWLEDGE_FLOW
    found: Row | None = Pipeline.from_file(None, str(flow)).auxiliary_inst if flow.is_file() else None
    return found


class LeafMixer:
    """Upstream's postprocessing and mixing for one leaf after another, so that memory is bounded by one leaf.

    Upstream keeps all leaves in memory, writes files of two older formats and mixes everything at once. Mixing treats
    each of its data sets by itself, so their parts, one after the other, are the same training files.
    """

    def __init__(self, scratch: Path, auxiliary_instructions: Row | None, system_prompt: str | None) -> None:
        self._folder = scratch / "mixing"
        self._prompt = generate_data._SYS_PROMPT if system_prompt is None else system_prompt
        self.auxiliary = auxiliary_instructions
        self._mixer = datamixing.DataMixer([], str(self._folder), "run", self._prompt, None, auxiliary_instructions)

    def parts(self, leaf: str, knowledge: bool, rows: Callable[[], Iterable[Row]]) -> Iterator[tuple[TrainFile, Path]]:
        """Yield what rows of one leaf add to the training files: which one, and a file that is there until the next.

        Neither rows nor what becomes of them is held in memory: `datasets` computes from file to file. `rows` gives
        them each time anew.
        """
        recipes: dict[TrainFile, Any] = {"knowledge": self._mixer.knowledge_recipe, "skills": self._mixer.skills_recipe}
        self._folder.mkdir(parents=True, exist_ok=True)
        self._mixer.collect(leaf, _written(self._folder / "rows.arrow", rows), knowledge, False)
        _free_scratch()
        for kind, recipe in recipes.items():
            for listing in recipe.datasets:
                for piece in _pieces(self._folder / listing["path"], listing["sampling_size"]):
                    alone = datamixing.Recipe(None, self._prompt)
                    alone.add_dataset(str(piece), listing["sampling_size"])
                    part = self._folder / "part.jsonl"
                    alone.save_mixed_dataset(str(part), None)
                    yield kind, part
                    _free_scratch()
            recipe.datasets.clear()
        shutil.rmtree(self._folder)


_ROWS_A_PIECE: Final = 5000
_their_map: Final = Dataset.map
_rows_written_at_once = table.ROWS_AT_ONCE


def _map(self: Dataset, *args: Any, **options: Any) -> Any:
    return _their_map(self, *args, **({"writer_batch_size": _rows_written_at_once} | options))


def _written(file: Path, rows: Callable[[], Iterable[Row]]) -> Dataset:
    """Return a data set of rows that lies in a file, and so does everything that is computed from it."""
    global _rows_written_at_once  # noqa: PLW0603 - `datasets` has it as a default of a function
    _rows_written_at_once = datasets.config.DEFAULT_MAX_BATCH_SIZE = table.write(file, rows)
    return Dataset.from_file(str(file))


def _read(_format: str, *, data_files: str, split: str) -> Dataset:
    """Read a file of JSON lines as ``datasets.load_dataset`` does, but keep all text."""
    del split  # there is one
    file = Path(data_files)
    return _written(file.with_suffix(".arrow"), lambda: map(json.loads, lines(file)))


def _drawn(dataset: Dataset, count: int) -> Dataset:
    """Draw the rows that upstream draws. It does so from all rows in memory."""
    chosen = pd.DataFrame(index=range(len(dataset))).sample(n=count, random_state=42, replace=True).index
    return dataset_from_pandas_dataframe(dataset.select(list(chosen)).to_pandas())


def _pieces(file: Path, sampling_size: float) -> Iterator[Path]:
    """Cut a file whose rows are mixed one by one into pieces; one of whose rows some are chosen stays whole."""
    if sampling_size != 1.0:
        yield file
        return
    with file.open("rb") as whole:
        for number in itertools.count():
            piece = file.with_name(f"{number}.jsonl")
            with piece.open("wb") as out:
                size = sum(map(out.write, itertools.islice(whole, _ROWS_A_PIECE)))
            if size:
                yield piece
            piece.unlink()
            if not size:
                return


def _free_scratch() -> None:
    """Remove what `datasets` leaves: what it read, and what it computed, until the process ends where not cached."""
    shutil.rmtree(datasets.config.HF_DATASETS_CACHE, ignore_errors=True)
    for file in Path(get_temporary_cache_files_directory()).iterdir():
        file.unlink()


def dump_row(row: Row) -> bytes:
    """Return a row as upstream's ``jldump`` writes it, with its line end; what is no JSON (NaN, infinity) is null."""
    try:
        text = json.dumps(row, ensure_ascii=False, allow_nan=False)
    except ValueError:
        finite = json.loads(json.dumps(row), parse_constant=lambda _name: None)
        text = json.dumps(finite, ensure_ascii=False)
    return (text + "\n").encode()


def versions() -> dict[str, str]:
    """Return the versions that samples and training files depend on."""
    names = ["instructlab-sdg", "datasets", "pandas", "pyarrow", "docling-core", "docling-slim"]
    names += ["pypdf"] if pdf.readable() else []
    return {name: version(name) for name in names} | {"python": platform.python_version()}
