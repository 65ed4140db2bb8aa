"""What a store refuses and when it is away are told apart, named, and said without its words or our secrets."""

import dataclasses
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from botocore.awsrequest import AWSPreparedRequest

from hack.cluster.processes import free_port
from hack.cluster.s3 import S3Access
from hack.gitserver.certificates import Certificates, make_certificates
from sdg_operator.storage.s3 import S3Store
from sdg_operator.storage.s3_settings import S3Settings
from sdg_operator.storage.store import ObjectNotFound, StorageError, StorageRefused, StorageUnavailable
from tests.integration.storage.answers import BODY_SECRET, Answer, faulty_store
from tests.integration.storage.tls import KEYS, tls_server

pytestmark = pytest.mark.deep  # a store for each refusal

SETTINGS = S3Settings.from_secret({**KEYS, "AWS_S3_BUCKET": "bucket", "AWS_SESSION_TOKEN": "the-session-token"})
OK = Answer(200, body=b"", headers={"ETag": '"e"'})


def store_at(endpoint: str, **changes: str) -> S3Store:
    return S3Store(dataclasses.replace(SETTINGS, endpoint=endpoint, **changes), timeout_seconds=20, attempts=1)


REFUSALS = [
    (Answer(403, "AccessDenied"), StorageRefused, "AccessDenied", "grant the key"),
    (Answer(403), StorageRefused, "AccessDenied", "grant the key"),
    (Answer(403, "InvalidAccessKeyId"), StorageRefused, "InvalidCredentials", "AWS_ACCESS_KEY_ID"),
    (Answer(403, "SignatureDoesNotMatch"), StorageRefused, "InvalidCredentials", "AWS_SECRET_ACCESS_KEY"),
    (Answer(400, "ExpiredToken"), StorageRefused, "InvalidCredentials", "AWS_ACCESS_KEY_ID"),
    (Answer(403, "RequestTimeTooSkewed"), StorageRefused, "ClockSkew", "clocks"),
    (Answer(400, "AuthorizationHeaderMalformed"), StorageRefused, "WrongRegion", "AWS_DEFAULT_REGION"),
    (Answer(404, "NoSuchBucket"), StorageRefused, "BucketNotFound", "AWS_S3_BUCKET"),
    (Answer(507, "XMinioStorageFull"), StorageRefused, "StoreFull", "make room"),
    (Answer(400, "Whatever"), StorageRefused, "Refused", "HTTP 400"),
    (Answer(503, "SlowDown"), StorageUnavailable, "Unavailable", "503"),
    (Answer(429, "TooManyRequests"), StorageUnavailable, "Unavailable", "429"),
    (Answer(500), StorageUnavailable, "Unavailable", "500"),
    (Answer(200, body=b"<html>a captive portal</html>"), StorageRefused, "InvalidSettings", "as S3 does"),
]


@pytest.mark.parametrize(("answer", "kind", "reason", "says"), REFUSALS, ids=lambda value: getattr(value, "code", None))
def test_each_answer_of_a_store_has_its_reason_and_says_what_to_mend(
    answer: Answer, kind: type[StorageError], reason: str, says: str
) -> None:
    with faulty_store({"LIST": answer}) as endpoint, pytest.raises(kind, match=says) as caught:
        list(store_at(endpoint).list("runs/"))
    assert (caught.value.reason, type(caught.value)) == (reason, kind)
    for secret in (BODY_SECRET, "captive", SETTINGS.access_key, SETTINGS.secret_key, SETTINGS.session_token or ""):
        assert secret not in caught.value.message


_OF_A_LOOK = [case for case in REFUSALS if case[2] not in ("StoreFull", "InvalidSettings")]
"""The others are answers to writing and to listing."""


@pytest.mark.parametrize(("answer", "kind", "reason", "says"), _OF_A_LOOK, ids=lambda v: getattr(v, "code", None))
def test_a_look_at_an_object_has_the_same_reasons(
    answer: Answer, kind: type[StorageError], reason: str, says: str
) -> None:
    """The answer to a HEAD is the status alone; only that to a GET has the cause."""
    answers = {"HEAD": Answer(answer.status), "GET": answer}
    with faulty_store(answers) as endpoint, pytest.raises(kind, match=says) as caught:
        store_at(endpoint).head("key")
    assert (caught.value.reason, type(caught.value)) == (reason, kind)


def test_a_look_at_an_object_that_comes_and_goes_finds_none() -> None:
    with faulty_store({"HEAD": Answer(404), "GET": OK}) as endpoint:
        assert store_at(endpoint).head("key") is None, "written just now: the next look will find it"
    with faulty_store({"HEAD": Answer(404), "GET": Answer(404, "NoSuchKey")}) as endpoint:
        assert store_at(endpoint).head("key") is None
    with faulty_store({"HEAD": Answer(403), "GET": OK}) as endpoint, pytest.raises(StorageRefused, match="grant"):
        store_at(endpoint).head("key")


@pytest.mark.parametrize("size", [10, 20 * 2**20], ids=["one part", "multipart"])
@pytest.mark.parametrize(
    ("answer", "kind"),
    [(Answer(403, "AccessDenied"), StorageRefused), (Answer(503, "SlowDown"), StorageUnavailable)],
    ids=["refused", "away"],
)
def test_a_file_that_cannot_be_uploaded_fails_as_small_objects_do(
    tmp_path: Path, size: int, answer: Answer, kind: type[StorageError]
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * size)
    with faulty_store({"PUT": answer, "POST": answer, "DELETE": OK}) as endpoint, pytest.raises(kind):
        store_at(endpoint).put_file("key", file)


