"""The commands that the documents show are run, as they stand there, by bash.

A shell block is run in a folder that looks like the project's, in a namespace of its own that has the quickstart's two
objects, on a real API server where the chart is installed, with a real S3 server and the scripted teacher. There is no
node: `make` only says what it would do, and Helm does not wait. A watch has no end: it is stopped after some seconds,
and must not have ended before.
A block that even so cannot be run says why, and which test runs it, in a comment above it:
``<!-- not run: needs a node; tests/demo/test_demo_chart.py -->``. What must be true after a block whose exit code says
little stands there too: ``<!-- afterwards: test -s out/result/manifest.json -->``.
"""

import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from hack.cluster import cache
from hack.cluster.apiserver import ApiServer
from hack.cluster.s3 import S3Server
from hack.cluster.steps import run, until_established
from hack.cluster.tools import tool
from hack.generate.chart import CHART, ROOT
from tests.teacher.running import running_teacher

PAGES: Final = sorted(
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", CHART / "README.md", *(ROOT / "docs").glob("*.md")]
)
_BLOCK: Final = re.compile(
    r"^(?: *<!-- not run: (?P<why>[^;\n]+); (?P<test>\S+) -->\n| *<!-- afterwards: (?P<afterwards>[^\n]+) -->\n)?"
    r"(?P<indent> *)```(?P<tag>\w*)\n(?P<text>.*?)^ *```$",
    flags=re.MULTILINE | re.DOTALL,
)
_RUNNING: Final = '{"status": {"state": "running"}}'

# A program of this name on the PATH passes on all but the words that need a node.
_WRAPPER: Final = """#!{python}
import os, sys
words = [word for word in sys.argv[1:] if word not in {left_out!r}]
os.execv({program!r}, [{name!r}, *{first!r}, *words])
"""
# What watches is ended by us, and only that: whatever else it ends with is the block's.
_WATCHING: Final = """#!{python}
import os, subprocess, sys
command = [{program!r}, *sys.argv[1:]]
if "--watch" not in command:
    os.execv({program!r}, command)
try:
    sys.exit(subprocess.run(command, timeout=5).returncode or "the watch ended by itself")
except subprocess.TimeoutExpired:
    pass
"""
# In the place of the AWS CLI, which no package registry has as a program of its own.
_AWS: Final = """#!{python}
import sys, boto3
assert sys.argv[1:3] == ["s3", "cp"] and sys.argv[5] == "--endpoint-url", sys.argv
bucket, _, key = sys.argv[4].removeprefix("s3://").partition("/")
boto3.client("s3", endpoint_url=sys.argv[6]).upload_file(sys.argv[3], bucket, key)
"""


@dataclass(frozen=True)
class Block:
    page: Path
    number: int
    tag: str
    text: str
    why: str | None
    test: str | None
    afterwards: str | None

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}-{self.number}"


def blocks(page: Path) -> Iterator[Block]:
    for number, found in enumerate(_BLOCK.finditer(page.read_text())):
        text = re.sub(rf"^{found['indent']}", "", found["text"], flags=re.MULTILINE)
        yield Block(page, number, found["tag"], text, found["why"], found["test"], found["afterwards"])


ALL: Final = [block for page in PAGES for block in blocks(page)]
SHELL: Final = [block for block in ALL if block.tag == "sh"]


def _program(folder: Path, name: str, program: Path, left_out: set[str], first: tuple[str, ...] = ()) -> None:
    text = _WRAPPER.format(python=sys.executable, left_out=left_out, program=str(program), name=name, first=list(first))
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("programs")
    make = shutil.which("make")
    assert make
    _program(folder, "make", Path(make), set(), ("--dry-run",))
    (folder / "kubectl").write_text(_WATCHING.format(python=sys.executable, program=str(tool("kubectl"))))
    (folder / "kubectl").chmod(0o755)
    _program(folder, "helm", tool("helm4"), {"--wait"})
    _program(folder, "sdg", Path(sys.executable).with_name("sdg"), set())
    (folder / "aws").write_text(_AWS.format(python=sys.executable))
    (folder / "aws").chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    """One with the chart, as the README's first step leaves it."""
    with ApiServer() as server:
        helm(server, "install", "sdg-operator", CHART, "--create-namespace")
        until_established(server.kubectl)
        yield server


