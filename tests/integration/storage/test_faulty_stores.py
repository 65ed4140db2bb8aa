"""A store may say anything: what is relied on is looked at, what never ends is ended, and each fault is named."""

import dataclasses
import hashlib
import socket
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from sdg_operator.clients.protocols import SecretRef
from sdg_operator.controller import copying
from sdg_operator.controller.observe_ledger import Memory, look_at_ledger
from sdg_operator.engine.contract import LeafResult
from sdg_operator.storage import listing, probe, s3
from sdg_operator.storage.fetch import fetch
from sdg_operator.storage.folder import FolderStore
from sdg_operator.storage.layout import snapshot_key
from sdg_operator.storage.ledger import standing
from sdg_operator.storage.s3 import S3Store
from sdg_operator.storage.s3_settings import S3Settings
from sdg_operator.storage.store import ObjectInfo, StorageError, StorageRefused, StorageUnavailable, Store
from sdg_operator.storage.sync import take_up
from tests.integration.storage.answers import BODY_SECRET, Answer, Asked, KeptObjects, Script, faulty_store, page
from tests.integration.storage.ledgers import DIGEST, LAYOUT, start_run

T = TypeVar("T")
SETTINGS = S3Settings("the-access-key", "the-secret-key", "bucket")
OK = Answer(200, headers={"ETag": '"e"'})
PORTAL = Answer(200, body=b"<html><body>a captive portal</body></html>")


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "_LOOKS_AFTER_SECONDS", (0.0, 0.0, 0.0))
    monkeypatch.setattr("botocore.retries.standard.time.sleep", lambda _: None)


@pytest.fixture
def at(request: pytest.FixtureRequest) -> Iterator[Callable[..., S3Store]]:
    """Start a store that answers as a script has it; gives a client of it."""
    started = []

    def start(answers: Script | dict[str, Answer], attempts: int = 1, **changes: str) -> S3Store:
        serving = faulty_store(answers)
        started.append(serving)
        endpoint = serving.__enter__()
        return S3Store(
            dataclasses.replace(SETTINGS, endpoint=endpoint, **changes), timeout_seconds=20, attempts=attempts
        )

    yield start
    for serving in started:
        serving.__exit__(None, None, None)


At = Callable[..., S3Store]


def keys(found: Iterator[ObjectInfo]) -> list[str]:
    return [info.key for info in found]


# --- listings ---


class Pages:
    """A store whose listing goes by a script: token (or ``start-after``) that was asked for → page."""

    def __init__(self, pages: dict[str, Answer]) -> None:
        self.pages = pages
        self.asked = 0

    def __call__(self, asked: Asked) -> Answer:
        self.asked += 1
        return self.pages[asked.query.get("continuation-token") or asked.query.get("start-after") or ""]


def test_what_a_listing_repeats_counts_once_and_what_is_elsewhere_not_at_all(at: At) -> None:
    pages = Pages({
        "": page("a/1", "a/2", "a/2", token="1"),
        "1": page("a/2", "a/3", "b/1", token="2"),
        "2": page("a/2", "a/3", token="3"),
        "3": page(token="4"),
        "4": page("a/4"),
    })  # fmt: skip
    assert keys(at(pages).list("a/")) == ["a/1", "a/2", "a/3", "a/4"]


def test_a_listing_need_not_be_sorted_as_s3_sorts(at: At) -> None:
    """Stores over a file system go folder by folder."""
    pages = Pages({"": page("a/b", "a-b", token="1"), "1": page("a/c", "a")})
    assert keys(at(pages).list("a")) == ["a/b", "a-b", "a/c", "a"]


