"""The table for analysis: types that a program can rely on."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_compt.storage import open_place
from ray_compt.sweep.columns import FILE, write_parquet
from ray_compt.sweep.record import SweepRecord
from tests.sweep.records import METRIC, eventful, stage, sweep, trial


def written(folder: Path, record: SweepRecord) -> pa.Table:
    write_parquet(open_place(folder) / FILE, record)
    return pq.read_table(folder / FILE)


def test_a_row_a_trial_with_what_it_cost_and_reached(tmp_path: Path) -> None:
    record = eventful()
    table = written(tmp_path, record)
    assert table.num_rows == len(record.trials)
    row = table.to_pylist()[7]
    assert (row["number"], row["candidate"], row["seed"], row["state"]) == (7, 3, 1, "done")
    assert (row["macs"], row["macs_paid"], row["macs_saved"]) == (4500, 3500, 1000)
    assert row["chain"] == ["T", "S"] and row["stages.reused"] == [True, False]
    assert row["stages.key"] == ["t1", "s7"] and row[f"metric.{METRIC}"] == pytest.approx(0.57)
    assert row["value.transfer.growth"] == "lossless" and row["value.stages.*.epochs"] == 2
    assert table.to_pylist()[21]["error"] == "the disk is full"


def test_values_of_one_kind_keep_it_and_mixed_ones_become_json(tmp_path: Path) -> None:
    kinds = [
        {"int": 1, "number": 1, "flag": True, "mixed": "a", "list": [1, 2]},
        {"int": 2, "number": 0.5, "flag": False, "mixed": 3, "list": [3]},
        {},
    ]
    table = written(tmp_path, sweep(*(trial(n, values=values) for n, values in enumerate(kinds))))
    found = {
        name.removeprefix("value."): table[name] for name in table.column_names if name.startswith("value.")
    }
    assert {name: str(column.type) for name, column in found.items()} == {
        "int": "int64",
        "number": "double",
        "flag": "bool",
        "mixed": "string",
        "list": "string",
    }
    assert found["mixed"].to_pylist() == ['"a"', "3", None]
    assert found["list"].to_pylist() == ["[1, 2]", "[3]", None]


def test_types_do_not_depend_on_which_trials_there_are(tmp_path: Path) -> None:
    fixed = written(tmp_path, sweep()).column_names
    none = written(tmp_path, sweep()).schema
    begun = written(tmp_path, sweep(trial(0, stages=(stage("S"),), state="running"), trial(1))).schema
    assert [begun.field(name).type for name in fixed] == [none.field(name).type for name in fixed]
    assert str(none.field("macs").type) == "int64" and str(none.field("stages.macs").type).startswith("list<")
