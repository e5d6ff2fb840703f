"""Sweep over compositions: which of a family's sizes should the chain to the largest go through?

    python -m examples.compositions [FOLDER]

Writes a chain file and a sweep file, and runs the sweep; `compt tune FOLDER/sweep.yaml` does the same. Chains that
begin alike share their first stages: each is trained once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console

from examples.shapes import chain, main_folder, model, write_shards
from ray_compt.config.sweep_file import load_sweep
from ray_compt.config.yaml_io import write_yaml
from ray_compt.storage import open_place
from ray_compt.sweep.check import check_sweep
from ray_compt.sweep.record import SweepRecord
from ray_compt.sweep.running.driver import run_sweep
from ray_compt.sweep.running.folder import SweepFolder

STAGES = [
    {"name": "tiny", "model": model(32), "epochs": 1},
    {"name": "middle", "model": model(48), "epochs": 1},
    {"name": "large", "model": model(64), "epochs": 1},
]
SWEEP: dict[str, Any] = {
    "name": "compositions",
    "chain": "chain.yaml",
    # Or every chain: {"subsets_of": ["tiny", "middle", "large"], "end": "large", "length": [2, 3]}.
    "chains": {"list": [["tiny", "large"], ["tiny", "middle", "large"]]},
    "objective": {"metric": "zero_shot_top1", "mode": "max", "cost": "macs"},
    "search": {"algorithm": "grid"},
}


def main(folder: Path) -> SweepRecord:
    """Train every chain of the family that ends with its largest model, and say what each came to."""
    write_shards(folder / "shards")
    evaluate = {"after_growth": False}
    (folder / "chain.yaml").write_text(write_yaml(chain(folder / "shards", STAGES, evaluate=evaluate)))
    (folder / "sweep.yaml").write_text(write_yaml(SWEEP))
    plan = check_sweep(load_sweep(str(folder / "sweep.yaml")))
    record = run_sweep(plan, SweepFolder(open_place(folder / "sweep")), console=Console())
    for trial in record.trials:
        chain_of = " -> ".join(trial.chain)
        accuracy = trial.metrics.get("zero_shot_top1", 0.0)
        print(
            f"{chain_of}: {accuracy:.1%}, {trial.macs:.2e} MACs, of which {trial.macs_saved:.2e} were shared"
        )
    return record


if __name__ == "__main__":
    main(main_folder())