def test_a_page_that_says_there_is_more_and_not_where_is_gone_on_from_its_last_key(at: At) -> None:
    pages = Pages({"": page("a", "b", truncated=True), "b": page("c", truncated=False)})
    assert keys(at(pages).list("")) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("pages", "expected"),
    [
        ({"": page("a", "b", token="1"), "1": page("a", "b", token="1")}, ["a", "b"]),
        ({"": page("a", token="1"), "1": page("b", token="2"), "2": page("a", token="1")}, ["a", "b"]),
        ({"": page("a", token="1"), "1": page(token="1")}, ["a"]),
        ({"": page("a", truncated=True), "a": page("a", truncated=True)}, ["a"]),
        ({"": page(truncated=True)}, []),
        ({"": page("elsewhere", token="1"), "1": page("elsewhere", token="1")}, []),
    ],
    ids=["one page", "a circle", "one token", "a start ignored", "nowhere", "another prefix"],
)
def test_a_listing_that_gets_nowhere_ends_with_an_error(at: At, pages: dict[str, Answer], expected: list[str]) -> None:
    script = Pages(pages)
    found: list[str] = []
    with pytest.raises(StorageUnavailable, match="same again and again") as caught:
        found.extend(info.key for info in at(script).list("b" if "elsewhere" in str(pages) else ""))
    assert caught.value.reason == "EndlessListing"
    assert found == expected
    assert script.asked < 40


def test_a_listing_of_ever_new_keys_or_tokens_is_not_followed_for_ever(at: At, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MAX_PAGES", 50)
    for brings in (True, False):
        asked = 0

        def answer(_: Asked, brings: bool = brings) -> Answer:
            nonlocal asked
            asked += 1
            return page(*([f"key{asked}"] if brings else []), token=f"token{asked}")

        with pytest.raises(StorageUnavailable, match="could not list"):
            list(at(answer).list(""))
        assert asked == 50


NO_LISTING = [
    b"<Contents><Key>a</Key></Contents>",
    b"<Contents><Size>1</Size></Contents>",
    b"<Contents><Key>a</Key><Size>many</Size></Contents>",
    b"<Contents><Key>a</Key><Size>1</Size><LastModified>then</LastModified></Contents>",
]


@pytest.mark.parametrize("items", NO_LISTING)
def test_a_listing_that_is_none_is_named(at: At, items: bytes) -> None:
    body = b"<ListBucketResult><IsTruncated>false</IsTruncated>%s</ListBucketResult>" % items
    with pytest.raises(StorageRefused, match="does not answer as S3 does") as caught:
        list(at({"LIST": Answer(200, body=body)}).list(""))
    assert caught.value.reason == "InvalidSettings"


# --- writing ---


def in_parts(finish: Answer, part: Answer = OK, head: Answer = OK) -> Script:
    begin = Answer(200, body=b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>")
    answers = {"PUT": part, "HEAD": head, "GET": Answer(404, "NoSuchKey"), "DELETE": Answer(204)}
    return lambda asked: (
        (begin if "uploads" in asked.query else finish) if asked.method == "POST" else answers[asked.method]
    )


@pytest.fixture(params=["bytes", "file"])
def put(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[S3Store], None]:
    file = tmp_path / "file"
    file.write_bytes(b"content")
    if request.param == "file":
        return lambda store: store.put_file("key", file)
    return lambda store: store.put_bytes("key", b"content")


@pytest.mark.parametrize("elsewhere", [Answer(404, "NoSuchKey"), PORTAL], ids=["absent", "portal"])
def test_a_page_of_a_proxy_for_an_answer_to_a_write_stored_nothing(
    at: At, put: Callable[[S3Store], None], elsewhere: Answer
) -> None:
    store = at({"PUT": PORTAL, "HEAD": Answer(elsewhere.status), "GET": elsewhere})
    with pytest.raises(StorageUnavailable, match="said that it took 'key', but") as caught:
        put(store)
    assert caught.value.reason == "NotStored"


def test_an_answer_to_a_write_without_an_etag_is_believed_once_the_object_is_there(
    at: At, put: Callable[[S3Store], None]
) -> None:
    class Late(KeptObjects):
        """Shows an object a moment after it was put, and never an ETag."""

        looks = 0

        def get(self, key: str, asked: Asked) -> Answer:
            self.looks += 1
            return (
                dataclasses.replace(super().get(key, asked), headers={}) if self.looks > 2 else Answer(404, "NoSuchKey")
            )

        def put(self, key: str, asked: Asked) -> Answer:
            super().put(key, asked)
            return Answer(200)

    store = Late()
    put(at(store))
    assert store.objects == {"key": b"content"}


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (in_parts(Answer(200, "InternalError")), "Unavailable"),
        (in_parts(Answer(200, "AccessDenied")), "AccessDenied"),
        (in_parts(PORTAL), "NotStored"),
        (in_parts(OK, part=PORTAL), "InvalidSettings"),
        (in_parts(OK, part=Answer(200)), "InvalidSettings"),
    ],
    ids=["error", "refusal", "portal", "portal for a part", "part without ETag"],
)
def test_an_upload_in_parts_that_ends_in_an_error_with_200_is_none(
    at: At, tmp_path: Path, script: Script, reason: str
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * (9 << 20))
    with pytest.raises(StorageError) as caught:
        at(script).put_file("key", file)
    assert caught.value.reason == reason
    assert BODY_SECRET not in caught.value.message


