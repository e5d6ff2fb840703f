"""The trackers of a run, from its first stage to its end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ray_compt.chain.folder import RunFolder
from ray_compt.config.schema import Chain
from ray_compt.report.published import public
from ray_compt.report.terminal import Terminal
from ray_compt.report.track import Trackers, open_trackers


@contextmanager
def tracking(
    services: Sequence[str], chain: Chain, folder: RunFolder, terminal: Terminal
) -> Iterator[Trackers]:
    """The trackers of these services, ended as finished or, on any exception, as failed.

    Raises:
        UserError: one cannot be opened.
    """
    config = public(chain.model_dump(mode="json"))
    trackers = open_trackers(services, folder.path, chain.name, config, terminal.warn)
    try:
        yield trackers
    except BaseException:
        trackers.close(failed=True)
        raise
    trackers.close(failed=False)
