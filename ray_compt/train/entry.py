"""The first thing that runs in a stage's worker; light, so that what the imports take can be measured."""

from __future__ import annotations

from typing import Any

from ray import cloudpickle

from ray_compt.train.start_up import StartUp


def train_worker(config: dict[str, Any]) -> None:
    """Train a stage from where its last checkpoint stands to its end, or until it is asked to stop.

    Args:
        config: "job" (a pickled StageJob, which needs what has not been imported yet), "board" (actor handle) and
            "teachers" (names of services, none where teachers are inline).

    Raises:
        UserError: the checkpoint belongs to another stage, too many samples cannot be read, or the disk is full.
    """
    start = StartUp()
    from ray_compt.train.worker import train

    train(cloudpickle.loads(config["job"]), config["board"], config["teachers"], start)
