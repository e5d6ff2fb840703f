"""The samples of a stage that could not be used: one line each in bad_samples.jsonl, each named once.

The list ends at `MOST` lines, so that the driver's memory is bounded; metrics.jsonl counts on (`unreadable`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

from ray_compt.data import BadSample
from ray_compt.storage import JsonLines, Place

NAME = "bad_samples.jsonl"
MOST = 100_000


class BadSamples:
    """The list of one stage; opening it again goes on with what it holds.

    Attributes:
        count: samples that it stands for; where the list is full, there are more.
    """

    def __init__(self, folder: Place, found_while_indexing: Iterable[BadSample]):
        self._lines = JsonLines(folder, NAME)
        self._known: set[tuple[str, str]] = set()
        self.count = 0
        self._recall()
        for bad in found_while_indexing:
            self.add(bad)
        self.store()

    def add(self, bad: BadSample) -> bool:
        """Note a sample; False where it is known already, or where the list is full."""
        if (bad.shard, bad.key) in self._known or len(self._known) >= MOST:
            return False
        self._note(bad)
        self._lines.append(asdict(bad))
        return True

    def store(self) -> None:
        """Bring what was added to an object store; on a disk it is there already."""
        self._lines.store()

    def _recall(self) -> None:
        """Take in what is on disk. A line that does not name a sample is dropped: its sample is found again."""
        for entry in self._lines.read():
            try:
                self._note(BadSample(**entry))
            except TypeError:
                continue

    def _note(self, bad: BadSample) -> None:
        self._known.add((bad.shard, bad.key))
        self.count += bad.count
