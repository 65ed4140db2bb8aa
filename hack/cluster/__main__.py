"""``python -m hack.cluster tools [NAME …]``: build commands from pinned Go modules and print their paths."""

import argparse
import sys

from hack.cluster.steps import StepFailed
from hack.cluster.tools import TOOLS, tool


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m hack.cluster", description="What a cluster is made of")
    commands = parser.add_subparsers(dest="command", required=True)
    tools = commands.add_parser("tools", help="build commands and print their paths")
    tools.add_argument("names", nargs="*", choices=[*TOOLS, []], metavar="NAME")
    options = parser.parse_args()
    try:
        for name in options.names or TOOLS:
            print(tool(name))
    except StepFailed as failed:
        print(f"\n{failed}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
