"""`compt tune`: search growth, distillation and the chain itself; what a sweep has found."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from typing import Annotated, Any

import typer

from ray_compt.cli.command import Command, Program
from ray_compt.cli.driving import driving, warn_of_passing
from ray_compt.cli.options import JsonOutput, Overrides, TrainingCluster, Verbose
from ray_compt.cli.tune_best import best
from ray_compt.cli.tune_report import report

RUN = "run"


class RunByDefault(Program):
    """`compt tune FILE` is `compt tune run FILE`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ("--help", "-h"):
            args = [RUN, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=RunByDefault,
    help="Search growth, distillation and the chain itself: compt tune FILE.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.command("best", cls=Command)(best)
app.command("report", cls=Command)(report)


@app.command(RUN, cls=Command)
def run(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="Sweep file, or the bare name of a shipped one.")
    ],
    overrides: Overrides = None,
    run_dir: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="The sweep's folder, a path or a URL; by default runs/NAME.",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the candidates and what each would cost; train nothing.")
    ] = False,
    address: TrainingCluster = None,
    as_json: JsonOutput = False,
    verbose: Verbose = False,
) -> None:
    """Run a sweep; the same command again goes on where it stopped."""
    from ray_compt.config.sweep_file import load_sweep
    from ray_compt.forkserver import preloading
    from ray_compt.sweep.check import check_sweep

    plan = check_sweep(load_sweep(file, overrides or ()))
    if dry_run:
        _show(plan, as_json)
        return
    folder = run_dir or f"runs/{plan.sweep.name}"
    warn_of_passing(folder)
    with preloading() if address is None else nullcontext(), driving():
        _run(plan, folder, address, as_json, verbose)


def _run(plan: Any, run_dir: str, address: str | None, as_json: bool, verbose: bool) -> None:
    from rich.console import Console

    from ray_compt.chain.folder import run_place
    from ray_compt.cli.output import print_json
    from ray_compt.report.terminal import Terminal
    from ray_compt.sweep.closing import print_closing
    from ray_compt.sweep.html.page import FILE as PAGE
    from ray_compt.sweep.running.driver import run_sweep
    from ray_compt.sweep.running.folder import SweepFolder

    console = Console(stderr=as_json, highlight=False)
    for note in plan.notes:
        Terminal(console).line(note)
    place = run_place(run_dir)
    record = run_sweep(
        plan,
        SweepFolder(place),
        address=address,
        console=console,
        verbose=verbose,
        command=["compt", *sys.argv[1:]],
    )
    page = str(place / PAGE)
    print_closing(Terminal(console), record)
    Terminal(console).line(f"report: {page}")
    if as_json:
        print_json(record.to_json())
    judge(Terminal(console), record, page)


def judge(terminal: Any, record: Any, page: str) -> None:
    """Raise typer's Exit where a trial failed, after a line that says so."""
    from ray_compt.report.terminal import plural

    failed = record.count("failed")
    if failed:
        terminal.warn(f"{plural(failed, 'trial')} failed; {page} says why, and the same command tries again")
        raise typer.Exit(1)


def _show(plan: Any, as_json: bool) -> None:
    from ray_compt.cli.output import print_json, print_table
    from ray_compt.cli.plan import count_samples
    from ray_compt.plan import format_count, plan_chain

    sampled = plan.sweep.search.algorithm in ("tpe", "nsga2")
    found = None if sampled else plan.candidates()
    listed = [] if found is None else list(found.candidates)
    notes = [*plan.notes, *(() if found is None else found.notes)]
    rows: list[dict[str, Any]] = []
    counts: dict[str, int] = {}
    for candidate in listed:
        # Candidates rarely differ in their data, and counting may walk shards.
        data = candidate.chain.data
        text = data.model_dump_json()
        if text not in counts:
            counts[text], _ = count_samples(data)
        cost = plan_chain(candidate.chain, counts[text])
        rows.append({"chain": candidate.stages, "values": candidate.values, "macs": cost.chain_macs})
    if as_json:
        print_json({"name": plan.sweep.name, "candidates": rows, "notes": notes})
        return
    for note in notes:
        print(note)
    if sampled:
        chains = ", ".join(plan.base.label(composition) for composition in plan.compositions)
        print(f"{plan.sweep.search.trials} candidates, chosen while the sweep runs, of the chains {chains}")
        return
    print_table(
        f"sweep {plan.sweep.name}: {len(rows)} candidates, seeds {', '.join(map(str, plan.sweep.seeds))}",
        ("number", "candidate", "MACs"),
        [
            (str(number), candidate.label, format_count(row["macs"]))
            for number, (candidate, row) in enumerate(zip(listed, rows))
        ],
    )
