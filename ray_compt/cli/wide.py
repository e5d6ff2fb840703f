"""`compt eval --suite clip_benchmark`: models on the data sets of clip_benchmark."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from ray_compt.errors import UserError, placed

if TYPE_CHECKING:
    from ray_compt.cli.eval import Subject
    from ray_compt.evaluate.clip_benchmark import Failure, Request

SUITE = "clip_benchmark"
# What the table shows, in this order.
METRICS = {
    "zero_shot_top1": "zero-shot",
    "zero_shot_map": "zero-shot mAP",
    "image_to_text_r1": "image→text R@1",
    "text_to_image_r1": "text→image R@1",
    "linear_probe_top1": "linear probe",
}
FAILED = 1


def evaluate_wide(
    suite: str | None,
    subjects: Sequence[Subject],
    datasets: Sequence[str],
    root: str | None,
    *,
    contradicting: Sequence[str],
    image_size: int | None,
    batch: int,
    device: str,
    as_json: bool,
    verbose: bool,
) -> None:
    """Evaluate models on data sets and print the result; the exit code is 1 where a data set failed.

    Args:
        suite: the option's value, which has to be `SUITE`.
        subjects: the models.
        datasets: names and groups, `GROUPS["paper"]` where there are none.
        root: folder or URL of the data sets, with `{dataset}` or `{dataset_cleaned}` in it.
        contradicting: options that were given and that a suite's data sets decide themselves.
        image_size, batch, device, as_json, verbose: as in `compt eval`.

    Raises:
        UserError: clip_benchmark is not installed, an unknown data set, or a model that cannot be opened.
    """
    if suite != SUITE:
        raise UserError(
            f"there is no suite {suite!r}" if suite else "these options belong to a suite",
            where="--suite" if suite else "--datasets, --dataset-root",
            mend=f"give --suite {SUITE}",
        )
    if contradicting:
        raise UserError(
            "the suite's data sets bring their own pictures, classes and prompts",
            where=", ".join(contradicting),
            mend=f"leave it out, or leave out --suite {SUITE}",
        )
    from ray_compt.evaluate.clip_benchmark.installed import require_clip_benchmark

    require_clip_benchmark()
    from ray_compt.evaluate.clip_benchmark import choose, evaluate_requests, open_subject

    requests = choose(datasets or ["paper"])
    root = _root(root, requests)
    if device not in ("cpu", "cuda"):
        raise UserError(
            f"clip_benchmark takes the first GPU, not {device}",
            where="--device",
            mend=f"set CUDA_VISIBLE_DEVICES={device.partition(':')[2]} and give --device cuda",
        )
    results: list[dict[str, Any]] = []
    failures: dict[str, str] = {}
    for subject in subjects:
        with placed(subject.ref):
            opened = open_subject(subject.ref, device=device, image_size=image_size)
        metrics, failed = evaluate_requests(
            opened, requests, root, batch=batch, verbose=verbose, finished=_told
        )
        failures |= {str(failure.request): failure.reason for failure in failed}
        results.append(
            {
                "name": subject.name,
                "path": subject.ref,
                "parameters": opened.parameters,
                "metrics": metrics,
            }
        )
    _print(results, failures, as_json)
    if failures:
        print(f"{len(failures)} of {len(requests)} data sets could not be evaluated on", file=sys.stderr)
        raise typer.Exit(FAILED)


def _root(root: str | None, requests: Sequence[Request]) -> str:
    """The root that is given, if it can hold these data sets apart."""
    if root is None:
        raise UserError(
            "no place to look for the data sets",
            where="--dataset-root",
            mend="give a folder or URL, such as 'DIR/{dataset_cleaned}'",
        )
    if "{dataset" not in root and sum(request.is_webdataset for request in requests) > 1:
        raise UserError(
            "several WebDatasets cannot lie in one folder",
            where=f"--dataset-root {root}",
            mend="write {dataset_cleaned} where their names belong",
        )
    return root


def _told(request: Request, outcome: dict[str, float] | Failure) -> None:
    """Say on standard error how a data set went."""
    from ray_compt.cli.output import warn
    from ray_compt.report.terminal import percent

    if not isinstance(outcome, dict):
        warn(f"{request}: {outcome.reason}")
        return
    shown = [f"{title} {percent(outcome[key])}" for key, title in METRICS.items() if key in outcome]
    print(f"{request}: {', '.join(shown)}", file=sys.stderr)


def _print(results: list[dict[str, Any]], failures: dict[str, str], as_json: bool) -> None:
    from ray_compt.cli.output import print_json, print_table
    from ray_compt.report.terminal import percent

    if as_json:
        print_json({"suite": SUITE, "models": results, "failed": failures})
        return
    measured = dict.fromkeys(key for result in results for key in result["metrics"])
    rows = [
        [dataset, METRICS[metric], *(percent(result["metrics"].get(key)) for result in results)]
        for key in measured
        for dataset, _, metric in [key.rpartition("/")]
        if metric in METRICS
    ]
    if rows:
        print_table("clip_benchmark", ["data set", "", *(result["name"] for result in results)], rows)
