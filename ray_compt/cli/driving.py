"""What a command that trains does around the training: signals, and leaving Ray at the end."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

TERMINATED = 128 + signal.SIGTERM
STOPPED = "stopped; what was trained is kept, and the same command goes on from the last checkpoint"


@contextmanager
def driving() -> Iterator[None]:
    """Stop cleanly on SIGTERM, leave Ray at the end, and say how to go on where somebody stopped us."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(STOPPED) from None
    except SystemExit:
        # SIGTERM's. Where it broke off one of Ray's calls, Ray has put an exit code of its own in.
        print(STOPPED, file=sys.stderr)
        raise SystemExit(TERMINATED) from None
    finally:
        _disconnect()


def warn_of_passing(run_dir: str) -> None:
    """Say that a run folder will be removed, where it lies in the working directory that Ray has made for a job."""
    from ray_compt.chain.folder import run_place
    from ray_compt.cli.output import warn
    from ray_compt.train.ray_job import is_passing

    if is_passing(str(run_place(run_dir))):
        warn(
            f"{run_dir} lies in the job's working directory, which Ray removes; for a run that is to stay, and that "
            "another job goes on with, give --run-dir a path that all nodes see, or a URL"
        )


def _terminate(_signal: int, _frame: Any) -> None:
    raise SystemExit(TERMINATED)


def _disconnect() -> None:
    """Leave Ray: what we started ends here, and nothing of ours stays on a cluster."""
    ray = sys.modules.get("ray")
    if ray is not None and ray.is_initialized():
        ray.shutdown()
