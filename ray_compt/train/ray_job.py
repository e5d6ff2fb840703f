"""The Ray job that a driver may run in: what it is called, and time to save where somebody stops it.

`ray job stop` sends SIGTERM, and SIGKILL after RAY_JOB_STOP_WAIT_TIME_S, 3 seconds where nobody says otherwise. Ray
reads that variable when the job is stopped, in the actor that supervises it, so the driver can set it there.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

logger = logging.getLogger(__name__)

STOP_WAIT = "RAY_JOB_STOP_WAIT_TIME_S"
# More than a stage's or a sweep's stop waits for its checkpoints.
STOP_WAIT_S = 180
ANSWER_S = 20.0
# Where Ray unpacks the working directories of jobs.
UNPACKED = "working_dir_files"


def job_id(environment: Mapping[str, str] = os.environ) -> str | None:
    """The submission id of the Ray job that this process is the driver of; None outside of one."""
    try:
        config = json.loads(environment.get("RAY_JOB_CONFIG_JSON_ENV_VAR") or "{}")
        found = config["metadata"]["job_submission_id"]
    except (ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, str) else None


def is_passing(folder: str) -> bool:
    """Whether a folder lies where Ray unpacks working directories, which it removes again."""
    return UNPACKED in PurePath(folder).parts


def ask_for_time() -> bool:
    """Have the supervisor of this driver's job, if there is one, wait for the checkpoint when the job is stopped.

    Returns whether it will, or need not. To be called with Ray connected.
    """
    job = job_id()
    if job is None:
        return True
    import ray
    from ray.dashboard.modules.job.common import JOB_ACTOR_NAME_TEMPLATE, SUPERVISOR_ACTOR_RAY_NAMESPACE

    name, wait = STOP_WAIT, str(STOP_WAIT_S)

    def set_wait(_: Any) -> str:
        # Pickled by value, because the supervisor may not have this package.
        import os

        return os.environ.setdefault(name, wait)

    try:
        supervisor = ray.get_actor(
            JOB_ACTOR_NAME_TEMPLATE.format(job_id=job), namespace=SUPERVISOR_ACTOR_RAY_NAMESPACE
        )
        ray.get(supervisor.__ray_call__.remote(set_wait), timeout=ANSWER_S)
    except (ValueError, ray.exceptions.RayError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        logger.warning(
            "the job's supervisor did not answer (%s): `ray job stop` may kill before a checkpoint", first
        )
        return False
    return True
