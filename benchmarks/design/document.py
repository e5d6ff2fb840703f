"""Prediction against outcome as a section of docs/results.md, between `<!-- design -->` and `<!-- end -->`."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.acceleration.document import with_sections
from benchmarks.acceleration.results import Results
from benchmarks.acceleration.tables import TERA, table
from benchmarks.design.foresight import Case, covered, foresee, mean_error, ordered
from ray_compt.plan.design import INTERVAL, format_path

# Errors that differ by a smaller share are called equal.
MARGIN = 0.1


def with_design(text: str, results: Results) -> str:
    """The page with its section made anew; the rest as it was."""
    return with_sections(text, lambda name: section(foresee(results)) if name == "design" else None)


def section(cases: Sequence[Case]) -> str:
    """The table of unseen chains, and what it comes to."""
    if not cases:
        return "No unseen chain yet.\n"
    heads = ["chain", "MACs, 10^12", "predicted, %", f"{INTERVAL:.0%}", "outcome, %", "error", "seeds"]
    return "\n".join([table(heads, map(_row, cases)), *(f"- {line}" for line in summary(cases)), ""])


def summary(cases: Sequence[Case]) -> list[str]:
    """Errors of the fit and of simpler guesses, intervals, and who tells the better of two chains."""
    own = mean_error(cases, lambda case: case.guess.metric)
    inside, count = covered(cases)
    simpler = {
        name: mean_error(cases, lambda case, name=name: case.guesses[name])
        for name in cases[0].guesses
        if all(name in case.guesses for case in cases)
    }
    named = ", ".join(f"{name} {_points(error)}" for name, error in simpler.items())
    blind = mean_error(cases, lambda case: case.blind.metric)
    costs = max(abs(case.guess.macs / case.macs - 1) for case in cases)
    best = min(simpler, key=simpler.__getitem__)
    return [
        f"Mean error {_points(own)} points over {len(cases)} unseen chains; {_points(blind)} where the fit has seen "
        f"no stage at all. Simpler guesses: {named}.",
        f"{inside} of {count} trainings lie within their {INTERVAL:.0%} interval; "
        f"costs are off by {costs:.1%} at most.",
        _order(cases),
        f"So the fit predicts **{_verdict(own, simpler[best])}** the best of the simpler guesses, {best}.",
    ]


def _row(case: Case) -> list[str]:
    guess = case.guess
    return [
        format_path(case.path),
        f"{case.macs / TERA:.2f}",
        _points(guess.metric),
        f"{_points(guess.low)} to {_points(guess.high)}",
        _points(case.outcome),
        f"{100 * (guess.metric - case.outcome):+.1f}",
        f"{len(case.outcomes)}",
    ]


def _order(cases: Sequence[Case]) -> str:
    right, _, count = ordered(cases, lambda case: case.guess.metric)
    if not count:
        return "No two unseen chains to the same size differ by more than a point."
    by_cost, _, _ = ordered(cases, lambda case: case.macs)
    by_rules, undecided, _ = ordered(cases, lambda case: case.rules_kept)
    return (
        f"Pairs of chains to the same size whose outcomes differ by more than a point: {count}. The prediction orders "
        f"{right} of them rightly, cost alone {by_cost}, the number of the paper's rules kept {by_rules} "
        f"(and leaves {undecided} undecided)."
    )


def _verdict(own: float, other: float) -> str:
    if own < (1 - MARGIN) * other:
        return "better than"
    return "worse than" if own > (1 + MARGIN) * other else "no better than"


def _points(fraction: float) -> str:
    return f"{100 * fraction:.1f}"