def test_an_upload_that_is_begun_at_a_proxy_is_named(at: At) -> None:
    with pytest.raises(StorageRefused, match="does not answer as S3 does"):
        at({"POST": PORTAL}).begin_upload("key")


def test_everything_is_sent_with_its_length_and_without_newer_checksums(at: At, tmp_path: Path) -> None:
    """Some stores of today answer MissingContentLength, or refuse "aws-chunked", or keep it as content."""
    asked: list[Asked] = []
    script = in_parts(OK, head=Answer(200, body=b"x" * (9 << 20), headers={"ETag": '"e"'}))

    def note(each: Asked) -> Answer:
        asked.append(each)
        return script(each)

    store = at(note)
    large, small = tmp_path / "large", tmp_path / "small"
    large.write_bytes(b"x" * (9 << 20))
    small.write_bytes(b"")
    store.put_file("key", large)
    store.put_bytes("key", b"")
    store.put_part("key", "u", 1, b"part")
    with pytest.raises(StorageUnavailable, match="bytes instead of 0"):
        store.put_file("key", small)
    sent = [each for each in asked if each.method in ("PUT", "POST")]
    assert len(sent) == 6
    assert [each.path for each in sent if int(each.headers["content-length"]) != len(each.body)] == []
    for each in asked:
        names = set(each.headers)
        assert not {"transfer-encoding", "content-encoding", "x-amz-trailer", "x-amz-sdk-checksum-algorithm"} & names
        assert [name for name in names if name.startswith("x-amz-checksum")] == []


# --- looking and reading ---


@pytest.mark.parametrize("status", [301, 302, 304, 307, 400, 403, 405, 412])
def test_a_look_that_is_refused_without_a_reason_finds_out_by_reading(at: At, status: int) -> None:
    """botocore looks for the region of a bucket by another HEAD, and if that is redirected too, without end."""
    assert at({"HEAD": Answer(status), "GET": Answer(404, "NoSuchKey")}).head("key") is None
    with pytest.raises(StorageRefused) as caught:
        at({"HEAD": Answer(status), "GET": OK}).head("key")
    assert f"HTTP {status}" in caught.value.message


@pytest.mark.parametrize("status", [301, 302, 307])
def test_a_redirection_without_a_region_is_told(at: At, status: int) -> None:
    with pytest.raises(StorageRefused, match=f"HTTP {status}"):
        at({"GET": Answer(status, headers={"Location": "http://127.0.0.1:1/"}), "HEAD": Answer(status)}).get_bytes(
            "k", 1
        )


@pytest.mark.parametrize("length", [None, "several"])
def test_a_look_that_tells_no_length_is_named(at: At, length: str | None) -> None:
    headers = {"ETag": '"e"', **({"Content-Length": length} if length else {})}
    with pytest.raises(StorageRefused, match="does not answer as S3 does"):
        at({"HEAD": Answer(200, says_length=False, headers=headers), "GET": OK}).head("key")


