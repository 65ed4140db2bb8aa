"""The validate container: reads the source, checks it, writes snapshot and reports. ``python -m`` runs it."""

import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from sdg_operator.engine.contract import ExitCode
from sdg_operator.storage.layout import REPORT_PREFIX
from sdg_operator.storage.probe import probe
from sdg_operator.storage.s3 import S3Store
from sdg_operator.storage.store import StorageError, StorageRefused, Store
from sdg_operator.taxonomy.address import AddressGuard
from sdg_operator.taxonomy.authorities import write_bundle
from sdg_operator.taxonomy.deadline import Deadline
from sdg_operator.taxonomy.errors import CheckError
from sdg_operator.taxonomy.giturl import without_credentials
from sdg_operator.taxonomy.inspection import failed, inspect
from sdg_operator.taxonomy.report import FullReport, Problem, Reason, ShortReport, sentence
from sdg_operator.taxonomy.repository import Access
from sdg_operator.taxonomy.request import REQUEST_ENV, TERMINATION_LOG, TERMINATION_LOG_ENV, Source, ValidateRequest
from sdg_operator.taxonomy.source import Read, read_bucket, read_git

_EXIT: Final[dict[Reason, ExitCode]] = {
    "Valid": ExitCode.OK,
    "StorageRefused": ExitCode.STORAGE_REFUSED,
    "StorageUnavailable": ExitCode.STORAGE_UNAVAILABLE,
    "SourceUnavailable": ExitCode.STORAGE_UNAVAILABLE,
    "TimedOut": ExitCode.INTERRUPTED,
    "InternalError": ExitCode.INTERNAL,
}
"""All others are INVALID_INPUT."""


def main() -> int:
    """Run one check as the environment asks; the short report goes to the termination log whatever happens.

    But for a SIGTERM: nothing is known of the taxonomy then, and the operator repeats such a check.
    """
    # The first process of a container would not even notice an unhandled one, and hold up its node's drain.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(ExitCode.INTERRUPTED))
    try:
        request = ValidateRequest.model_validate_json(os.environ.get(REQUEST_ENV, ""))
    except ValidationError as error:
        return _end(ShortReport(ok=False, reason="InvalidRequest", message=f"{REQUEST_ENV} is not a request: {error}"))
    try:
        work = Path(request.work_folder)
        store = S3Store.from_folder(Path(request.storage_folder), ca_folder=work)
        probe(store, REPORT_PREFIX)
        return _end(validate(request, store, AddressGuard(request.network)))
    except StorageError as error:
        return _end(_unreported(error))
    except Exception:  # the report must say something in any case
        traceback.print_exc()
        message = "the check failed by a defect of this program; the container's log has the traceback"
        return _end(ShortReport(ok=False, reason="InternalError", message=message))


def validate(request: ValidateRequest, store: Store, guard: AddressGuard) -> ShortReport:
    """Check the source, and write snapshot and full report to the store. Raises `StorageError`."""
    report = _check(request, store, guard)
    store.put_bytes(request.report_key, report.to_json())
    _log(report)
    return report.short(request.report_key)


def _check(request: ValidateRequest, store: Store, guard: AddressGuard) -> FullReport:
    source = _name(request.source)
    work, limits = Path(request.work_folder), request.limits
    revision = ""
    try:
        deadline = Deadline(limits.total_seconds)
        ca_file = write_bundle(work / "authorities.pem", Path(request.ca_file) if request.ca_file else None)
        access = Access(guard, request.credentials, limits, work, ca_file, deadline)
        read = _read(request, store, access)
        revision = read.revision
        inspection = inspect(source, read, limits, deadline, access, lint=request.lint)
        if not inspection.report.ok:
            return inspection.report
        if not inspection.leaves:  # fine for who asks whether a change is good; but of it no run can make anything
            why, found = "no qna.yaml is new or changed against the base ref", inspection.report
            ignored = found.counts.ignored
            raise CheckError("NoLeaves", why, problems=found.warnings, root=found.root, ignored=ignored)
        file = work / "snapshot.tar.gz"
        digest = inspection.write(file)
        key = f"{request.snapshot_prefix}/{digest.removeprefix('sha256:')}.tar.gz"
        deadline.left()
        store.put_file(key, file)
    except CheckError as error:
        return failed(source, error, revision)
    return inspection.report.model_copy(update={"digest": digest, "snapshot_key": key})


def _read(request: ValidateRequest, store: Store, access: Access) -> Read:
    if request.source.bucket:
        try:
            return read_bucket(request.source.bucket, store, access.work, access.limits)
        except StorageError as error:  # here it is the taxonomy that could not be had, not a report or a snapshot
            error.message = sentence("SourceNotFound", error.message)
            raise
    assert request.source.git is not None, "the request has one of both"
    return read_git(request.source.git, access)


def _name(source: Source) -> str:
    if source.bucket:
        return source.bucket.key
    assert source.git is not None, "the request has one of both"
    return without_credentials(source.git.url)


def _unreported(error: StorageError) -> ShortReport:
    reason: Reason = "StorageRefused" if isinstance(error, StorageRefused) else "StorageUnavailable"
    return ShortReport(
        ok=False,
        reason=reason,
        detail=error.reason,
        message=error.message,
        retriable=reason == "StorageUnavailable",
    )


def _log(report: FullReport) -> None:
    def tell(level: str, problem: Problem) -> None:
        print(f"{level} {problem}", flush=True)  # noqa: T201 - the container's log

    for problem in report.problems:
        tell("ERROR", problem)
    for warning in report.warnings:
        tell("WARNING", warning)
    tell("INFO", Problem(message=f"{report.reason}: {report.message}"))


def _end(report: ShortReport) -> int:
    text = report.to_text()
    print(text, flush=True)  # noqa: T201 - the container's log
    Path(os.environ.get(TERMINATION_LOG_ENV, TERMINATION_LOG)).write_text(text)
    return _EXIT.get(report.reason, ExitCode.INVALID_INPUT)


if __name__ == "__main__":
    sys.exit(main())
