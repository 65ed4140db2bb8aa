"""Signals from the node: a container cannot see SIGKILL come from there, and it reaches process 1 from nowhere else."""

from typing import Final

from hack.cluster.cluster import Cluster
from hack.cluster.engine import ensure

_FIND: Final = """\
for file in $(grep --files-with-matches --no-messages "pod$1" /proc/[0-9]*/cgroup); do
  folder=${file%/cgroup}
  tr '\\0' ' ' <"$folder/cmdline" | grep --quiet -- "$2" && echo "${folder#/proc/}"
done
true
"""


def kill(cluster: Cluster, pod_uid: str, command: str) -> None:
    """SIGKILL to those processes of a pod whose command line has these words."""
    (node,) = cluster.nodes()
    docker = ensure().docker
    # A control group's name has dashes or underscores, as the kubelet's driver likes it.
    found = docker("exec", node, "sh", "-c", _FIND, "sh", pod_uid.replace("-", "."), command).split()
    assert found, f"no {command} of pod {pod_uid} runs on {node}"
    docker("exec", node, "kill", "-KILL", *found)
