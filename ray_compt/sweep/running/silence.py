"""Ray Tune without words: it prints a line a trial, whatever its verbosity, unless it is given what would print it."""

from __future__ import annotations

from ray.tune.progress_reporter import TrialProgressCallback


class _Silent(TrialProgressCallback):
    def _print(self, msg: str) -> None:
        """Nothing: the sweep's own table says it."""


def silent() -> TrialProgressCallback:
    """A callback that Ray Tune takes for its own printer."""
    return _Silent()
