"""``sdg taxonomy check``: the operator's own check, on a laptop or in a taxonomy repository's CI."""

import argparse
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from posixpath import normpath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sdg_operator.taxonomy.inspection import Inspection
    from sdg_operator.taxonomy.report import FullReport
    from sdg_operator.taxonomy.request import GitCredential, Limits, Lint
    from sdg_operator.taxonomy.source import Read

_EPILOG = """\
--fix mends what yamllint minds, and tabs; it never changes what a file says. It shows each change, and writes it where
PATH is a folder. --diff shows the same and writes nothing.

exit codes: 0 the taxonomy is usable, 1 it is not (each problem is named), 2 wrong usage, or a
file that --fix cannot write
"""


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    group = commands.add_parser("taxonomy", help="work with a taxonomy")
    actions = group.add_subparsers(title="commands", metavar="COMMAND", required=True)
    check = actions.add_parser(
        "check",
        help="tell whether a taxonomy is usable, and exactly what to mend",
        description="Checks a taxonomy as the operator does before a run: format, leaves, names, documents.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    check.add_argument("path", type=Path, metavar="PATH", help="folder or TAR.gz of the taxonomy")
    check.add_argument("--output", choices=("text", "json", "github"), default="text", help="form of the result")
    check.add_argument("--no-documents", action="store_true", help="do not fetch the documents of knowledge leaves")
    check.add_argument(
        "--strict", action="store_true", help="refuse matters of form too, as InstructLab's own check does"
    )
    check.add_argument(
        "--base-ref",
        metavar="REF",
        help="check only leaves that are new or changed since PATH, a folder of a Git work tree, and REF parted",
    )
    mend = check.add_mutually_exclusive_group()
    mend.add_argument(
        "--fix", action="store_true", help="mend the form of each qna.yaml before the check, and show how"
    )
    mend.add_argument("--diff", action="store_true", help="show what --fix would do, and write nothing")
    add_access_to(check)
    check.set_defaults(run=_check)


def add_access_to(parser: "argparse._ActionsContainer") -> None:
    """Add what says how documents of knowledge leaves are fetched."""
    parser.add_argument(
        "--credentials",
        action="append",
        default=[],
        type=_credentials,
        metavar="URL_PREFIX=FOLDER",
        help="folder with username and password, or ssh-privatekey and known_hosts, for these URLs (repeatable)",
    )
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        type=_allowed_host,
        metavar="GLOB",
        help="host of a Git server that may have a private address; http://GLOB: also over plain http; an address or "
        "localhost as it stands: whatever it is (repeatable)",
    )
    parser.add_argument(
        "--ca-file", type=_authorities, metavar="FILE", help="further certificate authorities of Git servers"
    )


def _allowed_host(text: str) -> str:
    from sdg_operator.taxonomy.request import ALLOWED_HOST  # noqa: PLC0415

    if not re.match(ALLOWED_HOST, text):
        raise argparse.ArgumentTypeError(f"{text!r} is no host; write HOST, HOST:PORT or http://HOST, without a path")
    return text


def _authorities(text: str) -> Path:
    try:
        content = Path(text).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise argparse.ArgumentTypeError(f"{text!r} cannot be read ({error})") from error
    if "CERTIFICATE-----" not in content:
        raise argparse.ArgumentTypeError(f"{text!r} holds no certificate in PEM form")
    return Path(text)


def _credentials(text: str) -> "GitCredential":
    from sdg_operator.taxonomy.request import GitCredential  # noqa: PLC0415

    prefix, separator, folder = text.rpartition("=")
    if not separator or not Path(folder).is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is not URL_PREFIX=FOLDER with a folder that exists")
    return GitCredential(url_prefix=prefix, folder=str(Path(folder).resolve()))


def _check(arguments: argparse.Namespace) -> int:
    from sdg_operator.cli.mend import mend  # noqa: PLC0415
    from sdg_operator.taxonomy.errors import CheckError  # noqa: PLC0415
    from sdg_operator.taxonomy.tree import harmless  # noqa: PLC0415
    from sdg_operator.taxonomy.worktree import changed_leaves  # noqa: PLC0415

    path: Path = arguments.path
    if not path.exists():
        print(f"sdg: there is no file or folder {path}", file=sys.stderr)
        return 2
    try:
        only = changed_leaves(path, arguments.base_ref) if arguments.base_ref else None
    except CheckError as error:
        print(f"sdg: --base-ref: {error.message}", file=sys.stderr)
        return 2
    if only == frozenset():
        print(f"sdg: no leaf in {path} is new or changed against {arguments.base_ref}; nothing to check")
        return 0
    if arguments.fix or arguments.diff:
        try:
            mend(path, only, arguments.output, write=arguments.fix)
        except CheckError as error:
            if error.reason in {"InvalidRequest", "SourceRefused"}:
                print(harmless(f"sdg: {'--fix' if arguments.fix else '--diff'}: {error.message}"), file=sys.stderr)
                return 2
            # Nothing was mended; the check says why, with all that was found.
    with TemporaryDirectory(prefix="sdg-") as work:
        lint: Lint = "Strict" if arguments.strict else "Warn"
        documents = not arguments.no_documents
        report = inspected(path, arguments, Path(work), documents=documents, only=only, lint=lint).report
    print_report(report, arguments.output, path)
    if report.form and arguments.output == "text" and path.is_dir():
        print(_about_form(report.form, path, fixed=arguments.fix))
    return 0 if report.ok else 1


