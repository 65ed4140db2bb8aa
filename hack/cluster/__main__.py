"""``python -m hack.cluster up|down|status|kubeconfig|tools|images|push|s3``: see ``make help``."""

import argparse
import json
import sys

from hack.cluster.bucket import start_s3
from hack.cluster.cluster import Cluster, require
from hack.cluster.images import CHART_IMAGES, DEMO_IMAGES, load_images, push_images
from hack.cluster.steps import StepFailed
from hack.cluster.tools import TOOLS, tool
from hack.version import VERSION

_BASE = "a Debian-like image with Python 3.11 to build on (a slim Python image, or one made from Debian's packages)"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m hack.cluster", description="A real cluster on this machine")
    parser.add_argument("--name", default="sdg", help="name of the cluster (sdg)")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="create the cluster, or mend it")
    up.add_argument("--nodes", type=int, help="another number makes it anew (as it is; 1 for a new one)")
    up.add_argument("--gpus", type=int, help="nvidia.com/gpu of each node (as it is; 2 for a new one)")
    commands.add_parser("down", help="take the cluster away, and all it made")
    commands.add_parser("status", help="what there is, as JSON")
    commands.add_parser("kubeconfig", help="print the path of the kubeconfig")
    tools = commands.add_parser("tools", help="build commands and print their paths")
    tools.add_argument("names", nargs="*", choices=[*TOOLS, []], metavar="NAME")
    images = commands.add_parser("images", help="build our images and load them onto the nodes")
    images.add_argument("--only", default="", help="comma-separated names")
    images.add_argument("--base", default="", help=_BASE)
    push = commands.add_parser("push", help="build the images of the chart and push them to a registry")
    push.add_argument("registry", help="for example registry.example.com/ai")
    push.add_argument("--tag", default=VERSION, help=f"the chart's appVersion ({VERSION})")
    push.add_argument("--demo", action="store_true", help="also the images that only the demo needs")
    push.add_argument("--base", default="", help=_BASE)
    s3 = commands.add_parser("s3", help="start an S3 server in the cluster and print how to reach it, as JSON")
    s3.add_argument("--bucket", default="sdg")
    return parser


def _run(options: argparse.Namespace) -> None:
    cluster = Cluster(options.name)
    match options.command:
        case "up":
            cluster.up(nodes=options.nodes, gpus=options.gpus)
            print(json.dumps(cluster.status(), indent=1))
        case "down":
            cluster.down()
        case "status":
            print(json.dumps(cluster.status(), indent=1))
        case "kubeconfig":
            print(cluster.kubeconfig)
        case "tools":
            for name in options.names or TOOLS:
                print(tool(name))
        case "images":
            require(cluster)
            names = [name for name in options.only.split(",") if name]
            print(json.dumps(load_images(cluster, names, options.base), indent=1))
        case "push":
            names = [*CHART_IMAGES, *(DEMO_IMAGES if options.demo else ())]
            print("\n".join(push_images(options.registry, options.tag, names, options.base)))
        case "s3":
            require(cluster)
            print(json.dumps(start_s3(cluster, options.bucket), indent=1))


def main() -> int:
    options = _parser().parse_args()
    try:
        _run(options)
    except StepFailed as failed:
        print(f"\n{failed}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
