"""All data sets that were asked for, one after the other; one that fails does not stop the others."""

from __future__ import annotations

import io
import logging
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass

from ray_compt.errors import UserError
from ray_compt.evaluate.clip_benchmark.catalogue import Request
from ray_compt.evaluate.clip_benchmark.model import Subject
from ray_compt.evaluate.clip_benchmark.tasks import evaluate_request

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Failure:
    """A data set that could not be evaluated on.

    Attributes:
        request: it.
        reason: one line for people.
    """

    request: Request
    reason: str


def evaluate_requests(
    subject: Subject,
    requests: Sequence[Request],
    root: str,
    *,
    batch: int,
    verbose: bool = False,
    finished: Callable[[Request, dict[str, float] | Failure], None],
) -> tuple[dict[str, float], list[Failure]]:
    """Evaluate one model on all data sets.

    Args:
        subject: the model.
        requests: what to measure.
        root: folder or URL of the data sets (see `datasets.locate`).
        batch: pictures embedded at a time.
        verbose: let clip_benchmark's own output through, on standard error.
        finished: called after each data set with its metrics, or with what went wrong.

    Returns:
        `DATASET/METRIC` -> fraction in [0, 1] (see `tasks.evaluate_request`), and what failed.
    """
    metrics: dict[str, float] = {}
    failures: list[Failure] = []
    for request in requests:
        try:
            with _output(verbose):
                found = evaluate_request(subject, request, root, batch=batch)
        # clip_benchmark's readers and torchvision's raise what they like, and some leave the program.
        except (Exception, SystemExit) as error:
            failure = Failure(request, _reason(error))
            log.debug("%s failed", request, exc_info=error)
            failures.append(failure)
            finished(request, failure)
            continue
        metrics |= {f"{request.name}/{name}": value for name, value in found.items()}
        finished(request, found)
    return metrics, failures


@contextmanager
def _output(verbose: bool) -> Iterator[None]:
    """Keep clip_benchmark's prints and progress bars off standard output, and off the terminal unless asked."""
    target = sys.stderr if verbose else io.StringIO()
    with redirect_stdout(target), redirect_stderr(target), warnings.catch_warnings():
        if not verbose:
            warnings.simplefilter("ignore")
        yield


def _reason(error: BaseException) -> str:
    if isinstance(error, UserError):
        return f"{error.where}: {error.message}; {error.mend}"
    if isinstance(error, ModuleNotFoundError):
        return f"its reader needs the package {error.name}, which is not installed"
    first = next(iter(str(error).splitlines()), "")
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
