"""The teacher behind TLS with an authority of the company's own, and behind its proxy; all on loopback."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from yarl import URL

from hack.gitserver.certificates import Certificates, make_certificates
from sdg_operator.engine.access import TeacherAccess
from sdg_operator.engine.contract import ExitCode
from sdg_operator.engine.failure import EngineFailure
from sdg_operator.engine.teacher import Teacher
from sdg_operator.storage.records import SampleSettings
from tests.git.proxy import TunnelProxy, tunnel_proxy
from tests.integration.engine.leaves import Leaf, write_work
from tests.integration.engine.running import run_engine
from tests.teacher.running import RunningTeacher, running_teacher
from tests.teacher.server import Teacher as Scripted

pytestmark = pytest.mark.deep  # each starts an engine

PROXY_VARIABLES = [name for each in ("http_proxy", "https_proxy", "no_proxy") for name in (each, each.upper())]
CREDENTIALS = "Basic dXNlcjpwYXNz"
"""user:pass"""


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("tls"), ["teacher.example.org", "IP:127.0.0.1"])


@pytest.fixture
def secure(certificates: Certificates) -> Iterator[RunningTeacher]:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificates.certificate, certificates.key)
    with running_teacher(Scripted(token="secret-token"), tls=tls) as running:
        yield running


@pytest.fixture
def token(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text("secret-token")
    return file


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[TunnelProxy]:
    """A proxy that wants credentials, and knows teacher.example.org, which nobody else does."""
    with tunnel_proxy() as running:
        for name in PROXY_VARIABLES:
            monkeypatch.delenv(name, raising=False)
        for name in ("HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"http://user:pass@127.0.0.1:{running.port}")
        running.names["teacher.example.org"] = "127.0.0.1"
        yield running


def answer(url: str, token: Path | None = None, ca_file: Path | None = None) -> str:
    with Teacher(TeacherAccess(URL(url), token, ca_file, patience=5), "teacher", 8) as teacher:
        teacher.connect()
        [got] = teacher.ask("completions", ["Provide a single question and answer pair."], {}, lambda: None)
        return got.texts[0]


def refusal(url: str, token: Path | None = None, ca_file: Path | None = None) -> str:
    with pytest.raises(EngineFailure) as caught:
        answer(url, token, ca_file)
    assert (caught.value.code, caught.value.reason) == (ExitCode.TEACHER_REFUSED, "TeacherRefused")
    assert not any(word in caught.value.message for word in ("pass", "secret-token", CREDENTIALS))
    return caught.value.message


def test_the_engine_trusts_the_authority_that_it_is_given(
    tmp_path: Path, secure: RunningTeacher, certificates: Certificates, token: Path
) -> None:
    settings = SampleSettings(pipeline="simple", scale_factor=2, batch_size=2, model="teacher")
    work = write_work(tmp_path / "work", [Leaf("compositional_skills/STEM/math/area", "freeform")], settings)
    given = {"SDG_TEACHER_CA_FILE": str(certificates.authority), "SDG_TEACHER_TOKEN_FILE": str(token)}
    code, result, stderr = run_engine(work, secure.url, given)
    assert (code, result.leaves_done) == (0, 1), stderr


def test_a_certificate_of_an_unknown_authority_is_refused_at_once_and_in_words(
    secure: RunningTeacher, token: Path
) -> None:
    said = refusal(secure.url, token)
    assert "certificate is not trusted (unable to get local issuer certificate)" in said
    assert "ca.crt" in said
    assert secure.teacher.asked == []


def test_a_certificate_of_another_name_is_refused(
    secure: RunningTeacher, certificates: Certificates, token: Path
) -> None:
    assert "Hostname mismatch" in refusal(secure.url_of("localhost"), token, certificates.authority)


def test_a_ca_file_without_certificates_is_named(tmp_path: Path, secure: RunningTeacher) -> None:
    nothing = tmp_path / "ca.crt"
    nothing.write_text("no certificate")
    with pytest.raises(EngineFailure, match="CA file cannot be used"):
        answer(secure.url, ca_file=nothing)


def test_a_tls_teacher_is_reached_through_the_proxy_which_sees_no_token(
    secure: RunningTeacher, certificates: Certificates, token: Path, proxy: TunnelProxy
) -> None:
    assert "?" in answer(secure.url_of("teacher.example.org"), token, certificates.authority)
    assert set(proxy.seen) == {(f"teacher.example.org:{secure.port}", CREDENTIALS)}


def test_a_plain_teacher_is_reached_through_the_proxy(proxy: TunnelProxy) -> None:
    with running_teacher() as running:
        assert "?" in answer(running.url_of("teacher.example.org"))
        assert set(proxy.seen) == {(f"teacher.example.org:{running.port}", CREDENTIALS)}


def test_hosts_of_no_proxy_are_reached_directly(proxy: TunnelProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
    with running_teacher() as running:
        assert "?" in answer(running.url)
    assert proxy.seen == []


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_wants_credentials_is_named_at_once(
    secure: RunningTeacher, proxy: TunnelProxy, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.setenv(f"{scheme.upper()}_PROXY", f"http://127.0.0.1:{proxy.port}")
    with running_teacher() as plain:
        running = secure if scheme == "https" else plain
        assert "HTTP 407" in refusal(running.url_of("teacher.example.org"))
    assert len(proxy.seen) <= 2
