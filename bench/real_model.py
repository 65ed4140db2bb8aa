"""A whole run with a real language model on this machine's CPU, without a cluster.

    python -m bench.real_model

The model is the demo's, Gemma 3 270M (base model, 4 bit): who runs this accepts the Gemma Terms of Use
(https://ai.google.dev/gemma/terms). Its pipeline is the demo's too. The example taxonomy is checked and its documents
are fetched, all leaves are made and mixed, by ``sdg engine run``; then a few samples are printed. They are plausible in
form and often wrong in fact: it is a very small model.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from hack.cluster.cache import built, content_key, root
from hack.cluster.processes import Server, free_port
from hack.demo.teacher import choose, terms
from hack.gitserver.certificates import make_certificates
from hack.gitserver.server import make_repository
from tests.git.https import https_git_server
from tests.git.proxy import tunnel_proxy

_PROJECT = Path(__file__).parent.parent
_IMAGE = _PROJECT / "images" / "sdg-teacher-demo"
MODEL = "gemma-3-270m"
HOST = "documents.example.org"
"""The check fetches from no loopback address, so that it goes to our Git server by a proxy."""


def packages() -> Path:
    """Bring the model and its server, once a version."""
    locked = _IMAGE / "requirements.txt"

    def install(folder: Path) -> None:
        uv = Path(sys.executable).with_name("uv")
        subprocess.run(
            [
                str(uv),
                "pip",
                "install",
                "--quiet",
                "--require-hashes",
                f"--target={folder}",
                f"--requirements={locked}",
            ],
            check=True,
        )

    return built(root() / f"teacher-demo-{content_key(locked)}", install)


def pipeline(folder: Path) -> Path:
    """Write the flow files of the demo's teacher."""
    folder.mkdir()
    (config_map,) = choose("model", "", "", {}).objects
    for name, text in config_map["data"].items():
        (folder / name).write_text(text)
    return folder


def taxonomy(folder: Path, repository: str, commit: str) -> Path:
    """Copy the example, its documents at another address."""
    shutil.copytree(_PROJECT / "examples" / "taxonomy", folder)
    for file in folder.rglob("qna.yaml"):
        text = re.sub(r"repo: \S+", f"repo: {repository}", file.read_text())
        file.write_text(re.sub(r"commit: \S+", f"commit: {commit}", text))
    return folder


def main() -> int:
    print(terms("model"))
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        certificates = make_certificates(scratch, [HOST])
        port = free_port()
        environment = {"TEACHER_HOST": "127.0.0.1", "TEACHER_PORT": str(port), "HOME": name}
        model = Server(
            "model",
            [sys.executable, _IMAGE / "serve.py"],
            scratch / "model.log",
            environment | {"PYTHONPATH": str(packages())},
        )
        (scratch / "repositories").mkdir()
        with https_git_server(scratch / "repositories", certificates) as git, tunnel_proxy() as proxy:
            proxy.names[HOST] = "127.0.0.1"
            commit = make_repository(_PROJECT / "examples" / "documents" / "birds", git.root / "birds.git")
            leaves = taxonomy(scratch / "taxonomy", git.url("birds.git").replace("localhost", HOST), commit)
            model.start()
            try:
                model.wait_port(port, 120)
                began = time.monotonic()
                program = Path(sys.executable).with_name("sdg")
                code = subprocess.run(
                    [
                        *(program, "engine", "run", leaves, scratch / "out"),
                        *(f"--teacher=http://127.0.0.1:{port}/v1", f"--model={MODEL}", "--model-family=blank"),
                        *(f"--pipeline={pipeline(scratch / 'flows')}", "--scale-factor=2", "--batch-size=4"),
                        *("--max-concurrency=8", f"--ca-file={certificates.authority}"),
                    ],
                    env=os.environ | {"HTTPS_PROXY": f"http://any:one@127.0.0.1:{proxy.port}"},
                    check=False,
                ).returncode
                print(f"exit code {code} after {time.monotonic() - began:.0f} s")
            finally:
                model.stop()
        if code:
            return code
        result = scratch / "out" / "result"
        for file in sorted((result / "artifacts").glob("*.jsonl")):
            print(f"\n{file.stem}")
            for line in file.read_text().splitlines()[:3]:
                row = json.loads(line)
                print(f"  Q: {row['question'].splitlines()[-1]}\n  A: {row['response']}")
        manifest = yaml.safe_load((result / "manifest.json").read_text())
        print(f"\nsamples: {manifest['samples']}, tokens: {manifest['tokens']}")
        return code


if __name__ == "__main__":
    sys.exit(main())
