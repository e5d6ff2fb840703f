"""The same weights come out for 1 and 4 workers, through Ray Train, Ray Data and the teacher."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from tests.integration.harness import largest_difference, tiny_chain, tiny_model


def _train(folder: Path, workers: int) -> Path:
    from ray_compt.chain import train_chain
    from ray_compt.chain.verify import verify_run
    from ray_compt.config import load_chain

    stages = [
        {"model": tiny_model(16), "epochs": 0.2, "name": "a"},
        {"model": tiny_model(32), "epochs": 0.2, "name": "b", "distill": {"weight": 1.0}},
    ]
    file = tiny_chain(
        folder,
        stages=stages,
        name=f"w{workers}",
        workers={"min": workers, "cpus": 1},
        teacher={"placement": "actor"},
        train={"global_batch": 64, "grad_clip": 1.0, "checkpoint_every": 100},
    )
    run = folder / f"run{workers}"
    ledger = train_chain(load_chain(file), str(run), console=Console(quiet=True))
    assert [entry["state"] for entry in ledger["stages"]] == ["done", "done"]
    assert verify_run(run).well
    return run


def test_weights_do_not_depend_on_the_number_of_workers(own_ray: str, tmp_path: Path) -> None:
    one, four = _train(tmp_path, 1), _train(tmp_path, 4)
    for stage in ("01-a", "02-b"):
        assert largest_difference(one / stage, four / stage) < 1e-5
