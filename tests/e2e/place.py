"""A namespace on the node with all that a run needs.

The scripted teacher stands in for a large model; everything else is real. Tests act as users and administrators do:
with kubectl, with S3, with signals.
"""

import io
import json
import tarfile
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import boto3
import yaml
from botocore.client import Config
from mypy_boto3_s3 import S3Client

from hack.cluster.cluster import Cluster
from sdg_operator.storage.layout import RunLayout
from sdg_operator.storage.records import LeafRecord, Manifest
from tests.e2e.judge import ENDED, Asked, courses
from tests.e2e.reading import Reader
from tests.e2e.services import Services
from tests.e2e.signals import kill
from tests.e2e.watching import Watch

_TOKEN = "secret"
HOLD = {"action": "status", "status": 503, "times": -1}
"""A step of the teacher's script: it is away for requests with some words, which are to be added."""
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "runAsNonRoot": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def skill(number: int) -> str:
    """A freeform skill of its own words."""
    seeds = [
        {"question": f"Say word {i} of list {number}, please?", "answer": f"Word {i} of list {number} is {i * number}."}
        for i in range(5)
    ]
    return yaml.safe_dump(
        {"version": 2, "task_description": f"says words of list {number}", "created_by": "e2e", "seed_examples": seeds},
        width=110,
    )


