"""``python -m tests.teacher``: serve the scripted teacher. Each flag can also be set in the environment."""

import argparse
import json
import os

from aiohttp import web

from tests.teacher.script import Pace, Step
from tests.teacher.server import Teacher


def _default(name: str, value: str) -> str:
    return os.environ.get(f"TEACHER_{name}", value)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.teacher", description=__doc__)
    parser.add_argument("--host", default=_default("HOST", "0.0.0.0"))
    parser.add_argument("--port", type=int, default=int(_default("PORT", "8000")))
    parser.add_argument("--model", default=_default("MODEL", "teacher"))
    parser.add_argument("--token", default=_default("TOKEN", ""), help="answer 401 to any other")
    parser.add_argument("--apis", default=_default("APIS", "completions,chat"))
    parser.add_argument("--median", type=float, default=float(_default("MEDIAN", "0")), help="seconds a choice")
    parser.add_argument("--sigma", type=float, default=float(_default("SIGMA", "0.5")))
    parser.add_argument("--slots", type=int, default=int(_default("SLOTS", "256")), help="choices made at once")
    parser.add_argument("--script", default=_default("SCRIPT", "[]"), help="what happens at first, as for /_script")
    options = parser.parse_args()
    teacher = Teacher(
        model=options.model,
        token=options.token or None,
        apis=frozenset(options.apis.split(",")),
        script=[Step.model_validate(step) for step in json.loads(options.script)],
        pace=Pace(median=options.median, sigma=options.sigma, slots=options.slots),
    )
    web.run_app(teacher.app(), host=options.host, port=options.port, access_log=None, backlog=4096)


main()
