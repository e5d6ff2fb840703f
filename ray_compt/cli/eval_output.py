"""How `compt eval` shows results to people: one line a model, or one a task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

METRICS = {
    "zero_shot_top1": "zero-shot",
    "image_to_text_r1": "image→text R@1",
    "image_to_text_r5": "R@5",
    "image_to_text_r10": "R@10",
    "text_to_image_r1": "text→image R@1",
    "text_to_image_r5": "R@5",
    "text_to_image_r10": "R@10",
}
# What else a line of a task says, in this order; `--json` has everything.
LABELS = {
    "top5": "top-5",
    "mean_per_class": "mean per class",
    "ece": "calibration error",
    "image_to_text_r5": "R@5",
    "text_to_image_r1": "text→image R@1",
    "text_to_image_r5": "R@5",
}
COLUMNS = ("model", "task", "pictures", "measured", "95 % interval", "further")


def print_metrics(spec: str | list[str], results: Sequence[dict[str, Any]]) -> None:
    """Zero-shot accuracy and retrieval, a line a model."""
    from ray_compt.cli.output import print_table
    from ray_compt.plan import format_count
    from ray_compt.report.terminal import percent

    shown = [key for key in METRICS if any(key in result["metrics"] for result in results)]
    rows = [
        [
            result["name"],
            format_count(result["parameters"]),
            *(percent(result["metrics"].get(key)) for key in shown),
        ]
        for result in results
    ]
    samples = int(results[0]["metrics"]["samples"])
    title = f"{samples:,} samples of {spec if isinstance(spec, str) else ', '.join(spec)}"
    print_table(title, ["model", "parameters", *(METRICS[key] for key in shown)], rows)


def print_tasks(suite: str, results: Sequence[dict[str, Any]]) -> None:
    """A suite's tasks, a line each, and one for each corruption."""
    from ray_compt.cli.output import print_table

    rows = [row for result in results for task in result["tasks"] for row in _rows(result["name"], task)]
    print_table(f"suite {suite}", COLUMNS, rows)


def _rows(model: str, task: dict[str, Any]) -> list[tuple[str, ...]]:
    pictures = f"{task['facts']['pictures']:,}"
    rows = [_row(model, task["name"], pictures, task["metrics"], task["intervals"])]
    for corruption, metrics in task["corruptions"].items():
        rows.append(_row(model, f"{task['name']}, {corruption}", pictures, metrics, {}))
    return rows


def _row(
    model: str,
    name: str,
    pictures: str,
    metrics: dict[str, float],
    intervals: dict[str, tuple[float, float]],
) -> tuple[str, ...]:
    from ray_compt.report.terminal import percent

    shots = [key for key in metrics if f"{key}_std" in metrics]
    if shots:
        few = [f"{key.removeprefix('top1_')} {_spread(metrics, key)}" for key in shots]
        return model, name, pictures, "top-1 " + few[0], "-", ", ".join(few[1:])
    key, label = ("top1", "top-1") if "top1" in metrics else ("image_to_text_r1", "image→text R@1")
    interval = intervals.get(key)
    further = [
        f"{word} {metrics[other]:.3f}" if other == "ece" else f"{word} {percent(metrics[other])}"
        for other, word in LABELS.items()
        if other in metrics
    ]
    return (
        model,
        name,
        pictures,
        f"{label} {percent(metrics[key])}",
        f"{100 * interval[0]:.1f} to {100 * interval[1]:.1f} %" if interval else "-",
        ", ".join(further),
    )


def _spread(metrics: dict[str, float], key: str) -> str:
    return f"{100 * metrics[key]:.1f} ± {100 * metrics[f'{key}_std']:.1f} %"
