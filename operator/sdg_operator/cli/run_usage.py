"""What of ``sdg engine run`` is wrong usage: told before the taxonomy is looked at, and before anything is made."""

import argparse
import ssl
from importlib.util import find_spec
from pathlib import Path

from sdg_operator.engine import contract
from sdg_operator.engine.access import TeacherAccess
from sdg_operator.engine.failure import EngineFailure
from sdg_operator.engine.pipelines import BUILT_IN, SITE


class WrongUsage(Exception):
    """The command cannot be used so; the message says why."""


def refuse_wrong_usage(options: argparse.Namespace) -> dict[str, str]:
    """Return the flow files of a custom pipeline, by name. Raises WrongUsage if these options cannot be used."""
    _refuse_bytes(options)
    if not options.path.exists():
        raise WrongUsage(f"there is no {options.path}")
    if not options.model:
        raise WrongUsage("--model is empty")
    for file in (options.token_file, options.teacher_ca_file):
        if file is not None:
            _refuse_unreadable(file)
    if options.teacher_ca_file is not None:
        try:
            ssl.create_default_context(cafile=str(options.teacher_ca_file))
        except ssl.SSLError as error:
            raise WrongUsage(
                f"--teacher-ca-file: {options.teacher_ca_file} holds no certificate in PEM form"
            ) from error
    try:
        TeacherAccess.from_environment({contract.TEACHER_URL_ENV: options.teacher})
    except EngineFailure as failure:
        text = failure.error.message.replace(contract.TEACHER_URL_ENV, "--teacher")
        raise WrongUsage(f"{text}; it is {options.teacher!r}") from failure
    files = _flow_files(options.pipeline)
    if find_spec("instructlab.sdg") is None:
        raise WrongUsage("the engine is not installed here: install sdg-operator[engine], or use the engine's image")
    return files


def _refuse_bytes(options: argparse.Namespace) -> None:
    for name, value in vars(options).items():
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str | Path):
                try:
                    str(text).encode()
                except UnicodeEncodeError as error:
                    raise WrongUsage(f"{name} holds bytes that are not UTF-8: {str(text)!a}") from error


def _refuse_unreadable(file: Path) -> None:
    try:
        if file.exists() and not file.is_file():
            raise WrongUsage(f"{file} is no file")
        file.read_bytes()
    except FileNotFoundError as error:
        raise WrongUsage(f"there is no {file}") from error
    except OSError as error:
        raise WrongUsage(f"{file} cannot be read: {error.strerror}") from error


def _flow_files(pipeline: str) -> dict[str, str]:
    if "/" not in pipeline:
        if pipeline in BUILT_IN or (SITE / pipeline).is_dir():
            return {}
        known = ", ".join(BUILT_IN)
        raise WrongUsage(f"--pipeline: there is no pipeline {pipeline!r}; use {known}, or a folder, with a /")
    folder, files = Path(pipeline), {}
    if not folder.is_dir():
        raise WrongUsage(f"--pipeline: there is no folder {pipeline}")
    for file in sorted(folder.glob("*.yaml")):
        try:
            files[file.name] = file.read_text(encoding="utf-8")
        except OSError as error:
            raise WrongUsage(f"--pipeline: {file} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise WrongUsage(f"--pipeline: {file} is not UTF-8") from error
    if not files:
        raise WrongUsage(f"--pipeline: {pipeline} holds no flow files (*.yaml)")
    return files
