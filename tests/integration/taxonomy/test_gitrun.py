"""Whatever Git does, it ends: by itself, or when its time, its output or its complaints are over their bound."""

import mmap
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from hack.cluster.packages import need
from sdg_operator.taxonomy.errors import CheckError
from sdg_operator.taxonomy.gitrun import GitFailed, GitProgram, identity

NAME = "https://git.example.org/x.git"
MEMORY = 384 << 20


@pytest.fixture
def git(tmp_path: Path) -> GitProgram:
    return GitProgram.create(tmp_path / "git", tmp_path / "home", MEMORY, NAME)


ANY_UID = 1_000_680_000  # as OpenShift gives them


@pytest.mark.deep  # it installs an SSH client
@pytest.mark.skipif(os.getuid() != 0, reason="only root can run something as another user")
def test_a_user_without_a_name_can_use_ssh(tmp_path: Path) -> None:
    need("ssh", "libnss_wrapper.so")
    with TemporaryDirectory() as name:  # pytest's own folders are closed to other users
        Path(name).chmod(0o755)
        named = identity(Path(name), ANY_UID, 0)

        def ssh(environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
            command = ["ssh", "-F", "/dev/null", "-G", "git.example.org"]
            more = {"PATH": os.environ["PATH"], **environment}
            return subprocess.run(
                command, user=ANY_UID, group=0, extra_groups=[], env=more, capture_output=True, text=True, check=False
            )

        assert "No user exists for uid" in ssh({}).stderr
        assert "user sdg\n" in ssh(named).stdout
    assert identity(tmp_path, 0, 0) == {}


def script(text: str) -> dict[str, str | list[str]]:
    return {"alias.act": f"!{text}"}


def test_a_git_that_is_read_from_has_a_time(git: GitProgram) -> None:
    def read_all() -> bytes:
        with git.running("cat-file", "--batch", seconds=1, stdin=subprocess.PIPE) as process:  # waits for a name
            assert process.stdout is not None
            return process.stdout.read()

    with pytest.raises(CheckError, match=f"{NAME}: Git did not finish within 1 seconds") as error:
        read_all()
    assert (error.value.reason, error.value.retriable) == ("TimedOut", True)


@pytest.mark.deep  # it looks at once for the end of what was killed
def test_its_helpers_end_with_it(git: GitProgram, tmp_path: Path) -> None:
    with pytest.raises(CheckError, match="did not finish"):
        git.run("act", seconds=1, settings=script(f"echo $$ > {tmp_path}/pid; while :; do sleep 60; done"))
    with suppress(FileNotFoundError, ProcessLookupError):
        cmdline = Path("/proc", (tmp_path / "pid").read_text().strip(), "cmdline")
        assert cmdline.read_bytes() == b"", "it has ended, whether or not somebody has asked how"


@pytest.mark.parametrize(
    ("text", "reason", "want"),
    [
        ("yes >&2", "CloneFailed", f"{NAME}: the server, or Git, has more to say than anybody reads"),
        ("yes", "TooLarge", f"{NAME}: Git has more than 16777216 bytes to say of it"),
    ],
)
def test_endless_words_are_not_collected(git: GitProgram, text: str, reason: str, want: str) -> None:
    with pytest.raises(CheckError, match=want) as error:
        git.run("act", seconds=60, settings=script(text))
    assert error.value.reason == reason


def test_complaints_beside_the_output_do_not_stop_it(git: GitProgram) -> None:
    assert git.run("act", seconds=60, settings=script("head -c 60000 /dev/zero >&2; echo done")) == "done\n"


def test_a_no_keeps_its_words_and_code(git: GitProgram) -> None:
    with pytest.raises(GitFailed, match="git ended with 3: no such thing") as error:
        git.run("act", seconds=60, settings=script("echo no such thing >&2; exit 3"))
    assert error.value.code == 3


def test_git_and_its_helpers_have_its_limits(git: GitProgram) -> None:
    told = script("ulimit -v; ulimit -f")
    assert git.run("act", seconds=60, settings=told, file_bytes=1 << 20).split() == ["393216", "2048"]
    assert git.run("act", seconds=60, settings=told).split() == ["393216", "unlimited"]


def test_other_threads_can_have_memory_while_git_is_started(git: GitProgram) -> None:
    with ThreadPoolExecutor(1) as pool:
        gits = [pool.submit(git.run, "version", seconds=60) for _ in range(12)]
        while not all(each.done() for each in gits):
            mmap.mmap(-1, MEMORY).close()
    assert all(each.result().startswith("git version") for each in gits)
