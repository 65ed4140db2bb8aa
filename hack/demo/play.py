"""The demo, step by step."""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hack.demo import documents, place, watching
from hack.demo import teacher as teachers
from hack.demo.bucket import make_bucket, open_store, read_or_none, taxonomy_archive
from hack.demo.kube import Kube
from hack.demo.objects import (
    BUCKET,
    MARK,
    NAMESPACE,
    RELEASE,
    S3_PORT,
    SYSTEM,
    namespace,
    s3_server,
    secret,
    storage_secret,
)
from hack.demo.place import Place
from hack.demo.screen import DemoFailed, Screen
from hack.demo.teacher import DemoTeacher
from hack.demo.verify import faults
from sdg_operator.reconcile.names import CHECK_REQUESTED_ANNOTATION
from sdg_operator.storage.layout import DEFAULT_RUN_PREFIX, KNOWLEDGE_TRAIN_FILE, SKILLS_TRAIN_FILE, RunLayout
from sdg_operator.storage.s3 import S3Store

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "sdg-operator"
QUICKSTART = ROOT / "examples" / "quickstart"
DOCUMENTS = ROOT / "examples" / "documents"
IMAGES = ("sdg-operator", "sdg-runner", "sdg-engine", "sdg-s3")


@dataclass(frozen=True, slots=True)
class Options:
    teacher: str
    model: str
    token: str
    taxonomy: Path
    kubeconfig: Path | None
    """None: make a cluster."""
    context: str
    cluster: str
    """Name of the one to make."""
    registry: str
    """Empty: build the images and load them."""
    start_seconds: int
    """How long servers and operator may take to become ready."""
    seconds: float
    """How long the run may take."""


def play(options: Options, screen: Screen) -> None:
    """Do all of it; raises `DemoFailed`, `StepFailed` or `StorageError` at the first thing that is not right."""
    teachers.check(options.teacher)
    if not options.taxonomy.is_dir():
        raise DemoFailed(f"there is no taxonomy in {options.taxonomy}")
    with screen.step("A Kubernetes cluster"):
        where = place.find(options.kubeconfig, options.context, options.registry, options.cluster)
        kube = where.kube
        screen.note(f"kubeconfig {kube.kubeconfig}")
    with screen.step("The images"):
        own = teachers.image(options.teacher)
        if terms := teachers.terms(options.teacher):
            screen.note(terms)
        images = place.images(where, [*IMAGES, *([own] if own else [])])
        screen.note("\n".join(images.values()))
    teacher = teachers.choose(options.teacher, options.model, options.token, images)
    with screen.step("An S3 server and a Git server with documents"):
        keys = _start_servers(kube, images, options.start_seconds)
        screen.note(f"bucket {BUCKET} at {keys['AWS_S3_ENDPOINT']}, documents at https://{documents.HOST}")
    with screen.step("The operator, by its Helm chart"):
        _install(kube, images, teacher, options.start_seconds)
        screen.note(kube.run("get", "deployment", f"--namespace={SYSTEM}"))
    with bucket(kube, keys) as store, screen.step("A taxonomy into the bucket, the Secrets into the namespace"):
        _prepare(kube, teacher, options.taxonomy, store, keys)
        screen.note(f"teacher: {teacher.says}")
    with screen.step("The taxonomy is checked"):
        found = _check(kube, screen)
        screen.note(f"{found['status'].get('message')}\nleaves: {json.dumps(found['status'].get('leaves'))}")
    with screen.step("Training data is generated"):
        run = _generate(kube, teacher, screen, options.seconds)
    # Reached anew: the run may have taken hours, and a forwarded port does not outlive a lost connection.
    with bucket(kube, keys) as store:
        with screen.step("The result is checked against its manifest"):
            layout = _verify(run, store)
        _show(screen, kube, run, store, layout)
    screen.summary()
    _goodbye(screen, where, run["metadata"]["name"])