def archive(leaves: int, broken: bool = False) -> bytes:
    """A taxonomy of so many skills as a TAR.gz."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for number in range(leaves):
            text = skill(number) if not broken else "version: 2\nseed_examples: [\n"
            info = tarfile.TarInfo(f"taxonomy/compositional_skills/lists/list{number}/qna.yaml")
            body = text.encode()
            info.size = len(body)
            tar.addfile(info, io.BytesIO(body))
    return buffer.getvalue()


@dataclass
class Place:
    """One test's namespace."""

    cluster: Cluster
    reader: Reader
    watch: Watch
    namespace: str
    s3_access: dict[str, str]
    images: dict[str, str]
    operators: list[Services]
    """When each operator that serves it could do its work: first the one that the chart has installed."""
    teacher_url: str = ""
    heard: list[Asked] = field(default_factory=list)
    """The logs of teachers that are gone."""

    # objects

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        return self.cluster.kubectl(f"--namespace={self.namespace}", *arguments, stdin=stdin, check=check)

    def apply(self, *bodies: dict[str, Any]) -> None:
        self.kubectl("apply", "--filename=-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": bodies}))

    def get(self, resource: str, name: str) -> dict[str, Any]:
        return self.reader.get(self.namespace, resource, name)

    def all(self, resource: str, selector: str = "") -> list[dict[str, Any]]:
        return self.reader.all(self.namespace, resource, selector)

    def secret(self, name: str, **data: str) -> dict[str, Any]:
        return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}

    def storage_secret(self, **changes: str) -> dict[str, Any]:
        known = {
            "AWS_ACCESS_KEY_ID": self.s3_access["accessKey"],
            "AWS_SECRET_ACCESS_KEY": self.s3_access["secretKey"],
            "AWS_S3_ENDPOINT": self.s3_access["hostEndpoint"],
            "AWS_S3_BUCKET": self.s3_access["bucket"],
        }
        return self.secret("sdg-storage", **{**known, **changes})

    def teacher_secret(self, **changes: str) -> dict[str, Any]:
        known = {
            "endpoint": f"http://answers.{self.namespace}.svc:8000/v1",
            "model_name": "teacher",
            "api_token": _TOKEN,
        }
        return self.secret("sdg-teacher", **{**known, **changes})

    def start_teacher(self, median: float, token: str = _TOKEN) -> None:
        """Serve the scripted teacher: `median` seconds a choice. One that served until now ends first."""
        self.lose_teacher()
        container = {
            "name": "answers",
            "image": self.images["sdg-teacher-scripted"],
            "args": ["--token", token, "--median", str(median), "--sigma", "0.1", "--slots", "32"],
            "securityContext": RESTRICTED,
            "readinessProbe": {"httpGet": {"path": "/health", "port": 8000}, "periodSeconds": 1},
        }
        labels = {"app": "answers"}
        self.apply(
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": "answers"},
                "spec": {
                    "strategy": {"type": "Recreate"},
                    "selector": {"matchLabels": labels},
                    "template": {
                        "metadata": {"labels": labels},
                        "spec": {"containers": [container], "terminationGracePeriodSeconds": 1},
                    },
                },
            },
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": "answers"},
                "spec": {"type": "NodePort", "selector": labels, "ports": [{"port": 8000}]},
            },
        )
        self._until_teacher()

    def served_teacher(self, **changes: Any) -> dict[str, Any]:
        """What a run says whose teacher is served beside its engine."""
        return {"server": {"image": self.images["sdg-teacher-scripted"], "modelName": "teacher", **changes}}

    def restart_teacher(self) -> None:
        """Have another pod serve it: what is being answered breaks off."""
        self.lose_teacher()
        self.kubectl("rollout", "restart", "deployment/answers")
        self._until_teacher()

    def _until_teacher(self) -> None:
        """Wait until it answers. The rollout is done first; the node's own port follows a moment later."""
        self.kubectl("rollout", "status", "deployment/answers", "--timeout=120s")
        port = self.get("services", "answers")["spec"]["ports"][0]["nodePort"]
        self.teacher_url = f"http://{self.cluster.node_address()}:{port}"
        end = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"{self.teacher_url}/health", timeout=5):
                    return
            except OSError:
                assert time.monotonic() < end, f"the teacher does not answer at {self.teacher_url}"
                time.sleep(0.2)

    def script(self, *steps: dict[str, Any]) -> None:
        """Tell the teacher what happens to its next requests."""
        request = urllib.request.Request(
            f"{self.teacher_url}/_script", json.dumps(list(steps)).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=10):
            pass

    def end_teacher(self) -> None:
        """Take the teacher away, as if it were being mended. What it was asked is kept for the judge."""
        self.lose_teacher()
        self.kubectl("scale", "deployment/answers", "--replicas=0")
        self.kubectl("wait", "--for=delete", "pod", "--selector=app=answers", "--timeout=60s")

    def lose_teacher(self) -> None:
        """Keep what it was asked for the judge: it is about to go, and with it its log."""
        self.heard = self.teacher_log()
        self.teacher_url = ""

    def mend_teacher(self) -> None:
        self.kubectl("scale", "deployment/answers", "--replicas=1")
        self._until_teacher()

    def hold(self, *numbers: int) -> None:
        """Have the teacher be away for the leaves of these numbers, until `release`."""
        self.script(*(HOLD | {"contains": f"of list {number},"} for number in numbers))

    def release(self) -> None:
        self.script()

    def teacher_log(self) -> list[Asked]:
        """Every request that a teacher of this place has had, also one that is gone."""
        if not self.teacher_url:
            return self.heard
        with urllib.request.urlopen(f"{self.teacher_url}/_requests?texts=1", timeout=30) as answer:
            log = json.loads(answer.read())["log"]
        return [*self.heard, *(Asked(each["at"], tuple(each["texts"])) for each in log)]

    def asked(self) -> int:
        """How many requests the teacher has had."""
        return len(self.teacher_log())

    def taxonomy(self, name: str = "lists", leaves: int = 2, broken: bool = False) -> None:
        """Put a taxonomy into the bucket and apply its resource."""
        self.upload(name, leaves, broken)
        self.apply(
            {
                "apiVersion": "sdg-operator.io/v1alpha1",
                "kind": "Taxonomy",
                "metadata": {"name": name},
                "spec": {"source": {"bucket": {"key": self.taxonomy_key(name)}}},
            }
        )

    def taxonomy_key(self, name: str) -> str:
        return f"taxonomies/{self.namespace}/{name}.tar.gz"

    def upload(self, name: str, leaves: int, broken: bool = False) -> None:
        self.bucket.put_object(
            Bucket=self.s3_access["bucket"], Key=self.taxonomy_key(name), Body=archive(leaves, broken)
        )

    def run(self, name: str = "run", labels: dict[str, str] | None = None, **spec: Any) -> None:
        """Apply a DataGeneration that is small enough for a test."""
        given = {
            "taxonomyRef": {"name": "lists"},
            "pipeline": {"name": "simple"},
            "generation": {"scaleFactor": 4, "batchSize": 4},
            **spec,
        }
        self.apply(
            {
                "apiVersion": "sdg-operator.io/v1alpha1",
                "kind": "DataGeneration",
                "metadata": {"name": name, "labels": labels or {}},
                "spec": {key: value for key, value in given.items() if value is not None},
            }
        )

    def begin(self, leaves: int, name: str = "run", labels: dict[str, str] | None = None, **spec: Any) -> None:
        """Apply a taxonomy and a run of it, and wait until its first leaf has a record."""
        self.taxonomy(leaves=leaves)
        self.run(name, labels, **spec)
        self.until_records(1, name)

    def change(self, name: str, **spec: Any) -> None:
        self.kubectl("patch", "datageneration", name, "--type=merge", f"--patch={json.dumps({'spec': spec})}")

    def at_work(self, name: str = "run") -> list[str]:
        """Names of a run's generate pods that are not over."""
        pods = self.all("pods", f"sdg-operator.io/role=generate,sdg-operator.io/name={name}")
        return [pod["metadata"]["name"] for pod in pods if pod["status"]["phase"] in ("Pending", "Running")]

    def kill(self, words: str, name: str = "run") -> None:
        """SIGKILL for those processes of a run's generate pods whose command line has these words."""
        for pod in self.at_work(name):
            kill(self.cluster, self.get("pods", pod)["metadata"]["uid"], words)

    # waiting

    @property
    def seen(self) -> list[dict[str, Any]]:
        """Every status of any run that was seen."""
        return [run.status for course in courses(self.watch.samples).values() for _, run in course]

    def said(self, words: str, name: str = "run") -> bool:
        """Whether a run was seen to say so: in its message, or of what holds a part of it back."""
        runs = [run for course in courses(self.watch.samples).values() for _, run in course if run.name == name]
        return any(
            words in f"{run.status.get('message')} {run.condition('Progressing').get('message')}" for run in runs
        )

    def reasons(self, name: str = "run") -> list[str]:
        """Every reason that the Progressing condition of a run was seen to give, in order."""
        runs = [run for course in courses(self.watch.samples).values() for _, run in course]
        return list(dict.fromkeys(why(run.status) for run in runs if run.name == name))

    def status(self, name: str = "run") -> dict[str, Any]:
        found: dict[str, Any] = self.get("datagenerations", name).get("status", {})
        return found

    def until(
        self, what: str, holds: Callable[[dict[str, Any]], bool], name: str = "run", seconds: float = 180
    ) -> dict[str, Any]:
        """Wait until a run's status is so; fails with the status as it is."""
        end = time.monotonic() + seconds
        while True:
            status = self.status(name)
            if holds(status):
                return status
            state = status.get("state")
            assert time.monotonic() < end, f"not {what} within {seconds} s: {state}: {status.get('message')}"
            assert state not in ENDED or what == "ended", f"not {what}, but {state}: {status.get('message')}"
            time.sleep(0.3)

    def until_reason(self, reason: str, name: str = "run", seconds: float = 150) -> dict[str, Any]:
        """Wait until the Progressing condition gives this reason."""
        return self.until(f"waiting for {reason}", lambda s: why(s) == reason, name, seconds)

    def until_running(self, name: str = "run") -> dict[str, Any]:
        return self.until("running", lambda s: s.get("state") == "running", name)

    def until_attempt(self, number: int, name: str = "run", seconds: float = 180) -> dict[str, Any]:
        """Wait until a run's next attempt is on record: the one before it is over, pods and all."""
        return self.until(f"attempt {number}", lambda s: s.get("attempt", {}).get("number") == number, name, seconds)

    def until_ended(self, name: str = "run", seconds: float = 300) -> dict[str, Any]:
        return self.until("ended", lambda s: s.get("state") in ENDED, name, seconds)

    def until_completed(self, leaves: int, name: str = "run", seconds: float = 300) -> dict[str, Any]:
        """Wait until a run has ended as it should, with a whole result of so many leaves."""
        status = self.until_ended(name, seconds)
        assert status["state"] == "completed", status["message"]
        self.assert_whole(leaves, name)
        return status

    def until_records(self, count: int, name: str = "run", seconds: float = 120) -> None:
        """Wait until so many leaves have their record."""
        end = time.monotonic() + seconds
        while len(self.records(name)) < count:
            assert time.monotonic() < end, f"no {count} records within {seconds} s: {self.status(name)}"
            time.sleep(0.3)

    def until_checkpoint(self, leaf: str, name: str = "run", seconds: float = 120) -> bytes:
        """Wait until the first batch of a leaf is in the bucket; gives its content."""
        end = time.monotonic() + seconds
        while not (found := [key for key in self.keys(self.layout(name).pods) if f"/checkpoints/{leaf}/" in key]):
            assert time.monotonic() < end, f"no checkpoint within {seconds} s: {self.status(name)}"
            time.sleep(0.3)
        return self.read(found[0])

    # the bucket

    @cached_property
    def bucket(self) -> S3Client:
        return boto3.session.Session(
            self.s3_access["accessKey"], self.s3_access["secretKey"], region_name="us-east-1"
        ).client("s3", endpoint_url=self.s3_access["hostEndpoint"], config=Config(s3={"addressing_style": "path"}))

    def layout(self, name: str = "run") -> RunLayout:
        return RunLayout.of("synthetic_data", self.get("datagenerations", name)["metadata"]["uid"])

    def read(self, key: str) -> bytes:
        return self.bucket.get_object(Bucket=self.s3_access["bucket"], Key=key)["Body"].read()

    def written(self, prefix: str) -> dict[str, float]:
        """Keys under a prefix, and when each was written, in whole seconds."""
        pages = self.bucket.get_paginator("list_objects_v2").paginate(Bucket=self.s3_access["bucket"], Prefix=prefix)
        return {item["Key"]: item["LastModified"].timestamp() for page in pages for item in page.get("Contents", [])}

    def keys(self, prefix: str) -> list[str]:
        return list(self.written(prefix))

    def records(self, name: str = "run") -> list[LeafRecord]:
        return [LeafRecord.model_validate_json(self.read(k)) for k in self.keys(self.layout(name).leaf_records)]

    def manifest(self, name: str = "run") -> Manifest:
        return Manifest.model_validate_json(self.read(self.layout(name).manifest))

    def assert_whole(self, leaves: int, name: str = "run") -> None:
        """The result is what its manifest says, and has every leaf."""
        layout, manifest = self.layout(name), self.manifest(name)
        assert len(manifest.leaves) == leaves
        assert all(leaf.actual > 0 for leaf in manifest.leaves)
        for file in manifest.files:
            assert len(self.read(layout.file(file.path))) == file.size, file.path
        skills = self.read(layout.file("skills_train_msgs.jsonl")).splitlines()
        assert len(skills) == manifest.samples.skills > 0
        status = self.status(name)
        assert status["dataMetrics"]["samples"]["total"] == manifest.samples.total


def why(status: dict[str, Any]) -> str:
    """Reason of the Progressing condition."""
    return next((c["reason"] for c in status.get("conditions", []) if c["type"] == "Progressing"), "")


def condition(status: dict[str, Any], kind: str) -> str:
    return next((c["status"] for c in status.get("conditions", []) if c["type"] == kind), "absent")
