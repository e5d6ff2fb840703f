"""`compt train`: train a chain, or go on where a broken run stopped."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from enum import Enum
from typing import Annotated, Any

import typer

from ray_compt.cli.driving import driving, warn_of_passing
from ray_compt.cli.options import ChainFile, JsonOutput, Overrides, TrainingCluster, Verbose


class Service(str, Enum):
    """Experiment trackers, as `report.track` knows them."""

    WANDB = "wandb"
    MLFLOW = "mlflow"


def train(
    file: ChainFile,
    overrides: Overrides = None,
    run_dir: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Run folder, a path or a URL such as s3://bucket/run; by default runs/NAME.",
            show_default=False,
        ),
    ] = None,
    smoke: Annotated[
        bool,
        typer.Option("--smoke", help="Two steps of every stage at its real size, to find mistakes early."),
    ] = False,
    individual: Annotated[
        bool, typer.Option("--individual", help="Also train each model alone from scratch, to compare with.")
    ] = False,
    address: TrainingCluster = None,
    track: Annotated[
        list[Service] | None,
        typer.Option(
            "--track",
            help="Also send the curves to an experiment tracker (docs/tracking.md); may be repeated.",
        ),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Stage store, a path or URL: stages that any run with the same store has trained are taken from it.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOutput = False,
    verbose: Verbose = False,
) -> None:
    """Train a chain of models; the same command again goes on where it stopped."""
    from ray_compt.cli.chain_file import open_chain
    from ray_compt.cli.output import print_json
    from ray_compt.forkserver import preloading

    chain = open_chain(file, overrides or ())
    folder = run_dir or f"runs/{chain.name}"
    warn_of_passing(folder)
    with preloading() if address is None else nullcontext(), driving():
        ledger = _train(chain, folder, smoke, individual, address, track or [], store, as_json, verbose)
    if as_json:
        print_json(ledger)


def _train(
    chain: Any,
    run_dir: str,
    smoke: bool,
    individual: bool,
    address: str | None,
    track: list[Service],
    store: str | None,
    as_json: bool,
    verbose: bool,
) -> dict[str, Any]:
    from rich.console import Console

    console = Console(stderr=as_json, highlight=False)
    if smoke:
        from ray_compt.chain.smoke import smoke_test

        return smoke_test(chain, run_dir, address=address, console=console, verbose=verbose)
    from ray_compt.chain import train_chain
    from ray_compt.chain.closing_report import reported

    with reported(run_dir, console) as watch:
        return train_chain(
            chain,
            run_dir,
            individual=individual,
            address=address,
            console=console,
            verbose=verbose,
            command=["compt", *sys.argv[1:]],
            track=[service.value for service in track],
            store=store,
            watch=watch,
        )
