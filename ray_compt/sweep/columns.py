"""A sweep as a table for analysis: sweep.parquet, one row a trial.

| column                               | type                                                          |
|--------------------------------------|---------------------------------------------------------------|
| number, candidate, seed              | integers                                                      |
| state, error, run                    | texts                                                         |
| chain                                | list of texts, the stages                                     |
| value.KEY                            | of the space: numbers, truth values or texts; JSON where they |
|                                      | are of different kinds or no scalars                          |
| metric.KEY                           | number, of the last stage that is done                        |
| macs, macs_paid, macs_saved          | integers                                                      |
| seconds, seconds_paid                | numbers                                                       |
| stages.key, stages.state, stages.reused, stages.macs | lists, one item a stage                       |
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ray_compt.storage import Place
from ray_compt.sweep.record import SweepRecord, TrialRecord
from ray_compt.train.disk import explained

FILE = "sweep.parquet"


def write_parquet(place: Place, record: SweepRecord) -> None:
    """Write the table, whole or not at all.

    Raises:
        TrainingError: the disk is full.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({name: pa.array(cells, _type(name)) for name, cells in columns(record.trials).items()})
    with explained(str(place)):
        place.write(lambda path: pq.write_table(table, path))


def columns(trials: Sequence[TrialRecord]) -> dict[str, list[Any]]:
    """The cells of each column, None where a trial has no such value."""
    found: dict[str, list[Any]] = {
        name: [getattr(trial, name) for trial in trials]
        for name in ("number", "candidate", "seed", "state", "error", "run")
    }
    found["chain"] = [list(trial.chain) for trial in trials]
    for key in dict.fromkeys(key for trial in trials for key in trial.values):
        found[f"value.{key}"] = _alike([trial.values.get(key) for trial in trials])
    for key in dict.fromkeys(key for trial in trials for key in trial.metrics):
        found[f"metric.{key}"] = [trial.metrics.get(key) for trial in trials]
    for name in ("macs", "macs_paid", "macs_saved", "seconds", "seconds_paid"):
        found[name] = [getattr(trial, name) for trial in trials]
    for name in ("key", "state", "reused", "macs"):
        found[f"stages.{name}"] = [[getattr(stage, name) for stage in trial.stages] for trial in trials]
    return found


def _alike(cells: list[Any]) -> list[Any]:
    """Cells that one column can hold."""
    given = [cell for cell in cells if cell is not None]
    kinds = {type(cell) for cell in given}
    if kinds <= {int, float} or kinds in ({bool}, {str}):
        return [float(cell) if kinds == {int, float} and cell is not None else cell for cell in cells]
    return [None if cell is None else json.dumps(cell, ensure_ascii=False) for cell in cells]


def _type(name: str) -> Any:
    """Types that must not depend on which trials there are; None leaves it to the values."""
    import pyarrow as pa

    kind, _, rest = name.partition(".")
    if kind == "value":
        return None
    if kind == "metric":
        return pa.float64()
    if kind == "stages":
        return pa.list_({"reused": pa.bool_(), "macs": pa.int64()}.get(rest, pa.string()))
    if kind == "chain":
        return pa.list_(pa.string())
    if kind in ("seconds", "seconds_paid"):
        return pa.float64()
    return pa.string() if kind in ("state", "error", "run") else pa.int64()
