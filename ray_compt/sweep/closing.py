"""What a sweep prints at its end: its candidates, the best first, what was chosen, and what the store has saved."""

from __future__ import annotations

from ray_compt.plan.table import format_count
from ray_compt.report.card_metadata import metric_value
from ray_compt.report.terminal import Terminal, plural
from ray_compt.sweep.choice import choose, cost_text, values_text
from ray_compt.sweep.objective import Objective
from ray_compt.sweep.record import SweepRecord
from ray_compt.sweep.scores import Score, score

SHOWN = 20


def print_closing(terminal: Terminal, record: SweepRecord) -> None:
    """Print the closing table and lines."""
    objective = record.objective
    scores = score(record.trials, objective)
    choice = choose(scores, objective)
    front = {one.candidate for one in choice.front}
    ordered = _ordered(scores, objective)
    columns = ("candidate", "chain", "values", objective.metric, "cost", "front")
    rows = [_row(one, objective, one.candidate in front) for one in ordered[:SHOWN]]
    terminal.table(f"sweep {record.name}: {objective.words()}", columns, rows)
    hidden = len(ordered) - len(rows)
    if hidden:
        terminal.line(f"{plural(hidden, 'more candidate')}; sweep.html and sweep.parquet have all")
    terminal.line(choice.words)
    paid, saved = format_count(record.macs_paid), format_count(record.macs_saved)
    terminal.line(f"Trials took {paid} MACs; stages that they shared saved {saved} more.")


def _ordered(scores: list[Score], objective: Objective) -> list[Score]:
    """The best metric first, then what does not count."""
    sign = -1 if objective.mode == "max" else 1
    counted = sorted((one for one in scores if one.counts), key=lambda one: (sign * one.metric, one.cost))
    return counted + [one for one in scores if not one.counts]


def _row(one: Score, objective: Objective, on_front: bool) -> tuple[str, ...]:
    name, chain, values = str(one.candidate), " → ".join(one.chain), values_text(one.values)
    if not one.counts:
        return name, chain, values, "-", one.missing, ""
    reached = metric_value(objective.metric, one.metric)
    return name, chain, values, reached, cost_text(one.cost, objective), "front" if on_front else ""