@pytest.mark.parametrize(("said", "etag"), [('"a-2"', "a-2"), ("a", "a"), ('W/"a"', "a"), (None, "")])
def test_an_etag_may_be_anything(at: At, said: str | None, etag: str) -> None:
    found = at({"HEAD": Answer(200, headers={"ETag": said} if said else {})}).head("key")
    assert found is not None
    assert found.etag == etag


@pytest.mark.parametrize("sent", [b"x" * 500, b"xxx", b""], ids=["more", "less", "nothing"])
def test_a_file_of_another_size_than_was_said_is_not_taken(at: At, tmp_path: Path, sent: bytes) -> None:
    store = at(
        {
            "HEAD": Answer(200, body=b"xxxxx", headers={"ETag": '"e"'}),
            "GET": Answer(200, body=sent, headers={"ETag": '"e"'}),
        }
    )
    with pytest.raises(StorageUnavailable, match="has 5 bytes by a look at it"):
        store.get_file("key", tmp_path / "file", 10)
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_gives_another_part_than_was_asked_for_is_named(at: At) -> None:
    whole = {"GET": Answer(200, body=b"0123456789", headers={"ETag": '"e"'})}
    assert at(whole).get_range("key", 0, 3) == b"012"
    with pytest.raises(StorageRefused, match="does not answer as S3 does"):
        at(whole).get_range("key", 4, 3)


class InParts(KeptObjects):
    """Gives parts of objects, and does not take a weak ETag for a condition."""

    def get(self, key: str, asked: Asked) -> Answer:
        whole = self.objects[key]
        if "if-match" in asked.headers:
            return Answer(412, "PreconditionFailed")
        first, _, last = asked.headers.get("range", "bytes=0-")[6:].partition("-")
        start, stop = int(first), min(int(last or len(whole)) + 1, len(whole))
        headers = {"ETag": 'W/"e"', "Content-Range": f"bytes {start}-{stop - 1}/{len(whole)}"}
        return Answer(206 if "range" in asked.headers else 200, body=whole[start:stop], headers=headers)