def _about_form(number: int, path: Path, *, fixed: bool) -> str:
    matters = "1 matter" if number == 1 else f"{number} matters"
    if fixed:
        return f"{matters} of form left, to be mended by hand: a change there might change what the file says"
    return f"{matters} of form; `sdg taxonomy check {shlex.quote(str(path))} --fix` mends them where that is safe"


def inspected(
    path: Path,
    arguments: argparse.Namespace,
    work: Path,
    *,
    documents: bool,
    only: frozenset[str] | None = None,
    lint: "Lint" = "Warn",
) -> "Inspection":
    """Check the taxonomy at `path`, or `only` these files of it, fetching its documents below `work`."""
    from sdg_operator.taxonomy.address import AddressGuard  # noqa: PLC0415
    from sdg_operator.taxonomy.authorities import write_bundle  # noqa: PLC0415
    from sdg_operator.taxonomy.deadline import Deadline  # noqa: PLC0415
    from sdg_operator.taxonomy.errors import CheckError  # noqa: PLC0415
    from sdg_operator.taxonomy.inspection import Inspection, failed, inspect  # noqa: PLC0415
    from sdg_operator.taxonomy.repository import Access  # noqa: PLC0415
    from sdg_operator.taxonomy.request import Limits, Network  # noqa: PLC0415

    limits = Limits()
    deadline = Deadline(limits.total_seconds)
    access = None
    if documents:
        guard = AddressGuard(Network(allowed_hosts=tuple(arguments.allow_host)))
        bundle = write_bundle(work / "authorities.pem", arguments.ca_file)
        access = Access(guard, tuple(arguments.credentials), limits, work, bundle, deadline)
    try:
        return inspect(str(path), _read(path, limits, only), limits, deadline, access, lint=lint)
    except CheckError as error:
        return Inspection(failed(str(path), error))


def _read(path: Path, limits: "Limits", only: frozenset[str] | None) -> "Read":
    from sdg_operator.taxonomy.archive import read_archive  # noqa: PLC0415
    from sdg_operator.taxonomy.errors import CheckError  # noqa: PLC0415
    from sdg_operator.taxonomy.folder import read_folder  # noqa: PLC0415
    from sdg_operator.taxonomy.source import Read  # noqa: PLC0415

    if path.is_dir():
        return Read(read_folder(path, limits), "", only)
    try:
        with path.open("rb") as stream:
            return Read(read_archive(stream, limits), "")
    except OSError as error:
        raise CheckError("SourceRefused", f"cannot be read: {error.strerror}", file=str(path)) from error


def print_report(report: "FullReport", output: str, path: Path) -> None:
    """Print a report as text, JSON or a GitHub workflow's commands."""
    if output == "json":
        print(report.to_json().decode(), end="")
    elif output == "github":
        _print_github(report, path)
    else:
        _print_text(report, path)


def _print_text(report: "FullReport", path: Path) -> None:
    from sdg_operator.taxonomy.tree import harmless  # noqa: PLC0415

    for line in _text_lines(report, path):
        print(harmless(line))


def _text_lines(report: "FullReport", path: Path) -> Iterator[str]:
    fetched = {leaf.path: len(leaf.documents) for leaf in report.leaves}
    paths = {leaf.id: leaf.path for leaf in report.leaves}
    commits = {(paths.get(user), each.asked): each.commit for each in report.repositories for user in each.leaves}
    for leaf in report.found:
        yield f"{leaf.kind:9} {leaf.path} ({leaf.seeds} seed examples)"
        if leaf.document:
            number = fetched.get(leaf.path)
            names = f"documents {', '.join(leaf.document.patterns)}"
            what = f"{number} document{'' if number == 1 else 's'}" if number else names
            commit = commits.get((leaf.path, leaf.document.commit), leaf.document.commit)
            at = commit if commit == leaf.document.commit else f"{leaf.document.commit} ({commit})"
            yield f"{'':9} {what} of {leaf.document.repo} at {at}"
    for warning in report.warnings:
        yield f"WARNING: {warning}"
    for problem in report.problems:
        yield f"ERROR: {problem}"
    if report.ok:
        yield f"Taxonomy in {path} is valid: {report.message}"
    else:
        # The service's sentence points to logs in a bucket; here they are just above.
        yield f"Taxonomy in {path} is not usable ({report.reason}): {_own_words(report)}"


def _own_words(report: "FullReport") -> str:
    from sdg_operator.taxonomy.report import SERVICE_TEXT  # noqa: PLC0415

    return report.message.removeprefix(SERVICE_TEXT.get(report.reason, "")).strip()


def _print_github(report: "FullReport", path: Path) -> None:
    """Print workflow commands, as GitHub reads them from the output of a step.

    https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions
    """
    base = path / report.root if path.is_dir() else path
    for level, problems in (("warning", report.warnings), ("error", report.problems)):
        for problem in problems:
            place = {
                "file": normpath((base / problem.file).as_posix()) if problem.file else "",
                "line": problem.line,
                "col": problem.column,
            }
            properties = ",".join(f"{name}={_escaped(str(value), ':,')}" for name, value in place.items() if value)
            print(f"::{level} {properties}::{_escaped(problem.message)}")
    if not report.ok and not report.problems:
        print(f"::error ::{_escaped(_own_words(report))}")
    elif report.ok:
        print(f"::notice ::{_escaped(report.message)}")


def _escaped(text: str, more: str = "") -> str:
    for character in "%\r\n" + more:
        text = text.replace(character, f"%{ord(character):02X}")
    return text
