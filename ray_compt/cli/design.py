"""`compt design`: which chain to train next, from what was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ray_compt.cli.options import JsonOutput, Verbose

if TYPE_CHECKING:
    from ray_compt.chain.folder import RunFolder
    from ray_compt.plan.design import Fit, Measured, Proposal


def design(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...",
            help="Run folders or their URLs, or the folder of a sweep; their finished stages are what is known.",
            show_default=False,
        ),
    ],
    sizes: Annotated[
        str | None,
        typer.Option(
            metavar="T,S,...",
            help="Sizes to make chains of: models, stages, or parts of a model's name; by default all.",
            show_default=False,
        ),
    ] = None,
    end: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE", help="Last size of every chain; by default the largest.", show_default=False
        ),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What to predict, a fraction of which more is better; by default zero_shot_top1, "
            "or R@1 where there is none.",
            show_default=False,
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="MACS",
            help="Most MACs of a chain, teachers included: 5e12, 5T, or 50% of the largest size alone.",
            show_default=False,
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            metavar="METRIC",
            help="Instead of a budget: the cheapest chains that are expected to reach this, e.g. 0.63.",
            show_default=False,
        ),
    ] = None,
    best: Annotated[int, typer.Option(min=1, max=100, metavar="N", help="Chains to propose.")] = 5,
    write: Annotated[
        str | None,
        typer.Option(
            metavar="SWEEP.yaml",
            help="Write the proposals as a sweep file, to be verified.",
            show_default=False,
        ),
    ] = None,
    chain: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Chain file of that sweep; by default that of the first run with all sizes.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOutput = False,
    verbose: Verbose = False,
) -> None:
    """Propose chains for a budget: learning curves fitted to finished runs, every composition, its best epochs."""
    from ray_compt.chain.measured import open_runs, read_finished
    from ray_compt.errors import UserError
    from ray_compt.plan.design import fit, measure
    from ray_compt.plan.design.wanted import read_sizes

    if (budget is None) == (target is None):
        raise UserError("give either a budget or a target", where="compt design", mend="--budget or --target")
    folders = open_runs(runs)
    finished = [one for folder in folders for one in read_finished(folder)]
    measured = measure(finished, metric)
    finished = [one for one in finished if one.size in measured.forward]
    labels = read_sizes(sizes or ",".join(measured.forward), finished)
    last = max(labels, key=measured.forward.__getitem__)
    if end is not None:
        last = next(iter(read_sizes(end, finished, "--end")))
        labels.setdefault(last, end)
    known = fit(measured)
    found, objective = _propose(known, measured, list(labels), last, budget, target, best)
    if write is not None:
        _write(write, folders, chain, found, objective)
    _show(known, measured, found, labels, write, as_json)


def _propose(
    fit: Fit,
    measured: Measured,
    sizes: list[str],
    end: str,
    budget: str | None,
    target: str | None,
    best: int,
) -> tuple[list[Proposal], dict[str, Any]]:
    """Proposals, and the objective of a sweep that verifies them."""
    from ray_compt.plan.design import propose_for_budget, propose_for_target
    from ray_compt.plan.design.wanted import read_budget, read_target

    if target is not None:
        wanted = read_target(target)
        found = propose_for_target(fit, measured, sizes, end=end, target=wanted, best=best)
        return found, {"metric": measured.metric, "at_least": wanted, "minimise": "macs"}
    macs = read_budget(str(budget), measured, end)
    found = propose_for_budget(fit, measured, sizes, end=end, budget=macs, best=best)
    return found, {"metric": measured.metric, "mode": "max"}


def _write(
    target: str,
    folders: list[RunFolder],
    chain: str | None,
    proposals: list[Proposal],
    objective: dict[str, Any],
) -> None:
    from ray_compt.chain.proposals import base_chain, write_sweep

    sizes = dict.fromkeys(stage.size for one in proposals for stage in one.prediction.path)
    file, names = base_chain(folders, list(sizes), chain)
    write_sweep(target, file, names, proposals, objective)


def _show(
    fit: Fit,
    measured: Measured,
    proposals: list[Proposal],
    labels: dict[str, str],
    sweep: str | None,
    as_json: bool,
) -> None:
    from ray_compt.cli.output import print_json, print_table
    from ray_compt.plan.design import table

    lines = table.basis(fit, measured, proposals, labels)
    if as_json:
        chains = [table.proposal_json(one, labels) for one in proposals]
        print_json({"metric": measured.metric, "chains": chains, "basis": lines, "sweep": sweep})
        return
    print_table("what was measured", table.SIZE_HEADER, table.size_rows(fit, measured, labels))
    print()
    header = table.proposal_header(measured.metric)
    print_table("chains worth training", header, table.proposal_rows(proposals, labels))
    print("\n".join(lines))
    if sweep is not None:
        print(f"sweep: {sweep}")
