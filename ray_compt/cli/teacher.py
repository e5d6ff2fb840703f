"""`compt teacher`: the teachers that serve features on a cluster: show, stop, serve."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ray_compt.cli.command import Command, Program
from ray_compt.cli.options import JsonOutput, Verbose
from ray_compt.errors import UserError

if TYPE_CHECKING:
    from ray_compt.teacher.service import ServiceState

COLUMNS = ("teacher", "model", "precision", "replicas", "features", "queue", "busy", "leases")
ALL = "all"
SHOW_EVERY_S = 10.0
# Rows of a teacher that no chain file sizes.
ROWS = 32

Address = Annotated[
    str,
    typer.Option(
        metavar="HOST:PORT", envvar="RAY_ADDRESS", help="The Ray cluster; by default the one of this machine."
    ),
]

app = typer.Typer(
    cls=Program,
    help="The frozen models that serve features on a cluster.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("ls", cls=Command)
def ls(address: Address = "auto", as_json: JsonOutput = False, verbose: Verbose = False) -> None:
    """Show each teacher with what it has served, what waits, and who holds it."""
    from ray_compt.cli.output import print_json, print_table
    from ray_compt.teacher import directory

    with _cluster(address, verbose):
        states = [state for name in directory.names() if (state := directory.state(name)) is not None]
    if as_json:
        print_json([asdict(state) for state in states])
    elif not states:
        print("no teacher serves on this cluster")
    else:
        print_table("teachers", COLUMNS, [_row(state) for state in states])


@app.command("stop", cls=Command)
def stop(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `compt teacher ls` shows it, or all.")],
    address: Address = "auto",
    verbose: Verbose = False,
) -> None:
    """End a teacher, whoever holds it; a stage that needs it starts it again."""
    from ray_compt.teacher import directory

    with _cluster(address, verbose):
        known = directory.names()
        if name != ALL and name not in known:
            raise UserError(
                f"no teacher of this name serves; there are: {', '.join(known) or 'none'}",
                where=name,
                mend="give a name that `compt teacher ls` shows, or all",
            )
        for one in known if name == ALL else [name]:
            directory.stop(one)
            print(f"stopped {one}")


@app.command("serve", cls=Command)
def serve(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="A finished stage's folder, a path or a URL that every node reads."
        ),
    ],
    address: Address = "auto",
    replicas: Annotated[int, typer.Option(min=1, metavar="N", help="Copies of the model.")] = 1,
    cpus: Annotated[float, typer.Option(min=0.0, metavar="N", help="Logical CPUs of a copy.")] = 1.0,
    gpus: Annotated[float, typer.Option(min=0.0, metavar="N", help="GPUs of a copy.")] = 0.0,
    precision: Annotated[str, typer.Option(metavar="KIND", help="fp32, bf16 or fp16.")] = "fp32",
    rows: Annotated[
        int,
        typer.Option(
            min=1, metavar="N", help="Samples at once; chain files that share it say teacher.rows: N."
        ),
    ] = ROWS,
    verbose: Verbose = False,
) -> None:
    """Serve a model's features until Ctrl-C, for every chain whose teacher has the same weights."""
    from ray_compt.teacher.autoscale import Bounds
    from ray_compt.teacher.holding import PLACE_S, gets_a_place, serving
    from ray_compt.teacher.pool import Place
    from ray_compt.teacher.service import ServiceConfig
    from ray_compt.teacher.spec import PRECISIONS, spec_of

    if precision not in PRECISIONS:
        raise UserError(f"{precision!r} is no precision", where="--precision", mend="give fp32, bf16 or fp16")
    spec = spec_of(model, precision=precision, rows=rows)
    config = ServiceConfig(Place(cpus, gpus), Bounds(replicas, replicas), ttl_s=60.0, hang_s=75.0)
    with _cluster(address, verbose), serving(spec, config, "compt teacher serve") as held:
        if not gets_a_place(spec, config.place):
            raise UserError(
                f"no node has {cpus:g} CPUs and {gpus:g} GPUs free",
                where="Ray cluster",
                mend="free some, add a node, or lower --cpus and --gpus",
            )
        held.wait(PLACE_S)
        print(f"{spec.name} serves {model}; Ctrl-C ends it", flush=True)
        _wait_for_interrupt()


def _wait_for_interrupt() -> None:
    import time

    try:
        while True:
            time.sleep(SHOW_EVERY_S)
    except KeyboardInterrupt:
        print("stopped")


def _cluster(address: str, verbose: bool) -> Any:
    from ray_compt.train.cluster import connected

    return connected(address, verbose=verbose)


def _row(state: ServiceState) -> tuple[str, ...]:
    error = f" (error {state.error:.0e})" if state.error is not None else ""
    leases = ", ".join(f"{holder}: {left:.0f} s" for holder, left in state.leases.items())
    return (
        state.name,
        state.folder,
        state.precision + error,
        str(state.replicas),
        str(state.served),
        str(state.waiting),
        f"{state.busy:.0%}",
        leases or "none",
    )
