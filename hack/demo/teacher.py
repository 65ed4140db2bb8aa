"""Who answers in the demo: what ``DEMO_TEACHER`` says, as a part of the run's spec or as a Secret."""

import json
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from hack.demo.screen import DemoFailed

_HERE = Path(__file__).parent / "teachers"
_IMAGES = {"model": "sdg-teacher-demo", "scripted": "sdg-teacher-scripted"}


@dataclass(frozen=True, slots=True)
class DemoTeacher:
    """A teacher, and what the demo's objects need to use it."""

    says: str
    """What it is, for people."""
    spec: dict[str, Any] = field(default_factory=dict)
    """Laid over the spec of the DataGeneration."""
    secret: dict[str, str] | None = None
    """The Secret sdg-teacher."""
    objects: tuple[dict[str, Any], ...] = ()
    """Further objects of the users' namespace, for example a pipeline."""

    @property
    def server_image(self) -> str | None:
        """Image of a server in the pod, which the administrator must allow."""
        image: str | None = self.spec.get("teacher", {}).get("server", {}).get("image")
        return image


_TERMS = {
    "model": "The teacher's weights are under the Gemma Terms of Use (https://ai.google.dev/gemma/terms): who goes on\n"
    "accepts them. DEMO_TEACHER=scripted does without a model."
}


def terms(name: str) -> str | None:
    """The licence of a teacher's model, to be shown before it is downloaded; None where there is nothing to accept."""
    return _TERMS.get(name)


def check(name: str) -> None:
    """Raise `DemoFailed` if there is no such teacher."""
    if name not in _IMAGES and not name.startswith(("http://", "https://")) and not Path(name).is_file():
        raise DemoFailed(f"DEMO_TEACHER={name} is none of: model, scripted, http(s)://…/v1, a teacher file")


def image(name: str) -> str | None:
    """The image of ours that a teacher needs; None for an endpoint or a teacher file."""
    return _IMAGES.get(name)


def _from_file(path: Path, says: str, references: dict[str, str]) -> DemoTeacher:
    """Read a teacher file: the first document is part of a spec, the others are objects."""
    text = path.read_text()
    for name, reference in references.items():
        text = text.replace(f"@{name}@", reference)
    spec, *objects = yaml.safe_load_all(text)
    return DemoTeacher(says=says, spec=spec, objects=tuple(objects))


def _first_model(url: str, token: str) -> str:
    request = urllib.request.Request(f"{url.rstrip('/')}/models", headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return str(json.loads(answer.read(1 << 20))["data"][0]["id"])
    except (urllib.error.URLError, OSError, ValueError, LookupError, TypeError) as error:
        raise DemoFailed(
            f"DEMO_TEACHER={url}: GET {url.rstrip('/')}/models gave no model ({error}). Is it the base address of an"
            " OpenAI-compatible server, with its /v1? DEMO_MODEL names a model, DEMO_TOKEN a token."
        ) from error


def choose(name: str, model: str, token: str, references: dict[str, str]) -> DemoTeacher:
    """Return the teacher called `name`, as `check` takes it: ``model``, ``scripted``, an endpoint's address, or a file.

    `references` gives each image's reference by its name.
    """
    if name == "model":
        says = "Gemma 3 270M on this machine's CPU, served next to the engine (a real model, but a very small one)"
        return _from_file(_HERE / "model.yaml", says, references)
    if name == "scripted":
        says = "the scripted teacher, served next to the engine (no model: deterministic words in the right form)"
        return _from_file(_HERE / "scripted.yaml", says, references)
    if name.startswith(("http://", "https://")):
        secret = {"endpoint": name, "model_name": model or _first_model(name, token)}
        return DemoTeacher(
            says=f"{secret['model_name']} at {name}", secret=secret | ({"api_token": token} if token else {})
        )
    return _from_file(Path(name), f"as {name} says", references)