@contextmanager
def bucket(kube: Kube, keys: dict[str, str]) -> Iterator[S3Store]:
    """The demo's bucket, made if it is not there, as long as the block lasts."""
    with kube.forward(SYSTEM, "service/s3", S3_PORT) as port:
        endpoint = f"http://127.0.0.1:{port}"
        make_bucket(keys, endpoint)
        yield open_store(keys, endpoint)


def known_keys(kube: Kube) -> dict[str, str]:
    """The storage Secret of the S3 server that runs, or a new one."""
    known = kube.run(
        "get", "secret", "s3", f"--namespace={SYSTEM}", "--ignore-not-found",
        "--output=go-template={{index .data \"AWS_SECRET_ACCESS_KEY\" | base64decode}}",
    )  # fmt: skip
    return storage_secret(known or secrets.token_hex(16))


def _start_servers(kube: Kube, images: dict[str, str], seconds: int) -> dict[str, str]:
    kube.apply(namespace(SYSTEM), namespace(NAMESPACE))
    keys = known_keys(kube)
    kube.apply(*s3_server(images["sdg-s3"], keys), *documents.git_server(images["sdg-runner"], DOCUMENTS))
    for where, name in ((SYSTEM, "s3"), (NAMESPACE, documents.NAME)):
        kube.run(
            "rollout",
            "status",
            f"--namespace={where}",
            f"deployment/{name}",
            f"--timeout={seconds}s",
            seconds=seconds + 20,
        )
    return keys


def chart_values(images: dict[str, str], teacher: DemoTeacher) -> dict[str, Any]:
    """What the demo sets of the chart's values."""
    return {
        "labels": MARK,
        "images": image_values(images),
        "settings": {
            "allowed": {"images": [teacher.server_image] if teacher.server_image else []},
            "taxonomies": {"intervalSeconds": 10, "allowedHosts": [documents.HOST]},
            "proxy": {"caConfigMap": documents.CA_CONFIG_MAP},
            "limits": {"progressIntervalSeconds": 2},
        },
    }


def _install(kube: Kube, images: dict[str, str], teacher: DemoTeacher, seconds: int) -> None:
    values = chart_values(images, teacher)
    # One whose Helm was killed is in its way for ever. The CRDs stay, and with them all runs.
    if RELEASE in kube.run_helm("list", "--pending", "--short", f"--namespace={SYSTEM}").split():
        kube.run_helm("uninstall", RELEASE, f"--namespace={SYSTEM}", "--wait")
    command = ("upgrade", "--install", RELEASE, str(CHART), f"--namespace={SYSTEM}")
    try:
        kube.run_helm(*command, "--wait", f"--timeout={seconds}s", "--values=-", stdin=yaml.safe_dump(values))
    except DemoFailed as failure:
        raise DemoFailed(f"{failure}\n{kube.why_not_ready(SYSTEM)}") from failure


def image_values(images: dict[str, str]) -> dict[str, dict[str, str]]:
    """The chart's images, by the references that were built or are to be pulled."""
    named = {name: images[f"sdg-{name}"].rpartition(":") for name in ("operator", "engine", "runner")}
    return {name: {"repository": repository, "tag": tag} for name, (repository, _, tag) in named.items()}


def _prepare(kube: Kube, teacher: DemoTeacher, taxonomy: Path, store: S3Store, keys: dict[str, str]) -> None:
    key = yaml.safe_load((QUICKSTART / "taxonomy.yaml").read_text())["spec"]["source"]["bucket"]["key"]
    store.put_bytes(key, taxonomy_archive(taxonomy))
    objects = [secret("sdg-storage", keys)]
    if teacher.secret:
        objects.append(secret("sdg-teacher", teacher.secret))
    objects += [{**each, "metadata": {**each["metadata"], "namespace": NAMESPACE}} for each in teacher.objects]
    kube.apply(*objects)