def test_a_download_that_is_cut_off_leaves_no_file(tmp_path: Path) -> None:
    cut = Answer(200, body=b"x" * 1000, headers={"ETag": '"e"'}, cut_after=10)
    head = dataclasses.replace(cut, cut_after=None)
    with faulty_store({"GET": cut, "HEAD": head}) as endpoint:
        store = store_at(endpoint)
        with pytest.raises(StorageUnavailable):
            store.get_bytes("key", 1000)
        with pytest.raises(StorageUnavailable):
            store.get_file("key", tmp_path / "file")
    assert not (tmp_path / "file").exists()


def test_a_store_that_refuses_to_delete_is_told_when_deleting() -> None:
    with (
        faulty_store({"DELETE": Answer(403, "AccessDenied")}) as endpoint,
        pytest.raises(StorageRefused, match="could not delete"),
    ):
        store_at(endpoint).delete("key")


@pytest.mark.parametrize("endpoint", ["minio:9000", "s3.example.com", "https://", "not an address"])
def test_an_endpoint_that_is_no_address_is_refused_with_how_to_write_it(endpoint: str) -> None:
    with pytest.raises(StorageRefused, match=r"https://HOST\[:PORT\]") as caught:
        store_at(endpoint).get_bytes("key", 1)
    assert caught.value.reason == "InvalidSettings"


def test_what_stands_in_an_address_before_the_host_is_never_said() -> None:
    with pytest.raises(StorageUnavailable) as caught:
        store_at(f"http://user:{BODY_SECRET}@127.0.0.1:{free_port()}").get_bytes("key", 1)
    assert BODY_SECRET not in caught.value.message


def test_settings_show_no_secret_when_they_are_printed() -> None:
    assert "the-secret" not in repr(SETTINGS)
    assert "the-session" not in repr(SETTINGS)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("tls"), ["IP:127.0.0.1"])


@pytest.fixture(scope="module")
def tls_settings(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[S3Settings]:
    with tls_server(tmp_path_factory.mktemp("s3"), certificates, {"bucket/first": b""}) as endpoint:
        yield dataclasses.replace(SETTINGS, endpoint=endpoint, session_token=None)


def test_the_authority_of_a_store_comes_with_its_secret(
    tls_settings: S3Settings, certificates: Certificates, tmp_path: Path
) -> None:
    trusted = dataclasses.replace(tls_settings, ca_bundle=certificates.authority.read_text())
    store = S3Store(trusted, ca_folder=tmp_path)
    source = tmp_path / "source"
    source.write_bytes(os.urandom(20 * 2**20))
    store.put_file("key", source)
    store.get_file("key", tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == source.read_bytes()


def test_the_authority_of_a_store_comes_from_the_administrator(
    tls_settings: S3Settings, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificates.authority))
    store = S3Store(tls_settings)
    store.put_bytes("key", b"1")
    assert store.get_bytes("key", 1) == b"1"


def test_a_store_of_an_unknown_authority_is_not_talked_to(tls_settings: S3Settings) -> None:
    with pytest.raises(StorageRefused, match=r"not trusted.*ca\.crt") as caught:
        S3Store(tls_settings, attempts=1).put_bytes("key", b"1")
    assert caught.value.reason == "UntrustedCertificate"


def test_a_bucket_that_is_gone_is_not_taken_for_an_absent_object(s3_server: S3Access) -> None:
    settings = S3Settings(s3_server.access_key, s3_server.secret_key, "gone", s3_server.endpoint)
    store = S3Store(settings)
    for call in (
        lambda: store.get_bytes("key", 1),
        lambda: store.put_bytes("key", b""),
        lambda: list(store.list("")),
        lambda: store.head("key"),
    ):
        with pytest.raises(StorageRefused) as caught:
            call()
        assert caught.value.reason == "BucketNotFound"
        assert not isinstance(caught.value, ObjectNotFound)


@pytest.mark.parametrize("wrong", [{"access_key": "nobody"}, {"secret_key": "wrong"}], ids=["key", "secret"])
def test_a_look_with_credentials_that_the_store_does_not_know_says_so(
    settings: S3Settings, wrong: dict[str, str]
) -> None:
    store = S3Store(dataclasses.replace(settings, **wrong))
    with pytest.raises(StorageRefused) as caught:
        store.head("key")
    assert caught.value.reason == "InvalidCredentials"


def test_a_look_by_a_clock_that_is_wrong_says_so(settings: S3Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime.now(UTC)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda **_: now - timedelta(hours=1))
    with pytest.raises(StorageRefused) as caught:
        S3Store(settings).head("key")
    assert caught.value.reason == "ClockSkew"


def test_every_body_is_signed_whole_and_sent_as_older_stores_take_it(
    tls_settings: S3Settings, certificates: Certificates, tmp_path: Path
) -> None:
    sent: list[tuple[str, str]] = []

    def note(request: AWSPreparedRequest, **_: object) -> None:
        digest = request.headers["X-Amz-Content-SHA256"]
        text = digest.decode() if isinstance(digest, bytes) else str(digest)
        sent.append((text, str(request.headers.get("Content-Encoding", ""))))

    store = S3Store(
        dataclasses.replace(tls_settings, ca_bundle=certificates.authority.read_text()),
        ca_folder=tmp_path,
        prepare=lambda client: client.meta.events.register("before-send.s3", note),
    )
    file = tmp_path / "file"
    file.write_bytes(b"x" * 40 * 2**20)
    store.put_bytes("small", b"1")
    store.put_file("one-part", Path(__file__))
    store.put_file("multipart", file)
    assert len(sent) > 6
    assert [(digest, how) for digest, how in sent if how or not re.fullmatch("[0-9a-f]{64}", digest)] == []
