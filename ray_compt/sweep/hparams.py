"""A finished trial for TensorBoard's HParams tab: `tensorboard --logdir SWEEP` compares all trials.

Written with TensorBoard's own protocol buffers: torch's `add_hparams` turns truth values into numbers.
"""

from __future__ import annotations

import json
import math
import time
from typing import Any

from ray_compt.storage import Place
from ray_compt.sweep.record import TrialRecord

FOLDER = "hparams"
CHAIN, SEED = "chain", "seed"


def write_hparams(run: Place, trial: TrialRecord, now: float | None = None) -> None:
    """Write a trial's values, metrics, MACs and seconds into its run folder, in place of what was written before.

    Args:
        run: the trial's run folder.
        trial: one that has ended.
        now: seconds since the epoch that its points are dated with.

    Raises:
        OSError: the disk does not take it.
    """
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    moment = time.time() if now is None else now
    (run / FOLDER).remove()
    copy = run.working_copy()
    writer = EventFileWriter(str(copy.path / FOLDER))
    try:
        for summary in (_start(trial, moment), _end(trial, moment), *map(_scalar, scalars(trial).items())):
            writer.add_event(Event(wall_time=moment, step=0, summary=summary))
    finally:
        writer.close()
    copy.push()


def hyperparameters(trial: TrialRecord) -> dict[str, bool | int | float | str]:
    """The trial's composition, seed and values; what is no scalar becomes JSON, an absent value "null"."""
    scalar = (bool, int, float, str)
    values = {
        key: value if isinstance(value, scalar) else json.dumps(value) for key, value in trial.values.items()
    }
    return {CHAIN: " → ".join(trial.chain), SEED: trial.seed, **values}


def scalars(trial: TrialRecord) -> dict[str, float]:
    """The trial's metrics that are finite, of its last stage that is done, and what its chain cost."""
    metrics = {f"metric/{key}": value for key, value in trial.metrics.items() if math.isfinite(value)}
    return metrics | {"cost/macs": float(trial.macs), "cost/seconds": trial.seconds}


def _start(trial: TrialRecord, moment: float) -> Any:
    from tensorboard.plugins.hparams.summary_v2 import hparams_pb

    return hparams_pb(hyperparameters(trial), trial_id=f"trial {trial.number}", start_time_secs=moment)


def _end(trial: TrialRecord, moment: float) -> Any:
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2

    # TensorBoard has no state of its own for what a scheduler ended.
    status = api_pb2.STATUS_FAILURE if trial.state == "failed" else api_pb2.STATUS_SUCCESS
    end = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=moment)
    content = plugin_data_pb2.HParamsPluginData(session_end_info=end)
    value = Summary.Value(
        tag=metadata.SESSION_END_INFO_TAG,
        metadata=metadata.create_summary_metadata(content),
        tensor=metadata.NULL_TENSOR,
    )
    return Summary(value=[value])


def _scalar(pair: tuple[str, float]) -> Any:
    from tensorboard.compat.proto.summary_pb2 import Summary

    return Summary(value=[Summary.Value(tag=pair[0], simple_value=pair[1])])
