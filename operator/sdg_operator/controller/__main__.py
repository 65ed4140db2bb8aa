"""``python -m sdg_operator.controller``: the operator's program."""

import argparse
import asyncio
import logging
import os
import sys
from pathlib import Path

from sdg_operator.api.settings_file import SettingsError, load_settings
from sdg_operator.clients.kubernetes import connect
from sdg_operator.clients.login import LoginFailed
from sdg_operator.controller import logs
from sdg_operator.controller.app import Operator, Options
from sdg_operator.controller.election import Lease

log = logging.getLogger("sdg_operator")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sdg_operator.controller", description="The sdg-operator.")
    parser.add_argument(
        "--settings", type=Path, default=Path("/etc/sdg-operator/settings.yaml"), help="the settings file"
    )
    parser.add_argument(
        "--namespace", action="append", default=[], metavar="NS", help="serve this namespace only (may be repeated)"
    )
    parser.add_argument("--kubeconfig", type=Path, help="log in with this file; a pod uses its service account")
    parser.add_argument("--leader-elect", action="store_true", help="share the work with a second replica by a Lease")
    parser.add_argument(
        "--lease-namespace",
        default=os.environ.get("POD_NAMESPACE", "default"),
        metavar="NS",
        help="where the Lease lies",
    )
    parser.add_argument(
        "--lease-name", default="sdg-operator", metavar="NAME", help="its name: each installation needs its own"
    )
    parser.add_argument("--health-bind", default=":8080", metavar="[HOST]:PORT", help="address of /livez and /readyz")
    parser.add_argument("--metrics-bind", default=":9090", metavar="[HOST]:PORT", help="address of /metrics")
    parser.add_argument("--log-format", choices=("text", "json"), default="text")
    parser.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="info")
    return parser


async def _run(options: Options) -> None:
    async with connect(options.kubeconfig) as api:
        await Operator(api, options).run()


def main() -> int:
    """Run until SIGTERM; 2 where the command line, the settings or the login cannot be used."""
    chosen = _parser().parse_args()
    logs.set_up(chosen.log_format, chosen.log_level)
    try:
        options = Options(
            settings=load_settings(chosen.settings),
            kubeconfig=chosen.kubeconfig,
            namespaces=tuple(dict.fromkeys(chosen.namespace)),
            leader_elect=chosen.leader_elect,
            lease=Lease(chosen.lease_namespace, chosen.lease_name),
            health_bind=chosen.health_bind,
            metrics_bind=chosen.metrics_bind,
        )
        asyncio.run(_run(options))
        # At once: Python would wait for threads that a silent store holds, until the kubelet kills.
        logging.shutdown()
        os._exit(0)
    except (SettingsError, LoginFailed) as error:
        log.error("%s", error)
        return 2


if __name__ == "__main__":
    sys.exit(main())
