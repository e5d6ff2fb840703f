"""From facts to the report of runs: what its template shows, and the figures in it (`document.py` makes the file)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ray_compt.plan import format_count
from ray_compt.report.card_metadata import COUNT, metric_name, metric_value
from ray_compt.report.html.document import Plots, write_document
from ray_compt.report.html.examples import Examples
from ray_compt.report.html.facts import RunFacts, StageFacts
from ray_compt.report.html.figures.accuracy import FIRST_METRICS, accuracy, metric_keys
from ray_compt.report.html.figures.cost import cost
from ray_compt.report.html.figures.evaluation import calibration, intervals, robustness
from ray_compt.report.html.figures.growth import growth
from ray_compt.report.html.figures.steps import losses, speed
from ray_compt.report.html.figures.workers import workers
from ray_compt.report.terminal import percent

PACKAGE = "ray_compt.report.html"


@dataclass(frozen=True)
class Section:
    """One run in the page.

    Attributes:
        run: its facts.
        examples: of its last finished model; None: there are none, `no_examples` says why.
    """

    run: RunFacts
    examples: Examples | None
    no_examples: str = ""


def render(sections: Sequence[Section], *, version: str) -> str:
    """The text of the HTML file.

    Args:
        sections: the runs, at least one.
        version: of ray_compt, which made the file.
    """
    plots, runs = Plots(), [section.run for section in sections]
    return write_document(
        PACKAGE,
        "report.html",
        plots,
        title=", ".join(dict.fromkeys(run.name for run in runs)),
        version=version,
        runs=[_run(number, section, plots) for number, section in enumerate(sections)],
        accuracy=plots.add("accuracy", accuracy(runs)),
    )


def _run(number: int, section: Section, plots: Plots) -> dict[str, Any]:
    run = section.run
    return {
        "id": f"run-{number}",
        "facts": run,
        "headline": headline(run),
        "cards": cards(run),
        "table": _table(run),
        "plots": {
            "cost": plots.add(f"{number}-cost", cost(run)),
            "losses": plots.add(f"{number}-losses", losses(run)),
            "growth": plots.add(f"{number}-growth", growth(run)),
            "intervals": plots.add(f"{number}-intervals", intervals(run)),
            "calibration": plots.add(f"{number}-calibration", calibration(run)),
            "robustness": plots.add(f"{number}-robustness", robustness(run)),
            "workers": plots.add(f"{number}-workers", workers(run)),
            "speed": plots.add(f"{number}-speed", speed(run)),
        },
        "bad": [stage for stage in _all_stages(run) if stage.bad_count],
        "errors": [stage for stage in _all_stages(run) if stage.error],
        "examples": section.examples,
        "no_examples": section.no_examples,
        "start": run.starts[-1] if run.starts else None,
        "versions_changed": versions_changed(run.starts),
    }


def headline(run: RunFacts) -> str:
    """The chain and how far it is, in one line."""
    chain = " → ".join(stage.model for stage in run.stages)
    done = sum(stage.done for stage in run.stages)
    return f"{chain}: {state(run)}" + (
        "" if done == len(run.stages) else f", {done} of {len(run.stages)} stages done"
    )


def state(run: RunFacts) -> str:
    """done, or what the first stage that is not says of itself."""
    open_ = [stage for stage in _all_stages(run) if not stage.done]
    if not open_:
        return "done"
    first = next((stage for stage in open_ if stage.state != "pending"), None)
    return f"{first.folder} is {first.state}" if first else "not all begun"


def cards(run: RunFacts) -> list[tuple[str, str, str]]:
    """The result in a few numbers: title, value, what it is held against."""
    found = []
    last = (
        next(stage for stage in reversed(run.stages) if stage.done)
        if any(s.done for s in run.stages)
        else None
    )
    key = next((key for key in metric_keys([run]) if key in (last.metrics if last else {})), None)
    if last is not None and key is not None:
        alone = next((stage for stage in run.individual if stage.name == last.name and stage.done), None)
        beside = f"alone {percent(alone.metrics.get(key))}" if alone else "not trained alone"
        beside = "" if run.finetuned else beside
        found.append((f"{metric_name(key)} of {last.name}", percent(last.metrics[key]), beside))
    spent, planned = run.chain_macs, run.cost.chain_macs
    if not spent:
        return found
    if run.finetuned:
        return [*found, ("fine-tuning", format_count(spent), "training MACs")]
    how = (
        "spent so far" if not all(stage.done for stage in run.stages) else "training MACs, teachers included"
    )
    found.append(("the chain", format_count(spent), f"{how}; planned {format_count(planned)}"))
    if all(stage.done for stage in run.stages):
        largest, family = run.alone_macs(len(run.stages) - 1), run.family_alone_macs
        basis = "trained" if run.alone_is_measured else "planned"
        found.append(
            ("share of the largest alone", f"{spent / largest:.0%}", f"{format_count(largest)} ({basis})")
        )
        found.append(
            (
                "acceleration of the family",
                f"{family / spent:.2f}x",
                f"alone {format_count(family)} ({basis})",
            )
        )
    return found


def versions_changed(starts: Sequence[Mapping[str, Any]]) -> list[str]:
    """Packages whose version was not the same at all starts of a run."""
    known = [start["packages"] for start in starts if isinstance(start.get("packages"), dict)]
    names = dict.fromkeys(name for packages in known for name in packages)
    return [name for name in names if len({str(packages.get(name)) for packages in known}) > 1]


def _table(run: RunFacts) -> dict[str, Any]:
    """Every stage and every metric."""
    stages = _all_stages(run)
    keys = dict.fromkeys(key for stage in stages for key in stage.metrics if key != COUNT)
    first = [key for key in FIRST_METRICS if key in keys]
    keys_in_order = first + [key for key in keys if key not in first]
    chain = {stage.folder for stage in run.stages}
    return {
        "columns": [metric_name(key) for key in keys_in_order],
        "rows": [
            {
                "stage": stage,
                "alone": stage.folder not in chain,
                "metrics": [
                    metric_value(key, stage.metrics[key]) if key in stage.metrics else "-"
                    for key in keys_in_order
                ],
            }
            for stage in stages
        ],
    }


def _all_stages(run: RunFacts) -> list[StageFacts]:
    """The chain's, then those trained alone that are not the chain's own."""
    folders = {stage.folder for stage in run.stages}
    return [*run.stages, *(stage for stage in run.individual if stage.folder not in folders)]
