"""A sweep's folder.

SWEEP/
  sweep.yaml        the sweep file
  base.yaml         its base chain, overrides applied
  sweep.json        what every trial is, reached and cost (`record.py`); sweep.parquet, sweep.html show the same
  driver.json       who runs it now; empty where nobody does
  trials/0000/      a trial: a run folder as `compt train` leaves it, with trial.json and log.txt
  store/            finished stages, for all trials (docs/store.md)
  index/            the shards' indexes
"""

from __future__ import annotations

from dataclasses import dataclass

from ray_compt.storage import Place

TRIALS = "trials"


@dataclass(frozen=True)
class SweepFolder:
    """Places of a sweep.

    Attributes:
        path: the folder, an absolute path or a URL.
    """

    path: Place

    @property
    def sweep_file(self) -> Place:
        return self.path / "sweep.yaml"

    @property
    def base_file(self) -> Place:
        return self.path / "base.yaml"

    @property
    def store(self) -> Place:
        return self.path / "store"

    @property
    def index(self) -> Place:
        return self.path / "index"

    def trial(self, number: int) -> Place:
        return self.path / TRIALS / trial_name(number)


def trial_name(number: int) -> str:
    return f"{number:04d}"
