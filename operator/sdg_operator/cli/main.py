"""Finds the command that was asked for; each lives in a module of its own and imports what it needs when it runs."""

import argparse
import io
import os
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from sdg_operator.cli import engine, settings, taxonomy


def build_parser() -> argparse.ArgumentParser:
    """Make the parser of all commands; each sets ``run``, which gives the exit code."""
    parser = argparse.ArgumentParser(prog="sdg", description="Synthetic training data from an InstructLab taxonomy.")
    parser.add_argument("--version", action="version", version=f"sdg {_version()}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    taxonomy.add_to(commands)
    engine.add_to(commands)
    settings.add_to(commands)
    return parser


def _version() -> str:
    try:
        return version("sdg-operator")
    except PackageNotFoundError:  # our images hold our sources, not an installed distribution
        return "of an image"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and give its exit code; argparse itself ends the program with 2 for wrong usage."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names are anybody's, and a terminal may know few letters
    parsed = build_parser().parse_args(arguments)
    try:
        code: int = parsed.run(parsed)
        if sys.stdout is not None:
            sys.stdout.flush()
    except KeyboardInterrupt:
        print("sdg: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left is written once more at the end
        print("sdg: nobody reads what is said (standard output was closed)", file=sys.stderr)
        return 2
    return code


if __name__ == "__main__":
    sys.exit(main())
