"""The command by which Ray starts its workers through the fork server."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Mapping, Sequence

from ray_compt.forkserver import launcher

# Set to 0 to let Ray start its workers itself.
SWITCH = "COMPT_FORK_SERVER"
# Fields of a job's runtime environment that choose the interpreter of its workers.
INTERPRETER = {"py_executable", "pip", "uv", "conda", "container", "image_uri"}
# Ray appends its script for workers, which lies in the site-packages of the node's own interpreter, and its arguments.
_FORKED = 'exec {ours} "$0" "$@"'
_PLAIN = """
python="${0%%/lib/python*}/bin/python3"
[ -x "$python" ] || python=python3
exec "$python" "$0" "$@"
"""


def available(environment: Mapping[str, str]) -> bool:
    """Whether workers can come from a fork server: on Linux, where neither user nor job say otherwise."""
    if not hasattr(os, "pidfd_open") or environment.get(SWITCH) == "0":
        return False
    job = json.loads(environment.get("RAY_JOB_CONFIG_JSON_ENV_VAR") or "{}")
    return not INTERPRETER & (job.get("runtime_env") or {}).keys()


def py_executable(modules: Sequence[str]) -> str:
    """What a runtime environment's `py_executable` must be; a node without this interpreter starts its workers plainly.

    Args:
        modules: what the server imports before it forks.
    """
    python, script = shlex.quote(sys.executable), shlex.quote(launcher.__file__)
    ours = f"{python} -I -S {script} {shlex.quote(','.join(modules))}"
    there = f"[ -x {python} ] && [ -f {script} ]"
    return f"bash -c {shlex.quote(f'if {there}; then {_FORKED.format(ours=ours)}; fi{_PLAIN}')}"


def plain_executable() -> str:
    """A `py_executable` for tasks that want none of it, in a job whose workers come from the fork server."""
    return f"bash -c {shlex.quote(_PLAIN)}"
