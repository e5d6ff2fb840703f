"""Experiment trackers: the scalars that TensorBoard gets also go to Weights & Biases or MLflow, from the driver.

`open_trackers` opens those that are asked for. A further service: a file with a class that has `tracker.Tracker`'s
methods and a function that opens it, a line in `OPENERS`, and its name in `cli/train.py`.
"""

from __future__ import annotations

from ray_compt.report.track.fan_out import Trackers, prefixed
from ray_compt.report.track.opening import open_trackers
from ray_compt.report.track.tracker import Tracked, Tracker

__all__ = ["Tracked", "Tracker", "Trackers", "open_trackers", "prefixed"]
