"""``sdg engine``: run the engine on this machine, or check any engine against the engine contract."""

import argparse
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sdg_operator.cli.taxonomy import add_access_to

if TYPE_CHECKING:
    from sdg_operator.engine.conformance.trials import Engine

_RUN_EPILOG = """\
OUT/result then holds knowledge_train_msgs.jsonl, skills_train_msgs.jsonl, artifacts/ (the samples of each leaf), logs/
and manifest.json. Give the same command again to go on with a run that was stopped, and to try failed leaves again.
With other inputs OUT/result is made anew: its manifest and training files go first, samples of other leaves last.

OUT/.sdg-work is for the work, and is deleted in the end; OUT/.sdg-lock keeps a second run out. A folder OUT/result or
OUT/.sdg-work that sdg did not make is refused.

exit codes: 0 all is made, 1 the taxonomy or some of its leaves cannot be used, 2 wrong usage, 10 and more: those of the
engine contract (20 the teacher refused, 21 its answers are of no use, 30 it was away for too long, 31 stopped); 130
stopped before the engine was started
"""


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    group = commands.add_parser("engine", help="work with an engine")
    actions = group.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_run(actions)
    conformance = actions.add_parser(
        "conformance",
        help="check an engine against the engine contract",
        description="Starts an engine on small work folders, with a teacher of its own, and says which clauses of the "
        "engine contract hold. Takes a minute or two.",
        epilog="exit codes: 0 all clauses hold, 1 some do not, 2 wrong usage",
    )
    conformance.add_argument(
        "--image", help="a container image, run through docker or podman; COMMAND is then optional"
    )
    conformance.add_argument(
        "--user", type=int, help="run as this user id and group 0 (default: any for an image, 65532 where we are root)"
    )
    conformance.add_argument("--limit", type=float, default=120, help="seconds for one start (default: 120)")
    conformance.add_argument("command", nargs="*", metavar="COMMAND", help="the engine's command, after --")
    conformance.set_defaults(run=_conformance)


def _add_run(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    run = actions.add_parser(
        "run",
        help="make training files of a taxonomy on this machine",
        description="Checks a taxonomy, makes samples of its leaves with a teacher and mixes them into training files.",
        epilog=_RUN_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    run.add_argument("path", type=Path, metavar="PATH", help="folder or TAR.gz of the taxonomy")
    run.add_argument("out", type=_folder, metavar="OUT", help="folder for the result; made if it is not there")
    teacher = run.add_argument_group("teacher")
    teacher.add_argument("--teacher", required=True, metavar="URL", help="an OpenAI-compatible server, with its /v1")
    teacher.add_argument("--model", required=True, help="the model to ask for")
    teacher.add_argument("--token-file", type=Path, metavar="FILE", help="file with the teacher's token")
    teacher.add_argument("--teacher-ca-file", type=Path, metavar="FILE", help="certificate authorities of the teacher")
    teacher.add_argument("--model-family", default="mixtral", help="chat template of the model (default: mixtral)")
    teacher.add_argument(
        "--max-concurrency", type=_positive, default=1024, metavar="N", help="choices asked for at once (default: 1024)"
    )
    samples = run.add_argument_group("samples")
    samples.add_argument(
        "--pipeline", default="simple", help="simple (default), full, llama, or a folder of flow files, with a /"
    )
    samples.add_argument("--scale-factor", type=_positive, default=30, metavar="N", help="samples a seed (default: 30)")
    samples.add_argument("--preview", type=_positive, metavar="N", help="only so many samples of each leaf")
    samples.add_argument("--leaves", action="append", default=[], metavar="GLOB", help="only these leaves (repeatable)")
    samples.add_argument("--batch-size", type=_positive, default=32, metavar="N", help="rows of a batch (default: 32)")
    samples.add_argument("--max-tokens", type=_positive, default=4096, metavar="N", help="of an answer (default: 4096)")
    samples.add_argument("--system-prompt", metavar="TEXT", help="in the training files (default: InstructLab's)")
    add_access_to(run.add_argument_group("documents"))
    run.set_defaults(run=_run)


def _folder(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("it is empty; use . for the folder that you are in")
    return Path(text)


def _positive(text: str) -> int:
    try:
        number = int(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number") from error
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


def _run(options: argparse.Namespace) -> int:
    from sdg_operator.cli.run import run  # noqa: PLC0415

    return run(options)


def _conformance(options: argparse.Namespace) -> int:
    from sdg_operator.engine.conformance.clauses import check  # noqa: PLC0415

    try:
        engine = _image(options) if options.image else _command(options)
    except ValueError as error:
        print(f"sdg: {error}", file=sys.stderr)
        return 2
    broken = 0
    try:
        verdicts = list(check(engine))
    except PermissionError as error:
        print(
            f"sdg: {error.filename}: {error.strerror} as user {engine.host_user}: put the engine where others can read "
            "it, or give --user",
            file=sys.stderr,
        )
        return 2
    for verdict in verdicts:
        print(f"{'holds' if verdict.holds else 'BREAKS':7} {verdict.clause:12} {verdict.text}")
        for problem in verdict.problems:
            print(f"{'':20} - {problem}")
        for remark in verdict.remarks:
            print(f"{'':20} (told only: {remark})")
        broken += not verdict.holds
    return 1 if broken else 0


def _image(options: argparse.Namespace) -> "Engine":
    from sdg_operator.engine.conformance.image import ImageEngine, find_tool  # noqa: PLC0415

    engine = ImageEngine(find_tool(options.image), options.image, tuple(options.command), limit=options.limit)
    return engine if options.user is None else replace(engine, user=options.user)


def _command(options: argparse.Namespace) -> "Engine":
    from sdg_operator.engine.conformance.trials import CommandEngine  # noqa: PLC0415

    if not options.command:
        raise ValueError("name an engine: --image IMAGE, or a command after --")
    program = shutil.which(options.command[0])
    if program is None:
        raise ValueError(f"there is no command {options.command[0]!r}")
    # Trials run in folders of their own, where relative paths lead nowhere.
    words = [
        str(Path(word).absolute()) if "/" in word and Path(word).exists() else word for word in options.command[1:]
    ]
    user = options.user
    if user is None and os.geteuid() == 0:
        user = 65532  # nobody that anything belongs to
    return CommandEngine((str(Path(program).absolute()), *words), user, options.limit)
