"""Proposals as text: tables of cells, and what they rest on, a sentence a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ray_compt.plan.design.fit import Fit
from ray_compt.plan.design.observations import Measured, format_path
from ray_compt.plan.design.predict import INTERVAL
from ray_compt.plan.design.propose import Proposal
from ray_compt.plan.table import format_count

SIZE_HEADER = ("size", "MACs a sample", "alone", "stages", "asymptote", f"{INTERVAL:.0%}")


def proposal_header(metric: str) -> tuple[str, ...]:
    return ("chain", "MACs", metric, f"{INTERVAL:.0%}", "the paper's rules")


def proposal_rows(proposals: Sequence[Proposal], labels: Mapping[str, str]) -> list[tuple[str, ...]]:
    """One row a chain, in the order of `proposal_header`."""
    return [
        (
            format_path(one.prediction.path, labels),
            format_count(one.prediction.macs),
            f"{one.prediction.metric:.1%}",
            f"{one.prediction.low:.1%} to {one.prediction.high:.1%}",
            "; ".join(check.says for check in one.checks if not check.kept) or "kept",
        )
        for one in proposals
    ]


def size_rows(fit: Fit, measured: Measured, labels: Mapping[str, str]) -> list[tuple[str, ...]]:
    """One row a size, in the order of `SIZE_HEADER`; epochs that were measured."""
    rows: list[tuple[str, ...]] = []
    for size, forward in measured.forward.items():
        top = fit.curves.asymptote[:, fit.index(size)]
        low, high = np.quantile(top, [(1 - INTERVAL) / 2, (1 + INTERVAL) / 2])
        rows.append(
            (
                labels.get(size, size),
                format_count(forward),
                _epochs(measured, size, alone=True),
                _epochs(measured, size, alone=False),
                f"{top.mean():.1%}",
                f"{low:.1%} to {high:.1%}",
            )
        )
    return rows


def basis(
    fit: Fit, measured: Measured, proposals: Sequence[Proposal], labels: Mapping[str, str]
) -> list[str]:
    """What the proposals were drawn from, and what is guessed."""
    alone, stages = len(measured.alone), len(measured.stages)
    kept, worth = fit.curves.kept.mean(), np.median(fit.curves.worth)
    lines = [f"Fitted to {alone} trainings of models alone and {stages} of stages."]
    assumed = "A stage keeps {:.0%} of its head start, and an epoch of it is worth {:.2g} alone{}."
    lines.append(assumed.format(kept, worth, "" if stages else ": assumed, for no stage was measured"))
    known = {one.path[-1].size for one in measured.alone}
    guessed = [labels.get(size, size) for size in measured.forward if size not in known]
    if guessed:
        lines.append(
            f"Not trained alone, so their curves are guessed from the other sizes: {', '.join(guessed)}."
        )
    beyond = [one for one in proposals if one.beyond]
    if beyond:
        listed = ", ".join(
            dict.fromkeys(format_path((stage,), labels) for one in beyond for stage in one.beyond)
        )
        lines.append(f"Beyond the epochs that were measured, so less certain than they look: {listed}.")
    return [*lines, *measured.notes]


def proposal_json(proposal: Proposal, labels: Mapping[str, str]) -> dict[str, Any]:
    """Plain data of one proposal."""
    found = proposal.prediction
    return {
        "stages": [
            {
                "size": labels.get(stage.size, stage.size),
                "model": stage.size,
                "epochs": stage.epochs,
                "beyond_measured": stage in proposal.beyond,
            }
            for stage in found.path
        ],
        "metric": found.metric,
        "low": found.low,
        "high": found.high,
        "macs": found.macs,
        "rules": {check.rule: {"kept": check.kept, "says": check.says} for check in proposal.checks},
    }


def _epochs(measured: Measured, size: str, *, alone: bool) -> str:
    chosen = measured.alone if alone else measured.stages
    epochs = sorted({one.path[-1].epochs for one in chosen if one.path[-1].size == size})
    return ", ".join(f"{count:g}" for count in epochs) or "-"