def _check(kube: Kube, screen: Screen) -> dict[str, Any]:
    file = QUICKSTART / "taxonomy.yaml"
    name = yaml.safe_load(file.read_text())["metadata"]["name"]
    kube.run("apply", f"--namespace={NAMESPACE}", f"--filename={file}")
    # The bucket may be another than at the last demo, and what was checked then gone with it.
    request = secrets.token_hex(4)
    annotation = f"{CHECK_REQUESTED_ANNOTATION}={request}"
    kube.run("annotate", "taxonomy", name, f"--namespace={NAMESPACE}", "--overwrite", annotation)
    return watching.until_ready(
        lambda: kube.json("get", "taxonomy", name, f"--namespace={NAMESPACE}"), request, screen, seconds=180
    )


def _generate(kube: Kube, teacher: DemoTeacher, screen: Screen, seconds: float) -> dict[str, Any]:
    wanted = yaml.safe_load((QUICKSTART / "datageneration.yaml").read_text())
    wanted["metadata"] |= {"name": _free_name(kube, wanted["metadata"]["name"]), "namespace": NAMESPACE}
    wanted["spec"] |= teacher.spec
    screen.note(yaml.safe_dump(wanted, sort_keys=False))
    kube.run("create", "--filename=-", stdin=yaml.safe_dump(wanted))
    name = wanted["metadata"]["name"]
    return watching.until_ended(
        lambda: kube.json("get", "datageneration", name, f"--namespace={NAMESPACE}"), screen, seconds
    )


def _free_name(kube: Kube, name: str) -> str:
    """A run is never repeated under its name: count on from the last one."""
    stem, number = name.rsplit("-", 1)
    listed = kube.json("get", "datagenerations", f"--namespace={NAMESPACE}")["items"]
    taken = {item["metadata"]["name"] for item in listed}
    count = int(number)
    while f"{stem}-{count}" in taken:
        count += 1
    return f"{stem}-{count}"


def _verify(run: dict[str, Any], store: S3Store) -> RunLayout:
    status = run["status"]
    prefix = (status.get("resolved") or {}).get("prefix") or DEFAULT_RUN_PREFIX
    layout = RunLayout.of(prefix, run["metadata"]["uid"])
    found = faults(status, read_or_none(store, layout.manifest), lambda path: read_or_none(store, layout.file(path)))
    if found:
        raise DemoFailed("the result is not sound:\n" + "\n".join(f"  - {fault}" for fault in found))
    return layout


def _show(screen: Screen, kube: Kube, run: dict[str, Any], store: S3Store, layout: RunLayout) -> None:
    name = run["metadata"]["name"]
    screen.line("\nThe finished run")
    screen.note(kube.run("get", "datageneration", name, f"--namespace={NAMESPACE}", "--output=wide"))
    shown = {key: run["status"].get(key) for key in ("state", "message", "dataMetrics", "startTime", "completionTime")}
    screen.note(yaml.safe_dump(shown, sort_keys=False))
    screen.line("Files in the bucket")
    for info in store.list(f"{layout.root}/"):
        if "/.run/" not in info.key:
            screen.note(f"{info.size:>9}  {info.key}")
    for file in (KNOWLEDGE_TRAIN_FILE, SKILLS_TRAIN_FILE):
        screen.line(f"\nSome of {file}")
        for row in (read_or_none(store, layout.file(file)) or b"").splitlines()[:3]:
            for message in json.loads(row)["messages"]:
                if message["role"] != "system":
                    screen.note(f"{message['role']:>9}: {' '.join(message['content'].split())[:300]}")
            screen.note("")


def _goodbye(screen: Screen, where: Place, name: str) -> None:
    command = f"{where.kubectl} --namespace {NAMESPACE}"
    screen.line(
        f"\nLook around:   {command} get taxonomies,datagenerations,jobs,pods"
        f"\n               {command} describe datageneration {name}"
        f"\nRemove it all: {where.remove}"
    )
