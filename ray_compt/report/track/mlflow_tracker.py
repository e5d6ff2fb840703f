"""MLflow. Server and experiment are its own settings: MLFLOW_TRACKING_URI, MLFLOW_EXPERIMENT_NAME and so on."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from ray_compt.report.track.tracker import Tracked, Tracker

EXPERIMENT = "ray_compt"
# What a server takes: parameters at once, and characters of one.
PARAMETERS, LONGEST = 100, 500


class MlflowTracker:
    """An MLflow run; its metrics are named STAGE/METRIC, and steps are the stage's."""

    name = "mlflow"

    def __init__(self, client: Any, identity: str):
        self._client, self._identity = client, identity

    @property
    def identity(self) -> str:
        return self._identity

    def log(self, stage: str, step: int, values: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        metrics = [Metric(f"{stage}/{name}", value, now, step) for name, value in values.items()]
        self._client.log_batch(self._identity, metrics=metrics)

    def close(self, *, failed: bool) -> None:
        self._client.set_terminated(self._identity, "FAILED" if failed else "FINISHED")


def open_mlflow(tracked: Tracked) -> Tracker:
    """Start a run, or go on with it. Raises ImportError without the library, MlflowException where it is refused."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient()
    if tracked.identity is not None:
        client.update_run(tracked.identity, status="RUNNING")
        return MlflowTracker(client, tracked.identity)
    run = client.create_run(_experiment(client), run_name=tracked.name)
    parameters = flat(tracked.config)
    while chunk := list(islice(parameters, PARAMETERS)):
        _log_parameters(client, run.info.run_id, chunk)
    return MlflowTracker(client, run.info.run_id)


def flat(config: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """A tree as parameters: "stages.0.epochs" -> "12"."""
    if isinstance(config, Mapping):
        branches = list(config.items())
    elif isinstance(config, list):
        branches = list(enumerate(config))
    else:
        yield prefix, str(config)[:LONGEST]
        return
    for key, value in branches:
        yield from flat(value, f"{prefix}.{key}" if prefix else str(key))


def _log_parameters(client: Any, run: str, pairs: list[tuple[str, str]]) -> None:
    from mlflow.entities import Param

    client.log_batch(run, params=[Param(name, value) for name, value in pairs])


def _experiment(client: Any) -> str:
    """The experiment's identity; MlflowClient, unlike the library's global functions, reads no name by itself."""
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
    found = client.get_experiment_by_name(name)
    return found.experiment_id if found is not None else client.create_experiment(name)