def helm(server: ApiServer, *arguments: str | Path) -> None:
    run([tool("helm4"), *arguments, "--namespace=sdg-system", f"--kubeconfig={server.kubeconfig}"])


@pytest.fixture(scope="module")
def environment(programs: Path) -> Iterator[dict[str, str]]:
    """What a reader has in the environment: a bucket's and a teacher's data."""
    with S3Server() as s3, running_teacher() as teacher:
        client = s3.client()
        client.create_bucket(Bucket="birds")
        client.close()
        yield {
            **os.environ,
            "PATH": f"{programs}:{os.environ['PATH']}",
            "AWS_S3_ENDPOINT": s3.endpoint,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_S3_BUCKET": "birds",
            "AWS_ACCESS_KEY_ID": s3.access_key,
            "AWS_SECRET_ACCESS_KEY": s3.secret_key,
            "SDG_CACHE": str(cache.root()),  # HOME is another; nothing is built a second time
            "TEACHER_URL": teacher.url,
            "TEACHER_MODEL": "teacher",
            "TEACHER_TOKEN": "secret",
        }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Like the project's, with what is one's own: a taxonomy that needs no documents from the internet, a pipeline."""
    left_out = shutil.ignore_patterns(".git", ".venv", "dist", "__pycache__", ".*_cache", ".hypothesis")
    shutil.copytree(ROOT, tmp_path, ignore=left_out, dirs_exist_ok=True)
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    shutil.copytree(ROOT / "examples" / "taxonomy" / "compositional_skills", tmp_path / "taxonomy/compositional_skills")
    (tmp_path / "my-pipeline").mkdir()
    (tmp_path / "my-pipeline" / "knowledge.yaml").write_text("version: 1.0\nblocks: []\n")
    return tmp_path


@pytest.fixture
def kubeconfig(server: ApiServer, request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """For a namespace of the test's own, with the quickstart's objects, the run at work."""
    namespace, own = f"docs-{secrets.token_hex(3)}", tmp_path / "kubeconfig"
    own.write_text(server.kubeconfig.read_text())
    server.kubectl("create", "namespace", namespace)
    server.kubectl("config", "set-context", "--current", f"--namespace={namespace}", f"--kubeconfig={own}")
    if "helm install" in request.getfixturevalue("block").text:
        # As for its first reader: nothing is there yet.
        helm(server, "uninstall", "sdg-operator")
        server.kubectl("delete", "crd", "--all", "--wait=true")
    else:
        here = f"--namespace={namespace}"
        server.kubectl("apply", here, "--filename", str(ROOT / "examples" / "quickstart"))
        server.kubectl(
            "patch", here, "datageneration", "birds-1", "--subresource=status", "--type=merge", "-p", _RUNNING
        )
    return own


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("block", [pytest.param(block, id=str(block)) for block in SHELL if not block.why])
def test_a_command_does_what_it_should(
    block: Block, folder: Path, environment: dict[str, str], kubeconfig: Path
) -> None:
    command = ["bash", "-euo", "pipefail", "-c", f"{block.text}\n{block.afterwards or ''}"]
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment | {"KUBECONFIG": str(kubeconfig), "HOME": str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, f"{block.text}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"


def test_every_block_says_what_it_is() -> None:
    assert [str(block) for block in ALL if block.tag not in ("sh", "yaml", "json", "text")] == []
    assert len(SHELL) > 12


def test_what_is_not_run_here_is_run_by_another_test() -> None:
    assert [str(block) for block in SHELL if block.test and not (ROOT / block.test).is_file()] == []