def test_a_large_file_with_a_weak_etag_is_read_in_parts(at: At, tmp_path: Path) -> None:
    whole = b"".join(b"%08d" % number for number in range(9 << 18))
    at(InParts({"key": whole})).get_file("key", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == whole


def test_without_an_etag_the_time_of_a_change_tells_of_it(at: At) -> None:
    headers = {"Last-Modified": "Mon, 02 Nov 2026 10:00:00 GMT"}
    found = at({"HEAD": Answer(200, headers=headers)}).head("key")
    assert found is not None
    assert found.etag == "20261102T100000Z"


@pytest.mark.parametrize("cuts", [3, 100])
def test_an_answer_that_is_cut_off_is_asked_for_again(at: At, cuts: int) -> None:
    asked = 0

    def script(_: Asked) -> Answer:
        nonlocal asked
        asked += 1
        return Answer(200, body=b"content", cut_after=3 if asked <= cuts else None)

    store = at(script, attempts=4)
    if cuts == 3:
        assert store.get_bytes("key", 100) == b"content"
    else:
        with pytest.raises(StorageUnavailable, match="could not read"):
            store.get_bytes("key", 100)
    assert asked == 4


# --- bursts ---


BUSY = [
    Answer(503, "SlowDown"),
    Answer(503, "SlowDown", headers={"Retry-After": "1"}),
    Answer(500, "InternalError"),
    Answer(429),
]
CALLS: dict[str, Callable[[S3Store, Path], object]] = {
    "PUT": lambda store, _: store.put_bytes("key", b"1"),
    "GET": lambda store, _: store.get_bytes("key", 10),
    "HEAD": lambda store, _: store.head("key"),
    "LIST": lambda store, _: list(store.list("")),
    "DELETE": lambda store, _: store.delete("key"),
    "PUT of a file": lambda store, folder: store.put_file("key", _file(folder)),
    "GET of a file": lambda store, folder: store.get_file("key", folder / "got"),
    "POST": lambda store, _: store.begin_upload("key"),
}  # fmt: skip


def _file(folder: Path) -> Path:
    (folder / "file").write_bytes(b"1")
    return folder / "file"


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("busy", BUSY, ids=["SlowDown", "Retry-After", "InternalError", "429"])
def test_a_burst_is_tried_through_and_a_lasting_one_is_unavailable(
    at: At, tmp_path: Path, call: str, busy: Answer
) -> None:
    asked: dict[str, int] = {}
    begin = Answer(200, body=b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>")
    good = {
        "PUT": OK,
        "GET": Answer(200, body=b"1"),
        "HEAD": Answer(200, body=b"1"),
        "LIST": page(),
        "DELETE": Answer(204),
        "POST": begin,
    }

    def script(each: Asked, burst: int) -> Answer:
        asked[each.method] = asked.get(each.method, 0) + 1
        if asked[each.method] <= burst:
            return dataclasses.replace(busy, code="") if each.method == "HEAD" else busy
        return good[each.method]

    CALLS[call](at(lambda each: script(each, 3), attempts=4), tmp_path)
    asked.clear()
    with pytest.raises(StorageUnavailable) as caught:
        CALLS[call](at(lambda each: script(each, 1000), attempts=4), tmp_path)
    assert caught.value.reason == "Unavailable"
    assert max(asked.values()) == 4


class Bursts(KeptObjects):
    """Too busy for two of three requests, whatever they ask."""

    number = 0

    def __call__(self, asked: Asked) -> Answer:
        self.number += 1
        return super().__call__(asked) if self.number % 3 == 0 else Answer(503, "SlowDown")


def test_a_run_goes_through_bursts(at: At, tmp_path: Path) -> None:
    """Whoever keeps its ledger: fetch, sync and the operator."""
    store = at(Bursts(), attempts=4)
    inputs = start_run(store, "a", "b")
    assert fetch(store, LAYOUT, tmp_path, attempt=1, shard=0) == 2
    for leaf in ("a", "b"):
        out = tmp_path / "out/leaves" / leaf
        out.mkdir(parents=True)
        (out / "samples.jsonl").write_bytes(b'{"output": "a? b"}\n')
        (out / "leaf.json").write_bytes(LeafResult(leaf=leaf, input_digest=DIGEST, outcome="done", samples=1).to_json())
    take_up(store, LAYOUT, tmp_path, tmp_path, attempt=1, shard=0, pod="pod").flush(0.0, whole=True)
    look = look_at_ledger(store, LAYOUT, Memory(), 1, {"a", "b"}, deciding=True)
    assert look.found is not None
    assert standing(inputs, look.found.records).done == 2


# --- regions, clocks, addresses ---


class Elsewhere(KeptObjects):
    """A bucket of region eu-x-1, which it names as AWS and MinIO do."""

    def __init__(self, status: int, code: str, *, in_header: bool) -> None:
        super().__init__()
        self.status, self.code, self.in_header = status, code, in_header

    def __call__(self, asked: Asked) -> Answer:
        if asked.headers["authorization"].split("/")[2] == "eu-x-1":
            return super().__call__(asked)
        headers = {"x-amz-bucket-region": "eu-x-1"} if self.in_header else {}
        if asked.method == "HEAD":
            return Answer(self.status, headers=headers)
        body = f"<Error><Code>{self.code}</Code><Message>{BODY_SECRET}</Message><Region>eu-x-1</Region></Error>"
        return Answer(self.status, body=body.encode(), headers=headers)


@pytest.mark.parametrize("first", ["write", "look"])
@pytest.mark.parametrize(
    ("status", "code", "in_header"),
    [(400, "AuthorizationHeaderMalformed", False), (301, "PermanentRedirect", True), (301, "PermanentRedirect", False)],
)
def test_the_region_that_a_store_names_is_used(at: At, status: int, code: str, in_header: bool, first: str) -> None:
    kept = Elsewhere(status, code, in_header=in_header)
    kept.objects["there"] = b"1"
    store = at(kept)
    if first == "look":
        assert store.head("there") is not None
    store.put_bytes("key", b"1")
    assert keys(store.list("")) == ["key", "there"]


def test_a_region_that_is_named_and_does_not_help_is_told(at: At) -> None:
    malformed = b"<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-x-1</Region></Error>"
    with pytest.raises(StorageRefused, match="the store names region eu-x-1; write it as AWS_DEFAULT_REGION") as caught:
        at({"GET": Answer(400, body=malformed), "HEAD": Answer(400)}).head("key")
    assert caught.value.reason == "WrongRegion"


@pytest.mark.parametrize(("node", "whose"), [("node-7", "the clock of node node-7 says"), ("", "the clock here says")])
@pytest.mark.parametrize("minutes", [20, -90])
def test_clocks_that_differ_are_both_told(
    at: At, monkeypatch: pytest.MonkeyPatch, minutes: int, node: str, whose: str
) -> None:
    monkeypatch.setenv("NODE_NAME", node)
    there = datetime.now(UTC) + timedelta(minutes=minutes)
    answer = Answer(403, "RequestTimeTooSkewed", headers={"Date": there.strftime("%a, %d %b %Y %H:%M:%S GMT")})
    with pytest.raises(StorageRefused) as caught:
        at({"HEAD": dataclasses.replace(answer, code=""), "GET": answer}).head("key")
    assert caught.value.reason == "ClockSkew"
    assert whose in caught.value.message
    assert f"the store's {there:%Y-%m-%d %H:%M} (UTC), {abs(minutes)} minutes apart" in caught.value.message


@pytest.mark.parametrize("date", [{}, {"Date": "yesterday"}], ids=["none", "no date"])
def test_clocks_that_differ_are_told_also_if_the_store_does_not_say_by_how_much(at: At, date: dict[str, str]) -> None:
    with pytest.raises(StorageRefused, match="clocks of this cluster and the store differ"):
        at({"GET": Answer(403, "RequestTimeTooSkewed", headers=date)}).get_bytes("key", 1)


class ByHost(KeptObjects):
    """A store that wants the bucket before its name."""

    def __call__(self, asked: Asked) -> Answer:
        if not asked.headers["host"].startswith("bucket."):
            return Answer(403, "" if asked.method == "HEAD" else "SecondLevelDomainForbidden")
        asked.path = f"/bucket{asked.path}"
        return super().__call__(asked)


@pytest.mark.parametrize("first", ["write", "look"])
def test_a_store_that_refuses_paths_gets_the_bucket_before_its_name(
    at: At, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _, *rest, **more: real("127.0.0.1", *rest, **more))
    kept = ByHost({"there": b"1"})
    with faulty_store(kept) as endpoint:
        named = endpoint.replace("127.0.0.1", "store.example")
        store = S3Store(dataclasses.replace(SETTINGS, endpoint=named), timeout_seconds=20, attempts=1)
        if first == "look":
            assert store.head("there") is not None
        store.put_bytes("key", b"1")
        assert keys(store.list("")) == ["key", "there"]
        assert store.get_bytes("key", 10) == b"1"


def test_a_store_that_refuses_paths_for_a_bucket_with_dots_is_told_why(at: At) -> None:
    refused = {"GET": Answer(403, "SecondLevelDomainForbidden")}
    with pytest.raises(StorageRefused, match="a name without dots"):
        at(refused, bucket="my.bucket").get_bytes("key", 1)


@pytest.mark.parametrize(
    ("endpoint", "bucket", "url"),
    [
        (None, "bucket", "https://bucket.s3.amazonaws.com/key"),
        (None, "my.bucket", "https://s3.amazonaws.com/my.bucket/key"),
        ("https://store.example", "bucket", "https://store.example/bucket/key"),
        ("https://store.example", "my.bucket", "https://store.example/my.bucket/key"),
    ],
)
def test_a_name_with_dots_is_never_part_of_a_host(endpoint: str | None, bucket: str, url: str) -> None:
    """The certificate of ``*.s3.amazonaws.com`` is none for ``my.bucket.s3.amazonaws.com``."""
    asked: list[str] = []

    def stop(request: object, **_: object) -> None:
        asked.append(request.url)  # type: ignore[attr-defined]
        raise OSError("stopped before it is sent")

    settings = dataclasses.replace(SETTINGS, endpoint=endpoint, bucket=bucket)
    store = S3Store(settings, attempts=1, prepare=lambda client: client.meta.events.register("before-send.s3", stop))
    with pytest.raises(StorageUnavailable):
        store.get_bytes("key", 1)
    assert asked == [url]


# --- the probe ---


class Framed(KeptObjects):
    """Keeps the checksum that follows a body as content."""

    def put(self, key: str, asked: Asked) -> Answer:
        self.objects[key] = asked.body + b"\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n"
        return OK


class Deaf(KeptObjects):
    """Answers that it has deleted."""

    def delete(self, *_: object) -> Answer:
        return Answer(204)


class Blind(KeptObjects):
    """Lists nothing."""

    def list(self, *_: object) -> Answer:
        return page()


class Interrupted(KeptObjects):
    """Keeps what it is given and says that it is too busy."""

    def put(self, key: str, asked: Asked) -> Answer:
        super().put(key, asked)
        return Answer(503, "SlowDown")


@pytest.mark.parametrize(
    ("kept", "says", "left"),
    [
        (Framed(), "other bytes back", 0),
        (Deaf(), "keeps an object that was deleted", 1),
        (Blind(), "does not list an object that was just written", 0),
        (Interrupted(), "could not write", 0),
    ],
)
def test_the_probe_names_what_a_store_does_not_do_and_clears_up(
    at: At, kept: KeptObjects, says: str, left: int
) -> None:
    with pytest.raises(StorageError, match=says):
        probe.probe(at(kept), "synthetic_data")
    assert len(kept.objects) == left


@pytest.mark.parametrize(("verb", "says"), [("put", "write"), ("get", "read"), ("list", "list"), ("delete", "delete")])
def test_the_probe_names_what_is_refused(at: At, verb: str, says: str) -> None:
    kept = KeptObjects()
    setattr(kept, verb, lambda *_: Answer(403, "AccessDenied"))
    with pytest.raises(StorageRefused, match=f"could not {says}") as caught:
        probe.probe(at(kept), "synthetic_data")
    assert caught.value.reason == "AccessDenied"
    assert kept.objects == {} or verb == "delete"


class Shared(KeptObjects):
    """While one probe lists, another probes."""

    other: S3Store | None = None

    def list(self, key: str, asked: Asked) -> Answer:
        other, self.other = self.other, None
        if other:
            probe.probe(other, "synthetic_data")
        return super().list(key, asked)


def test_two_probes_at_once_do_not_meet(at: At) -> None:
    kept = Shared()
    kept.other = at(kept)
    probe.probe(at(kept), "synthetic_data")
    assert kept.objects == {}


# --- a copy into another bucket ---


class Forgetful(FolderStore):
    """Answers that it has put the parts together."""

    def finish_upload(self, key: str, upload: str, _: Sequence[str]) -> None:
        self.drop_upload(key, upload)


class Folders:
    """The operator's stores, as folders; by the Secret's name."""

    def __init__(self, **stores: Store) -> None:
        self.stores = stores

    async def bucket(self, secret: SecretRef) -> str:
        return secret.name

    async def run(self, secret: SecretRef, work: Callable[[Store], T]) -> T:
        return work(self.stores[secret.name])


async def test_a_copy_that_is_not_there_in_the_end_has_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "_PAUSE_SECONDS", 0.0)
    body = b"a snapshot"
    digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
    home = FolderStore(tmp_path / "home")
    home.put_bytes(snapshot_key(digest), body)
    copies = copying.Copies(Folders(home=home, away=Forgetful(tmp_path / "away")), wait_seconds=60)
    with pytest.raises(copying.CopyFailed, match="said that it took"):
        await copies.ask(copying.Copy(digest, SecretRef("n", "home"), SecretRef("n", "away")))
